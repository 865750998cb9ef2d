"""What Numba runs in each process that compiles anything: it tells Numba of our functions.

By name alone. What they become in compiled code, and all that it needs, is loaded when Numba meets
one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["FUNCTIONS", "init"]

FUNCTIONS = (
    "softmax",
    "log_softmax",
    "logsumexp",
    "cross_entropy",
    "cross_entropy_grad",
    "cross_entropy_mean_grad",
    "cross_entropy_value_and_grad",
    "cross_entropy_value_and_mean_grad",
)


def init() -> None:
    """Register the functions that can be called in compiled code."""
    from numba.extending import overload

    import fastsoftmax

    for name in FUNCTIONS:
        # A default may be given where the function itself has one: not the same signature.
        register = overload(getattr(fastsoftmax, name), strict=False, prefer_literal=True)
        register(_when_met(name))


def _when_met(name: str) -> Callable[..., Any]:
    def implementation(*args: Any, **options: Any) -> Any:
        from ._in_jitted import functions

        return getattr(functions, name)(*args, **options)

    return implementation
