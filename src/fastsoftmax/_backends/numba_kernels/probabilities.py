"""softmax, log_softmax and logsumexp."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .block import row_maxima, row_values, take_first
from .compilation import Kernel, jitted
from .exponential import find_shifts
from .exponential_sums import sum_exponentials
from .job import (
    CHUNKS,
    ArrayJob,
    array_job,
    array_type,
    next_range,
    plain_job,
    view_of,
)
from .memory import keep, load_lanes, same_or_apart, store
from .numba_api import types
from .pack import close_job, close_output, finish, open_output, open_view, store_results
from .pool import with_helpers
from .rows import (
    cut_scratch,
    factors_of,
    find_peaks,
    log_of_rest,
    scale_rows,
    scratch_bytes,
    share_of,
    sum_rest,
    whole_of,
)
from .staging import Bool, Int, Pointer, Wide, staged
from .sums import Sum
from .walk import most_slots, next_block, slot_scratch
from .words import any_lane, is_finite, select, to_float64, to_real

__all__ = [
    "LOGSUMEXP",
    "LOG_SOFTMAX",
    "PLAIN_LOG_SOFTMAX",
    "PLAIN_SOFTMAX",
    "SOFTMAX",
    "all_finite",
    "with_nans",
]


@staged
def open_job(x: Any, where: Any, out: Any) -> ArrayJob:
    return array_job(x, where, out, ends_in_loss=False, masked=view_of(where).exists)


@staged
def open_log_job(x: Any, where: Any, out: Any) -> ArrayJob:
    return array_job(x, where, out, ends_in_loss=True, masked=view_of(where).exists)


@staged
def open_sum_job(x: Any, where: Any, out: Any) -> ArrayJob:
    masked = view_of(where).exists
    return array_job(x, where, out, ends_in_loss=True, masked=masked, results=True)


@staged
def inverse_of(s: Any, m: Wide, total: Any) -> Sum:
    return share_of(s.x, Sum(total.hi.like(1), total.hi.like(0)), whole_of(m, total))


@jitted
def softmax_rows(job: Any, begin: int, end: int, scratch: Any) -> None:
    sample = begin
    most = most_slots(job)
    while sample < end:
        b = next_block(job, begin, sample, end, most)
        s = slot_scratch(scratch, b)
        x = open_view(job.shape, job.input, b, s.x, job.other, -np.inf)
        e = open_output(job, job.out, b, s.e)
        m = row_maxima(b, x, take_first).first
        total = sum_exponentials(b, s.partial, x, e, find_shifts(m, m))
        scale_rows(job, b, e, factors_of(s, inverse_of(s, m, total)))
        close_output(job, job.out, b, s, e, job.other, 0.0)
        sample += b.rows


class LogScaling(NamedTuple):
    x: Pointer
    maximum: Wide
    log_rest: Wide


@staged
def log_scaling_of(x: Pointer, p: Any) -> LogScaling:
    return LogScaling(x, p.maximum, to_real(x, log_of_rest(p)))


@staged
def log_step(c: Any, offset: Int, lanes: Int) -> Wide:
    return load_lanes(c.x, offset, lanes, 0) - c.maximum - c.log_rest


@jitted
def log_softmax_rows(job: Any, begin: int, end: int, scratch: Any) -> None:
    """(x - M) - log(1 + rest / top): two terms of one sign."""
    sample = begin
    most = most_slots(job)
    while sample < end:
        b = next_block(job, begin, sample, end, most)
        s = slot_scratch(scratch, b)
        x = open_view(job.shape, job.input, b, s.x, job.other, -np.inf)
        e = open_output(job, job.out, b, s.e)
        p = sum_rest(b, s, x, e, find_peaks(b, x), False)
        finish(job, job.out, b, log_step, log_scaling_of(x, p), e)
        close_output(job, job.out, b, s, e, job.other, -np.inf)
        sample += b.rows


@staged
def logsumexp_of(p: Any) -> Wide:
    m = to_float64(p.maximum)
    return select(is_finite(m), m + log_of_rest(p), m)


@staged
def all_finite(values: Wide) -> Bool:
    return ~any_lane(~is_finite(values))


@jitted
def has_nan(b: Any, x: Pointer, row: int) -> Bool:
    found = False
    for k in range(b.classes):
        found |= np.isnan(x[k * b.lanes + row])
    return found


@jitted
def with_nans(b: Any, s: Any, x: Pointer, values: Wide) -> Wide:
    """An infinite maximum is the result, unless there is a NaN."""
    store(s.doubles, 0, values)
    for i in range(b.lanes):
        if not is_finite(s.doubles[i]) and has_nan(b, x, i):
            s.doubles[i] = np.nan
    return row_values(b, s.x, s.doubles)


@jitted
def logsumexp_rows(job: Any, begin: int, end: int, scratch: Any) -> None:
    sample = begin
    most = most_slots(job)
    while sample < end:
        b = next_block(job, begin, sample, end, most)
        s = slot_scratch(scratch, b)
        x = open_view(job.shape, job.input, b, s.x, job.other, -np.inf)
        values = logsumexp_of(sum_rest(b, s, x, s.e, find_peaks(b, x), False))
        if not all_finite(values):
            values = with_nans(b, s, x, values)
        store_results(job.shape, job.results, b, s, values)
        sample += b.rows


# --- the kernels: chunk after chunk, as long as there is one that no thread has taken -----------


@jitted
def softmax_chunks(job: Any, chunk: int, shared: Any) -> None:
    memory = np.empty(scratch_bytes(job), np.uint8)
    s = cut_scratch(job, memory)
    begin, end, _ = next_range(job, chunk, shared)
    while begin < end:
        softmax_rows(job, begin, end, s)
        begin, end, _ = next_range(job, chunk, shared)
    close_job(job)
    keep(memory)


def softmax(x: Any, where: Any, out: Any, chunk: int, shared: Any) -> None:
    with_helpers(softmax_chunks, (open_job(x, where, out), chunk, shared), shared)


@jitted
def log_softmax_chunks(job: Any, chunk: int, shared: Any) -> None:
    memory = np.empty(scratch_bytes(job), np.uint8)
    s = cut_scratch(job, memory)
    begin, end, _ = next_range(job, chunk, shared)
    while begin < end:
        log_softmax_rows(job, begin, end, s)
        begin, end, _ = next_range(job, chunk, shared)
    close_job(job)
    keep(memory)


def log_softmax(x: Any, where: Any, out: Any, chunk: int, shared: Any) -> None:
    with_helpers(log_softmax_chunks, (open_log_job(x, where, out), chunk, shared), shared)


@jitted
def logsumexp_chunks(job: Any, chunk: int, shared: Any) -> None:
    memory = np.empty(scratch_bytes(job), np.uint8)
    s = cut_scratch(job, memory)
    begin, end, _ = next_range(job, chunk, shared)
    while begin < end:
        logsumexp_rows(job, begin, end, s)
        begin, end, _ = next_range(job, chunk, shared)
    keep(memory)


def logsumexp(x: Any, where: Any, out: Any, chunk: int, shared: Any) -> None:
    with_helpers(logsumexp_chunks, (open_sum_job(x, where, out), chunk, shared), shared)


# --- plain calls: small arrays in C order, at once ------------------------------------------------


@staged
def open_plain_job(x: Any, out: Any) -> ArrayJob:
    return plain_job(x, out, ends_in_loss=False)


@staged
def open_plain_log_job(x: Any, out: Any) -> ArrayJob:
    return plain_job(x, out, ends_in_loss=True)


def plain_softmax(x: Any, out: Any) -> bool:
    """False, and nothing done, where the arrays overlap or their shapes differ."""
    if x.shape != out.shape or not same_or_apart(x, out):
        return False
    job = open_plain_job(x, out)
    memory = np.empty(scratch_bytes(job), np.uint8)
    softmax_rows(job, 0, x.shape[0], cut_scratch(job, memory))
    keep(memory)
    return True


def plain_log_softmax(x: Any, out: Any) -> bool:
    """The same of log_softmax."""
    if x.shape != out.shape or not same_or_apart(x, out):
        return False
    job = open_plain_log_job(x, out)
    memory = np.empty(scratch_bytes(job), np.uint8)
    log_softmax_rows(job, 0, x.shape[0], cut_scratch(job, memory))
    keep(memory)
    return True


def _signature(real: Any, out_axes: int) -> tuple[Any, ...]:
    x, where = array_type(real, 3, True), array_type(types.uint8, 3, True)
    return x, where, array_type(real, out_axes, False), *CHUNKS


SOFTMAX = Kernel(softmax, lambda real: _signature(real, 3))
LOG_SOFTMAX = Kernel(log_softmax, lambda real: _signature(real, 3))
LOGSUMEXP = Kernel(logsumexp, lambda real: _signature(real, 2))


def _plain_signature(real: Any) -> tuple[Any, ...]:
    return types.Array(real, 2, "C", readonly=True), types.Array(real, 2, "C")


PLAIN_SOFTMAX = Kernel(plain_softmax, _plain_signature)
PLAIN_LOG_SOFTMAX = Kernel(plain_log_softmax, _plain_signature)
