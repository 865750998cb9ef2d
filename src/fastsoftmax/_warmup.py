"""Compiling ahead what first calls would wait for."""

from __future__ import annotations

import time
from typing import NamedTuple

from ._control import resolve_backend
from ._progress import progress as show_progress
from ._typing import BackendName

__all__ = ["Compiled", "compile_all", "warmup"]


class Compiled(NamedTuple):
    """A part of a backend that is ready now, and the directory that keeps it, if one does."""

    name: str
    seconds: float
    directory: str | None


def warmup(
    backend: BackendName | None = "numba", *, progress: bool | None = None
) -> dict[str, float]:
    """Compile all kernels of a backend, so that no later call has to wait for that.

    The Numba backend compiles a kernel when it is first called, for float32 and float64 each, and
    keeps the machine code on disk: in ``NUMBA_CACHE_DIR`` if that is set, else beside the installed
    sources, else in the user's cache directory. Call this once after installation, or when an image
    is made; processes that start later read the code. Where no directory can be written to, all is
    compiled in memory, for this process alone; that is not an error.

    Parameters
    ----------
    backend : {"numba", "c", "numpy"} or None
        None is the one in effect. ``"c"`` was compiled when the package was built and ``"numpy"``
        never is: for these there is nothing to do.
    progress : bool, optional
        Whether to show a progress bar on standard error: by default if that is a terminal. Rich
        draws it, if it is installed. If True where there is no terminal, each kernel is a line.

    Returns
    -------
    dict
        The seconds that each kernel took, by name and width of the dtype; less than 0.1 for those
        read from disk. Empty if there is nothing to compile.

    Raises
    ------
    ValueError
        If there is no backend of that name.
    ImportError
        If it is not installed; the message says how to get it.
    TypeError
        If `backend` is no name, or `progress` neither a bool nor None.

    Examples
    --------
    >>> warmup("numpy")
    {}
    """
    if not (progress is None or isinstance(progress, bool)):
        raise TypeError(f"progress must be True, False or None, not {type(progress).__name__}")
    return {part.name: part.seconds for part in compile_all(backend, progress)}


def compile_all(backend: BackendName | None, show: bool | None) -> list[Compiled]:
    """Compile what a backend has to compile, with a progress bar if `show` says so."""
    compilations = resolve_backend(backend).compilations()
    done = []
    with show_progress(len(compilations), "compiling", show) as begin:
        for name, compile_part in compilations.items():
            begin(name)
            start = time.perf_counter()
            directory = compile_part()
            done.append(Compiled(name, time.perf_counter() - start, directory))
    return done
