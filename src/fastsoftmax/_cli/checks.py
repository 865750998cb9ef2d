"""Checks that need no reference data: finite differences, signs, backends against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import (
    cross_entropy,
    cross_entropy_grad,
    cross_entropy_grad_hess,
    cross_entropy_mean_grad,
    cross_entropy_value_and_grad,
    cross_entropy_value_and_mean_grad,
    log_softmax,
    log_softmax_backward,
    logsumexp,
    softmax,
    softmax_backward,
)
from ..typing import BackendName
from .console import FAIL, PASS, Table
from .problems import Array

__all__ = ["Check", "check_table", "compare_backends", "finite_differences", "gradient_signs"]


@dataclass(frozen=True)
class Check:
    """One comparison: what, by which backend, the largest difference and how much is allowed."""

    what: str
    backend: BackendName
    worst: float
    limit: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether the difference is within the limit; NaN is not."""
        return self.worst <= self.limit


def check_table(title: str, checks: Iterable[Check]) -> Table:
    """Return the table of checks with their verdicts."""
    table = Table(title, ("backend", "checked", "largest difference", "allowed", "result"), left=2)
    for check in checks:
        unit = f" {check.unit}" if check.unit else ""
        table.add(
            check.backend,
            check.what,
            f"{check.worst:.2g}{unit}",
            f"{check.limit:.2g}{unit}",
            PASS if check.passed else FAIL,
        )
    return table


def finite_differences(
    what: str, logits: Array, labels: Array, backend: BackendName
) -> list[Check]:
    """Check gradients in float64 against central differences (J(f + h) - J(f - h)) / 2h.

    The mean gradient is the derivative by a number added to all logits of a class.
    """
    f = np.asarray(logits, np.float64)
    grad = cross_entropy_grad(f, labels, backend=backend)
    mean_grad = cross_entropy_mean_grad(f, labels, backend=backend)
    step = 1e-5

    def slope(direction: Array) -> float:
        ahead = cross_entropy(f + step * direction, labels, backend=backend)
        behind = cross_entropy(f - step * direction, labels, backend=backend)
        return float(ahead - behind) / (2 * step)

    by_entry, by_class = np.empty_like(grad), np.empty_like(mean_grad)
    for index in np.ndindex(f.shape):
        direction = np.zeros_like(f)
        direction[index] = 1
        by_entry[index] = slope(direction)
    for k in range(f.shape[-1]):
        direction = np.zeros_like(f)
        direction[..., k] = 1
        by_class[k] = slope(direction)
    # The step leaves an error of about h² / 6, the rounding of J one of about 1e-16 / h.
    pairs = (("∂J/∂f", grad, by_entry), ("(1/m) Σ (p − t)", mean_grad, by_class))
    return [
        Check(f"{name}, {what}", backend, float(np.abs(got - want).max()), 1e-9)
        for name, got, want in pairs
    ]


def gradient_signs(what: str, logits: Array, labels: Array, backend: BackendName) -> Check:
    """Check that p - t is negative at the true class and positive at all others."""
    grad = cross_entropy_grad(logits, labels, reduction="none", backend=backend)
    signs = np.ones(grad.shape)
    np.put_along_axis(signs, labels[..., np.newaxis], -1, axis=-1)
    wrong = int(np.count_nonzero(np.sign(grad) != signs))
    return Check(f"false signs of p − t, {what}", backend, wrong, 0)


# A function under comparison: its results, each with the size that its errors are measured by.
_Results = list[tuple[Array, Array]]


def compare_backends(
    backends: tuple[BackendName, ...], reference: BackendName, dtype: str, seed: int = 0
) -> list[Check]:
    """Compare every function of the backends on random input with those of one of them.

    Parameters
    ----------
    backends : tuple of str
        The backends to check; the reference among them is passed over.
    reference : str
        The backend to compare with.
    dtype : str
        dtype of the logits.
    seed : int
        Seed of the random input.
    """
    inputs = list(_random_inputs(dtype, seed))
    checks = []
    for backend in backends:
        if backend == reference:
            continue
        for name, function in _FUNCTIONS.items():
            worst = 0.0
            for logits, labels in inputs:
                found = function(logits, labels, backend)
                right = function(logits, labels, reference)
                for (got, _), (want, size) in zip(found, right, strict=True):
                    worst = _largest(worst, _ulps(got, want, size))
            checks.append(Check(f"{name}, {dtype}", backend, worst, 8, "ulp"))
    return checks


def _random_inputs(dtype: str, seed: int) -> Iterable[tuple[Array, Array]]:
    rng = np.random.default_rng(seed)
    for samples, classes in ((50, 2), (40, 3), (100, 10), (33, 17), (20, 100), (7, 1003)):
        for scale in (1, 20):
            logits = (scale * rng.standard_normal((samples, classes))).astype(dtype)
            yield logits, rng.integers(0, classes, samples)


def _largest(a: float, b: float) -> float:
    """Return the larger, or NaN if there is one."""
    return b if not b <= a else a


def _ulps(got: Array, want: Array, size: Array) -> float:
    """Return the largest difference in units in the last place of the size."""
    got, want = np.asarray(got), np.asarray(want)
    unit = np.spacing(np.maximum(np.abs(size).astype(want.dtype), np.finfo(want.dtype).tiny))
    return float((np.abs(got.astype(np.float64) - want) / unit).max())


def _of(*arrays: Any) -> _Results:
    """Measure errors by the results themselves."""
    return [(array, array) for array in arrays]


def _softmax_backward(f: Array, labels: Array, backend: BackendName) -> _Results:
    p, g = softmax(f, backend="numpy"), _grad_output(f)
    size = p * (np.abs(g) + np.abs(p * g).sum(axis=-1, keepdims=True))
    return [(softmax_backward(g, p, backend=backend), size)]


def _log_softmax_backward(f: Array, labels: Array, backend: BackendName) -> _Results:
    log_p, g = log_softmax(f, backend="numpy"), _grad_output(f)
    size = np.abs(g) + np.exp(log_p) * np.abs(g).sum(axis=-1, keepdims=True)
    return [(log_softmax_backward(g, log_p, backend=backend), size)]


def _grad_output(f: Array) -> Array:
    """Return something like a gradient by the output, the same for every backend."""
    g: Array = np.cos(np.arange(f.size, dtype=f.dtype)).reshape(f.shape)
    return g


def _logsumexp(f: Array, labels: Array, backend: BackendName) -> _Results:
    largest = f.max(axis=-1)
    rest = np.log(np.exp(f - largest[:, np.newaxis]).sum(axis=-1))
    return [(logsumexp(f, backend=backend), np.maximum(np.abs(largest), rest))]


def _mean_grad(f: Array, labels: Array, backend: BackendName) -> _Results:
    each = np.abs(cross_entropy_grad(f, labels, reduction="none", backend=backend))
    return [(cross_entropy_mean_grad(f, labels, backend=backend), each.mean(axis=0))]


def _value_and_mean_grad(f: Array, labels: Array, backend: BackendName) -> _Results:
    loss, mean = cross_entropy_value_and_mean_grad(f, labels, backend=backend)
    each = np.abs(cross_entropy_grad(f, labels, reduction="none", backend=backend))
    return [*_of(loss), (mean, each.mean(axis=0))]


_FUNCTIONS: dict[str, Callable[[Array, Array, BackendName], _Results]] = {
    "softmax": lambda f, labels, b: _of(softmax(f, backend=b)),
    "log_softmax": lambda f, labels, b: _of(log_softmax(f, backend=b)),
    "logsumexp": _logsumexp,
    "softmax_backward": _softmax_backward,
    "log_softmax_backward": _log_softmax_backward,
    "cross_entropy": lambda f, labels, b: _of(cross_entropy(f, labels, backend=b)),
    "cross_entropy_grad": lambda f, labels, b: _of(cross_entropy_grad(f, labels, backend=b)),
    "cross_entropy_mean_grad": _mean_grad,
    "cross_entropy_value_and_grad": lambda f, labels, b: _of(
        *cross_entropy_value_and_grad(f, labels, backend=b)
    ),
    "cross_entropy_value_and_mean_grad": _value_and_mean_grad,
    "cross_entropy_grad_hess": lambda f, labels, b: _of(
        *cross_entropy_grad_hess(f, labels, backend=b)
    ),
}
