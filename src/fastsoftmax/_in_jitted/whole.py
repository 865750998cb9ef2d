"""What a call of cross-entropy does between the checks of its arguments' shapes and the kernels.

Compiled once, so that in the user's function there is but a call. It is what `_api.evaluation` and
the backend do for calls from Python, on one thread: the same chunks, and so the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._backends.numba_kernels.compilation import Kernel, jitted
from .._backends.numba_kernels.cross_entropy import CROSS_ENTROPY
from .._backends.numba_kernels.job import array_type, target_types
from .._backends.numba_kernels.labels import CHECK_LABELS
from .._backends.numba_kernels.numba_api import types
from .._backends.numba_kernels.run import COMBINE, chunk_length, mean_pitch
from .._backends.numba_kernels.sums import sum_error
from .linking import linked
from .views import counters, nothing, sums_of_chunk

__all__ = ["BAD_CLASS_WEIGHT", "BAD_LABEL", "BAD_SAMPLE_WEIGHT", "WHOLE_CROSS_ENTROPY"]

BAD_LABEL, BAD_CLASS_WEIGHT, BAD_SAMPLE_WEIGHT = 1, 2, 3

check_labels = linked(CHECK_LABELS, __name__)
cross_entropy = linked(CROSS_ENTROPY, __name__)
combine_chunks = linked(COMBINE, __name__)
chunk_of = jitted(chunk_length)
pitch_of = jitted(mean_pitch)
no_sums = nothing(types.float64, 2)


@jitted
def first_bad_of_classes(weights: Any) -> int:
    """The first weight that is negative or NaN; -1 if there is none."""
    for k in range(weights.size):
        if not weights[k] >= 0:
            return int(k)
    return -1


@jitted
def first_bad_of_samples(weights: Any) -> int:
    for a in range(weights.shape[0]):
        for b in range(weights.shape[1]):
            if not weights[a, b] >= 0:
                return int(a * weights.shape[1] + b)
    return -1


@jitted
def accurate_sum(values: Any) -> float:
    """The sum of `_sums.accurate_sum`, step by step."""
    terms = values.copy().reshape(-1)
    errors = np.zeros(terms.size)
    count = terms.size
    while count > 1:
        half = count // 2
        for i in range(half):
            total = terms[i] + terms[half + i]
            left_out = sum_error(terms[i], terms[half + i], total)
            errors[i] = left_out + (errors[i] + errors[half + i])
            terms[i] = total
        if count % 2:
            terms[half] = terms[count - 1]
            errors[half] = errors[count - 1]
        count = half + count % 2
    total = terms[0]
    return float(total + errors[0] if np.isfinite(total) else total)


@jitted
def find_divisor(
    shape: Any,
    labels32: Any,
    labels64: Any,
    class_weight: Any,
    sample_weight: Any,
    has_ignore_index: bool,
    ignore_index: int,
    is_mean: bool,
) -> tuple[int, float]:
    """The first label out of range or -1, and what the total is divided by."""
    if labels32.size or labels64.size:
        rule = shape[2] - 1, has_ignore_index, ignore_index
        if labels32.size:
            bad, _, total = check_labels(labels32, *rule, class_weight, sample_weight)
        else:
            bad, _, total = check_labels(labels64, *rule, class_weight, sample_weight)
        return bad, total if is_mean else 1.0
    if not is_mean:
        return -1, 1.0
    return -1, accurate_sum(sample_weight) if sample_weight.size else float(shape[0] * shape[1])


@jitted
def label_at(labels32: Any, labels64: Any, position: int) -> int:
    if labels32.size:
        return int(labels32[position // labels32.shape[1], position % labels32.shape[1]])
    return int(labels64[position // labels64.shape[1], position % labels64.shape[1]])


@jitted
def fill_with_zeros(grad: Any) -> None:
    for a in range(grad.shape[0]):
        for b in range(grad.shape[1]):
            for k in range(grad.shape[2]):
                grad[a, b, k] = 0.0


def whole_cross_entropy(
    logits: Any,
    labels32: Any,
    labels64: Any,
    probabilities: Any,
    class_weight: Any,
    sample_weight: Any,
    has_ignore_index: bool,
    ignore_index: int,
    label_smoothing: float,
    is_mean: bool,
    want_loss: bool,
    losses: Any,
    grad: Any,
    mean_grad: Any,
) -> tuple[int, int, int, float]:
    """(0, 0, 0, loss), or (what is bad, its position, label or 0, weight or 0)."""
    bad = first_bad_of_classes(class_weight)
    if bad >= 0:
        return BAD_CLASS_WEIGHT, bad, 0, class_weight[bad]
    bad = first_bad_of_samples(sample_weight)
    if bad >= 0:
        columns = sample_weight.shape[1]
        return BAD_SAMPLE_WEIGHT, bad, 0, sample_weight[bad // columns, bad % columns]
    bad, divisor = find_divisor(
        logits.shape, labels32, labels64, class_weight, sample_weight,
        has_ignore_index, ignore_index, is_mean,
    )  # fmt: skip
    if bad >= 0:
        return BAD_LABEL, bad, label_at(labels32, labels64, bad), 0.0
    if divisor == 0.0:
        fill_with_zeros(grad)
        mean_grad[:] = 0.0
        return 0, 0, 0, np.nan
    want_mean_grad = mean_grad.size != 0
    samples, classes = logits.shape[0] * logits.shape[1], logits.shape[2]
    chunk = chunk_of(samples, classes, logits.strides[2], want_mean_grad)
    chunks = -(-samples // chunk)
    chunk_loss = np.empty((chunks, 4)) if chunks > 1 else sums_of_chunk()
    mean_sums = np.zeros((2, pitch_of(classes))) if want_mean_grad else no_sums()
    cross_entropy(
        logits, labels32, labels64, probabilities, class_weight, sample_weight,
        has_ignore_index, ignore_index, label_smoothing, divisor, want_loss or losses.size != 0,
        losses, grad, chunk_loss, mean_sums, chunk, counters(),
    )  # fmt: skip
    loss = combine_chunks(chunk_loss, mean_sums, mean_grad, divisor)
    return 0, 0, 0, loss


def _signature(real: Any) -> tuple[Any, ...]:
    options = types.boolean, types.int64, types.float64, types.boolean, types.boolean
    outputs = array_type(real, 2, False), array_type(real, 3, False)
    return *target_types(real), *options, *outputs, types.Array(types.float64, 1, "C")


WHOLE_CROSS_ENTROPY = Kernel(whole_cross_entropy, _signature)
