"""The floating-point environment that a backend computes in.

How a thread rounds, whether it flushes subnormal numbers, and which exceptions it has raised, is
its own; a program, or a library that shares the process, may have changed it. The backend ``c``
computes in the default environment and leaves the one it found. So must the arithmetic around its
kernels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from .._typing import Backend

__all__ = ["as_found", "in_environment_of_backend"]

P = ParamSpec("P")
R = TypeVar("R")


def as_found(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function in the environment that is there, for backends without a way to another."""
    return function(*args, **kwargs)


def in_environment_of_backend(
    function: Callable[Concatenate[Backend, P], R],
) -> Callable[Concatenate[Backend, P], R]:
    """Have a function, whose first argument is a backend, called as that backend wants it."""

    @functools.wraps(function)
    def call(kernels: Backend, /, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = kernels.in_default_environment(function, kernels, *args, **kwargs)
        return result

    return call
