"""What the tasks do with blocks that hold some classes of their samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import sharded
from .._arguments.arrays import float_dtypes
from .._control import use_backend
from .._sums import accurate_sum
from .._typing import Array, Float64Array
from ..typing import Reduction
from .tasks import errors_placed, only, weight_of_labels, with_samples

__all__ = [
    "grad",
    "logsumexp",
    "loss_sums",
    "losses",
    "mean_grad",
    "merge_states",
    "probabilities",
    "state",
]

GROUP = 32
"""Samples whose gradients are added one after another; then groups, and groups of them."""


def state(
    x: Any,
    targets: Any,
    where: Any,
    first_class: Any,
    weight: Any,
    *origin: Any,
    options: dict[str, Any],
) -> Float64Array:
    """Return the partial state of a block, with an axis of length 1 in place of the classes."""
    labels, axis = only(targets), options["axis"]
    with errors_placed(labels, origin, options):
        result = sharded.partial_state(
            _kept(only(x), only(where)),
            labels,
            first_class=int(only(first_class)[0]),
            weight=only(weight),
            **options,
        )
    return np.expand_dims(result, axis)


def merge_states(states: Float64Array, axis: tuple[int, ...], keepdims: bool) -> Float64Array:
    """Merge the states of blocks along the axis that the classes had, in their order."""
    (position,) = axis
    merged = sharded.merge_states(np.moveaxis(states, position, 0))
    return np.expand_dims(merged, position) if keepdims else merged


def probabilities(
    x: Any,
    whole: Any,
    where: Any,
    compute: Callable[..., Array],
    left_out: float,
    options: dict[str, Any],
) -> Array:
    """Return what softmax or log_softmax makes of a block, with the state of all classes."""
    mask = only(where)
    result = compute(_kept(only(x), mask), only(whole), **options)
    return result if mask is None else np.where(mask, result, result.dtype.type(left_out))


def logsumexp(whole: Any, axis: int | None, result_dtype: np.dtype[Any]) -> Array:
    """Return the logarithm of the sum of exponentials, with the axis of the classes if wanted."""
    result = np.asarray(sharded.logsumexp(only(whole), dtype=result_dtype))
    return result if axis is None else np.expand_dims(result, axis)


def losses(whole: Any, *more: Any, options: dict[str, Any], result_dtype: Any) -> Array:
    """Return the loss of each sample."""
    return np.asarray(_loss(whole, more, options, "none", result_dtype))


def loss_sums(whole: Any, *more: Any, options: dict[str, Any]) -> Float64Array:
    """Return the loss of some samples and its weight, as `sharded.loss_sums` does."""
    labels, sample_weight, weight, *origin = more
    samples, weights = only(whole).shape[:-1], only(sample_weight)
    loss = _loss(whole, more, options, "sum", np.float64)
    if labels is not None:
        counted = weight_of_labels(only(labels), weights, weight, origin, options)
    elif weights is not None:
        counted = accurate_sum(np.asarray(weights, np.float64))
    else:
        counted = float(math.prod(samples))
    return with_samples(np.array([loss, 0.0, counted, 0.0]), len(samples))


def _loss(
    whole: Any, more: tuple[Any, ...], options: dict[str, Any], reduction: Reduction, dtype: Any
) -> Any:
    """Return losses out of states, which know all that is needed of probabilities."""
    targets, sample_weight, weight, *origin = more
    labels = only(targets)
    of_labels = {} if labels is None else {
        "weight": only(weight),
        "num_classes": options["num_classes"],
        "ignore_index": options["ignore_index"],
    }  # fmt: skip
    with use_backend(options["backend"]), errors_placed(labels, origin, options):
        return sharded.cross_entropy(
            only(whole),
            labels,
            sample_weight=only(sample_weight),
            reduction=reduction,
            dtype=dtype,
            **of_labels,
        )


def grad(
    x: Any,
    targets: Any,
    whole: Any,
    divisor: Any,
    first_class: Any,
    sample_weight: Any,
    weight: Any,
    *origin: Any,
    options: dict[str, Any],
) -> Array:
    """Return the gradient of a block."""
    labels = only(targets)
    with errors_placed(labels, origin, options):
        return sharded.cross_entropy_grad(
            only(x),
            labels,
            only(whole),
            first_class=int(only(first_class)[0]),
            divisor=float(divisor),
            sample_weight=only(sample_weight),
            weight=only(weight),
            **options,
        )


def mean_grad(x: Any, *more: Any, options: dict[str, Any]) -> Float64Array:
    """Return the gradient of a block summed over its samples, with its rounding error."""
    block = only(x)
    _, compute = float_dtypes(block.dtype, "logits")
    gradient = grad(block.astype(compute, copy=False), *more, options=options)
    rows = np.moveaxis(gradient, options["axis"], -1).reshape(-1, gradient.shape[options["axis"]])
    total = _sum_of_rows(rows)
    return with_samples(np.stack([total, np.zeros_like(total)], axis=-1), gradient.ndim - 1)


def _sum_of_rows(rows: Array) -> Float64Array:
    """Add rows by a tree, so that rounding errors do not grow with their number."""
    length = rows.shape[1]
    with np.errstate(all="ignore"):
        while len(rows) > GROUP:
            whole = len(rows) // GROUP * GROUP
            groups = rows[:whole].reshape(-1, GROUP, length).sum(axis=1, dtype=np.float64)
            left = rows[whole:].sum(axis=0, dtype=np.float64, keepdims=True)
            rows = np.concatenate([groups, left]) if whole < len(rows) else groups
        return np.asarray(rows.sum(axis=0, dtype=np.float64))


def _kept(block: Array, where: Array | None) -> Array:
    """Return logits that are -inf where classes are left out."""
    if where is None:
        return block
    dtype, _ = float_dtypes(block.dtype, "x")
    return np.where(where, block, dtype.type(-np.inf)).astype(dtype, copy=False)
