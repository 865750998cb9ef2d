"""What every operation asks of a block's rows: maxima, shifted exponentials and their sums."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .block import row_argmaxima, row_maxima, row_values, take_two, transform
from .compilation import jitted
from .exponential import find_shifts, shifted_exp
from .exponential_sums import sum_exponentials_but
from .memory import (
    load_as_many,
    load_lanes,
    store,
)
from .pack import finish
from .real import (
    exponent_bias,
    headroom,
    lanes_of,
    largest_exponent,
    largest_real,
    product_scale,
    room,
    smallest_exponent,
    unscaled_factor,
)
from .staging import Bool, Int, Pointer, Wide, staged
from .sums import (
    Sum,
    mul_pair,
    sum_log1p,
    sum_of,
    sum_plus,
    sum_quotient,
    sum_ratio,
    sum_value,
    sum_zero,
)
from .words import (
    absolute,
    any_lane,
    is_finite,
    select,
    splat,
    to_float64,
    to_real,
)

__all__ = [
    "Factors",
    "Peaks",
    "WideFactors",
    "exponentials_of",
    "factors_of",
    "find_peaks",
    "log_of_rest",
    "part_of",
    "pick",
    "put",
    "scale_rows",
    "share_of",
    "sum_of_all",
    "sum_rest",
    "take_powers",
    "times_factor",
    "whole_of",
    "wide_factors",
]


# --- exponentials ----------------------------------------------------------------------------


class Peaks(NamedTuple):
    """The largest class of each row and the sums apart from it.

    rest, without it, is never made by subtraction, so that what a confident row says of the other
    classes is not lost.
    """

    maximum: Wide
    at: Wide
    shift: Any
    top: Any
    rest: Any


@staged
def exponentials_of(values: Wide, shift: Any) -> Sum:
    """The shifted exponential of row values, to twice the precision."""
    e = shifted_exp(values, shift)
    return sum_of(to_float64(e.power), to_float64(e.rest))


@staged
def peaks_at(tops: Any, at: Wide) -> Peaks:
    shift = find_shifts(tops.first, tops.second)
    return Peaks(tops.first, at, shift, exponentials_of(tops.first, shift), sum_zero(tops.first))


@jitted
def find_peaks(b: Any, x: Pointer) -> Any:
    """The peaks of rows but for `rest`, which sum_rest adds."""
    tops = row_maxima(b, x, take_two)
    return peaks_at(tops, row_argmaxima(b, x, tops.first))


@staged
def with_rest(p: Any, rest: Any) -> Any:
    return p._replace(rest=rest)


@staged
def rounded_top(p: Any) -> Wide:
    return to_real(p.maximum, sum_value(p.top))


@jitted
def sum_rest(b: Any, s: Any, x: Pointer, e: Pointer, p: Any, keep: bool) -> Any:
    """The peaks with `rest`; the exponentials go to `e` if `keep` says so."""
    rest = sum_exponentials_but(b, s.partial, x, e, p.shift, p.at, keep)
    if keep:
        put(b, s, p.at, rounded_top(p), e)
    return with_rest(p, rest)


@jitted
def pick(b: Any, s: Any, values: Pointer, at: Wide) -> Wide:
    """Each row's value at its class."""
    store(s.places, 0, at)
    for i in range(b.lanes):
        s.reals[i] = values[s.places[i] * b.lanes + i]
    return row_values(b, s.x, s.reals)


@jitted
def put(b: Any, s: Any, at: Wide, row: Wide, values: Pointer) -> None:
    """Row values to each row's class."""
    store(s.places, 0, at)
    store(s.reals, 0, row)
    for i in range(b.lanes):
        values[s.places[i] * b.lanes + i] = s.reals[i]


class Whole(NamedTuple):
    """The sum of a row's shifted exponentials; NaN where the row has a NaN or no finite maximum.

    Several things are divided by it, but divisions are dear.
    """

    sum: Any
    inverse: Wide


@staged
def whole_of(m: Wide, total: Any) -> Whole:
    hi = select(is_finite(m), total.hi, np.nan)
    return Whole(Sum(hi, total.lo), hi.like(1) / hi)


@staged
def sum_of_all(p: Any) -> Whole:
    return whole_of(p.maximum, sum_plus(p.rest, p.top))


@staged
def part_of(a: Any, everything: Any) -> Sum:
    return sum_ratio(a, everything.sum, everything.inverse)


@staged
def share_of(like: Pointer, a: Any, everything: Any) -> Sum:
    """What exponentials are multiplied by: a / everything.

    It comes times 2^headroom, so that it is in range wherever a is.
    """
    by, total = room(like), everything.sum
    return sum_ratio(a, Sum(total.hi * by, total.lo * by), everything.inverse * (1 / by))


@staged
def log_of_rest(p: Any) -> Wide:
    """log(sum of e^x) - maximum = log(1 + rest / top); NaN likewise.

    It is small where the row is confident.
    """
    return select(is_finite(p.maximum), sum_log1p(sum_quotient(p.rest, p.top)), np.nan)


# --- factors ---------------------------------------------------------------------------------


class Factors(NamedTuple):
    """Factors hi + lo, as row values of the element type.

    Where they would leave its range, a power of two is taken out of them first. Their products are
    made `up` times larger on the way, and taken `down` again.
    """

    hi: Wide
    lo: Wide
    power: Wide
    up: Wide
    down: Wide
    split: Bool


@staged
def set_factor(like: Pointer, factor: Any, power: Wide, split: Bool) -> Factors:
    hi = to_real(like, factor.hi)
    lo = to_real(like, factor.hi - to_float64(hi) + factor.lo)
    scaled, scale = absolute(factor.hi) < unscaled_factor(like), product_scale(like)
    up, down = (to_real(like, select(scaled, factor.hi.like(by), 1)) for by in (scale, 1 / scale))
    return Factors(hi, lo, power, up, down, split)


@staged
def rounded_factors(like: Pointer, share: Any) -> Factors:
    """As they are; `split` says that some are too large or too small for that."""
    factor = Sum(share.hi * room(like), share.lo * room(like))
    size = absolute(factor.hi)
    smallest, largest = 2.0 ** smallest_exponent(like), 2.0 ** largest_exponent(like)
    extreme = ((size > largest) & is_finite(size)) | ((size < smallest) & (share.hi != 0))
    return set_factor(like, factor, splat(like, 1), any_lane(extreme))


@staged
def open_split(s: Any, share: Any) -> None:
    store(s.doubles, 0, share.hi)
    store(s.doubles2, 0, share.lo)
    store(s.reals, 0, splat(s.reals, 1))


@staged
def close_split(s: Any) -> Factors:
    hi, lo, power = (load_as_many(s.x, p, 0) for p in (s.doubles, s.doubles2, s.reals))
    return set_factor(s.x, Sum(hi, lo), power, True)


@jitted
def split_factor(s: Any, i: int) -> None:
    hi, lo = s.doubles[i], s.doubles2[i]
    s.doubles[i] = hi * room(s.x)
    s.doubles2[i] = lo * room(s.x)
    exponent = math.frexp(hi)[1] - headroom(s.x)
    smallest, largest = smallest_exponent(s.x), largest_exponent(s.x)
    if hi == 0 or not is_finite(hi) or (exponent <= largest and exponent >= smallest):
        return
    taken = exponent - largest if exponent > 0 else exponent - smallest
    taken = min(taken, exponent_bias(s.x))
    s.reals[i] = math.ldexp(1.0, taken)
    hi = math.ldexp(hi, -headroom(s.x) - taken)
    s.doubles[i] = hi
    s.doubles2[i] = math.ldexp(lo, -headroom(s.x) - taken)
    if abs(hi) > largest_real(s.x):
        # Beyond even that: 0 times it must still be 0.
        s.doubles[i] = math.copysign(largest_real(s.x), hi)
        s.doubles2[i] = 0.0


@jitted
def split_factors(s: Any, share: Any) -> Any:
    open_split(s, share)
    for i in range(lanes_of(s.x)):
        split_factor(s, i)
    return close_split(s)


@jitted
def factors_of(s: Any, share: Any) -> Any:
    """Row values to multiply by, from shares, as share_of gives them."""
    rounded = rounded_factors(s.x, share)
    if rounded.split:
        return split_factors(s, share)
    return rounded


class WideFactors(NamedTuple):
    """The same, `up` included."""

    hi: Wide
    lo: Wide
    down: Wide


@staged
def wide_factors(f: Any) -> WideFactors:
    return WideFactors(f.hi * f.up, f.lo * f.up, f.down)


def times_factor(a: Wide, f: Any) -> Wide:
    return mul_pair(a, f.hi, f.lo, f.down)


class Scaling(NamedTuple):
    e: Pointer
    factor: Any


@staged
def scaling_step(c: Any, offset: Int, lanes: Int) -> Wide:
    return times_factor(load_lanes(c.e, offset, lanes, 0), c.factor)


class Powers(NamedTuple):
    e: Pointer
    power: Wide


@staged
def power_step(c: Any, offset: Int, lanes: Int) -> Wide:
    return load_lanes(c.e, offset, lanes, 0) * c.power


@jitted
def take_powers(b: Any, e: Pointer, f: Any) -> None:
    if f.split:
        transform(b, power_step, Powers(e, f.power), e)


@jitted
def scale_rows(job: Any, b: Any, e: Pointer, f: Any) -> Pointer:
    """`e` times its row's factor, to the output; the result is where it went."""
    take_powers(b, e, f)
    return finish(job, job.out, b, scaling_step, Scaling(e, wide_factors(f)), e)
