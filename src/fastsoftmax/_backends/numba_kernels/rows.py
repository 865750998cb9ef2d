"""What every operation asks of a block's rows: maxima, shifted exponentials and their sums."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .block import NO_VECTOR, Partial, accumulate, row_argmaxima, skip_lanes, transform
from .compilation import jitted
from .exponential import shift_for, shifted_exp
from .memory import (
    aligned,
    as_float64,
    as_int64,
    as_like,
    data,
    load_as_many,
    load_lanes,
    offset_bytes,
    store,
    store_lanes,
)
from .real import (
    exponent_bias,
    lanes_of,
    largest_exponent,
    largest_real,
    product_scale,
    real_bytes,
    smallest_exponent,
)
from .staging import Bool, Int, Pointer, Wide, staged
from .sums import Sum, acc_add, mul_pair, sum_log1p, sum_plus, sum_quotient
from .words import (
    absolute,
    any_lane,
    is_finite,
    select,
    splat,
    splat_bool,
    splat_index,
    to_float64,
    to_real,
)

__all__ = [
    "Factors",
    "Peaks",
    "Scratch",
    "cut_scratch",
    "exponentials_of",
    "factors_of",
    "find_peaks",
    "log_of_rest",
    "scale_rows",
    "scratch_bytes",
    "sum_exponentials",
    "sum_of_all",
    "take_powers",
]


# --- scratch memory --------------------------------------------------------------------------


class Scratch(NamedTuple):
    """A thread's scratch memory, cut up."""

    partial: Any
    # A block's logits, exponentials and targets, where they do not lie in the caller's arrays.
    x: Pointer
    e: Pointer
    y: Pointer
    target_row: Pointer  # one row of effective targets, for labels with smoothing
    class_weight: Pointer  # the class weights as `real`
    mean_hi: Pointer
    mean_lo: Pointer
    # Row values that are read or written one by one: of the targets...
    kind: Pointer
    label: Pointer
    label_weight: Pointer  # w_t t_t of a label
    sample_weight: Pointer  # 0 where ignored
    # ... and of whatever is at hand.
    places: Pointer
    doubles: Pointer
    doubles2: Pointer
    reals: Pointer


LINE = 64
SLOT = 128
"""Bytes of row values: LANES float64 of the float32 kernels, which have most."""
SLOTS = 8
PARTIAL_BYTES = 2048
"""LANES vectors of LANES float64."""


def in_lines(size: Any) -> Any:
    return (size + LINE - 1) // LINE * LINE


def scratch_lengths(job: Any) -> Any:
    """Bytes of a block's values, of a row, and of a block's values as float64."""
    size, classes = real_bytes(job.input.data), job.shape.classes
    count = classes * select(job.across, classes.like(lanes_of(job.input.data)), 1)
    return in_lines(count * size), in_lines(classes * size), count * 8


@staged
def scratch_bytes(job: Any, want_sums: Bool) -> Int:
    values, row, sums = scratch_lengths(job)
    fixed = LINE + SLOTS * SLOT + 3 * PARTIAL_BYTES
    return 3 * values + 2 * row + select(want_sums, 2 * sums, 0) + fixed


@staged
def cut_scratch(job: Any, memory: Any) -> Scratch:
    values, row, sums = scratch_lengths(job)
    like, place = job.input.data, aligned(data(memory))

    def cut(count: int, length: Any) -> list[Pointer]:
        nonlocal place
        starts = [offset_bytes(place, length * i) for i in range(count + 1)]
        place = starts.pop()
        return starts

    slots = cut(SLOTS, values.like(SLOT))
    kind, label, places = map(as_int64, slots[:3])
    label_weight, sample_weight, doubles, doubles2 = map(as_float64, slots[3:7])
    hi, lo, residual = cut(3, values.like(PARTIAL_BYTES))
    x, e, y, target_row, class_weight = (as_like(p, like) for p in cut(3, values) + cut(2, row))
    mean_hi, mean_lo = map(as_float64, cut(2, sums))
    return Scratch(
        partial=Partial(as_float64(hi), as_float64(lo), as_like(residual, like)),
        x=x,
        e=e,
        y=y,
        target_row=target_row,
        class_weight=class_weight,
        mean_hi=mean_hi,
        mean_lo=mean_lo,
        kind=kind,
        label=label,
        label_weight=label_weight,
        sample_weight=sample_weight,
        places=places,
        doubles=doubles,
        doubles2=doubles2,
        reals=as_like(slots[7], like),
    )


# --- exponentials ----------------------------------------------------------------------------


class Exponentials(NamedTuple):
    """The exponentials of a block and their sums."""

    x: Pointer
    e: Pointer
    shift: Any
    skip: Wide


def add_exponentials(
    c: Any, offset: Int, lanes: Int, vector: Int, special: Bool, keep: bool, acc: Any
) -> Any:
    e, residual = shifted_exp(load_lanes(c.x, offset, lanes, -np.inf), c.shift)
    if keep:
        store_lanes(c.e, offset, lanes, e)
    skipped = (c.skip == splat_index(e, vector)) & splat_bool(e, special)
    return acc_add(acc, select(skipped, 0, e), select(skipped, 0, residual))


@staged
def exponentials_step(c: Any, offset: Int, lanes: Int, vector: Int, special: Bool, acc: Any) -> Any:
    return add_exponentials(c, offset, lanes, vector, special, True, acc)


@staged
def exponential_sum_step(
    c: Any, offset: Int, lanes: Int, vector: Int, special: Bool, acc: Any
) -> Any:
    return add_exponentials(c, offset, lanes, vector, special, False, acc)


@jitted
def sum_exponentials(b: Any, s: Any, x: Pointer, e: Pointer, shift: Any) -> Any:
    """Each row's sum of shifted exponentials, which go to `e`."""
    c = Exponentials(x, e, shift, splat_index(x, -1))
    return accumulate(b, s.partial, exponentials_step, c, NO_VECTOR)


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
    e, residual = shifted_exp(values, shift)
    return Sum(to_float64(e), to_float64(residual))


@jitted
def find_peaks(b: Any, s: Any, x: Pointer, m: Wide, e: Pointer, store: bool) -> Any:
    """The peaks of rows with maxima m; the exponentials go to `e` where `store` says so."""
    at = row_argmaxima(b, x, m)
    shift = shift_for(m)
    top = exponentials_of(m, shift)
    skip, special = skip_lanes(b, x, at)
    c = Exponentials(x, e, shift, skip)
    if store:
        rest = accumulate(b, s.partial, exponentials_step, c, special)
    else:
        rest = accumulate(b, s.partial, exponential_sum_step, c, special)
    return Peaks(m, at, shift, top, rest)


@staged
def sum_of_all(p: Any) -> Sum:
    """The sum of a row's shifted exponentials; NaN where the row has a NaN or no finite maximum."""
    total = sum_plus(p.rest, p.top)
    return Sum(select(is_finite(p.maximum), total.hi, np.nan), total.lo)


@staged
def log_of_rest(p: Any) -> Wide:
    """log(sum of e^x) - maximum = log(1 + rest / top); NaN likewise.

    It is small where the row is confident.
    """
    return select(is_finite(p.maximum), sum_log1p(sum_quotient(p.rest, p.top)), np.nan)


# --- factors ---------------------------------------------------------------------------------


class Factors(NamedTuple):
    """Factors hi + lo, as row values of the element type.

    Where they would leave its range, a power of two is taken out of them first.
    """

    hi: Wide
    lo: Wide
    power: Wide
    split: Bool


@staged
def rounded_factors(like: Pointer, factor: Any) -> Factors:
    """As they are; `split` says that some are too large or too small for that."""
    size = absolute(factor.hi)
    smallest, largest = 2.0 ** smallest_exponent(like), 2.0 ** largest_exponent(like)
    extreme = ((size > largest) & is_finite(size)) | ((size < smallest) & (size != 0))
    hi = to_real(like, factor.hi)
    lo = to_real(like, factor.hi - to_float64(hi) + factor.lo)
    return Factors(hi, lo, splat(like, 1), any_lane(extreme))


@staged
def open_split(s: Any, factor: Any) -> None:
    store(s.doubles, 0, factor.hi)
    store(s.doubles2, 0, factor.lo)
    store(s.reals, 0, splat(s.reals, 1))


@staged
def close_split(s: Any) -> Factors:
    hi, lo, power = (load_as_many(s.x, p, 0) for p in (s.doubles, s.doubles2, s.reals))
    rounded = rounded_factors(s.x, Sum(hi, lo))
    return Factors(rounded.hi, rounded.lo, power, True)


@jitted
def split_factors(s: Any, factor: Any) -> Any:
    open_split(s, factor)
    for i in range(lanes_of(s.x)):
        hi = s.doubles[i]
        exponent = math.frexp(hi)[1]
        smallest, largest = smallest_exponent(s.x), largest_exponent(s.x)
        if hi == 0 or not is_finite(hi) or (exponent <= largest and exponent >= smallest):
            continue
        taken = exponent - largest if exponent > 0 else exponent - smallest
        taken = min(taken, exponent_bias(s.x))
        s.reals[i] = math.ldexp(1.0, taken)
        hi = math.ldexp(hi, -taken)
        s.doubles[i] = hi
        s.doubles2[i] = math.ldexp(s.doubles2[i], -taken)
        if abs(hi) > largest_real(s.x) / product_scale(s.x):
            # Beyond even that: 0 times it must still be 0.
            s.doubles[i] = math.copysign(largest_real(s.x) / product_scale(s.x), hi)
            s.doubles2[i] = 0.0
    return close_split(s)


@jitted
def factors_of(s: Any, factor: Any) -> Any:
    """Row values to multiply by, from sums."""
    rounded = rounded_factors(s.x, factor)
    if rounded.split:
        return split_factors(s, factor)
    return rounded


class Scaling(NamedTuple):
    e: Pointer
    hi: Wide
    lo: Wide


@staged
def scaling_step(c: Any, offset: Int, lanes: Int) -> Wide:
    return mul_pair(load_lanes(c.e, offset, lanes, 0), c.hi, c.lo)


@staged
def power_step(c: Any, offset: Int, lanes: Int) -> Wide:
    return load_lanes(c.e, offset, lanes, 0) * c.hi


@jitted
def take_powers(b: Any, e: Pointer, f: Any) -> None:
    if f.split:
        transform(b, power_step, Scaling(e, f.power, f.power), e)


@jitted
def scale_rows(b: Any, e: Pointer, f: Any) -> None:
    """`e` times its row's factor, in place."""
    take_powers(b, e, f)
    transform(b, scaling_step, Scaling(e, f.hi, f.lo), e)
