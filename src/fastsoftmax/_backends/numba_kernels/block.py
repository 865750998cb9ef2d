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
from .memory import load, load_as_many, load_lanes, store, store_lanes
from .numba_api import types
from .real import lanes_of
from .staging import Bool, Int, Pointer, Wide, staged
from .sums import Accumulator, acc_zero, fold_acc, fold_rows
from .words import (
    any_lane,
    first_lane,
    fold_lanes,
    index_from,
    iota,
    maximum,
    select,
    splat,
    splat_index,
    to_float64,
)

__all__ = [
    "NO_VECTOR",
    "Block",
    "Partial",
    "accumulate",
    "row_argmaxima",
    "row_maxima",
    "row_values",
    "skip_lanes",
    "transform",
]

NO_VECTOR = 1 << 62


class Block(NamedTuple):
    across: Bool
    classes: Int
    length: Int  # values: classes along the lanes, classes * LANES across them
    rows: Int  # rows that exist: 1, or up to LANES
    lanes: Int  # rows there is room for: 1 or LANES
    sample: Int  # number of the first row's sample


class Partial(NamedTuple):
    """Memory for sums on their way: LANES vectors of each."""

    hi: Pointer
    lo: Pointer
    residual: Pointer


@staged
def row_values(b: Any, like: Any, values: Pointer) -> Wide:
    """Row values from memory, of one entry a row."""
    each = load_as_many(like, values, 0)
    return select(b.across, each, splat(each, values[0]))


@staged
def partial_at(partial: Any, index: Int) -> Any:
    sums = load_as_many(partial.residual, partial.hi, index)
    return Accumulator(sums, load(partial.residual, index))


@staged
def set_partial(partial: Any, index: Int, acc: Any) -> None:
    store(partial.hi, index, acc.sum)
    store(partial.residual, index, acc.residual)


@staged
def store_residual(partial: Any, index: Int) -> None:
    store(partial.lo, index, to_float64(load(partial.residual, index)))


@jitted
def accumulate_across(
    b: Any, partial: Any, step: Callable[..., Any], context: Any, special: bool
) -> Any:
    """Class k goes to partial sum k mod LANES, as it goes to that lane along the lanes."""
    lanes = lanes_of(partial.residual)
    used = min(b.classes, lanes)
    for k in range(used):
        at = k * lanes
        set_partial(partial, at, step(context, at, lanes, k, special, acc_zero(partial.residual)))
    for k in range(used, b.classes):
        at = k % lanes * lanes
        acc = step(context, k * lanes, lanes, k, special, partial_at(partial, at))
        set_partial(partial, at, acc)
    for i in range(used):
        store_residual(partial, i * lanes)
    return fold_rows(partial.residual, partial.hi, partial.lo, used)


@jitted
def accumulate(b: Any, partial: Any, step: Callable[..., Any], context: Any, special: int) -> Any:
    """Sums over the classes, as row values.

    step(context, offset, lanes, vector, special, acc) adds vector number `vector`, of `lanes`
    values from `offset`, to the accumulator and returns it. `special` is the number of the vector
    with a class that the operation treats apart; across the lanes any may have one.
    """
    if b.across:
        return accumulate_across(b, partial, step, context, special != NO_VECTOR)
    lanes = lanes_of(partial.residual)
    acc = acc_zero(partial.residual)
    full = b.length // lanes
    tail = b.length % lanes
    first_part = min(special, full)
    for i in range(first_part):
        acc = step(context, i * lanes, lanes, i, False, acc)
    if special < full:
        acc = step(context, special * lanes, lanes, special, True, acc)
    for i in range(first_part + 1, full):
        acc = step(context, i * lanes, lanes, i, False, acc)
    if tail > 0:
        acc = step(context, full * lanes, tail, full, special == full, acc)
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


# --- the largest class -----------------------------------------------------------------------


@staged
def maxima_of(b: Any, m: Wide) -> Wide:
    (along,) = fold_lanes((m,), lambda first, second: (maximum(*first, *second),))
    return select(b.across, m, splat(m, along))


@jitted
def row_maxima(b: Any, x: Pointer) -> Wide:
    """The maximum of each row; NaN is passed over."""
    lanes = lanes_of(x)
    full = b.length // lanes
    tail = b.length % lanes
    m0 = m1 = m2 = m3 = splat(x, -np.inf)
    fours = full // 4 * 4
    for i in range(0, fours, 4):
        m0 = maximum(load(x, i * lanes), m0)
        m1 = maximum(load(x, (i + 1) * lanes), m1)
        m2 = maximum(load(x, (i + 2) * lanes), m2)
        m3 = maximum(load(x, (i + 3) * lanes), m3)
    for i in range(fours, full):
        m0 = maximum(load(x, i * lanes), m0)
    if tail > 0:
        m0 = maximum(load_lanes(x, full * lanes, tail, -np.inf), m0)
    return maxima_of(b, maximum(maximum(m0, m1), maximum(m2, m3)))


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


@staged
def skip_lanes(b: Any, like: Pointer, at: Wide) -> Any:
    """In each lane the number of the vector at which it is to be passed over, for each row's class.

    With it the number of one such vector.
    """
    lanes, first = lanes_of(like), first_lane(at)
    is_its_lane = iota(like) == splat_index(like, first % lanes)
    along = select(is_its_lane, splat_index(like, first // lanes), -1)
    return select(b.across, index_from(like, at), along), first // lanes
