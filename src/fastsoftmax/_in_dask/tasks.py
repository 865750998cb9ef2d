"""What the tasks do: functions of blocks, to be found by name in other processes.

A block comes as an array, or in nested lists of one where the result lacks an axis of it. What is
summed over the samples of a block comes with an axis of length 1 in place of each of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import sharded
from .._api import cross_entropy as core
from .._arguments.targets import LabelError, label_error
from .._control import use_backend
from .._pairs import Pair, plus
from .._sums import accurate_sum
from .._typing import Array, Float64Array

__all__ = [
    "errors_placed",
    "first",
    "loss_sums",
    "losses",
    "mean_grad",
    "mean_loss",
    "merge_loss_sums",
    "merge_pairs",
    "only",
    "probabilities",
    "second",
    "sums_and_grad",
    "sums_and_mean_grad",
    "total",
    "value_and_grad",
    "weight_of_block",
    "with_samples",
]


def probabilities(
    x: Any, where: Any, compute: Callable[..., Array], options: dict[str, Any]
) -> Array:
    """Call softmax, log_softmax or logsumexp on a block."""
    return np.asarray(compute(only(x), where=only(where), **options))


def losses(x: Any, targets: Any, *more: Any, options: dict[str, Any]) -> Array:
    """Return the loss of each sample."""
    return np.asarray(_call(core.cross_entropy, x, targets, more, options, reduction="none"))


def value_and_grad(
    x: Any, targets: Any, *more: Any, options: dict[str, Any]
) -> tuple[Array, Array]:
    """Return the loss of each sample and the gradient."""
    loss, grad = _call(
        core.cross_entropy_value_and_grad, x, targets, more, options, reduction="none"
    )
    return np.asarray(loss), grad


def loss_sums(x: Any, targets: Any, *more: Any, options: dict[str, Any]) -> Float64Array:
    """Return what `sharded.loss_sums` does."""
    sums = _call(sharded.loss_sums, x, targets, more, options)
    return with_samples(sums, only(x).ndim - 1)


def sums_and_grad(
    x: Any, targets: Any, divisor: Any, *more: Any, options: dict[str, Any]
) -> tuple[Float64Array, Array]:
    """Return what `sharded.loss_sums_and_grad` does."""
    sums, grad = _call(
        sharded.loss_sums_and_grad, x, targets, more, options, divisor=float(divisor)
    )
    return with_samples(sums, grad.ndim - 1), grad


def sums_and_mean_grad(
    x: Any, targets: Any, *more: Any, options: dict[str, Any]
) -> tuple[Float64Array, Float64Array]:
    """Return the sums of the loss, and those of the gradient with their rounding errors."""
    sums = _call(sharded.loss_sums, x, targets, more, options, mean_grad=True)
    samples, numbers = only(x).ndim - 1, len(sums) - options["num_classes"]
    grad = np.stack([sums[numbers:], np.zeros(options["num_classes"])], axis=-1)
    return with_samples(sums[:numbers], samples), with_samples(grad, samples)


def weight_of_block(
    targets: Any,
    sample_weight: Any,
    weight: Any,
    *origin: Any,
    are_labels: bool,
    options: dict[str, Any],
) -> Float64Array:
    """Return a block's part of what the mean is divided by, and its rounding error."""
    block, weights = targets, only(sample_weight)
    while isinstance(block, list):  # of probabilities any block of the classes will do
        block = block[0]
    samples = block.ndim
    if are_labels:
        counted = weight_of_labels(block, weights, weight, origin, options)
    else:
        samples -= 1
        counted = block.size // block.shape[options["axis"]]
        if weights is not None:
            counted = accurate_sum(np.asarray(weights, np.float64))
    return with_samples(np.array([float(counted), 0.0]), samples)


def weight_of_labels(
    labels: Array, sample_weight: Any, weight: Any, origin: Any, options: dict[str, Any]
) -> float:
    """Return the total weight of labels, given that they are classes."""
    with use_backend(options["backend"]), errors_placed(labels, origin, options):
        return sharded.total_weight(
            labels,
            num_classes=options["num_classes"],
            weight=only(weight),
            sample_weight=sample_weight,
            ignore_index=options["ignore_index"],
        )


def merge_loss_sums(sums: Float64Array, axis: tuple[int, ...], keepdims: bool) -> Float64Array:
    """Merge the sums of blocks along some axes, in their order."""
    stacked = sums.reshape(-1, sums.shape[-1])
    merged = sharded.merge_sums(stacked)
    return with_samples(merged, len(axis)) if keepdims else merged


def merge_pairs(pairs: Float64Array, axis: tuple[int, ...], keepdims: bool) -> Float64Array:
    """Add along the first axes, in their order, numbers that come with their rounding errors."""
    stacked = pairs.reshape(-1, *pairs.shape[len(axis) :])
    with np.errstate(all="ignore"):
        sum_so_far = Pair(stacked[0, ..., 0], stacked[0, ..., 1])
        for pair in stacked[1:]:
            sum_so_far = plus(sum_so_far, Pair(pair[..., 0], pair[..., 1]))
    merged = np.stack(sum_so_far, axis=-1)
    return with_samples(merged, len(axis)) if keepdims else merged


def mean_loss(sums: Any, is_mean: bool, result_dtype: np.dtype[Any]) -> Any:
    """Return the loss of all blocks as a scalar."""
    return sharded.mean_loss(_weighted(only(sums), is_mean), dtype=result_dtype)


def mean_grad(grad: Any, sums: Any, is_mean: bool, result_dtype: np.dtype[Any]) -> Array:
    """Return the gradient of all blocks summed over the samples."""
    values = _value(only(grad))
    everything = np.concatenate([_weighted(only(sums), is_mean), values])
    return sharded.mean_grad(everything, dtype=result_dtype)


def total(pair: Any) -> Any:
    """Return a sum as a scalar."""
    return np.float64(_value(only(pair)))


def only(block: Any) -> Any:
    """Return the block that is alone in nested lists."""
    while isinstance(block, list):
        (block,) = block
    return block


def first(pair: Any) -> Any:
    """Return the first of two results of a task."""
    return only(pair)[0]


def second(pair: Any) -> Any:
    """Return the second of two results of a task."""
    return only(pair)[1]


def with_samples(array: Array, samples: int) -> Array:
    """Return an array behind an axis of length 1 for each of the samples'."""
    return array.reshape((1,) * samples + array.shape)


@contextmanager
def errors_placed(labels: Any, origin: Any, options: dict[str, Any]) -> Iterator[None]:
    """Have the error of a bad label name its place in the whole array."""
    try:
        yield
    except LabelError as error:
        start = tuple(int(only(place)[0]) for place in origin)
        if any(place < 0 for place in start):
            raise LabelError(f"{error}, counted within its block of the Dask array") from None
        raise label_error(labels, options["num_classes"], options["ignore_index"], start) from None


def _call(
    function: Callable[..., Any],
    x: Any,
    targets: Any,
    more: tuple[Any, ...],
    options: dict[str, Any],
    **keywords: Any,
) -> Any:
    """Call a function of cross-entropy; `more` are weights, and where the block's labels begin."""
    sample_weight, weight, *origin = more
    labels = only(targets)
    named = {name: value for name, value in options.items() if name != "num_classes"}
    with errors_placed(labels, origin, options):
        return function(
            only(x),
            labels,
            sample_weight=only(sample_weight),
            weight=only(weight),
            **named,
            **keywords,
        )


def _weighted(sums: Float64Array, is_mean: bool) -> Float64Array:
    """Return sums whose weight is what they are to be divided by."""
    return sums if is_mean else np.array([sums[0], sums[1], 1.0, 0.0])


def _value(pairs: Float64Array) -> Float64Array:
    with np.errstate(all="ignore"):
        return np.asarray(pairs[..., 0] + pairs[..., 1])
