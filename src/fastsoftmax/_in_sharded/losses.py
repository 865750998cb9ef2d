"""What comes out of a merged state alone: losses, and the logarithm of the sum."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Literal, SupportsFloat, SupportsIndex, overload

import numpy as np
from numpy.typing import DTypeLike

from .._api.evaluation import count_labels
from .._arguments.arrays import as_array, float_dtypes, to_scalar
from .._arguments.options import (
    MOST_CLASSES,
    check_class_weight,
    check_ignore_index,
    check_num_classes,
    check_reduction,
    check_sample_weight,
    to_float,
)
from .._arguments.targets import check_targets
from .._control import resolve_backend
from .._sums import accurate_sum
from .._typing import Array, ArrayLike, Float64Array, Scalar
from ..typing import MeanOrSum, Reduction
from .state import REST_SCALE, State, check_state, log_of_sum, weighted_rest

__all__ = ["check_divisor", "check_dtype", "check_labels", "cross_entropy", "logsumexp"]


def logsumexp(state: ArrayLike, *, dtype: DTypeLike = np.float64) -> Any:
    """Compute the logarithm of the sum of exponentials over the classes of all shards.

    Parameters
    ----------
    state : array_like
        The merged state of all shards.
    dtype : dtype, default float64
        That of the result; the state does not know that of the logits.

    Returns
    -------
    ndarray or scalar
        Of the shape of the samples.

    Raises
    ------
    ValueError, TypeError
        If `state` is none, or `dtype` is not one that logits can have.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> float(sharded.logsumexp(sharded.partial_state([1000.0, 1000.0])).round(3))
    1000.693
    """
    wanted = check_dtype(dtype)
    s = State.of(check_state(state))
    with np.errstate(all="ignore"):
        values = np.where(s.is_finite, s.maximum + log_of_sum(s), s.maximum)
    return _in_dtype(values, wanted)


@overload
def cross_entropy(
    state: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    num_classes: SupportsIndex | None = None,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    reduction: MeanOrSum = "mean",
    divisor: SupportsFloat | None = None,
    dtype: DTypeLike = np.float64,
) -> Scalar: ...


@overload
def cross_entropy(
    state: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    num_classes: SupportsIndex | None = None,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    reduction: Literal["none"],
    divisor: SupportsFloat | None = None,
    dtype: DTypeLike = np.float64,
) -> Array: ...


def cross_entropy(
    state: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    num_classes: SupportsIndex | None = None,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex | None = None,
    reduction: Reduction = "mean",
    divisor: SupportsFloat | None = None,
    dtype: DTypeLike = np.float64,
) -> Scalar | Array:
    """Compute the cross-entropy from the merged state of all shards.

    Parameters
    ----------
    state : array_like
        The merged state of all shards, which have had the targets, `weight`, `ignore_index` and
        `label_smoothing`.
    targets : array_like, optional
        The labels: with them samples are ignored, and the mean is over the weights of those that
        count. Probabilities are not needed again: leave them out.
    num_classes : int, optional
        The number of all classes, for a label to be found out of range.
    weight, ignore_index
        As in `partial_state`; only with labels.
    sample_weight : array_like, optional
        The weights of the samples, not negative, of the shape of the labels; by default 1.
    reduction : {"mean", "sum", "none"}, default "mean"
        As in `fastsoftmax.cross_entropy`.
    divisor : float, optional
        Divide the sum by this instead, unless the losses are returned one by one.
    dtype : dtype, default float64
        That of the result; the state does not know that of the logits.

    Returns
    -------
    scalar or ndarray
        The loss, accumulated in float64; for ``"none"`` the loss of each sample.

    Raises
    ------
    ValueError, TypeError
        As in `partial_state`, or if `weight` or `ignore_index` is given without labels.

    Examples
    --------
    >>> from fastsoftmax import sharded
    >>> state = sharded.partial_state([[100.0, 0.0, 0.0, 0.0]], [0])
    >>> print(f"{sharded.cross_entropy(state, [0]):.6e}")
    1.116023e-43
    """
    wanted = check_dtype(dtype)
    check_reduction(reduction, False)
    over = check_divisor(divisor)
    array = check_state(state)
    samples = array.shape[:-1]
    sw = None if sample_weight is None else check_sample_weight(sample_weight, samples)
    ignored: Array | None = None
    if targets is None:
        _refuse_for_probabilities(weight=weight, ignore_index=ignore_index)
        counted = float(math.prod(samples)) if sw is None else accurate_sum(sw)
    else:
        counted, ignored = check_labels(targets, samples, num_classes, weight, sw, ignore_index)
    with np.errstate(all="ignore"):
        losses = _losses(State.of(array), sw)
        if ignored is not None:
            losses = np.where(ignored, 0.0, losses)
        if reduction == "none":
            each: Array = _in_dtype(losses, wanted)
            return each
        over = over if over is not None else counted if reduction == "mean" else 1.0
        total: Scalar = to_scalar(_total(losses, over), wanted)
    return total


def _losses(s: State, sample_weight: Float64Array | None) -> Float64Array:
    """Return sum y (M - x) + sum y log(sum of e^(x - M)), both of terms that are not negative."""
    mass, logs = s.mass_in_all(), log_of_sum(s)
    scale = mass if sample_weight is None else sample_weight * mass
    # A rest so small is its logarithm.
    is_small = s.rest.hi < REST_SCALE * 2.0**-60
    spread = np.where(is_small, weighted_rest(scale, s.rest.hi), scale * logs)
    distance = s.distance.hi if sample_weight is None else sample_weight * s.distance.hi
    none = s.distance.hi == 0 if sample_weight is None else (sample_weight == 0)
    # A weight of 0 leaves out even an infinite loss, but not a NaN.
    losses: Float64Array = spread + np.where(none, 0.0, distance) + 0 * logs
    return losses


def _total(losses: Float64Array, divisor: float) -> float:
    if divisor == 0.0:
        return math.nan
    total = accurate_sum(losses)
    if math.isinf(total) and np.isfinite(losses).all():
        return accurate_sum(losses / divisor)  # their sum is out of range, but not their mean
    return total / divisor


def _refuse_for_probabilities(**options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"{name} belongs to labels: pass them as targets. Of probabilities the state has "
                "the class weights already, and none of their samples can be ignored"
            )


def check_labels(
    targets: ArrayLike,
    samples: tuple[int, ...] | None,
    num_classes: SupportsIndex | None,
    weight: ArrayLike | None,
    sample_weight: Float64Array | None,
    ignore_index: SupportsIndex | None,
) -> tuple[float, Array | None]:
    """Return the total weight of labels that count, and where they are to be ignored."""
    given = as_array(targets, "targets")
    shape = given.shape if samples is None else samples
    if given.shape != shape:
        raise ValueError(
            f"targets must be labels of shape {shape}, as the samples of the state are, not of "
            f"shape {given.shape}; probabilities are not needed here"
        )
    total = MOST_CLASSES if num_classes is None else check_num_classes(num_classes)
    w = None
    if weight is not None:
        total = as_array(weight, "weight").size if num_classes is None else total
        w = check_class_weight(weight, total)
    ignore = None if ignore_index is None else check_ignore_index(ignore_index)
    labels, _, ignore = check_targets(targets, (*shape, total), shape, total, ignore)
    assert labels is not None
    flat = labels.reshape(1, -1)
    weights = None if sample_weight is None else sample_weight.reshape(1, -1)
    counted = count_labels(resolve_backend(None), labels, flat, total, ignore, w, weights)
    ignored = None if ignore is None else labels == ignore
    return counted, ignored


def check_divisor(divisor: SupportsFloat | None) -> float | None:
    """Return what to divide by, if it is given."""
    if divisor is None:
        return None
    if not isinstance(divisor, Real) or isinstance(divisor, bool):
        raise TypeError(
            f"divisor must be a number of at least 0, not {divisor!r} ({type(divisor).__name__})"
        )
    value = to_float(divisor)
    if not 0.0 <= value < math.inf:
        raise ValueError(f"divisor must be a finite number of at least 0, not {value}")
    return value


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the dtype of results, given that it is one that logits can have."""
    wanted, _ = float_dtypes(np.dtype(dtype), "the result")
    return wanted


def _in_dtype(values: Float64Array, dtype: np.dtype[Any]) -> Any:
    if not values.shape:
        return to_scalar(float(values), dtype)
    with np.errstate(all="ignore"):
        return values.astype(dtype, copy=False)
