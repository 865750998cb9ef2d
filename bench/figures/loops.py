"""The loops that one would write for Numba to compile, with NumPy's exp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastsoftmax._cli.problems import Call, Problem

__all__ = ["loop"]


def loop(problem: Problem) -> Call | None:
    """Return a call of a compiled loop on one thread, or None for an operation without one."""
    import numba

    functions: dict[str, Callable[..., Any]] = {
        "softmax": _softmax,
        "value_and_grad": _value_and_grad,
    }
    if problem.operation not in functions:
        return None
    function = numba.njit(functions[problem.operation])
    x, labels, out = problem.logits, problem.labels, problem.output()
    return lambda: function(x, labels, out)


def _softmax(x: Any, labels: Any, out: Any) -> Any:
    for i in range(x.shape[0]):
        maximum = x[i].max()
        total = x.dtype.type(0)
        for k in range(x.shape[1]):
            out[i, k] = np.exp(x[i, k] - maximum)
            total += out[i, k]
        for k in range(x.shape[1]):
            out[i, k] /= total
    return out


def _value_and_grad(x: Any, labels: Any, out: Any) -> Any:
    loss = 0.0
    for i in range(x.shape[0]):
        maximum = x[i].max()
        total = x.dtype.type(0)
        for k in range(x.shape[1]):
            out[i, k] = np.exp(x[i, k] - maximum)
            total += out[i, k]
        loss += np.log(total) - (x[i, labels[i]] - maximum)
        for k in range(x.shape[1]):
            out[i, k] /= total * x.shape[0]
        out[i, labels[i]] -= 1 / x.shape[0]
    return loss / x.shape[0], out
