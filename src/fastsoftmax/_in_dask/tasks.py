"""What the tasks do with blocks that hold all classes of their samples.

Functions of modules, so that they can be sent to other processes. A block comes as an array, or in
nested lists of one where Dask has the result lose an axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .._api.evaluation import evaluate, total_weight
from .._arguments.arrays import to_scalar
from .._arguments.outputs import store
from .._arguments.targets import LabelError, label_error
from .._sums import add_pairs, pair_value
from .._typing import Array, Float64Array

__all__ = [
    "add_blocks",
    "errors_placed",
    "first",
    "losses",
    "only",
    "probabilities",
    "reduced_loss",
    "reduced_mean_grad",
    "second",
    "value_and_grad",
    "value_and_mean_grad",
    "weight_of_block",
]


def probabilities(
    x: Any, where: Any, compute: Callable[..., Array], options: dict[str, Any]
) -> Array:
    """Call softmax, log_softmax or logsumexp on a block."""
    return np.asarray(compute(only(x), where=only(where), **options))


def losses(
    x: Any, targets: Any, sample_weight: Any, weight: Any, *origin: Any, options: dict[str, Any]
) -> Array:
    """Return the loss of each sample of a block."""
    return np.asarray(_evaluate(x, targets, sample_weight, weight, origin, 1.0, "none", options)[0])


def total_loss(
    x: Any, targets: Any, sample_weight: Any, weight: Any, *origin: Any, options: dict[str, Any]
) -> Float64Array:
    """Return the loss of a block, as a block of a sum."""
    loss, _ = _evaluate(x, targets, sample_weight, weight, origin, 1.0, "sum", options)
    return _as_pair(loss, only(x).ndim - 1)


def value_and_grad(
    x: Any,
    targets: Any,
    sample_weight: Any,
    weight: Any,
    divisor: Any,
    *origin: Any,
    reduction: str,
    options: dict[str, Any],
) -> tuple[Array, Array]:
    """Return the losses of a block, or its part of the loss, and its gradient."""
    loss, grad = _evaluate(
        x, targets, sample_weight, weight, origin, float(divisor), reduction, options, True
    )
    if reduction != "none":
        loss = _as_pair(loss, grad.ndim - 1)
    return np.asarray(loss), grad


def value_and_mean_grad(
    x: Any, targets: Any, sample_weight: Any, weight: Any, *origin: Any, options: dict[str, Any]
) -> tuple[Float64Array, Float64Array]:
    """Return the loss of a block and its gradient summed, as blocks of sums."""
    loss, grad = _evaluate(
        x, targets, sample_weight, weight, origin, 1.0, "sum", options, False, True
    )
    samples = only(x).ndim - 1
    return _as_pair(loss, samples), _as_pair(grad, samples)


def weight_of_block(
    targets: Any,
    sample_weight: Any,
    weight: Any,
    *origin: Any,
    are_labels: bool,
    options: dict[str, Any],
) -> Float64Array:
    """Return a block's part of the divisor of the mean, as a block of a sum."""
    block, num_classes = any_of(targets), options["num_classes"]
    shape = block.shape
    if not are_labels:
        shape = shape[: options["axis"]] + shape[options["axis"] + 1 :]
    labels = block if are_labels else None
    with errors_placed(labels, origin, options):
        total = total_weight(
            labels, only(sample_weight), shape, num_classes, only(weight),
            options["ignore_index"], options["backend"],
        )  # fmt: skip
    return _as_pair(total, len(shape))


def add_blocks(pairs: Float64Array, axis: tuple[int, ...], keepdims: bool) -> Float64Array:
    """Add the parts of a sum along the axes of the blocks, in their order."""
    rest = [position for position in range(pairs.ndim) if position not in axis]
    moved = pairs.transpose([*axis, *rest])
    total = add_pairs(moved.reshape(-1, *moved.shape[len(axis) :]))
    if not keepdims:
        return total
    return total.reshape([1 if i in axis else n for i, n in enumerate(pairs.shape)])


def reduced_loss(pairs: Any, divisor: Any, divided: bool, result_dtype: np.dtype[Any]) -> Any:
    """Return the loss as a scalar: the sum over all blocks, divided; NaN as the mean of nothing."""
    total, divisor = float(pair_value(only(pairs))), float(divisor)
    if divisor == 0:
        total = math.nan
    return to_scalar(total if divided or divisor == 0 else total / divisor, result_dtype)


def reduced_mean_grad(pairs: Any, divisor: Any, result_dtype: np.dtype[Any]) -> Array:
    """Return the sum of a gradient over all blocks, divided; 0 as the mean of nothing."""
    divisor, total = np.float64(divisor), pair_value(only(pairs))
    with np.errstate(all="ignore"):
        return store(total / divisor if divisor else np.zeros_like(total), None, result_dtype)


def reduced_weight(pairs: Any) -> Any:
    """Return the divisor of the mean as a scalar."""
    return np.float64(pair_value(only(pairs)))


def only(block: Any) -> Any:
    """Return the block that is alone in nested lists."""
    while isinstance(block, list):
        (block,) = block
    return block


def any_of(block: Any) -> Any:
    """Return the first block of nested lists."""
    while isinstance(block, list):
        block = block[0]
    return block


def first(pair: Any) -> Any:
    """Return the first of two results of a task."""
    return only(pair)[0]


def second(pair: Any) -> Any:
    """Return the second of two results of a task."""
    return only(pair)[1]


@contextmanager
def errors_placed(labels: Any, origin: tuple[Any, ...], options: dict[str, Any]) -> Iterator[None]:
    """Have the error of a bad label name its place in the whole array."""
    try:
        yield
    except LabelError as error:
        start = tuple(int(only(place)[0]) for place in origin)
        if any(place < 0 for place in start):
            raise LabelError(f"{error}, counted within its block of the Dask array") from None
        raise label_error(labels, options["num_classes"], options["ignore_index"], start) from None


def _evaluate(
    x: Any,
    targets: Any,
    sample_weight: Any,
    weight: Any,
    origin: tuple[Any, ...],
    divisor: float,
    reduction: str,
    options: dict[str, Any],
    want_grad: bool = False,
    want_mean_grad: bool = False,
) -> tuple[Any, Any]:
    block, labels = only(x), only(targets)
    with errors_placed(labels, origin, options):
        return evaluate(
            True, want_grad, want_mean_grad, block, labels, options["axis"], only(weight),
            only(sample_weight), options["ignore_index"], options["label_smoothing"], reduction,
            None, options["backend"], options["num_threads"], divisor,
        )  # fmt: skip


def _as_pair(total: Any, samples: int) -> Float64Array:
    """Return numbers with no rounding error yet, behind an axis of length 1 for each of samples."""
    value = np.asarray(total, np.float64)
    return np.stack([value, np.zeros_like(value)], axis=-1).reshape(
        (1,) * samples + value.shape + (2,)
    )
