"""The exact values of the functions: quickly where a wider type is at hand, else by definition."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from . import wide
from .exact import Exact

__all__ = [
    "FUNCTIONS",
    "NoReferenceError",
    "by_definition",
    "cross_entropy",
    "gradients_by_definition",
    "log_softmax",
    "logsumexp",
    "softmax",
    "value",
]

Array = npt.NDArray[Any]

#: The functions that other libraries have too, each with the bound of its error in ulp.
FUNCTIONS = {
    "softmax": 2.0,
    "log_softmax": 4.0,
    "logsumexp": 4.0,
    "cross_entropy": 4.0,
    "cross_entropy_grad": 4.0,
    "cross_entropy_mean_grad": 4.0,
}


class NoReferenceError(Exception):
    """There is nothing here to judge a dtype by; the message says what would help."""


def by_definition(dtype: npt.DTypeLike) -> bool:
    """Return whether a dtype is judged by mpmath, slowly; raise `NoReferenceError` without it."""
    if wide.available(dtype):
        return False
    try:
        import mpmath  # noqa: F401
    except ImportError:
        raise NoReferenceError(
            f"no floating-point type of NumPy on this platform is wider than {np.dtype(dtype)}, "
            'so its errors need mpmath; run: pip install "fastsoftmax[cli]"'
        ) from None
    return True


def softmax(x: Array) -> Exact:
    """Return the probabilities."""
    exact: Exact = _judge(x).softmax(x)
    return exact


def log_softmax(x: Array) -> Exact:
    """Return the log-probabilities."""
    exact: Exact = _judge(x).log_softmax(x)
    return exact


def logsumexp(x: Array) -> tuple[Exact, Exact]:
    """Return the logarithms of the sums, and the scale of their errors."""
    if by_definition(x.dtype):
        from . import oracle

        return oracle.logsumexp(x), oracle.logsumexp_scale(x)
    return wide.logsumexp(x)


def cross_entropy(x: Array, targets: Array) -> wide.Gradients:
    """Return losses and gradients of labels or probabilities, without options."""
    if by_definition(x.dtype):
        return gradients_by_definition(x, targets)
    return wide.cross_entropy(x, targets)


def gradients_by_definition(x: Array, targets: Array) -> wide.Gradients:
    """Return what `cross_entropy` does, in mpmath."""
    from . import oracle

    each = oracle.cross_entropy(x, targets, reduction="none")
    mean = oracle.cross_entropy(x, targets)
    _, hess = oracle.grad_hess(x, targets)
    return wide.Gradients(
        losses=each.loss,
        grad=each.grad,
        grad_scale=each.grad_scale,
        loss=mean.loss,
        mean_grad=mean.mean_grad,
        mean_grad_scale=mean.mean_grad_scale,
        hess=hess,
    )


def value(function: str, x: Array, labels: Array) -> tuple[Exact, Exact | None]:
    """Return the exact value of one of the `FUNCTIONS`, and what its error is measured by.

    Losses and gradients are per sample; the mean gradient is measured by the mean of abs(p - t).
    """
    if function == "softmax":
        return softmax(x), None
    if function == "log_softmax":
        return log_softmax(x), None
    if function == "logsumexp":
        return logsumexp(x)
    exact = cross_entropy(x, labels)
    if function == "cross_entropy":
        return exact.losses, None
    if function == "cross_entropy_grad":
        return exact.grad, None
    return exact.mean_grad, exact.mean_grad_scale


def _judge(x: Array) -> ModuleType:
    if by_definition(x.dtype):
        from . import oracle

        return oracle
    return wide
