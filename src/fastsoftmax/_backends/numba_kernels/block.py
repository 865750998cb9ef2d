"""A block: what a kernel works on at a time, laid out in lanes, and the two ways to walk it.

Along the lanes: one row, classes side by side. Across the lanes: LANES rows, class by class, so
that short rows and strided classes fill the vectors too. The operations are written once over both:
`accumulate` and `transform` walk the vectors, and what belongs to the rows, `row values`, is a
vector: each lane's own across the lanes, and the same in all along them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .compilation import jitted
from .memory import (
    CACHE_LINE,
    address_in_line,
    load,
    load_as_many,
    load_lanes,
    store,
    store_lanes,
    stream,
)
from .numba_api import types
from .real import lanes_of, real_bytes
from .staging import Bool, Int, Pointer, Wide, staged
from .sums import acc_zero, fold_acc, fold_rows
from .words import (
    any_lane,
    fold_lanes,
    iota,
    maximum,
    minimum,
    select,
    splat,
    splat_index,
)

__all__ = [
    "NO_VECTOR",
    "SHORT_ROW",
    "Block",
    "Partial",
    "accumulate",
    "row_argmaxima",
    "row_maxima",
    "row_values",
    "take_first",
    "take_two",
    "transform",
    "transform_streaming",
]

NO_VECTOR = 1 << 62
SHORT_ROW = 2
"""Rows of so few classes times the lanes always go across them."""


class Block(NamedTuple):
    across: Bool
    classes: Int
    length: Int  # values: classes along the lanes, classes * LANES across them
    rows: Int  # rows that exist: 1, or up to LANES
    lanes: Int  # rows there is room for: 1 or LANES
    sample: Int  # number of the first row's sample
    slot: Int  # number of the block in its group, of which the first `slots`...
    slots: Int  # ...share their walks through memory


class Partial(NamedTuple):
    """Memory for sums on their way: LANES vectors of each."""

    hi: Pointer  # float64
    lo: Pointer
    big: Pointer  # of the element type
    small: Pointer


@staged
def row_values(b: Any, like: Any, values: Pointer) -> Wide:
    """Row values from memory, of one entry a row."""
    each = load_as_many(like, values, 0)
    return select(b.across, each, splat(each, values[0]))


@staged
def set_partial(partial: Any, index: Int, acc: Any) -> None:
    store(partial.hi, index, acc.sum)
    store(partial.lo, index, acc.residual)


@jitted
def accumulate_across(b: Any, partial: Any, step: Callable[..., Any], context: Any) -> Any:
    """Class k goes to partial sum k mod LANES, as it goes to that lane along the lanes.

    Short rows, which are never there, have one sum.
    """
    lanes = lanes_of(partial.big)
    used = 1 if b.classes <= SHORT_ROW * lanes else lanes
    for i in range(used):
        acc = acc_zero(partial.big)
        for k in range(i, b.classes - used, 2 * used):
            acc = step(context, k * lanes, lanes, (k + used) * lanes, lanes, acc)
        if (b.classes - i + used - 1) // used % 2 == 1:
            k = (b.classes - i - 1) // used * used + i
            acc = step(context, k * lanes, lanes, 0, 0, acc)
        set_partial(partial, i * lanes, acc)
    return fold_rows(partial.big, partial.hi, partial.lo, used)


@jitted
def accumulate(b: Any, partial: Any, step: Callable[..., Any], context: Any) -> Any:
    """Sums over the classes, as row values.

    step(context, offset, lanes, offset2, lanes2, acc) adds two vectors, of `lanes` values from
    `offset` and so on, to the accumulator and returns it. Of the second there may be none.
    """
    if b.across:
        return accumulate_across(b, partial, step, context)
    lanes = lanes_of(partial.big)
    acc = acc_zero(partial.big)
    full = b.length // lanes
    tail = b.length % lanes
    for i in range(0, full - 1, 2):
        acc = step(context, i * lanes, lanes, (i + 1) * lanes, lanes, acc)
    if full % 2 == 1:
        acc = step(context, (full - 1) * lanes, lanes, full * lanes, tail, acc)
    elif tail > 0:
        acc = step(context, full * lanes, tail, 0, 0, acc)
    return fold_acc(acc)


@jitted
def transform(b: Any, step: Callable[..., Any], context: Any, out: Pointer) -> None:
    """Each vector's new values, step(context, offset, lanes), to `out`."""
    lanes = lanes_of(out)
    full = b.length // lanes
    tail = b.length % lanes
    for i in range(full):
        store(out, i * lanes, step(context, i * lanes, lanes))
    if tail > 0:
        store_lanes(out, full * lanes, tail, step(context, full * lanes, tail))


@jitted
def transform_streaming(length: int, step: Callable[..., Any], context: Any, out: Pointer) -> None:
    """The same to memory that is not to be read again soon: by whole lines, past the caches."""
    lanes = lanes_of(out)
    before = (-address_in_line(out)) % CACHE_LINE // real_bytes(out)
    i = min(before, length)
    if i > 0:
        store_lanes(out, 0, i, step(context, 0, i))
    while i + lanes <= length:
        stream(out, i, step(context, i, lanes))
        i += lanes
    if i < length:
        store_lanes(out, i, length - i, step(context, i, length - i))


# --- the largest class -----------------------------------------------------------------------


class TopTwo(NamedTuple):
    """The largest and the second largest value of each lane."""

    first: Wide
    second: Wide


@staged
def no_tops(like: Pointer) -> TopTwo:
    lowest = splat(like, -np.inf)
    return TopTwo(lowest, lowest)


@staged
def take_first(t: Any, x: Wide) -> TopTwo:
    return TopTwo(maximum(x, t.first), t.second)


@staged
def take_two(t: Any, x: Wide) -> TopTwo:
    return TopTwo(maximum(x, t.first), maximum(minimum(x, t.first), t.second))


def merge_tops(a: Any, b: Any) -> TopTwo:
    second = maximum(minimum(a.first, b.first), maximum(a.second, b.second))
    return TopTwo(maximum(a.first, b.first), second)


@staged
def fold_tops(b: Any, t: Any) -> TopTwo:
    """Of rows along the lanes the two largest of all lanes, in every lane."""
    along = fold_lanes(t, lambda first, second: merge_tops(TopTwo(*first), TopTwo(*second)))
    first, second = (splat(t.first, each) for each in along)
    return TopTwo(select(b.across, t.first, first), select(b.across, t.second, second))


@staged
def close_tops(b: Any, t0: Any, t1: Any, t2: Any, t3: Any) -> TopTwo:
    return fold_tops(b, merge_tops(merge_tops(t0, t1), merge_tops(t2, t3)))


@jitted
def row_maxima(b: Any, x: Pointer, take: Callable[..., Any]) -> Any:
    """The maximum of each row and, if `take` is take_two, the largest value beside it.

    NaN is passed over.
    """
    lanes = lanes_of(x)
    full = b.length // lanes
    tail = b.length % lanes
    t0 = t1 = t2 = t3 = no_tops(x)
    fours = full // 4 * 4
    for i in range(0, fours, 4):
        t0 = take(t0, load(x, i * lanes))
        t1 = take(t1, load(x, (i + 1) * lanes))
        t2 = take(t2, load(x, (i + 2) * lanes))
        t3 = take(t3, load(x, (i + 3) * lanes))
    for i in range(fours, full):
        t0 = take(t0, load(x, i * lanes))
    if tail > 0:
        t0 = take(t0, load_lanes(x, full * lanes, tail, -np.inf))
    return close_tops(b, t0, t1, t2, t3)


@staged
def index_if_equal(x: Pointer, k: Int, m: Wide, index: Wide) -> Wide:
    """k in the lanes where class k is the maximum m, `index` in the others."""
    return select(load(x, k * lanes_of(x)) == m, splat_index(x, k), index)


@staged
def any_equal(a: Wide, b: Wide) -> Bool:
    return any_lane(a == b)


@staged
def first_equal(x: Pointer, index: Int, lanes: Int, m: Wide) -> Int:
    """The first lane of `lanes` in which the vector is m; LANES if there is none."""
    here = load_lanes(x, index, lanes, np.nan) == m
    lane_or_none = (select(here, iota(x), lanes_of(x)),)
    (lane,) = fold_lanes(lane_or_none, lambda a, b: (select(a[0] < b[0], a[0], b[0]),))
    return lane.to(index.kind)


@staged
def as_int64(index: Wide) -> Wide:
    return index.to(types.int64)


@jitted
def row_argmaxima(b: Any, x: Pointer, m: Wide) -> Wide:
    """The first class at which each row has its maximum, 0 where it has none, all being NaN."""
    lanes = lanes_of(x)
    if b.across:
        index = splat_index(x, 0)
        for i in range(b.classes):
            index = index_if_equal(x, b.classes - 1 - i, m, index)
        return as_int64(index)
    k = 0
    while k + lanes <= b.length and not any_equal(load(x, k), m):
        k += lanes
    k += first_equal(x, k, min(b.length - k, lanes), m)
    return splat(as_int64(splat_index(x, 0)), k if k < b.length else 0)
