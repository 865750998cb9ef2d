"""What is at work here: versions, backends, instruction sets, threads."""

from __future__ import annotations

import importlib
import platform
from typing import Any, Literal, overload

from . import _backends, _control
from ._version import __version__

__all__ = ["show_config"]

LIBRARIES = ("numpy", "numba", "llvmlite", "ml_dtypes", "scipy", "scikit-learn", "torch", "jax")


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...


@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Print version, backends, instruction sets, threads and the libraries in play.

    Parameters
    ----------
    mode : {"stdout", "dicts"}, default "stdout"
        Whether to print, or to return a dictionary.

    Returns
    -------
    dict or None
        None after printing.

    Raises
    ------
    ValueError
        If the mode is unknown.

    Examples
    --------
    >>> import fastsoftmax as fs
    >>> sorted(fs.show_config(mode="dicts"))
    ['backends', 'instruction sets', 'machine', 'threads', 'version', 'versions']
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode must be 'stdout' or 'dicts', not {mode!r}")
    config = _collect()
    if mode == "dicts":
        return config
    print(_format(config))
    return None


def _collect() -> dict[str, Any]:
    available = _control.available_backends()
    backend, backend_source = _control.backend_source()
    threads, threads_source = _control.num_threads_source()
    return {
        "version": __version__,
        "backends": {
            "available": available,
            "not installed": tuple(name for name in _backends.NAMES if name not in available),
            "in use": backend,
            "chosen by": backend_source,
        },
        "instruction sets": _instruction_sets(),
        "threads": {"number": threads, "chosen by": threads_source},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
        },
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _instruction_sets() -> dict[str, Any]:
    """Ask the C extension, if it was built."""
    try:
        extension = importlib.import_module("fastsoftmax._c")
    except ImportError:
        return {}
    questions = {
        "built": "built_instruction_sets",
        "detected": "instruction_sets",
        "in use": "instruction_set",
    }
    return {
        answer: getattr(extension, question)()
        for answer, question in questions.items()
        if hasattr(extension, question)
    }


def _versions() -> dict[str, str]:
    """Return the versions of the libraries that are installed, without importing them."""
    from importlib import metadata  # slow to import

    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _format(config: dict[str, Any]) -> str:
    lines = []
    for title, entry in config.items():
        if not isinstance(entry, dict):
            lines.append(f"fastsoftmax {entry}")
            continue
        lines.append(title)
        if not entry:
            lines.append("    none: the C extension was not built")
        for name, value in entry.items():
            text = ", ".join(value) if isinstance(value, tuple) else str(value)
            lines.append(f"    {name + ':':<16}{text or 'none'}")
    return "\n".join(lines)
