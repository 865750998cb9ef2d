"""What is at work here: all that a report of an error should say."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from typing import Any, Literal, overload

import numpy as np

from . import _backends, _control
from ._version import __version__

__all__ = ["show_config"]

LIBRARIES = (
    "numpy", "threadpoolctl", "numba", "llvmlite", "ml_dtypes", "scipy", "scikit-learn", "torch",
    "jax", "xgboost", "lightgbm", "dask",
)  # fmt: skip
"""Whose versions matter: what we use, and what the adapters are for."""

VARIABLES = (
    "FASTSOFTMAX_BACKEND", "FASTSOFTMAX_NUM_THREADS", "FASTSOFTMAX_ISA", "NUMBA_CACHE_DIR",
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
)  # fmt: skip
"""Variables that we read, or that NumPy's BLAS does, whose products linear layers are."""


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...


@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Print what a report of an error should say of the installation and the machine.

    That is the version, the backends and why one cannot be used, the instruction sets, the threads
    and what chose their number, the compiler, the system, the CPU and what limits it, the
    environment variables in effect, NumPy's BLAS and the libraries in play.

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
    >>> config = fs.show_config(mode="dicts")
    >>> sorted(config)  # doctest: +NORMALIZE_WHITESPACE
    ['backends', 'build', 'environment', 'instruction sets', 'machine', 'threads', 'version',
     'versions']
    >>> config["backends"]["in use"] == fs.get_backend()
    True
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode must be 'stdout' or 'dicts', not {mode!r}")
    config = _collect()
    if mode == "dicts":
        return config
    print(_format(config))
    return None


NOT_BUILT = "    none: the C extension was not built"


def _collect() -> dict[str, Any]:
    from . import _machine  # needs pathlib, which is slow to import

    available = _control.available_backends()
    backend, backend_source = _control.backend_source()
    threads, threads_source = _control.num_threads_source()
    return {
        "version": __version__,
        "backends": {
            "available": available,
            "not installed": tuple(name for name in _backends.NAMES if name not in available),
            **_reasons(),
            "in use": backend,
            "chosen by": backend_source,
        },
        "instruction sets": _instruction_sets(),
        "threads": {"number": threads, "chosen by": threads_source},
        "build": _build(),
        "machine": _machine.describe(),
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "versions": {"python": _python(), **_versions(), "BLAS of numpy": _blas()},
    }


def _reasons() -> dict[str, str]:
    """Return, for backends that cannot be used, why that is and what to do."""
    found = {f"why not {name}": _backends.why_not(name) for name in _backends.NAMES}
    return {what: reason for what, reason in found.items() if reason is not None}


def _build() -> dict[str, Any]:
    try:
        extension = importlib.import_module("fastsoftmax._c")
    except ImportError:
        return {}
    return dict(extension.build()) if hasattr(extension, "build") else {}


def _python() -> str:
    # Without a GIL or not; an implementation of its own or not.
    threading = "" if getattr(sys, "_is_gil_enabled", lambda: True)() else ", without GIL"
    return f"{platform.python_version()} ({platform.python_implementation()}{threading})"


def _blas() -> str:
    found = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return f"{found.get('name', 'unknown')} {found.get('version', '')}".strip()


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
            lines.append("    none" if title == "environment" else NOT_BUILT)
        width = max(map(len, entry), default=0) + 1
        for name, value in entry.items():
            text = ", ".join(value) if isinstance(value, tuple) else str(value)
            lines.append(f"    {name + ':':<{width}} {text or 'none'}")
    return "\n".join(lines)
