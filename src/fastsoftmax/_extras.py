"""What to say where a library that an adapter is for is not installed."""

from __future__ import annotations

import importlib.util

__all__ = ["require"]


def require(library: str, extra: str) -> None:
    """Raise unless a library can be imported, with the extra of this package that brings it."""
    if importlib.util.find_spec(library) is None:
        raise ImportError(
            f"fastsoftmax.{extra} needs {library}, which is not installed. "
            f'Run: pip install "fastsoftmax[{extra}]"'
        )
