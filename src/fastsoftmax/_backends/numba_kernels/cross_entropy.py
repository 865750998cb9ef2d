"""The kernel of cross-entropy: losses, their total, gradients and the mean gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .compilation import Kernel, jitted
from .gradients import work_rows, write_gradient
from .job import (
    CHUNKS,
    array_type,
    next_range,
    no_view,
    open_target_job,
    sample_offset,
    target_types,
)
from .losses import add_losses, close_losses, no_losses
from .memory import data, keep, lengths_of, load_as_many, load_lanes, offset, set_element_at, store
from .numba_api import types
from .pack import close_output, next_block, open_output, open_view
from .real import lanes_of
from .rows import cut_scratch, scratch_bytes
from .staging import Int, Pointer, Wide, staged
from .sums import Sum, fold_sum, sum_into
from .targets import prepare_targets
from .words import first_lane, select

__all__ = ["CROSS_ENTROPY"]


# --- the mean gradient -----------------------------------------------------------------------


class MeanSums(NamedTuple):
    """A chunk's sums of gradients: LANES a class across the lanes, else one."""

    hi: Pointer
    lo: Pointer


@staged
def result_of_chunk(chunk_mean: Any, number: Int) -> MeanSums:
    """Where the sums of a chunk go in the end, one a class."""
    _, chunks, pitch = lengths_of(chunk_mean)
    hi = offset(data(chunk_mean), number * pitch)
    return MeanSums(hi, offset(hi, chunks * pitch))


@staged
def place_of_sums(job: Any, s: Any, result: Any) -> MeanSums:
    """Where they are until then."""
    return MeanSums(
        select(job.across, s.mean_hi, result.hi), select(job.across, s.mean_lo, result.lo)
    )


@jitted
def open_mean(job: Any, s: Any, chunk_mean: Any, number: int) -> Any:
    mean = place_of_sums(job, s, result_of_chunk(chunk_mean, number))
    if job.want_mean_grad:
        length = job.shape.classes * lanes_of(s.x) if job.across else chunk_mean.shape[2]
        for i in range(length):
            mean.hi[i] = 0.0
            mean.lo[i] = 0.0
    return mean


@jitted
def add_to_mean(b: Any, e: Pointer, mean: Any) -> None:
    lanes = lanes_of(e)
    tail = b.length % lanes
    for i in range(0, b.length - tail, lanes):
        sum_into(mean.hi, mean.lo, i, load_lanes(e, i, lanes, 0))
    if tail > 0:
        sum_into(mean.hi, mean.lo, b.length - tail, load_lanes(e, b.length - tail, tail, 0))


@staged
def mean_of(like: Pointer, mean: Any, index: Int) -> Sum:
    sums = Sum(load_as_many(like, mean.hi, index), load_as_many(like, mean.lo, index))
    return Sum(*map(first_lane, fold_sum(sums)))


@jitted
def close_mean(job: Any, s: Any, mean: Any, chunk_mean: Any, number: int) -> None:
    if job.want_mean_grad and job.across:
        result = result_of_chunk(chunk_mean, number)
        for k in range(job.shape.classes):
            total = mean_of(s.x, mean, k * lanes_of(s.x))
            result.hi[k] = total.hi
            result.lo[k] = total.lo


# --- the kernel ------------------------------------------------------------------------------


@jitted
def store_losses(job: Any, b: Any, s: Any, loss: Wide) -> None:
    store(s.doubles, 0, loss)
    for i in range(b.rows):
        at = sample_offset(job.shape, job.losses, b.sample + i)
        set_element_at(job.losses.data, at, s.doubles[i])


@jitted
def cross_entropy_rows(job: Any, begin: int, end: int, s: Any, mean: Any) -> Any:
    """The sum of the losses; of the gradients to `mean`."""
    want_gradient = job.out.exists or job.want_mean_grad
    losses = no_losses(s.x)
    sample = begin
    while sample < end:
        b = next_block(job.shape, s.x, job.across, sample, end)
        x = open_view(job.shape, job.input, b, s.x, no_view(s), 0.0)
        e = open_output(job.shape, job.out, b, s.e)
        w = work_rows(job, b, s, x, e, want_gradient)
        if job.want_loss:
            losses = add_losses(b, losses, w.loss)
        if job.losses.exists:
            store_losses(job, b, s, w.loss)
        if want_gradient:
            write_gradient(job, b, s, e, w)
        if job.want_mean_grad:
            add_to_mean(b, e, mean)
        if job.out.exists:
            close_output(job.shape, job.out, b, e, no_view(s), 0.0)
        sample += b.rows
    return close_losses(losses)


@staged
def set_chunk_loss(chunk_loss: Any, number: Int, loss: Any) -> None:
    place = offset(data(chunk_loss), number * 4)
    for i, part in enumerate((*loss.common, *loss.huge)):
        place[i] = part


def cross_entropy(
    logits: Any,
    labels32: Any,
    labels64: Any,
    probabilities: Any,
    class_weight: Any,
    sample_weight: Any,
    has_ignore_index: bool,
    ignore_index: int,
    label_smoothing: float,
    divisor: float,
    want_loss: bool,
    losses: Any,
    grad: Any,
    chunk_loss: Any,
    chunk_mean: Any,
    chunk: int,
    next_chunk: Any,
) -> None:
    job = open_target_job(
        (logits, labels32, labels64, probabilities, class_weight, sample_weight),
        (has_ignore_index, ignore_index),
        (label_smoothing, divisor, 0),
        (want_loss, chunk_mean.size != 0),
        (losses, grad, grad),
    )
    memory = np.empty(scratch_bytes(job, job.want_mean_grad), np.uint8)
    s = cut_scratch(job, memory)
    prepare_targets(job, s)
    begin, end, number = next_range(job, chunk, next_chunk)
    while begin < end:
        mean = open_mean(job, s, chunk_mean, number)
        set_chunk_loss(chunk_loss, number, cross_entropy_rows(job, begin, end, s, mean))
        close_mean(job, s, mean, chunk_mean, number)
        begin, end, number = next_range(job, chunk, next_chunk)
    keep(memory)


def _signature(real: Any) -> tuple[Any, ...]:
    return (
        *target_types(real),
        types.boolean,
        types.int64,
        types.float64,
        types.float64,
        types.boolean,
        array_type(real, 2, False),
        array_type(real, 3, False),
        types.Array(types.float64, 2, "C"),
        types.Array(types.float64, 3, "C"),
        *CHUNKS,
    )


CROSS_ENTROPY = Kernel(cross_entropy, _signature)
