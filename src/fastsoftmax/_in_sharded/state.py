"""The partial state of samples of whose classes only some are known, and how states are merged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._arguments.arrays import FLOAT64, as_array
from .._pairs import Pair, exp_scaled, pair_of, plus, times
from .._typing import Array, ArrayLike, Float64Array

__all__ = [
    "DISTANCE",
    "MASS",
    "MAXIMUM",
    "REST",
    "REST_SCALE",
    "STATE_SIZE",
    "TOP",
    "State",
    "check_state",
    "either",
    "log_of_sum",
    "merge_states",
    "unscaled",
    "weighted_distance",
    "weighted_rest",
    "whole_of",
    "whole_sum",
]

STATE_SIZE = 8
"""float64 numbers a sample."""

AT_A_TIME = 1 << 13
"""States merged at a time.

So few stay in the cache, and what is made of them on the way is smaller than what glibc gets from
the system and gives back to it each time.
"""

SCALE_BITS = 256
REST_SCALE = 2.0**SCALE_BITS

# The columns; of a sum it is that of hi, and lo follows.
MAXIMUM, REST, DISTANCE, MASS, TOP = 0, 1, 3, 5, 7


class State(NamedTuple):
    """The columns of a state, or of several stacked."""

    maximum: Float64Array
    rest: Pair  # times REST_SCALE
    distance: Pair
    mass: Pair  # without that of the largest class
    top: Float64Array  # the target of the largest class

    @classmethod
    def of(cls, array: Float64Array) -> State:
        """Return views of an array's columns."""
        column = [array[..., i] for i in range(STATE_SIZE)]
        rest, distance, mass = (Pair(column[i], column[i + 1]) for i in (REST, DISTANCE, MASS))
        return cls(column[MAXIMUM], rest, distance, mass, column[TOP])

    @property
    def is_finite(self) -> Array:
        """Whether the row has a softmax; it is NaN otherwise."""
        return np.isfinite(self.maximum)

    def total_mass(self) -> Pair:
        """Return the sum of all targets."""
        return plus(self.mass, Pair(self.top, np.zeros_like(self.top)))

    def mass_in_all(self) -> Float64Array:
        """Return the same, rounded."""
        return self.mass.hi + self.top


def check_state(
    state: ArrayLike, samples: tuple[int, ...] | None = None, name: str = "state"
) -> Float64Array:
    """Return a state as an array, given that it is one, of these samples if they are known."""
    array = as_array(state, name)
    if array.dtype != FLOAT64:
        raise TypeError(f"{name} must be of dtype float64, not {array.dtype}")
    if array.ndim == 0 or array.shape[-1] != STATE_SIZE:
        raise ValueError(
            f"{name} must have {STATE_SIZE} numbers a sample along its last axis, "
            f"not the shape {array.shape}"
        )
    if samples is not None and array.shape[:-1] != samples:
        raise ValueError(
            f"{name} must be of shape {(*samples, STATE_SIZE)}, as its samples are of shape "
            f"{samples}, not {array.shape}"
        )
    return array


def whole_sum(state: State) -> Pair:
    """Return the sum of e^(x - M), 1 where M is not finite."""
    one = np.ones(state.maximum.shape)
    return plus(Pair(one, np.zeros_like(one)), unscaled(state.rest))


def whole_of(state: State) -> Float64Array:
    """Return the same, rounded."""
    whole: Float64Array = 1.0 + state.rest.hi / REST_SCALE
    return whole


def unscaled(rest: Pair) -> Pair:
    """Return a rest as it is; what is subnormal then is nothing beside 1."""
    return Pair(rest.hi / REST_SCALE, rest.lo / REST_SCALE)


def weighted_rest(weight: Array, rest: Array) -> Array:
    """Return weight rest / REST_SCALE: a small rest may be large again with its weight.

    The scale is taken from whichever of the two, or their product, is not out of range without it.
    """
    large = weight >= 1
    product = np.where(large, weight / REST_SCALE, weight) * rest
    result: Array = np.where(large, product, product / REST_SCALE)
    return result


def log_of_sum(state: State) -> Float64Array:
    """Return log(sum of e^(x - M)), NaN where there is none."""
    rest = unscaled(state.rest)
    logs = np.log1p(rest.hi) + rest.lo / (1 + rest.hi)
    return np.where(state.is_finite, logs, np.nan)


def merge_states(states: ArrayLike | Sequence[ArrayLike]) -> Float64Array:
    r"""Merge the partial states of shards of the same samples' classes.

    With M the largest of the shards' maxima :math:`M_i`, and the shard it is from (the first of
    them) written out, the sums of the whole are

    .. math:: rest = rest_M + \sum_i (1 + rest_i) e^{M_i - M}, \quad
        distance = \sum_i distance_i + mass_i (M - M_i)

    and all of that is a sum of terms that are not negative, in twice the precision of float64: a
    merge rounds by no more than :math:`2^{-62}`.

    Parameters
    ----------
    states : sequence of array_like, or array_like
        States as `partial_state` or this function returned them, of one shape; or one array of
        them stacked along its first axis, as an all-gather leaves it.

    Returns
    -------
    ndarray of float64
        The state of the classes of all shards, of the shape of each of the states.

    Raises
    ------
    ValueError
        If there is no state, or a shape does not fit.
    TypeError
        If a state is not of float64.

    Notes
    -----
    The sums are added in the order given. That order can change the last bits of a state's lo, but
    the same order gives the same bits on every worker. A row (-inf, 0, 0, 0, 0, 0, 0, 0) changes
    nothing: it is the state of no classes, from which a loop may start.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax import sharded
    >>> halves = [sharded.partial_state([[1.0, 0.0]]), sharded.partial_state([[2.0, 0.5]])]
    >>> whole = sharded.merge_states(halves)
    >>> sharded.logsumexp(whole).round(6).tolist()
    [2.546006]
    """
    stacked = _stacked(states)
    if len(stacked) == 1:
        return np.array(stacked[0])
    flat = stacked.reshape(len(stacked), math.prod(stacked.shape[1:-1]), STATE_SIZE)
    merged, step = np.empty(flat.shape[1:]), max(1, AT_A_TIME // len(flat))
    with np.errstate(all="ignore"):
        for begin in range(0, len(merged), step):
            merged[begin : begin + step] = _merged(flat[:, begin : begin + step])
    return merged.reshape(stacked.shape[1:])


def _stacked(states: Any) -> Float64Array:
    if isinstance(states, (list, tuple)) and states and not np.isscalar(states[0]):
        arrays = [check_state(state, None, f"states[{i}]") for i, state in enumerate(states)]
        shape = arrays[0].shape
        for i, array in enumerate(arrays):
            if array.shape != shape:
                raise ValueError(
                    f"states[{i}] is of shape {array.shape}, and states[0] of {shape}: "
                    "states to be merged are of the same samples"
                )
        return np.stack(arrays)
    is_empty = isinstance(states, (list, tuple)) and not states
    stacked = np.empty(0) if is_empty else check_state(states, None, "states")
    if stacked.ndim < 2 or len(stacked) == 0:
        raise ValueError(
            "states must be several states, or an array of them stacked along its first axis, "
            f"not of shape {np.shape(states)}"
        )
    return stacked


def _merged(stacked: Float64Array) -> Float64Array:
    s = State.of(stacked)
    maximum = s.maximum.max(axis=0)
    numbers = np.arange(len(stacked)).reshape(-1, *(1,) * maximum.ndim)
    is_top = numbers == s.maximum.argmax(axis=0)
    factor = exp_scaled(pair_of(s.maximum, -maximum), SCALE_BITS)
    rest = _folded(either(is_top, s.rest, times(factor, whole_sum(s))))
    finite = np.isfinite(maximum)
    result = np.zeros(stacked.shape[1:])
    result[..., MAXIMUM] = maximum
    result[..., REST] = np.where(finite, rest.hi, 0.0)
    result[..., REST + 1] = np.where(finite, rest.lo, 0.0)
    if stacked[..., DISTANCE:].any():
        _merge_targets(s, maximum, is_top, result)
    return result


def _merge_targets(s: State, maximum: Float64Array, is_top: Array, result: Float64Array) -> None:
    mass = s.total_mass()
    distance = _folded(plus(s.distance, weighted_distance(mass, maximum, s.maximum)))
    result[..., DISTANCE], result[..., DISTANCE + 1] = distance
    mass = _folded(either(is_top, s.mass, mass))
    result[..., MASS], result[..., MASS + 1] = mass
    result[..., TOP] = np.where(is_top, s.top, 0.0).sum(axis=0)


def weighted_distance(mass: Pair, maximum: Array, values: Array) -> Pair:
    """Return mass (maximum - values); no mass and no distance are 0 times anything."""
    distance = maximum - values
    # Halves of what is too far apart are not, and a small mass may bring their product back.
    unit = np.where(np.isinf(distance) & np.isfinite(values), 0.5, 1.0)
    product = times(mass, pair_of(maximum * unit, -values * unit))
    is_none = (mass.hi == 0) | (maximum == values)
    return Pair(*(np.where(is_none, 0.0, part / unit) for part in product))


def either(condition: Array, yes: Pair, no: Pair) -> Pair:
    """Return one of two numbers each."""
    return Pair(np.where(condition, yes.hi, no.hi), np.where(condition, yes.lo, no.lo))


def _folded(terms: Pair) -> Pair:
    """Add up along the first axis, in its order."""
    hi, lo = terms
    total = Pair(hi[0], lo[0])
    for i in range(1, len(hi)):
        total = plus(total, Pair(hi[i], lo[i]))
    return total
