"""The mean gradient: a chunk's sums over its rows of share e - target y, and the total of chunks.

In float64 for float32 and in pairs of float64 for float64, straight from the exponentials. A row's
class that is treated apart is added apart.

Rows along the lanes wait until there are WAITING of them, so that the sums are not read and written
for each; they have their exponentials in scratch rows of their own. Rows across the lanes have a
sum in each lane.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .compilation import jitted
from .memory import (
    data,
    lengths_of,
    load_as_many,
    load_lanes,
    offset,
    read_shared,
    store,
    write_shared,
)
from .real import lanes_of, room
from .rows import take_powers
from .scratch import WAITING, row_pitch
from .staging import Int, Number, Pointer, Wide, staged
from .sums import (
    Accumulator,
    Sum,
    acc_add_scaled,
    acc_load,
    acc_store,
    fold_sum,
    sum_plus,
    sum_zero,
)
from .words import first_lane, is_double, select, splat, to_float64, yield_thread

__all__ = ["add_to_mean", "close_mean", "mean_row", "merge_mean", "open_mean"]


class MeanSums(NamedTuple):
    """Sums hi + lo: LANES a class across the lanes, else one."""

    hi: Pointer
    lo: Pointer


class Mean(NamedTuple):
    sums: Any
    result: Any  # where they go when the chunk is done, one a class
    only: Any  # whether there is no other chunk: the result is the total


@staged
def total_of(mean_sums: Any) -> MeanSums:
    _, pitch = lengths_of(mean_sums)
    hi = data(mean_sums)
    return MeanSums(hi, offset(hi, pitch))


@staged
def mean_of_chunk(job: Any, s: Any, mean_sums: Any, begin: Int, end: Int) -> Mean:
    only = (begin == 0) & (end == job.shape.outer * job.shape.inner)
    total = total_of(mean_sums)
    hi, lo = select(only, total.hi, s.own_hi), select(only, total.lo, s.own_lo)
    sums = MeanSums(select(job.across, s.mean_hi, hi), select(job.across, s.mean_lo, lo))
    return Mean(sums, MeanSums(hi, lo), only)


@jitted
def open_mean(job: Any, s: Any, mean_sums: Any, begin: int, end: int) -> Any:
    mean = mean_of_chunk(job, s, mean_sums, begin, end)
    if job.want_mean_grad:
        length = job.shape.classes * lanes_of(s.x) if job.across else mean_sums.shape[1]
        for i in range(length):
            mean.sums.hi[i] = 0.0
            mean.sums.lo[i] = 0.0
    return mean


def waiting_row(shape: Any, s: Any, number: Int) -> Pointer:
    return offset(s.e, number * row_pitch(s.x, shape.classes))


@staged
def mean_row(b: Any, s: Any, waiting: Int) -> Pointer:
    """Where a row's exponentials may wait."""
    return select(b.across, s.e, waiting_row(b, s, waiting))


@staged
def add_to_sum(like: Pointer, sums: Any, index: Int, value: Number) -> None:
    """sums[index] += value."""
    zero = sum_zero(like)
    before = Sum(splat(zero.hi, sums.hi[index]), splat(zero.hi, sums.lo[index]))
    total = sum_plus(before, Sum(splat(zero.hi, value), zero.lo))
    sums.hi[index] = first_lane(total.hi)
    if is_double(like):
        sums.lo[index] = first_lane(total.lo)


# --- rows that wait --------------------------------------------------------------------------


@staged
def add_waiting_row(shape: Any, s: Any, i: Int, k: Int, lanes: Int, acc: Any) -> Accumulator:
    e = load_lanes(waiting_row(shape, s, i), k, lanes, 0)
    share = Sum(splat(acc.sum, s.waiting_hi[i]), splat(acc.sum, s.waiting_lo[i]))
    return acc_add_scaled(acc, e, share)


@staged
def add_all_waiting(shape: Any, s: Any, sums: Any, k: Int) -> None:
    acc = acc_load(s.x, sums, k)
    for i in range(WAITING):
        acc = add_waiting_row(shape, s, k.like(i), k, k.like(lanes_of(s.x)), acc)
    acc_store(s.x, sums, k, acc)


@staged
def load_sums(s: Any, sums: Any, k: Int) -> Accumulator:
    return acc_load(s.x, sums, k)


@staged
def store_sums(s: Any, sums: Any, k: Int, acc: Any) -> None:
    acc_store(s.x, sums, k, acc)


@jitted
def add_waiting_rows(shape: Any, s: Any, sums: Any, waiting: int) -> None:
    lanes = lanes_of(s.x)
    first = 0
    if waiting == WAITING:
        first = shape.classes - shape.classes % lanes
        for k in range(0, first, lanes):
            add_all_waiting(shape, s, sums, k)
    for k in range(first, shape.classes, lanes):
        acc = load_sums(s, sums, k)
        for i in range(waiting):
            acc = add_waiting_row(shape, s, i, k, min(lanes, shape.classes - k), acc)
        store_sums(s, sums, k, acc)
    for i in range(waiting):
        add_to_sum(s.x, sums, s.waiting_at[i], s.waiting_apart[i])


@staged
def mean_share(like: Pointer, g: Any) -> Any:
    """In float64, what has been split of it has been taken out of the exponentials."""
    if is_double(like):
        return Sum(g.factors.hi, g.factors.lo)
    return Sum(g.share.hi * room(like), g.share.lo)


@staged
def wait_for_more(s: Any, e: Pointer, g: Any, i: Int) -> None:
    at, share = first_lane(g.at), mean_share(s.x, g)
    s.waiting_at[i] = at
    s.waiting_apart[i] = to_float64(first_lane(g.apart))
    s.waiting_hi[i] = first_lane(share.hi)
    s.waiting_lo[i] = first_lane(share.lo)
    e[at] = 0


# --- whole blocks ----------------------------------------------------------------------------


@staged
def share_of_targets(target: Wide) -> Sum:
    less = -to_float64(target)
    return Sum(less, less.like(0))


@staged
def add_scaled(p: Pointer, k: Int, lanes: Int, share: Any, acc: Any) -> Accumulator:
    return acc_add_scaled(acc, load_lanes(p, k, lanes, 0), share)


@jitted
def add_block_to_mean(b: Any, s: Any, e: Pointer, t: Any, g: Any, sums: Any) -> None:
    """A block at once: any but rows along the lanes whose targets are labels.

    What the class treated apart would add is undone.
    """
    share, less = mean_share(s.x, g), share_of_targets(g.target)
    lanes = lanes_of(s.x)
    store(s.places, 0, g.at)
    store(s.reals, 0, g.apart)
    for i in range(b.lanes):
        at = s.places[i] * b.lanes + i
        s.doubles[i] = sums.hi[at]
        s.doubles2[i] = sums.lo[at]
    for k in range(0, b.length, lanes):
        present = min(lanes, b.length - k)
        acc = add_scaled(e, k, present, share, load_sums(s, sums, k))
        if t.any_dense:
            acc = add_scaled(t.y, k, present, less, acc)
        store_sums(s, sums, k, acc)
    for i in range(b.lanes):
        at = s.places[i] * b.lanes + i
        sums.hi[at] = s.doubles[i]
        sums.lo[at] = s.doubles2[i]
        add_to_sum(s.x, sums, at, to_float64(s.reals[i]))


@staged
def without_powers(g: Any) -> Any:
    return g._replace(factors=g.factors._replace(split=False))


@jitted
def add_to_mean(
    job: Any, b: Any, s: Any, e: Pointer, t: Any, g: Any, mean: Any, waiting: int
) -> Any:
    """The gradients as they are to be written, if they are, and how many rows wait."""
    if is_double(s.x):
        take_powers(b, e, g.factors)
        g = without_powers(g)
    if not (b.across or t.any_dense or job.out.exists):
        wait_for_more(s, e, g, waiting)
        waiting += 1
        if waiting == WAITING:
            add_waiting_rows(job.shape, s, mean.sums, waiting)
            waiting = 0
        return g, waiting
    if waiting > 0:
        add_waiting_rows(job.shape, s, mean.sums, waiting)
    add_block_to_mean(b, s, e, t, g, mean.sums)
    return g, 0


# --- the end of a chunk ----------------------------------------------------------------------


@staged
def folded(like: Pointer, sums: Any, index: Int) -> Sum:
    each = Sum(load_as_many(like, sums.hi, index), load_as_many(like, sums.lo, index))
    return Sum(*map(first_lane, fold_sum(each)))


@jitted
def close_mean(job: Any, s: Any, mean: Any, waiting: int) -> None:
    if waiting > 0:
        add_waiting_rows(job.shape, s, mean.sums, waiting)
    if job.across:
        for k in range(job.shape.classes):
            total = folded(s.x, mean.sums, k * lanes_of(s.x))
            mean.result.hi[k] = total.hi
            mean.result.lo[k] = total.lo


@staged
def merge_sums(like: Pointer, total: Any, more: Any, k: Int) -> None:
    a, b = (Accumulator(*acc_load(like, sums, k)) for sums in (total, more))
    acc_store(like, total, k, Accumulator(*sum_plus(Sum(*a), Sum(*b))))


@staged
def copy_sums(like: Pointer, total: Any, more: Any, k: Int) -> None:
    acc_store(like, total, k, Accumulator(*acc_load(like, more, k)))


@jitted
def merge_mean(job: Any, s: Any, mean: Any, mean_sums: Any, number: int, shared: Any) -> None:
    """Add a chunk's mean gradient to the total.

    In the order of the chunks, whichever threads did them, so that the bits do not depend on it.
    The first is the total as it stands.
    """
    if mean.only:
        return
    while read_shared(shared, 1) != number:
        yield_thread(number)
    for k in range(0, job.shape.classes, lanes_of(s.x)):
        if number == 0:
            copy_sums(s.x, total_of(mean_sums), mean.result, k)
        else:
            merge_sums(s.x, total_of(mean_sums), mean.result, k)
    write_shared(shared, 1, number + 1)
