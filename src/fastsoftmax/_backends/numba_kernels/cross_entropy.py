"""The kernel of cross-entropy: losses, their total, gradients and the mean gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compilation import Kernel, jitted
from .gradients import find_gradients, work_rows, write_gradient
from .job import (
    CHUNKS,
    array_type,
    next_range,
    no_view,
    open_target_job,
    target_types,
)
from .losses import add_losses, close_losses, no_losses
from .mean import add_to_mean, close_mean, mean_row, merge_mean, open_mean
from .memory import data, keep, offset
from .numba_api import types
from .pack import close_job, close_output, open_output, open_view, store_results
from .pool import with_helpers
from .scratch import cut_scratch, scratch_bytes
from .staging import Int, staged
from .targets import prepare_targets
from .walk import most_slots, next_block, slot_scratch

__all__ = ["CROSS_ENTROPY"]


@jitted
def cross_entropy_rows(job: Any, begin: int, end: int, scratch: Any, mean: Any) -> Any:
    """The sum of the losses; of the gradients to `mean`."""
    want_gradient = job.out.exists or job.want_mean_grad
    losses = no_losses(scratch.x)
    waiting = 0
    sample = begin
    most = most_slots(job)
    while sample < end:
        b = next_block(job, begin, sample, end, most)
        s = slot_scratch(scratch, b)
        x = open_view(job.shape, job.input, b, s.x, no_view(s), 0.0)
        e = open_output(job, job.out, b, mean_row(b, s, waiting))
        w = work_rows(job, b, s, x, e, want_gradient)
        if job.want_loss:
            losses = add_losses(b, losses, w.loss)
        if job.losses.exists:
            store_results(job.shape, job.losses, b, s, w.loss)
        if want_gradient:
            g = find_gradients(job, b, s, w)
            if job.want_mean_grad:
                g, waiting = add_to_mean(job, b, s, e, w.t, g, mean, waiting)
            if job.out.exists:
                write_gradient(job, b, s, e, w.t, g)
                close_output(job, job.out, b, s, e, no_view(s), 0.0)
        sample += b.rows
    if job.want_mean_grad:
        close_mean(job, scratch, mean, waiting)
    return close_losses(losses)


@staged
def set_chunk_loss(chunk_loss: Any, number: Int, loss: Any) -> None:
    place = offset(data(chunk_loss), number * 4)
    for i, part in enumerate((*loss.common, *loss.huge)):
        place[i] = part


@jitted
def cross_entropy_chunks(
    job: Any, chunk_loss: Any, mean_sums: Any, chunk: int, shared: Any
) -> None:
    memory = np.empty(scratch_bytes(job), np.uint8)
    s = cut_scratch(job, memory)
    prepare_targets(job, s)
    begin, end, number = next_range(job, chunk, shared)
    while begin < end:
        mean = open_mean(job, s, mean_sums, begin, end)
        set_chunk_loss(chunk_loss, number, cross_entropy_rows(job, begin, end, s, mean))
        if job.want_mean_grad:
            merge_mean(job, s, mean, mean_sums, number, shared)
        begin, end, number = next_range(job, chunk, shared)
    close_job(job)
    keep(memory)


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
    mean_sums: Any,
    chunk: int,
    shared: Any,
) -> None:
    job = open_target_job(
        (logits, labels32, labels64, probabilities, class_weight, sample_weight),
        (has_ignore_index, ignore_index),
        (label_smoothing, divisor, 0),
        (want_loss, mean_sums.size != 0),
        (losses, grad),
    )
    with_helpers(cross_entropy_chunks, (job, chunk_loss, mean_sums, chunk, shared), shared)


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
        types.Array(types.float64, 2, "C"),
        *CHUNKS,
    )


CROSS_ENTROPY = Kernel(cross_entropy, _signature)
