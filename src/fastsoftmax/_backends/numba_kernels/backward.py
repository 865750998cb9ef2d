"""Vector-Jacobian products of softmax and log_softmax."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .block import accumulate, row_maxima, row_values, take_first
from .compilation import Kernel, jitted
from .exponential import find_shifts, shifted_exp
from .job import CHUNKS, ArrayJob, array_job, array_type, next_range, no_view
from .memory import keep, load_lanes, store
from .pack import close_job, close_output, finish, open_output, open_view
from .pool import with_helpers
from .real import power_factor
from .rows import factors_of, times_factor, wide_factors
from .scratch import cut_scratch, scratch_bytes
from .staging import Bool, Int, Pointer, Wide, staged
from .sums import Sum, acc_add, acc_add_product, sum_times
from .walk import most_slots, next_block, slot_scratch
from .words import any_lane, is_finite, select, to_float64, to_real, two_to

__all__ = ["LOG_SOFTMAX_BACKWARD", "SOFTMAX_BACKWARD"]


@staged
def open_job(grad_output: Any, output: Any, out: Any) -> ArrayJob:
    return array_job(grad_output, output, out, ends_in_loss=False, masked=False)


class Inputs(NamedTuple):
    g: Pointer
    output: Pointer


@staged
def product_step(c: Any, offset: Int, lanes: Int, offset2: Int, lanes2: Int, acc: Any) -> Any:
    for each in ((offset, lanes, 0), (offset2, lanes2, 0)):
        acc = acc_add_product(acc, load_lanes(c.g, *each), load_lanes(c.output, *each))
    return acc


@staged
def sum_step(c: Any, offset: Int, lanes: Int, offset2: Int, lanes2: Int, acc: Any) -> Any:
    acc = acc_add(acc, load_lanes(c.g, offset, lanes, 0))
    return acc_add(acc, load_lanes(c.g, offset2, lanes2, 0))


# --- softmax ---------------------------------------------------------------------------------


class Backward(NamedTuple):
    g: Pointer
    output: Pointer
    hi: Wide
    lo: Wide


@staged
def softmax_backward_step(c: Any, offset: Int, lanes: Int) -> Wide:
    """p (g - sum g p)"""
    g, p = load_lanes(c.g, offset, lanes, 0), load_lanes(c.output, offset, lanes, 0)
    return p * (g - c.hi - c.lo)


@staged
def backward_of(g: Pointer, p: Pointer, total: Any) -> Backward:
    hi = to_real(g, total.hi)
    lo = to_real(g, total.hi - to_float64(hi) + total.lo)
    return Backward(g, p, hi, select(is_finite(hi), lo, 0))


@jitted
def softmax_backward_rows(job: Any, begin: int, end: int, scratch: Any) -> None:
    sample = begin
    most = most_slots(job)
    while sample < end:
        b = next_block(job, begin, sample, end, most)
        s = slot_scratch(scratch, b)
        g = open_view(job.shape, job.input, b, s.x, no_view(s), 0.0)
        p = open_view(job.shape, job.other, b, s.y, no_view(s), 0.0)
        e = open_output(job, job.out, b, s.e)
        total = accumulate(b, s.partial, product_step, Inputs(g, p))
        finish(job, job.out, b, softmax_backward_step, backward_of(g, p, total), e)
        close_output(job, job.out, b, s, e, no_view(s), 0.0)
        sample += b.rows


# --- log_softmax -----------------------------------------------------------------------------


class LogBackward(NamedTuple):
    g: Pointer
    output: Pointer
    shift: Any
    power: Wide
    factor: Any


@staged
def log_softmax_backward_step(c: Any, offset: Int, lanes: Int) -> Wide:
    """g - e^output sum g"""
    e = shifted_exp(load_lanes(c.output, offset, lanes, -np.inf), c.shift).e
    return load_lanes(c.g, offset, lanes, 0) - times_factor(e * c.power, c.factor)


@staged
def any_shifted(shift: Any) -> Bool:
    return any_lane(shift.shift != 0)


@staged
def store_shift(s: Any, shift: Any) -> None:
    store(s.doubles, 0, to_float64(shift.shift))


@staged
def unshift_of(b: Any, s: Any) -> Wide:
    return row_values(b, s.x, s.doubles)


@staged
def no_unshift(total: Any) -> Wide:
    return total.hi.like(1)


@staged
def times_unscale(like: Pointer, shift: Any, unshift: Wide, total: Any) -> Sum:
    """The sum times e^shift and what else its exponentials are to be multiplied by.

    They come times power_factor 2^(headroom - N) e^-shift; shares are 2^headroom times larger.
    """
    # 2^N may be out of range where the product is not.
    n, rounding = to_float64(shift.n), 1.5 * 2.0**52
    half = (n * 0.5 + rounding) - rounding
    return sum_times(total, unshift / power_factor(like) * two_to(half) * two_to(n - half))


@jitted
def unscaled(b: Any, s: Any, shift: Any, total: Any) -> Any:
    """The sum times what makes up for the shift."""
    unshift = no_unshift(total)
    if any_shifted(shift):
        store_shift(s, shift)
        for i in range(b.lanes):
            s.doubles[i] = 1.0 if s.doubles[i] == 0 else math.exp(s.doubles[i])
        unshift = unshift_of(b, s)
    return times_unscale(s.x, shift, unshift, total)


@jitted
def log_softmax_backward_rows(job: Any, begin: int, end: int, scratch: Any) -> None:
    sample = begin
    most = most_slots(job)
    while sample < end:
        b = next_block(job, begin, sample, end, most)
        s = slot_scratch(scratch, b)
        output = open_view(job.shape, job.other, b, s.y, no_view(s), 0.0)
        g = open_view(job.shape, job.input, b, s.x, no_view(s), 0.0)
        e = open_output(job, job.out, b, s.e)
        m = row_maxima(b, output, take_first).first
        shift = find_shifts(m, m)
        total = accumulate(b, s.partial, sum_step, Inputs(g, output))
        f = factors_of(s, unscaled(b, s, shift, total))
        c = LogBackward(g, output, shift, f.power, wide_factors(f))
        finish(job, job.out, b, log_softmax_backward_step, c, e)
        close_output(job, job.out, b, s, e, no_view(s), 0.0)
        sample += b.rows


# --- the kernels -----------------------------------------------------------------------------


@jitted
def softmax_backward_chunks(job: Any, chunk: int, shared: Any) -> None:
    memory = np.empty(scratch_bytes(job), np.uint8)
    s = cut_scratch(job, memory)
    begin, end, _ = next_range(job, chunk, shared)
    while begin < end:
        softmax_backward_rows(job, begin, end, s)
        begin, end, _ = next_range(job, chunk, shared)
    close_job(job)
    keep(memory)


def softmax_backward(grad_output: Any, output: Any, out: Any, chunk: int, shared: Any) -> None:
    job = open_job(grad_output, output, out)
    with_helpers(softmax_backward_chunks, (job, chunk, shared), shared)


@jitted
def log_softmax_backward_chunks(job: Any, chunk: int, shared: Any) -> None:
    memory = np.empty(scratch_bytes(job), np.uint8)
    s = cut_scratch(job, memory)
    begin, end, _ = next_range(job, chunk, shared)
    while begin < end:
        log_softmax_backward_rows(job, begin, end, s)
        begin, end, _ = next_range(job, chunk, shared)
    close_job(job)
    keep(memory)


def log_softmax_backward(grad_output: Any, output: Any, out: Any, chunk: int, shared: Any) -> None:
    job = open_job(grad_output, output, out)
    with_helpers(log_softmax_backward_chunks, (job, chunk, shared), shared)


def _signature(real: Any) -> tuple[Any, ...]:
    rows = array_type(real, 3, True)
    return rows, rows, array_type(real, 3, False), *CHUNKS


SOFTMAX_BACKWARD = Kernel(softmax_backward, _signature)
LOG_SOFTMAX_BACKWARD = Kernel(log_softmax_backward, _signature)
