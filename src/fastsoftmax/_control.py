"""Which backend and how many threads: for the process, for a block of code, for one call."""

from __future__ import annotations

import functools
import operator
import os
from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import Any, SupportsIndex, TypeAlias

from . import _backends
from ._forking import whole
from ._typing import Backend, BackendName

__all__ = [
    "SETTINGS",
    "available_backends",
    "backend_source",
    "get_backend",
    "get_num_threads",
    "num_threads_source",
    "replace_num_threads",
    "resolve_backend",
    "resolve_num_threads",
    "set_backend",
    "set_num_threads",
    "use_backend",
    "use_num_threads",
]

BACKEND_VARIABLE = "FASTSOFTMAX_BACKEND"
THREADS_VARIABLE = "FASTSOFTMAX_NUM_THREADS"
MOST_THREADS = 1024
"""More are never started, whatever is asked for."""

# What holds outside of blocks, and what chose it. A default is put here when it is first needed.
_process: dict[str, tuple[Any, str]] = {}

# What held before a limit was set from outside.
LIMITS = "threadpoolctl"
_before_limits: tuple[int, str] = (0, "")

# The blocks entered in this context, innermost first: (choice, the block around it or None).
# As nothing is kept in the context managers themselves, threads and tasks may share one.
_Blocks: TypeAlias = "tuple[Any, _Blocks | None]"
_backend_blocks: ContextVar[_Blocks | None] = ContextVar("fastsoftmax_backend", default=None)
_threads_blocks: ContextVar[_Blocks | None] = ContextVar("fastsoftmax_num_threads", default=None)

SETTINGS = (
    ("backend", _backend_blocks, _process),
    ("num_threads", _threads_blocks, _process),
)
"""Where to find what is in effect: for plain calls, which look as the functions below do."""


def available_backends() -> tuple[BackendName, ...]:
    """Return the names of the backends installed here, best first.

    Returns
    -------
    tuple of str
        Out of ``"c"``, ``"numba"`` and ``"numpy"``; the last is always there.

    Examples
    --------
    >>> "numpy" in available_backends()
    True
    """
    return _backends.available()


def get_backend() -> BackendName:
    """Return the name of the backend in effect here.

    That is, in this order: the innermost :class:`use_backend`, the last :func:`set_backend`, the
    environment variable ``FASTSOFTMAX_BACKEND``, the best backend installed.

    Examples
    --------
    >>> get_backend() in available_backends()
    True
    """
    return backend_source()[0]


def set_backend(name: BackendName | None) -> None:
    """Set the backend for the whole process.

    Parameters
    ----------
    name : {"c", "numba", "numpy"} or None
        None goes back to the default.

    Raises
    ------
    ValueError
        If there is no backend of that name.
    ImportError
        If it is not installed; the message says how to get it.

    Examples
    --------
    >>> set_backend("numpy")
    >>> get_backend()
    'numpy'
    >>> set_backend(None)
    """
    if name is None:
        _process.pop("backend", None)
    else:
        _backends.require(name)
        _process["backend"] = (name, "set_backend")


class use_backend(ContextDecorator):
    """Use a backend within a block of code.

    It holds for the thread or async task that entered the block, and for tasks started from it.

    Parameters
    ----------
    name : {"c", "numba", "numpy"}
        Errors are as in :func:`set_backend`.

    Examples
    --------
    >>> with use_backend("numpy"):
    ...     get_backend()
    'numpy'
    """

    def __init__(self, name: BackendName) -> None:
        _backends.require(name)
        self._name = name

    def _recreate_cm(self) -> use_backend:
        return use_backend(self._name)

    def __enter__(self) -> None:
        _backend_blocks.set((self._name, _backend_blocks.get()))

    def __exit__(self, *exc: object) -> None:
        _leave(_backend_blocks)


def get_num_threads() -> int:
    """Return the number of threads in effect here.

    That is, in this order: the innermost :class:`use_num_threads`, the last
    :func:`set_num_threads`, the environment variable ``FASTSOFTMAX_NUM_THREADS``, the number of
    CPUs this process may use (by affinity and by its container's quota). Small problems use fewer.

    Examples
    --------
    >>> get_num_threads() >= 1
    True
    """
    return num_threads_source()[0]


def set_num_threads(n: SupportsIndex | None) -> None:
    """Set the number of threads for the whole process.

    Parameters
    ----------
    n : int or None
        At least 1; None goes back to the default.

    Raises
    ------
    TypeError, ValueError
        If `n` is no integer, or less than 1.

    Notes
    -----
    `threadpoolctl.threadpool_limits` does the same for as long as it lasts, with ``"fastsoftmax"``
    as `user_api` or for all libraries at once; within a block of `use_num_threads` it replaces that
    block's number. It finds us by the library of the backend ``"c"``, and limits every backend.

    Examples
    --------
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(None)
    """
    if n is None:
        _process.pop("num_threads", None)
    else:
        _process["num_threads"] = (_check_num_threads(n), "set_num_threads")


def replace_num_threads(n: SupportsIndex) -> None:
    """Set the number of threads in effect here: the innermost block's, or else the process's.

    That is for whoever sets a number and later sets what was there before, as threadpoolctl does:
    a default or a choice of the user that comes back is what it was, and not a choice of theirs.
    """
    global _before_limits
    count = _check_num_threads(n)
    if (block := _threads_blocks.get()) is not None:
        _threads_blocks.set((count, block[1]))
        return
    current = num_threads_source()
    if current[1] != LIMITS:
        _before_limits = current
    _process["num_threads"] = _before_limits if _before_limits[0] == count else (count, LIMITS)


class use_num_threads(ContextDecorator):
    """Use a number of threads within a block of code.

    It holds for the thread or async task that entered the block, and for tasks started from it.

    Parameters
    ----------
    n : int
        At least 1.

    Examples
    --------
    >>> with use_num_threads(2):
    ...     get_num_threads()
    2
    """

    def __init__(self, n: SupportsIndex) -> None:
        self._n = _check_num_threads(n)

    def _recreate_cm(self) -> use_num_threads:
        return use_num_threads(self._n)

    def __enter__(self) -> None:
        _threads_blocks.set((self._n, _threads_blocks.get()))

    def __exit__(self, *exc: object) -> None:
        _leave(_threads_blocks)


def resolve_backend(name: BackendName | None) -> Backend:
    """Return the backend for a call that was given `name`."""
    if name is None:
        name = backend_source()[0]
    try:
        return _backends.loaded[name]
    except (KeyError, TypeError):
        pass
    return _backends.load(name)


def resolve_num_threads(n: SupportsIndex | None) -> int:
    """Return the number of threads for a call that was given `n`."""
    count = num_threads_source()[0] if n is None else _check_num_threads(n)
    if count > MOST_THREADS:
        return MOST_THREADS
    return count


def backend_source() -> tuple[BackendName, str]:
    """Return the name of the backend in effect and what chose it."""
    if (block := _backend_blocks.get()) is not None:
        return block[0], "use_backend"
    if (chosen := _process.get("backend")) is not None:
        return chosen
    return _process.setdefault("backend", _default_backend())


def num_threads_source() -> tuple[int, str]:
    """Return the number of threads in effect and what chose it."""
    if (block := _threads_blocks.get()) is not None:
        return block[0], "use_num_threads"
    if (chosen := _process.get("num_threads")) is not None:
        return chosen
    return _process.setdefault("num_threads", _default_num_threads())


def _leave(blocks: ContextVar[_Blocks | None]) -> None:
    innermost = blocks.get()
    blocks.set(None if innermost is None else innermost[1])


@functools.cache
def _default_backend() -> tuple[str, str]:
    name = os.environ.get(BACKEND_VARIABLE, "").strip()
    if name:
        try:
            _backends.require(name)
        except (ValueError, ImportError) as error:
            raise type(error)(f"{BACKEND_VARIABLE}={name} in the environment: {error}") from None
        source = f"environment variable {BACKEND_VARIABLE}"
    else:
        name, source = _backends.default(), "best installed"
    return name, source


@functools.cache
def _default_num_threads() -> tuple[int, str]:
    text = os.environ.get(THREADS_VARIABLE, "").strip()
    if text:
        if not (text.isascii() and text.isdigit() and int(text) >= 1):
            raise ValueError(
                f"{THREADS_VARIABLE}={text} in the environment: must be an integer of at least 1"
            )
        return int(text), f"environment variable {THREADS_VARIABLE}"
    with whole:
        from ._cpu_count import usable_cpus  # needs pathlib, which is slow to import

    return usable_cpus()


def _check_num_threads(n: SupportsIndex) -> int:
    try:
        if isinstance(n, bool):
            raise TypeError
        count = operator.index(n)
    except TypeError:
        raise TypeError(
            f"num_threads must be an integer of at least 1, not {n!r} ({type(n).__name__})"
        ) from None
    if count < 1:
        raise ValueError(f"num_threads must be at least 1, not {count}")
    return count
