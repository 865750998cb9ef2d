"""The registry of backends: names to modules, each imported when first used."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import cast

from .._forking import whole
from .._typing import Backend, BackendName

__all__ = ["NAMES", "available", "default", "load", "loaded", "require", "why_not"]

NAMES: tuple[BackendName, ...] = ("c", "numba", "numpy")
"""In order of preference."""

_MODULES = {"c": ".compiled", "numba": ".jitted", "numpy": ".reference"}
_NEEDS = {"c": "fastsoftmax._c", "numba": "numba"}
_REMEDIES = {
    "c": (
        "the backend 'c' is not available: the extension fastsoftmax._c was not built. "
        "Install a C compiler (gcc or clang) and run: pip install --force-reinstall fastsoftmax"
    ),
    "numba": (
        "the backend 'numba' is not available: numba is not installed. "
        'Run: pip install "fastsoftmax[numba]"'
    ),
}

loaded: dict[str, Backend] = {}
"""The backends in use so far, by name."""


def available() -> tuple[BackendName, ...]:
    """Return the names of the backends that are installed, best first, without importing them."""
    return tuple(name for name in NAMES if _installed(name))


def require(name: str) -> None:
    """Raise unless `name` is a backend that is installed."""
    if not isinstance(name, str):
        raise TypeError(f"backend must be a name or None, not {type(name).__name__}")
    if name not in _MODULES:
        raise ValueError(
            f"unknown backend {name!r}; the backends are {', '.join(map(repr, NAMES))}"
        )
    if not _installed(name):
        raise ImportError(_REMEDIES[name])


def why_not(name: str) -> str | None:
    """Return why a backend cannot be used here, and what to do; None if it can."""
    try:
        load(name)
    except ImportError as error:
        return str(error)
    return None


def load(name: str) -> Backend:
    """Return a backend, imported if it was not yet."""
    require(name)
    if name not in loaded:
        try:
            with whole:
                module = importlib.import_module(_MODULES[name], __name__)
        except ImportError as error:
            raise ImportError(
                f"the backend {name!r} is installed but could not be imported: {error}"
            ) from error
        loaded[str(name)] = cast(Backend, module)
    return loaded[name]


def default() -> BackendName:
    """Return the name of the best backend that works here."""
    for name in available():
        try:
            load(name)
        except ImportError as error:
            warnings.warn(f"{error}; using another backend", RuntimeWarning, stacklevel=2)
        else:
            return name
    raise ImportError("no backend could be imported")


def _installed(name: str) -> bool:
    if name in loaded or name not in _NEEDS:
        return True
    try:
        return importlib.util.find_spec(_NEEDS[name]) is not None
    except (ImportError, ValueError):
        return False
