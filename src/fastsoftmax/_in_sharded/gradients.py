"""A shard's part of the gradient: what of it is known before the exponentials are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._pairs import Pair, quotient, times
from .._sums import two_sum
from .._typing import Array, Float64Array
from .state import REST_SCALE, State, weighted_rest, whole_of, whole_sum
from .targets import ShardTargets

__all__ = ["ROW_SIZE", "Gradient", "row_numbers"]

# What the kernel is told of a row; see `Backend.shard_exponentials`.
ROW_SIZE = 5
MAXIMUM, FACTOR, TARGET, APART = 0, 1, 3, 4

# Below it no other class has the maximum too: then the rest would be 1, or what rounding made of 1,
# which of float32 logits is within 2^-36.
ALONE = REST_SCALE * (1 - 2.0**-30)


def row_numbers(s: State, scale: Pair, exact: bool) -> Float64Array:
    """Return what makes a row's exponentials `scale` times its probabilities."""
    factor = _over_whole(scale, s, exact)
    numbers = np.empty((*s.maximum.shape, ROW_SIZE))
    numbers[..., MAXIMUM] = s.maximum
    numbers[..., FACTOR] = np.where(s.is_finite, factor.hi, np.nan)
    numbers[..., FACTOR + 1] = factor.lo
    numbers[..., TARGET] = 0.0
    numbers[..., APART] = np.nan
    return numbers


def _over_whole(scale: Pair, s: State, exact: bool) -> Pair:
    """Return scale / (1 + rest); for float32, float64 is more than is seen of it."""
    if exact:
        return quotient(scale, whole_sum(s))
    return Pair(scale.hi / whole_of(s), np.zeros(()))


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
        weight = 1.0 if sample_weight is None else sample_weight
        scale = np.asarray(weight / divisor)
        exact = x.dtype == np.float64
        mass = _scaled_mass(s, weight, divisor) if exact else Pair(s.mass_in_all() * scale, scale)
        numbers = row_numbers(s, mass, exact)
        dense = targets.dense(x)
        if dense is not None:
            numbers[..., TARGET] = scale
            numbers[..., APART] = _at_top(s, scale)
        places, entries = _labels(x, targets, columns, scale)
        return cls(numbers, dense, places, entries, targets.ignored())

    def finish(self, results: Array) -> None:
        """Put the entries that the kernel has not made."""
        with np.errstate(all="ignore"):
            results[self.places] = self.entries
            if self.ignored is not None:
                results[self.ignored] = 0.0


def _scaled_mass(s: State, weight: Array | float, divisor: float) -> Pair:
    zero = np.zeros(())
    scale = quotient(Pair(np.asarray(weight), zero), Pair(np.asarray(divisor), zero))
    return times(s.total_mass(), scale)


def _at_top(s: State, scale: Array) -> Float64Array:
    """Return the gradient where the maximum is, NaN where that may be at several classes."""
    whole = whole_of(s)
    less = weighted_rest(scale * s.top, s.rest.hi / whole)
    gradient = scale * (s.mass.hi / whole) - less
    return np.where(s.is_finite & (s.rest.hi < ALONE), gradient, np.nan)


def _labels(
    x: Array, targets: ShardTargets, columns: Float64Array, scale: Array
) -> tuple[tuple[Array, ...], Float64Array]:
    """Return where labels of this shard are, and their entries."""
    none = np.empty(0, np.int64)
    if targets.labels is None:
        return (none, none, none), np.empty(0)
    local, own = targets.own(x.shape[2])
    places = np.nonzero(own)
    classes, own = local[places], own[places]
    s = State.of(columns[places])
    if scale.shape:
        scale = scale[places]
    logit = x[*places, classes].astype(np.float64)
    below, lost = two_sum(logit, -s.maximum)
    e = np.exp(below)
    e += e * np.where(np.isfinite(below), lost, 0.0)
    y = own
    if targets.smoothing:
        smooth = targets.smoothing / targets.num_classes
        weights = targets.shard_weight(x.shape[2])
        y = own + (smooth if weights is None else smooth * weights[classes])
    entries = scale * (s.mass_in_all() * (e / whole_of(s)) - y)
    entries = np.where(s.is_finite, entries, np.nan)
    at_top = _at_top(s, scale)
    is_apart = (logit == s.maximum) & ~np.isnan(at_top)
    return (*places, classes), np.where(is_apart, at_top, entries)
