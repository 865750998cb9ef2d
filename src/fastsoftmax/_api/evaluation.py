"""The one path of all cross-entropy functions: from their arguments to a backend and back."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np

from .._arguments.arrays import check_logits, same_dtype, to_scalar
from .._arguments.layout import canonical
from .._arguments.options import (
    check_class_weight,
    check_ignore_index,
    check_label_smoothing,
    check_reduction,
    check_sample_weight,
)
from .._arguments.outputs import check_out, new_like, separate, separate_all, store
from .._arguments.targets import check_targets, label_error
from .._backends.environment import in_environment_of_backend
from .._control import resolve_num_threads
from .._sums import accurate_sum
from .._typing import Array, ArrayLike, Backend, Float64Array
from ..typing import OutputArray

__all__ = ["count_labels", "evaluate"]


@in_environment_of_backend
def evaluate(
    kernels: Backend,
    want_loss: bool,
    want_grad: bool,
    want_mean_grad: bool,
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex,
    weight: ArrayLike | None,
    sample_weight: ArrayLike | None,
    ignore_index: SupportsIndex | None,
    label_smoothing: SupportsFloat,
    reduction: str,
    out: OutputArray | None,
    num_threads: SupportsIndex | None,
) -> tuple[Any, Any]:
    """Return (loss or None, gradient or mean gradient or None)."""
    threads = resolve_num_threads(num_threads)
    check_reduction(reduction, want_mean_grad)
    x, axis, dtype = check_logits(logits, axis, "logits")
    shape = x.shape
    samples = shape[:axis] + shape[axis + 1 :]
    ignore = None if ignore_index is None else check_ignore_index(ignore_index)
    labels, probabilities, ignore = check_targets(targets, shape, samples, shape[axis], ignore)
    if probabilities is not None:
        x, probabilities = same_dtype(x, probabilities)
    w = None if weight is None else check_class_weight(weight, shape[axis])
    sw = None if sample_weight is None else check_sample_weight(sample_weight, samples)
    smoothing = check_label_smoothing(label_smoothing)
    out = check_out(out, shape if want_grad else (shape[axis],), dtype)
    if out is not None and want_grad:
        x = separate(x, out, True)
        labels, probabilities, w, sw = separate_all((labels, probabilities, w, sw), out)
    per_sample = want_loss and reduction == "none"
    losses = np.empty(samples, x.dtype) if per_sample else None
    grad = new_like(out, x, x.dtype) if want_grad else None
    mean_grad = np.zeros(shape[axis]) if want_mean_grad else None
    total = _run(
        kernels, axis, (x, labels, probabilities, sw, losses, grad), w, ignore, smoothing,
        reduction == "mean", mean_grad, want_loss and not per_sample, threads,
    )  # fmt: skip
    loss: Any = None
    if losses is not None:
        loss = store(losses, None, dtype) if samples else to_scalar(float(losses[()]), dtype)
    elif want_loss:
        loss = to_scalar(total, dtype)
    rows = mean_grad if grad is None else grad
    return loss, None if rows is None else store(rows, out, dtype)


def _run(
    kernels: Backend,
    axis: int,
    arrays: tuple[Array | None, ...],
    weight: Float64Array | None,
    ignore: int | None,
    smoothing: float,
    mean: bool,
    mean_grad: Float64Array | None,
    want_total: bool,
    threads: int,
) -> float:
    """Fill the outputs and return the reduced loss."""
    logits: Any = arrays[0]
    if logits.size == 0:
        return math.nan if mean else 0.0
    (x, t, y, s, losses, rows), pending = canonical(axis, arrays, 2)
    divisor = 1.0
    if (labels := arrays[1]) is not None:
        total_weight = count_labels(kernels, labels, t, x.shape[2], ignore, weight, s)
        divisor = total_weight if mean else 1.0
    elif mean:
        divisor = float(x.shape[0] * x.shape[1]) if s is None else accurate_sum(s)
    if divisor == 0.0:
        if (grad := arrays[5]) is not None:
            grad.fill(0.0)
        return math.nan
    loss = kernels.cross_entropy(
        x, t, y, weight, s, ignore, smoothing, divisor,
        losses, rows, mean_grad, want_total, threads,
    )  # fmt: skip
    for place, temporary in pending:
        np.copyto(place, temporary)
    return loss


def count_labels(
    kernels: Backend,
    labels: Array,
    canonical_labels: Array,
    num_classes: int,
    ignore: int | None,
    weight: Float64Array | None,
    sample_weight: Float64Array | None,
) -> float:
    """Return the total weight of the labels that count; raise if one is out of range."""
    first_bad, _, total_weight = kernels.check_labels(
        canonical_labels, num_classes, ignore, weight, sample_weight
    )
    if first_bad >= 0:
        raise label_error(labels, num_classes, ignore)
    return total_weight
