"""Rows of which these are a shard of the classes, the others being elsewhere.

What a shard comes to is a state of a few float64 a row; states are merged, and from the whole row's
a shard makes its own part of the probabilities or of the gradient. As all in it is relative to the
row's maximum itself, it does not depend on how exponentials are kept here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .block import row_values
from .compilation import Kernel, jitted
from .exponential import find_shifts, shifted_exp
from .gradients import sum_dense
from .job import CHUNKS, ArrayJob, array_job, array_type, next_range, no_view, sample_at, view_of
from .memory import element_at, keep, load_lanes, set_element_at, store
from .numba_api import types
from .pack import close_job, close_output, finish, open_output, open_view
from .pool import with_helpers
from .probabilities import all_finite, with_nans
from .rows import (
    cut_scratch,
    exponentials_of,
    factors_of,
    find_peaks,
    pick,
    scratch_bytes,
    share_of,
    sum_rest,
    times_factor,
    whole_of,
    wide_factors,
)
from .staging import Int, Pointer, Wide, staged
from .sums import Sum, sum_plus, sum_quotient
from .walk import most_slots, next_block, slot_scratch
from .words import fma, is_finite, select, to_float64, to_real

__all__ = ["PARTIAL_STATE", "SHARD_EXPONENTIALS"]

# The numbers of a state; the sums are two each, hi and lo.
MAXIMUM = 0  # M; NaN where there is a NaN in the row
REST = 1  # the sum of e^(x - M) without the largest class, times REST_SCALE
DISTANCE = 3  # the sum of y (M - x)
MASS = 5  # the sum of y without the largest class, ...
TOP = 7  # ... and its own y

REST_SCALE = 2.0**256
"""With it no rest that matters is subnormal: a weight may make it large again."""

# What makes a row's output from its exponentials: factor e^(x - M) - target y, but `apart` where x
# is M, if `apart` is not NaN.
ROW_MAXIMUM, ROW_FACTOR, ROW_TARGET, ROW_APART = 0, 1, 3, 4


@staged
def open_state_job(x: Any, targets: Any, state: Any) -> ArrayJob:
    return array_job(x, targets, state, ends_in_loss=True, masked=False, results=True)


@staged
def open_shard_job(x: Any, targets: Any, numbers: Any, out: Any) -> ArrayJob:
    job = array_job(x, targets, out, ends_in_loss=False, masked=False)
    return job._replace(results=view_of(numbers))


# --- from logits to a state ------------------------------------------------------------------


@jitted
def put_number(job: Any, b: Any, s: Any, number: int, values: Wide) -> None:
    store(s.doubles, 0, values)
    place = number * job.results.classes
    for i in range(b.rows):
        set_element_at(sample_at(job.shape, job.results, b.sample + i), place, s.doubles[i])


@jitted
def put_sum(job: Any, b: Any, s: Any, number: int, values: Any) -> None:
    put_number(job, b, s, number, values.hi)
    put_number(job, b, s, number + 1, values.lo)


@staged
def maximum_of(p: Any) -> Wide:
    """Infinities alone may make a NaN of the rest, too."""
    m = to_float64(p.maximum)
    return select(is_finite(m) & (p.rest.hi != p.rest.hi), np.nan, m)


@staged
def rest_of(p: Any, maximum: Wide) -> Sum:
    """A row without a finite maximum has no sums."""
    scaled = Sum(p.rest.hi * REST_SCALE, p.rest.lo * REST_SCALE)
    ratio = sum_quotient(scaled, p.top)
    return Sum(*(select(is_finite(maximum), part, 0) for part in ratio))


@jitted
def put_row(job: Any, b: Any, s: Any, x: Pointer, p: Any) -> None:
    """Without its targets."""
    maximum = maximum_of(p)
    if not all_finite(maximum):
        maximum = with_nans(b, s, x, maximum)  # NaN stays NaN
    put_number(job, b, s, MAXIMUM, maximum)
    put_sum(job, b, s, REST, rest_of(p, maximum))


@staged
def distance_of(p: Any, d: Any) -> Sum:
    """Of a row at -inf each class that is wanted is infinitely far from the maximum elsewhere."""
    finite = is_finite(to_float64(p.maximum))
    beyond = select(d.total.hi == 0, d.total.hi.like(0), np.inf)
    return Sum(select(finite, d.below.hi, beyond), select(finite, d.below.lo, 0))


@staged
def mass_of(d: Any, top: Wide) -> Sum:
    less = -to_float64(top)
    return sum_plus(d.total, Sum(less, less.like(0)))


@staged
def as_float64(values: Wide) -> Wide:
    return to_float64(values)


@jitted
def put_targets(job: Any, b: Any, s: Any, y: Pointer, p: Any, d: Any) -> None:
    top = pick(b, s, y, p.at)
    put_sum(job, b, s, DISTANCE, distance_of(p, d))
    put_sum(job, b, s, MASS, mass_of(d, top))
    put_number(job, b, s, TOP, as_float64(top))


@jitted
def partial_state_rows(job: Any, begin: int, end: int, scratch: Any) -> None:
    sample = begin
    most = most_slots(job)
    while sample < end:
        b = next_block(job, begin, sample, end, most)
        s = slot_scratch(scratch, b)
        x = open_view(job.shape, job.input, b, s.x, no_view(s), 0.0)
        p = find_peaks(b, x)
        if job.other.exists:
            y = open_view(job.shape, job.other, b, s.y, no_view(s), 0.0)
            put_targets(job, b, s, y, p, sum_dense(True, b, s, x, y, p.maximum))
        put_row(job, b, s, x, sum_rest(b, s, x, s.e, p, False))
        sample += b.rows


# --- from the whole row's state to the output ------------------------------------------------


@jitted
def read_number(job: Any, b: Any, s: Any, number: int) -> Wide:
    place = number * job.results.classes
    for i in range(b.lanes):
        sample = b.sample + i if i < b.rows else b.sample
        s.doubles[i] = element_at(sample_at(job.shape, job.results, sample), place)
    return row_values(b, s.x, s.doubles)


class ShardRows(NamedTuple):
    """What is given of a block's rows."""

    shift: Any
    share: Any
    target: Wide
    at: Wide
    apart: Wide


@staged
def shard_rows_of(like: Any, m: Wide, hi: Wide, lo: Wide, target: Wide, apart: Wide) -> ShardRows:
    maximum = to_real(like, m)
    shift = find_shifts(maximum, maximum)
    share = share_of(like, Sum(hi, lo), whole_of(maximum, exponentials_of(maximum, shift)))
    apart = to_real(like, apart)
    at = select(apart != apart, np.nan, maximum)
    return ShardRows(shift, share, to_real(like, target), at, apart)


@jitted
def read_rows(job: Any, b: Any, s: Any) -> Any:
    return shard_rows_of(
        s.x,
        read_number(job, b, s, ROW_MAXIMUM),
        read_number(job, b, s, ROW_FACTOR),
        read_number(job, b, s, ROW_FACTOR + 1),
        read_number(job, b, s, ROW_TARGET),
        read_number(job, b, s, ROW_APART),
    )


class ShardExponentials(NamedTuple):
    x: Pointer
    y: Pointer
    shift: Any
    power: Wide
    factor: Any
    target: Wide
    at: Wide
    apart: Wide


@staged
def shard_exponentials_of(x: Pointer, y: Pointer, r: Any, factors: Any) -> ShardExponentials:
    factor = wide_factors(factors)
    return ShardExponentials(x, y, r.shift, factors.power, factor, r.target, r.at, r.apart)


def share_at(c: Any, x: Wide) -> Wide:
    return times_factor(shifted_exp(x, c.shift).e * c.power, c.factor)


@staged
def share_step(c: Any, offset: Int, lanes: Int) -> Wide:
    return share_at(c, load_lanes(c.x, offset, lanes, 0))


@staged
def less_step(c: Any, offset: Int, lanes: Int) -> Wide:
    x = load_lanes(c.x, offset, lanes, 0)
    less = fma(-load_lanes(c.y, offset, lanes, 0), c.target, share_at(c, x))
    return select(x == c.at, c.apart, less)


@jitted
def shard_exponentials_rows(job: Any, begin: int, end: int, scratch: Any) -> None:
    sample = begin
    most = most_slots(job)
    while sample < end:
        b = next_block(job, begin, sample, end, most)
        s = slot_scratch(scratch, b)
        x = open_view(job.shape, job.input, b, s.x, no_view(s), 0.0)
        y = x
        if job.other.exists:
            y = open_view(job.shape, job.other, b, s.y, no_view(s), 0.0)
        e = open_output(job, job.out, b, s.e)
        r = read_rows(job, b, s)
        c = shard_exponentials_of(x, y, r, factors_of(s, r.share))
        if job.other.exists:
            finish(job, job.out, b, less_step, c, e)
        else:
            finish(job, job.out, b, share_step, c, e)
        close_output(job, job.out, b, s, e, no_view(s), 0.0)
        sample += b.rows


# --- the kernels -----------------------------------------------------------------------------


@jitted
def partial_state_chunks(job: Any, chunk: int, shared: Any) -> None:
    memory = np.empty(scratch_bytes(job), np.uint8)
    s = cut_scratch(job, memory)
    begin, end, _ = next_range(job, chunk, shared)
    while begin < end:
        partial_state_rows(job, begin, end, s)
        begin, end, _ = next_range(job, chunk, shared)
    keep(memory)


def partial_state(x: Any, targets: Any, state: Any, chunk: int, shared: Any) -> None:
    job = open_state_job(x, targets, state)
    with_helpers(partial_state_chunks, (job, chunk, shared), shared)


@jitted
def shard_exponentials_chunks(job: Any, chunk: int, shared: Any) -> None:
    memory = np.empty(scratch_bytes(job), np.uint8)
    s = cut_scratch(job, memory)
    begin, end, _ = next_range(job, chunk, shared)
    while begin < end:
        shard_exponentials_rows(job, begin, end, s)
        begin, end, _ = next_range(job, chunk, shared)
    close_job(job)
    keep(memory)


def shard_exponentials(
    x: Any, targets: Any, numbers: Any, out: Any, chunk: int, shared: Any
) -> None:
    job = open_shard_job(x, targets, numbers, out)
    with_helpers(shard_exponentials_chunks, (job, chunk, shared), shared)


def _state_signature(real: Any) -> tuple[Any, ...]:
    rows = array_type(real, 3, True)
    return rows, rows, array_type(types.float64, 3, False), *CHUNKS


def _exponentials_signature(real: Any) -> tuple[Any, ...]:
    rows = array_type(real, 3, True)
    numbers = array_type(types.float64, 3, True)
    return rows, rows, numbers, array_type(real, 3, False), *CHUNKS


PARTIAL_STATE = Kernel(partial_state, _state_signature)
SHARD_EXPONENTIALS = Kernel(shard_exponentials, _exponentials_signature)
