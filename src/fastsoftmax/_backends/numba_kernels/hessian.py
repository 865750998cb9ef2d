"""Gradient and the diagonal of the Hessian, factor * Y p (1 - p), per sample."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .block import row_values
from .compilation import Kernel, jitted
from .gradients import find_gradients, work_rows, write_gradient
from .job import CHUNKS, array_type, next_range, no_view, open_target_job, target_types
from .memory import keep, load_lanes
from .numba_api import types
from .pack import close_job, close_output, finish, open_output, open_view
from .pool import with_helpers
from .rows import (
    factors_of,
    part_of,
    put,
    share_of,
    sum_of_all,
    times_factor,
    wide_factors,
)
from .scratch import cut_scratch, scratch_bytes
from .staging import Int, Number, Pointer, Wide, staged
from .sums import Sum, sum_value
from .targets import is_dense, prepare_targets
from .walk import most_slots, next_block, slot_scratch
from .words import maximum, select, splat, to_real

__all__ = ["GRAD_HESS", "HESSIANS"]

HESSIANS = {"exact": 0, "xgboost": 1, "lightgbm": 2}
XGBOOST, LIGHTGBM = 1, 2


class Hessian(NamedTuple):
    e: Pointer
    probability: Any
    factor: Any
    power: Wide
    least: Wide


@staged
def hessian_step(c: Any, offset: Int, lanes: Int) -> Wide:
    e = load_lanes(c.e, offset, lanes, 0)
    others = 1 - times_factor(e, c.probability)
    h = times_factor(e * c.power, c.factor) * others
    return maximum(c.least, h)  # NaN stays NaN


@jitted
def hessian_factor(job: Any) -> Number:
    if job.hessian == XGBOOST:
        return 2.0
    if job.hessian == LIGHTGBM:
        return job.shape.classes / (job.shape.classes - 1)
    return 1.0


class HessianRows(NamedTuple):
    """What a block's rows come to, as row values."""

    inverse: Any
    share: Any
    apart: Wide


@staged
def hessian_rows(b: Any, s: Any, w: Any, factor: Number, least: Number) -> Any:
    """At the argmax, whose p may be close to 1, 1 - p comes from the others' sum."""
    p, everything = w.p, sum_of_all(w.p)
    total = select(is_dense(b, s), w.d.total.hi, row_values(b, s.x, s.label_weight))
    scale = splat(total, factor) * total * row_values(b, s.x, s.sample_weight)
    top, rest = (sum_value(part_of(each, everything)) for each in (p.top, p.rest))
    h = scale * top * rest
    one, zero, least = scale.like(1), scale.like(0), splat(h, least)
    return HessianRows(
        share_of(s.x, Sum(one, zero), everything),
        share_of(s.x, Sum(scale, zero), everything),
        to_real(s.x, select(h < least, least, h)),
    )


@staged
def hessian_of(e: Pointer, probability: Any, scaled: Any, least: Number) -> Any:
    factors = wide_factors(probability), wide_factors(scaled)
    return Hessian(e, *factors, scaled.power, splat(e, least))


@jitted
def write_hessian(job: Any, b: Any, s: Any, e: Pointer, w: Any, out: Pointer) -> None:
    """The Hessian of a block into `out`, from the exponentials."""
    least = 1e-16 if job.hessian == XGBOOST else 0.0
    h = hessian_rows(b, s, w, hessian_factor(job), least)
    c = hessian_of(e, factors_of(s, h.inverse), factors_of(s, h.share), least)
    put(b, s, w.p.at, h.apart, finish(job, job.hess, b, hessian_step, c, out))


@jitted
def grad_hess_rows(job: Any, begin: int, end: int, scratch: Any) -> None:
    sample = begin
    most = most_slots(job)
    while sample < end:
        b = next_block(job, begin, sample, end, most)
        s = slot_scratch(scratch, b)
        x = open_view(job.shape, job.input, b, s.x, no_view(s), 0.0)
        e = open_output(job, job.out, b, s.e)
        w = work_rows(job, b, s, x, e, True)
        hess = open_output(job, job.hess, b, s.x)  # the input is not read any more
        write_hessian(job, b, s, e, w, hess)
        close_output(job, job.hess, b, s, hess, no_view(s), 0.0)
        write_gradient(job, b, s, e, w.t, find_gradients(job, b, s, w))
        close_output(job, job.out, b, s, e, no_view(s), 0.0)
        sample += b.rows


@jitted
def grad_hess_chunks(job: Any, chunk: int, shared: Any) -> None:
    memory = np.empty(scratch_bytes(job), np.uint8)
    s = cut_scratch(job, memory)
    prepare_targets(job, s)
    begin, end, _ = next_range(job, chunk, shared)
    while begin < end:
        grad_hess_rows(job, begin, end, s)
        begin, end, _ = next_range(job, chunk, shared)
    close_job(job)
    keep(memory)


def grad_hess(
    logits: Any,
    labels32: Any,
    labels64: Any,
    probabilities: Any,
    class_weight: Any,
    sample_weight: Any,
    hessian: int,
    losses: Any,
    grad: Any,
    hess: Any,
    chunk: int,
    shared: Any,
) -> None:
    job = open_target_job(
        (logits, labels32, labels64, probabilities, class_weight, sample_weight),
        (False, 0),
        (0.0, 1.0, hessian),
        (False, False),
        (losses, grad, hess),
    )
    with_helpers(grad_hess_chunks, (job, chunk, shared), shared)


def _signature(real: Any) -> tuple[Any, ...]:
    losses, rows = array_type(real, 2, False), array_type(real, 3, False)
    return *target_types(real), types.int64, losses, rows, rows, *CHUNKS


GRAD_HESS = Kernel(grad_hess, _signature)
