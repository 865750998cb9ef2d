"""The ``numba`` backend: plain functions on checked arrays, over the kernels in numba_kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .._typing import Array, BoolArray, Float64Array
from .environment import as_found
from .halves import cross_entropy_on_halves, grad_hess_on_halves, on_halves
from .numba_kernels.backward import LOG_SOFTMAX_BACKWARD, SOFTMAX_BACKWARD
from .numba_kernels.compilation import KERNELS, Kernel
from .numba_kernels.cross_entropy import CROSS_ENTROPY
from .numba_kernels.hessian import GRAD_HESS, HESSIANS
from .numba_kernels.labels import CHECK_LABELS
from .numba_kernels.probabilities import (
    LOG_SOFTMAX,
    LOGSUMEXP,
    PLAIN_LOG_SOFTMAX,
    PLAIN_SOFTMAX,
    SOFTMAX,
)
from .numba_kernels.run import WORTH_A_THREAD, Plan, combine
from .numba_kernels.shards import PARTIAL_STATE, SHARD_EXPONENTIALS

__all__ = [
    "NAME",
    "PLAIN",
    "check_labels",
    "compilations",
    "cross_entropy",
    "grad_hess",
    "in_default_environment",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "partial_state",
    "shard_exponentials",
    "softmax",
    "softmax_backward",
]

NAME = "numba"
in_default_environment = as_found

# Arrays of length 0 stand for those that are not there: None would be a type of its own, and the
# kernels be compiled for every combination.
_NO_MASK: Array = np.empty((0, 0, 0), np.uint8)
_NO_LABELS: dict[int, Array] = {4: np.empty((0, 0), np.int32), 8: np.empty((0, 0), np.int64)}
_NO_WEIGHT = np.empty(0)
_NO_SAMPLE_WEIGHT = np.empty((0, 0))
_NO_ROWS: dict[int, Array] = {
    4: np.empty((0, 0, 0), np.float32),
    8: np.empty((0, 0, 0), np.float64),
}
_NO_LOSSES: dict[int, Array] = {4: np.empty((0, 0), np.float32), 8: np.empty((0, 0), np.float64)}


def _mask(where: BoolArray | None) -> Array:
    return _NO_MASK if where is None else where.view(np.uint8)


def _labels(labels: Array | None) -> tuple[Array, Array]:
    if labels is None:
        return _NO_LABELS[4], _NO_LABELS[8]
    return (labels, _NO_LABELS[8]) if labels.itemsize == 4 else (_NO_LABELS[4], labels)


def _check(
    x: Array, rows: tuple[Array | None, ...], entries: tuple[Array | None, ...] = ()
) -> None:
    """Raise unless all have the samples of `x`, and `rows` its classes too.

    It was so when the arguments were checked, but code of the caller's may have run since. A kernel
    would read and write beyond what is there.
    """
    shape = x.shape
    for array in rows:
        if array is not None and array.shape != shape:
            raise ValueError(f"an array of shape {array.shape} now goes with one of shape {shape}")
    for array in entries:
        if array is not None and array.shape != shape[:2]:
            raise ValueError(f"an array of shape {array.shape} now goes with one of shape {shape}")


def compilations() -> Mapping[str, Callable[[], str | None]]:
    return {
        f"{kernel.name} {8 * itemsize} bit": partial(kernel.prepare, itemsize)
        for kernel in KERNELS
        for itemsize in kernel.itemsizes
    }


@on_halves
def softmax(x: Array, where: BoolArray | None, out: Array, num_threads: int) -> None:
    _check(x, (where, out))
    Plan(x, num_threads).run(SOFTMAX, x, _mask(where), out)


@on_halves
def log_softmax(x: Array, where: BoolArray | None, out: Array, num_threads: int) -> None:
    _check(x, (where, out))
    Plan(x, num_threads).run(LOG_SOFTMAX, x, _mask(where), out)


@on_halves
def logsumexp(x: Array, where: BoolArray | None, out: Array, num_threads: int) -> None:
    _check(x, (where,), (out,))
    Plan(x, num_threads).run(LOGSUMEXP, x, _mask(where), out)


@on_halves
def softmax_backward(grad_output: Array, output: Array, out: Array, num_threads: int) -> None:
    _check(grad_output, (output, out))
    Plan(grad_output, num_threads).run(SOFTMAX_BACKWARD, grad_output, output, out)


@on_halves
def log_softmax_backward(grad_output: Array, output: Array, out: Array, num_threads: int) -> None:
    _check(grad_output, (output, out))
    Plan(grad_output, num_threads).run(LOG_SOFTMAX_BACKWARD, grad_output, output, out)


def _plainly(kernel: Kernel) -> Callable[[Any, Any], Array | None]:
    """Small arrays (m, K) in C order, in one call of compiled code."""
    versions: dict[int, Callable[..., bool]] = {}
    ndarray, float32, float64 = np.ndarray, np.dtype(np.float32), np.dtype(np.float64)

    def call(x: Any, out: Any) -> Array | None:
        if type(x) is not ndarray or x.ndim != 2 or not 0 < x.size < WORTH_A_THREAD:
            return None
        dtype = x.dtype
        if dtype is not float32 and dtype is not float64:
            return None
        if not (x.flags.carray or (x.flags.c_contiguous and x.flags.aligned)):
            return None
        if out is None:
            out = np.empty_like(x)
        elif (
            type(out) is not ndarray
            or out.dtype is not dtype
            or out.ndim != 2
            or not out.flags.carray
        ):
            return None
        size = x.itemsize
        if size not in versions:
            versions[size] = kernel.version(size)
        return out if versions[size](x, out) else None

    return call


PLAIN: Mapping[str, Callable[[Any, Any], Array | None]] = {
    "softmax": _plainly(PLAIN_SOFTMAX),
    "log_softmax": _plainly(PLAIN_LOG_SOFTMAX),
}


def check_labels(
    labels: Array,
    num_classes: int,
    ignore_index: int | None,
    weight: Float64Array | None,
    sample_weight: Float64Array | None,
) -> tuple[int, int, float]:
    """Return (first label out of range or -1, labels that count, their total weight)."""
    summary: tuple[int, int, float] = CHECK_LABELS.version(labels.itemsize)(
        labels,
        num_classes - 1,
        ignore_index is not None,
        ignore_index or 0,
        _NO_WEIGHT if weight is None else weight,
        _NO_SAMPLE_WEIGHT if sample_weight is None else sample_weight,
    )
    return summary


@cross_entropy_on_halves
def cross_entropy(
    logits: Array,
    labels: Array | None,
    probabilities: Array | None,
    weight: Float64Array | None,
    sample_weight: Float64Array | None,
    ignore_index: int | None,
    label_smoothing: float,
    divisor: float,
    losses: Array | None,
    grad: Array | None,
    mean_grad: Float64Array | None,
    want_loss: bool,
    num_threads: int,
) -> float:
    """Write what is asked for of the losses and gradients; return the total loss over divisor."""
    _check(logits, (probabilities, grad), (labels, sample_weight, losses))
    want_mean_grad = mean_grad is not None
    plan = Plan(logits, num_threads, want_mean_grad)
    chunk_loss, mean_sums = plan.sums(want_mean_grad)
    size = logits.itemsize
    plan.run(
        CROSS_ENTROPY,
        logits,
        *_labels(labels),
        _NO_ROWS[size] if probabilities is None else probabilities,
        _NO_WEIGHT if weight is None else weight,
        _NO_SAMPLE_WEIGHT if sample_weight is None else sample_weight,
        ignore_index is not None,
        ignore_index or 0,
        label_smoothing,
        divisor,
        want_loss or losses is not None,
        _NO_LOSSES[size] if losses is None else losses,
        _NO_ROWS[size] if grad is None else grad,
        chunk_loss,
        mean_sums,
    )
    means = _NO_WEIGHT if mean_grad is None else mean_grad
    loss = combine(chunk_loss, mean_sums, means, divisor)
    return loss if want_loss else 0.0


@grad_hess_on_halves
def grad_hess(
    logits: Array,
    labels: Array | None,
    probabilities: Array | None,
    sample_weight: Float64Array | None,
    hessian: str,
    grad: Array,
    hess: Array,
    num_threads: int,
) -> None:
    """Write the gradient and the diagonal of the Hessian, or what stands for it."""
    _check(logits, (probabilities, grad, hess), (labels, sample_weight))
    size = logits.itemsize
    Plan(logits, num_threads).run(
        GRAD_HESS,
        logits,
        *_labels(labels),
        _NO_ROWS[size] if probabilities is None else probabilities,
        _NO_WEIGHT,
        _NO_SAMPLE_WEIGHT if sample_weight is None else sample_weight,
        HESSIANS[hessian],
        _NO_LOSSES[size],
        grad,
        hess,
    )


@on_halves
def partial_state(x: Array, targets: Array | None, state: Float64Array, num_threads: int) -> None:
    """Write what rows that are a shard of the classes come to."""
    _check(x, (targets,), (state[..., 0],))
    y = _NO_ROWS[x.itemsize] if targets is None else targets
    Plan(x, num_threads).run(PARTIAL_STATE, x, y, state)


@on_halves
def shard_exponentials(
    x: Array, targets: Array | None, rows: Float64Array, out: Array, num_threads: int
) -> None:
    """Write factor e^(x - M) - target y of each row's numbers."""
    _check(x, (targets, out), (rows[..., 0],))
    y = _NO_ROWS[x.itemsize] if targets is None else targets
    Plan(x, num_threads).run(SHARD_EXPONENTIALS, x, y, rows, out)
