"""Sums of exponentials, as exact as float64's of float32 and cheaper.

A sum that starts from a large constant, the row's grid, cannot change its exponent while a segment
of the row is added: so what of a term reaches it, a multiple of the constant's last bit, is added
exactly, and what does not reach it, the difference that is exact too, goes to a second sum, of
small numbers, whose rounding is far below the first's last bit (the error-free splitting of Rump,
Ogita and Oishi, "Accurate floating-point summation I", SIAM J. Sci. Comput. 31, 2008). The terms
are power + rest, before they are rounded.

Each part of a row is summed by itself, and the row's sum is that of its parts in their order, as
the C kernels have it, where several threads may do the parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .block import NO_VECTOR, SHORT_ROW
from .compilation import jitted
from .exponential import shifted_exp
from .memory import load, load_lanes, store, store_lanes
from .real import lanes_of, segment
from .staging import Bool, Int, Pointer, Wide, staged
from .sums import Sum, sum_of, sum_plus, sum_zero
from .words import (
    first_lane,
    fold_lanes,
    index_from,
    iota,
    select,
    splat,
    splat_bool,
    splat_index,
    splat_number,
    to_float64,
)

__all__ = ["sum_exponentials", "sum_exponentials_but"]

PART = 16384
"""Classes in a part, which is whole segments."""


class Exponentials(NamedTuple):
    x: Pointer
    e: Pointer
    shift: Any
    skip: Wide  # the vector in which a lane is left out


class GridSum(NamedTuple):
    big: Wide
    small: Wide


@staged
def grid_sum(c: Any) -> GridSum:
    """A sum to which nothing was added."""
    return GridSum(c.shift.grid, splat(c.shift.grid, 0))


def add_exponential(total: Any, x: Any) -> GridSum:
    after = total.big + x.e
    reached = after - total.big
    return GridSum(after, total.small + ((x.power - reached) + x.rest))


def add_vector(c: Any, vector: Int, lanes: Int, special: Bool, keep: bool, total: Any) -> GridSum:
    offset = vector * lanes_of(c.x)
    x = load_lanes(c.x, offset, lanes, -np.inf)
    is_skipped = (c.skip == splat_number(x, vector)) & splat_bool(x, special)
    e = shifted_exp(select(is_skipped, -np.inf, x), c.shift)
    if keep:
        store_lanes(c.e, offset, lanes, e.e)
    return add_exponential(total, e)


@staged
def stored_step(c: Any, vector: Int, lanes: Int, special: Bool, total: Any) -> GridSum:
    return add_vector(c, vector, lanes, special, True, total)


@staged
def summed_step(c: Any, vector: Int, lanes: Int, special: Bool, total: Any) -> GridSum:
    return add_vector(c, vector, lanes, special, False, total)


# --- along the lanes -------------------------------------------------------------------------


@staged
def fold_along(c: Any, part: Any, total: Any) -> Sum:
    """A segment's sum goes to the part's: what was on the grid is exact, also between the lanes."""

    def join(first: tuple[Wide, ...], second: tuple[Wide, ...]) -> tuple[Wide, ...]:
        return first[0] + second[0], first[1] + second[1]

    folded = fold_lanes((part.big - c.shift.grid, part.small), join)
    return sum_plus(total, sum_of(*(splat(total.hi, each) for each in folded)))


@staged
def add_sums(a: Any, b: Any) -> Sum:
    return sum_plus(a, b)


@jitted
def sum_part_along(b: Any, step: Callable[..., Any], c: Any, first: int, special: int) -> Any:
    """The part that starts at vector number `first`."""
    lanes = lanes_of(c.x)
    full = b.length // lanes
    tail = b.length % lanes
    last = min(first + PART // lanes, full + (tail > 0))
    most = segment(c.x) // lanes
    total = sum_zero(c.x)
    for begin in range(first, last, most):
        end = min(begin + most, full)
        before = special if begin <= special < end else end
        part = grid_sum(c)
        for i in range(begin, before):
            part = step(c, i, lanes, False, part)
        if before < end:
            part = step(c, before, lanes, True, part)
        for i in range(before + 1, end):
            part = step(c, i, lanes, False, part)
        if tail > 0 and begin + most > full:
            part = step(c, full, tail, special == full, part)
        total = fold_along(c, part, total)
    return total


@jitted
def sum_along(b: Any, step: Callable[..., Any], c: Any, special: int) -> Any:
    lanes = lanes_of(c.x)
    total = sum_zero(c.x)
    for first in range(0, (b.length + lanes - 1) // lanes, PART // lanes):
        total = add_sums(total, sum_part_along(b, step, c, first, special))
    return total


# --- across the lanes ------------------------------------------------------------------------


@staged
def set_part(partial: Any, index: Int, c: Any, part: Any) -> None:
    """Put what was added to a sum to memory."""
    store(partial.big, index, part.big - c.shift.grid)
    store(partial.small, index, part.small)


@staged
def add_part(partial: Any, to: Int, other: Int) -> None:
    for p in (partial.big, partial.small):
        store(p, to, load(p, to) + load(p, other))


@staged
def add_parts(partial: Any, total: Any) -> Sum:
    """The row's sum and the first of the parts."""
    big, small = (to_float64(load(p, 0)) for p in (partial.big, partial.small))
    return sum_plus(total, sum_of(big, small))


@jitted
def fold_across(partial: Any, used: int, total: Any) -> Any:
    """As fold_along does it, in each lane; parts from `used` on are 0 and not there."""
    lanes = lanes_of(partial.big)
    half = lanes // 2
    while half > 0:
        for i in range(min(used - half, half)):
            add_part(partial, i * lanes, (i + half) * lanes)
        used = min(used, half)
        half //= 2
    return add_parts(partial, total)


@jitted
def sum_parts_across(
    b: Any, partial: Any, step: Callable[..., Any], c: Any, first: int, special: bool
) -> Any:
    """Of the rows' parts that start at class `first`.

    Class k goes to lane sum k mod LANES, as it goes to that lane along the lanes. Short rows, which
    are never there, have one sum.
    """
    lanes = lanes_of(c.x)
    apart = 1 if b.classes <= SHORT_ROW * lanes else lanes
    last = min(first + PART, b.classes)
    total = sum_zero(c.x)
    for begin in range(first, last, segment(c.x)):
        end = min(begin + segment(c.x), last)
        used = min(end - begin, apart)
        for i in range(used):
            part = grid_sum(c)
            for k in range(begin + i, end, apart):
                part = step(c, k, lanes, special, part)
            set_part(partial, i * lanes, c, part)
        total = fold_across(partial, used, total)
    return total


@jitted
def sum_across(b: Any, partial: Any, step: Callable[..., Any], c: Any, special: bool) -> Any:
    total = sum_zero(c.x)
    for first in range(0, b.classes, PART):
        total = add_sums(total, sum_parts_across(b, partial, step, c, first, special))
    return total


# --- both ------------------------------------------------------------------------------------


@staged
def skip_lanes(b: Any, like: Pointer, at: Wide) -> Wide:
    """In each lane the number of the vector at which it is passed over, for each row's class."""
    lanes, first = lanes_of(like), first_lane(at)
    is_its_lane = iota(like) == splat_index(like, first % lanes)
    along = select(is_its_lane, splat_number(like, first // lanes), -1)
    return select(b.across, index_from(like, at), along)


@staged
def vector_of(like: Pointer, at: Wide) -> Int:
    """Along the lanes: the number of the vector with the row's class."""
    return first_lane(at) // lanes_of(like)


@jitted
def sum_exponentials(b: Any, partial: Any, x: Pointer, e: Pointer, shift: Any) -> Any:
    """Each row's sum of shifted exponentials, which go to `e`."""
    c = Exponentials(x, e, shift, splat_index(x, -1))
    if b.across:
        return sum_across(b, partial, stored_step, c, False)
    return sum_along(b, stored_step, c, NO_VECTOR)


@jitted
def sum_exponentials_but(
    b: Any, partial: Any, x: Pointer, e: Pointer, shift: Any, skip: Wide, keep: bool
) -> Any:
    """The same without a class of each row; they go to `e` if `keep` says so, 0 for that class."""
    c = Exponentials(x, e, shift, skip_lanes(b, x, skip))
    special = vector_of(x, skip)
    if b.across:
        if keep:
            return sum_across(b, partial, stored_step, c, True)
        return sum_across(b, partial, summed_step, c, True)
    if keep:
        return sum_along(b, stored_step, c, special)
    return sum_along(b, summed_step, c, special)
