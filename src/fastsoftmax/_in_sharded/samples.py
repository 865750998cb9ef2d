"""Shards of the samples: what each of them adds to the loss and the gradient of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, SupportsFloat, SupportsIndex, Unpack, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._api.evaluation import count_labels
from .._arguments.arrays import FLOAT64, as_array, check_logits, same_dtype, to_scalar
from .._arguments.layout import canonical
from .._arguments.options import (
    check_class_weight,
    check_ignore_index,
    check_label_smoothing,
    check_sample_weight,
)
from .._arguments.outputs import check_out, new_like, separate, separate_all, store
from .._arguments.targets import check_targets
from .._control import resolve_backend, resolve_num_threads
from .._pairs import Pair, plus
from .._sums import accurate_sum
from .._typing import Array, ArrayLike, BackendName, Float, Float64Array, Scalar
from ..typing import CrossEntropyOptions, OutputArray
from .losses import check_divisor, check_dtype, check_labels

__all__ = [
    "loss_sums",
    "loss_sums_and_grad",
    "mean_grad",
    "mean_loss",
    "merge_sums",
    "total_weight",
]

LOSS, WEIGHT, GRADIENT = 0, 2, 4


def total_weight(
    labels: ArrayLike,
    *,
    num_classes: SupportsIndex | None = None,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
) -> float:
    """Compute the total weight of labels that count, which a mean is divided by.

    It needs no logits: workers that have a shard of the samples each add up these numbers, and then
    scale their gradients at once.

    Parameters
    ----------
    labels : array_like
        Integers, of any shape.
    num_classes : int, optional
        The number of classes, for a label to be found out of range; by default that of the weights.
    weight : array_like, optional
        The weights of the classes, not negative; by default 1.
    sample_weight : array_like, optional
        The weights of the samples, not negative, of the shape of the labels; by default 1.
    ignore_index : int, optional
        Labels that do not count.

    Returns
    -------
    float
        The sum of the class weight of each label times its sample weight; without weights the
        number of labels that count. For targets that are probabilities it is the sum of the sample
        weights, or the number of samples.

    Raises
    ------
    ValueError
        If a label is out of range, a shape does not fit or a weight is negative.
    TypeError
        If a dtype is of the wrong kind.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> sharded.total_weight([0, 2, -1, 2], weight=[1.0, 1.0, 0.5], ignore_index=-1)
    2.0
    """
    shape = as_array(labels, "labels").shape
    sw = None if sample_weight is None else check_sample_weight(sample_weight, shape)
    return check_labels(labels, None, num_classes, weight, sw, ignore_index)[0]


def loss_sums(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    mean_grad: bool = False,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> Float64Array:
    """Compute what a worker's share of the samples adds to the loss of all.

    Parameters
    ----------
    logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing
        As in `fastsoftmax.cross_entropy`.
    mean_grad : bool, default False
        Whether to add up the samples' gradients too, for `mean_grad`.
    backend, num_threads
        As in `partial_state`.

    Returns
    -------
    ndarray of float64
        The sum of the losses and the total weight, two numbers hi and lo each; and with `mean_grad`
        the sum of the gradients, a number a class. `merge_sums` adds those of all workers.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError, ImportError
        As in `fastsoftmax.cross_entropy`.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> parts = [sharded.loss_sums([[0.0, 0.0]], [0]), sharded.loss_sums([[1.0, 1.0]], [1])]
    >>> round(float(sharded.mean_loss(sharded.merge_sums(parts))), 6)
    0.693147
    """
    return _sums(
        logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing,
        bool(mean_grad), None, None, backend, num_threads,
    )[0]  # fmt: skip


@overload
def loss_sums_and_grad(
    logits: NDArray[Float],
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    divisor: SupportsFloat,
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> tuple[Float64Array, NDArray[Float]]: ...


@overload
def loss_sums_and_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    divisor: SupportsFloat,
    out: OutputArray | None = None,
    **options: Unpack[CrossEntropyOptions],
) -> tuple[Float64Array, Array]: ...


def loss_sums_and_grad(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex = -1,
    *,
    divisor: SupportsFloat,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    label_smoothing: SupportsFloat = 0.0,
    out: OutputArray | None = None,
    backend: BackendName | None = None,
    num_threads: SupportsIndex | None = None,
) -> tuple[Float64Array, Array]:
    """Compute `loss_sums`, and the gradient of the mean over all workers' samples, in one pass.

    Parameters
    ----------
    logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing
        As in `fastsoftmax.cross_entropy`.
    divisor : float
        The total weight of the samples of all workers: the sum of their `total_weight`. The
        gradient over 0 is all 0.
    out : ndarray, optional
        Where to put the gradient: of its shape and dtype. May be `logits` itself, or overlap it.
    backend, num_threads
        As in `partial_state`.

    Returns
    -------
    sums : ndarray of float64
        As from `loss_sums`, of this worker's samples alone.
    grad : ndarray
        This worker's part of the gradient, of the shape of `logits`.

    Raises
    ------
    ValueError, TypeError, numpy.exceptions.AxisError, ImportError
        As in `fastsoftmax.cross_entropy`. Nothing is written then.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> sums, grad = sharded.loss_sums_and_grad([[0.0, 0.0]], [0], divisor=4.0)
    >>> grad.tolist()
    [[-0.125, 0.125]]
    """
    over = check_divisor(divisor)
    if over is None:
        raise TypeError("divisor must be a number of at least 0, not None")
    sums, grad = _sums(
        logits, targets, axis, weight, sample_weight, ignore_index, label_smoothing,
        False, over, out, backend, num_threads,
    )  # fmt: skip
    assert grad is not None
    return sums, grad


def _sums(
    logits: ArrayLike,
    targets: ArrayLike,
    axis: SupportsIndex,
    weight: ArrayLike | None,
    sample_weight: ArrayLike | None,
    ignore_index: SupportsIndex | None,
    label_smoothing: SupportsFloat,
    want_mean_grad: bool,
    divisor: float | None,
    out: OutputArray | None,
    backend: BackendName | None,
    num_threads: SupportsIndex | None,
) -> tuple[Float64Array, Array | None]:
    """Return the sums and, if there is a divisor, the gradient over it."""
    kernels = resolve_backend(backend)
    threads = resolve_num_threads(num_threads)
    x, axis, dtype = check_logits(logits, axis, "logits")
    shape, samples, k = x.shape, x.shape[:axis] + x.shape[axis + 1 :], x.shape[axis]
    ignore = None if ignore_index is None else check_ignore_index(ignore_index)
    labels, probabilities, ignore = check_targets(targets, shape, samples, k, ignore)
    if probabilities is not None:
        x, probabilities = same_dtype(x, probabilities)
    w = None if weight is None else check_class_weight(weight, k)
    sw = None if sample_weight is None else check_sample_weight(sample_weight, samples)
    smoothing = check_label_smoothing(label_smoothing)
    out = check_out(out, shape, dtype)
    if out is not None:
        x = separate(x, out, True)
        labels, probabilities, w, sw = separate_all((labels, probabilities, w, sw), out)
    sums = np.zeros(GRADIENT + (k if want_mean_grad else 0))
    grad = new_like(out, x, x.dtype) if divisor is not None else None
    if x.size:
        (rows, t, y, s, results), pending = canonical(axis, (x, labels, probabilities, sw, grad), 1)
        if labels is not None:
            sums[WEIGHT] = count_labels(kernels, labels, t, k, ignore, w, s)
        else:
            sums[WEIGHT] = float(math.prod(samples)) if s is None else accurate_sum(s)
        over = divisor or 1.0
        sums[LOSS] = over * kernels.cross_entropy(
            rows, t, y, w, s, ignore, smoothing, over,
            None, results, sums[GRADIENT:] if want_mean_grad else None, True, threads,
        )  # fmt: skip
        if divisor == 0.0 and grad is not None:
            grad.fill(0.0)
        for place, temporary in pending:
            np.copyto(place, temporary)
    return sums, None if grad is None else store(grad, out, dtype)


def merge_sums(sums: ArrayLike | Sequence[ArrayLike]) -> Float64Array:
    """Add up the sums of all workers, in the order given.

    Parameters
    ----------
    sums : sequence of array_like, or array_like
        As `loss_sums` or this function returned them; or one array of them, stacked.

    Returns
    -------
    ndarray of float64
        The same of all samples.

    Raises
    ------
    ValueError, TypeError
        If there are none, or one of them is not of this kind.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> sharded.merge_sums([[1.0, 0.0, 2.0, 0.0], [0.5, 0.0, 1.0, 0.0]]).tolist()
    [1.5, 0.0, 3.0, 0.0]
    """
    arrays = [_check_sums(each, f"sums[{i}]") for i, each in enumerate(_several(sums))]
    length = len(arrays[0])
    for i, array in enumerate(arrays):
        if len(array) != length:
            raise ValueError(
                f"sums[{i}] has {len(array)} numbers, and sums[0] {length}: "
                "they must be of the same classes"
            )
    total = arrays[0].copy()
    with np.errstate(all="ignore"):
        for array in arrays[1:]:
            for column in (LOSS, WEIGHT):
                a, b = (Pair(each[column], each[column + 1]) for each in (total, array))
                total[column], total[column + 1] = plus(a, b)
            total[GRADIENT:] += array[GRADIENT:]
    return total


def _several(sums: Any) -> Sequence[Any]:
    arrays = sums if isinstance(sums, (list, tuple)) else list(as_array(sums, "sums"))
    if not arrays:
        raise ValueError("there are no sums to merge")
    return arrays


def _check_sums(sums: ArrayLike, name: str = "sums") -> Float64Array:
    array = as_array(sums, name)
    if array.dtype != FLOAT64:
        raise TypeError(f"{name} must be of dtype float64, not {array.dtype}")
    if array.ndim != 1 or len(array) < GRADIENT:
        raise ValueError(
            f"{name} must be the {GRADIENT} numbers of loss_sums, with the K of a mean gradient "
            f"after them or without, not of shape {array.shape}"
        )
    return array


def mean_loss(sums: ArrayLike, *, dtype: DTypeLike = np.float64) -> Scalar:
    """Compute the mean loss of all samples from the merged sums.

    Parameters
    ----------
    sums : array_like
        As `merge_sums` returned them.
    dtype : dtype, default float64
        That of the result.

    Returns
    -------
    scalar
        The sum of the losses over the total weight; NaN if that is 0.

    Raises
    ------
    ValueError, TypeError
        If the sums are none, or `dtype` is not one that logits can have.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> float(sharded.mean_loss([1.5, 0.0, 3.0, 0.0]))
    0.5
    """
    wanted = check_dtype(dtype)
    array = _check_sums(sums)
    weight = float(array[WEIGHT] + array[WEIGHT + 1])
    loss = float(array[LOSS] + array[LOSS + 1])
    mean: Scalar = to_scalar(loss / weight if weight else math.nan, wanted)
    return mean


def mean_grad(sums: ArrayLike, *, dtype: DTypeLike = np.float64) -> Array:
    """Compute the mean of all samples' gradients from the merged sums.

    Parameters
    ----------
    sums : array_like
        As `merge_sums` returned them, of sums with `mean_grad`.
    dtype : dtype, default float64
        That of the result.

    Returns
    -------
    ndarray
        Of shape (K,); all 0 if the total weight is 0.

    Raises
    ------
    ValueError, TypeError
        As in `mean_loss`, or if the sums have no gradient.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> sums = sharded.loss_sums([[0.0, 0.0], [0.0, 0.0]], [0, 0], mean_grad=True)
    >>> sharded.mean_grad(sums).tolist()
    [-0.5, 0.5]
    """
    wanted = check_dtype(dtype)
    array = _check_sums(sums)
    if len(array) == GRADIENT:
        raise ValueError("these sums have no gradient: loss_sums adds it with mean_grad=True")
    weight = float(array[WEIGHT] + array[WEIGHT + 1])
    with np.errstate(all="ignore"):
        gradient = array[GRADIENT:] / weight if weight else np.zeros(len(array) - GRADIENT)
        return gradient.astype(wanted, copy=False)
