"""The threads of NumPy's linear algebra."""

from __future__ import annotations

from typing import Any

__all__ = ["limit_blas"]

# The limits in force; they would end with the object.
_limits: list[Any] = []


def limit_blas(threads: int) -> None:
    """Let BLAS use so many threads from now on, if threadpoolctl is installed to say so."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return
    _limits[:] = [threadpool_limits(threads, user_api="blas")]
