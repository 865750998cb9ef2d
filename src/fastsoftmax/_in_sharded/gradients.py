"""A shard's part of the gradient: what of it is known before the exponentials are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._pairs import Pair, exp_scaled, pair_of, quotient, times
from .._typing import Array, Float64Array
from .state import REST_SCALE, State, weighted_rest, whole_sum
from .targets import ShardTargets

__all__ = ["ROW_SIZE", "Gradient", "row_numbers"]

# What the kernel is told of a row; see `Backend.shard_exponentials`.
ROW_SIZE = 5
MAXIMUM, FACTOR, TARGET, APART = 0, 1, 3, 4


def row_numbers(s: State, scale: Pair) -> Float64Array:
    """Return what makes a row's exponentials `scale` times its probabilities."""
    factor = quotient(scale, whole_sum(s))
    numbers = np.empty((*s.maximum.shape, ROW_SIZE))
    numbers[..., MAXIMUM] = s.maximum
    numbers[..., FACTOR] = np.where(s.is_finite, factor.hi, np.nan)
    numbers[..., FACTOR + 1] = factor.lo
    numbers[..., TARGET] = 0.0
    numbers[..., APART] = np.nan
    return numbers


class Gradient(NamedTuple):
    """A shard's part of the gradient, in the canonical form of its logits (A, B, k).

    With Y the sum of a row's targets it is Y p - y, times the sample's scale. The kernel makes
    that of all classes but a label, whose target is no element of an array; its entry is put there
    in the end. Where p is more than half, so that p - 1 would cancel, it is of the class with the
    maximum alone, and is (mass - y rest) / (1 + rest), with what `State` knows of the others.
    """

    numbers: Float64Array
    dense: Array | None
    places: tuple[Array, ...]  # of labels here
    entries: Float64Array
    ignored: Array | None

    @classmethod
    def of(
        cls,
        x: Array,
        targets: ShardTargets,
        columns: Float64Array,
        sample_weight: Array | None,
        divisor: float,
    ) -> Gradient:
        """Return the gradient of logits before these are overwritten."""
        s = State.of(columns)
        shape = s.maximum.shape
        zeros = np.zeros(shape)
        weight = np.ones(shape) if sample_weight is None else sample_weight
        scale = quotient(Pair(weight, zeros), Pair(np.full(shape, divisor), zeros))
        numbers = row_numbers(s, times(s.total_mass(), scale))
        dense = targets.dense(x)
        at_top = _at_top(s, scale.hi)
        if dense is not None:
            numbers[..., TARGET] = scale.hi
            numbers[..., APART] = at_top
        places, entries = _labels(x, targets, s, scale.hi, at_top)
        return cls(numbers, dense, places, entries, targets.ignored())

    def finish(self, results: Array) -> None:
        """Put the entries that the kernel has not made."""
        with np.errstate(all="ignore"):
            results[self.places] = self.entries
            if self.ignored is not None:
                results[self.ignored] = 0.0


def _at_top(s: State, scale: Float64Array) -> Float64Array:
    """Return the gradient where the maximum is, NaN where that may be at several classes."""
    whole = whole_sum(s).hi
    less = weighted_rest(scale * s.top, s.rest.hi / whole)
    gradient = scale * (s.mass.hi / whole) - less
    return np.where(s.is_finite & (s.rest.hi < REST_SCALE), gradient, np.nan)


def _labels(
    x: Array, targets: ShardTargets, s: State, scale: Float64Array, at_top: Float64Array
) -> tuple[tuple[Array, ...], Float64Array]:
    """Return where labels of this shard are, and their entries."""
    none = np.empty(0, np.int64)
    if targets.labels is None:
        return (none, none, none), np.empty(0)
    local, own = targets.own(x.shape[2])
    places = np.nonzero(own)
    classes, own, scale = local[places], own[places], scale[places]
    logit = x[*places, classes].astype(np.float64)
    maximum = s.maximum[places]
    exponential = exp_scaled(pair_of(logit, -maximum), 0)
    mass, whole = s.total_mass().hi[places], whole_sum(s).hi[places]
    y = own
    if targets.smoothing:
        smooth = targets.smoothing / targets.num_classes
        weights = targets.shard_weight(x.shape[2])
        y = own + (smooth if weights is None else smooth * weights[classes])
    entries = scale * (mass * (exponential.hi / whole) - y)
    entries = np.where(np.isfinite(maximum), entries, np.nan)
    is_apart = (logit == maximum) & ~np.isnan(at_top[places])
    return (*places, classes), np.where(is_apart, at_top[places], entries)
