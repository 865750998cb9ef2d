"""A thread's scratch memory: how much of what a job needs, and where it lies."""

from __future__ import annotations

from typing import Any, NamedTuple

from .block import Partial
from .job import TargetJob
from .memory import aligned, as_float64, as_int64, as_like, data, offset_bytes
from .numba_api import types
from .pack import STAGING
from .real import lanes_of, real_bytes
from .staging import Bool, Int, Pointer, staged
from .views import lies_along
from .walk import most_slots
from .words import select

__all__ = ["WAITING", "Scratch", "cut_scratch", "row_pitch", "scratch_bytes"]


class Scratch(NamedTuple):
    """A thread's scratch memory, cut up."""

    partial: Any
    # A block's logits, exponentials and targets, where they do not lie in the caller's arrays.
    x: Pointer
    e: Pointer
    y: Pointer
    target_row: Pointer  # one row of effective targets, for labels with smoothing
    class_weight: Pointer  # the class weights as `real`
    mean_hi: Pointer  # of a chunk's mean gradient, the sums in each lane
    mean_lo: Pointer
    own_hi: Pointer  # and those of all lanes
    own_lo: Pointer
    # Of rows that wait to be added to the mean gradient: the class treated apart, its gradient and
    # what their exponentials are to be multiplied by.
    waiting_at: Pointer
    waiting_apart: Pointer
    waiting_hi: Pointer
    waiting_lo: Pointer
    # Row values that are read or written one by one: of the targets...
    kind: Pointer
    label: Pointer
    label_weight: Pointer  # w_t t_t of a label
    sample_weight: Pointer  # 0 where ignored
    # ... and of whatever is at hand.
    places: Pointer
    doubles: Pointer
    doubles2: Pointer
    reals: Pointer
    staging: Pointer  # what is put together before it is streamed


LINE = 64
SLOT = 128
"""Bytes of row values: LANES float64 of the float32 kernels, which have most."""
SLOTS = 12
PARTIAL_BYTES = 2048
"""LANES vectors of LANES float64: those of the float32 kernels again."""
WAITING = 4
"""Rows along the lanes wait to be added to the mean gradient, their exponentials side by side."""


def in_lines(size: Any) -> Any:
    return (size + LINE - 1) // LINE * LINE


@staged
def row_pitch(like: Any, classes: Int) -> Int:
    lanes = lanes_of(like)
    return (classes + lanes - 1) // lanes * lanes


class Lengths(NamedTuple):
    """Bytes; 0 where a job has no use for a piece.

    So very long rows that are worked on where they lie take no memory.
    """

    x: Any  # of a block
    y: Any
    e: Any  # of a block, or of the rows that wait
    target_row: Any
    class_weight: Any
    sums: Any  # a class in float64
    lane_sums: Any  # the same in each lane


def shares_scratch(job: Any) -> Bool:
    """Whether the exponentials take their logits' place.

    Across the lanes nobody asks for these any more, but for a Hessian's.
    """
    return job.across & ~job.hess.exists if isinstance(job, TargetJob) else job.across


def is_copied(job: Any, view: Any) -> Bool:
    """Whether a block's values of a view are copied."""
    return view.exists & (job.across | ~lies_along(job.shape, view))


class Needs(NamedTuple):
    """What a job has a use for."""

    x: Bool
    y: Bool
    target_row: Bool
    class_weight: Bool
    mean: Bool


def needs_of(job: Any) -> Needs:
    x, no = is_copied(job, job.input), job.across.like(False)
    if not isinstance(job, TargetJob):
        if job.other.data.kind.dtype == types.uint8:  # a mask
            return Needs(x | job.other.exists, no, no, no, no)
        return Needs(x, is_copied(job, job.other), no, no, no)
    smooths, weighs = job.label_smoothing != 0, job.class_weight.exists
    # The logits of an ignored row are blanked in a copy, and a Hessian may take their place.
    return Needs(
        x=x | job.have_labels | job.hess.exists,
        y=is_copied(job, job.other) | smooths | (job.other.exists & weighs),
        target_row=job.have_labels & smooths,
        class_weight=weighs,
        mean=job.want_mean_grad,
    )


def scratch_lengths(job: Any) -> Lengths:
    like, classes, needs = job.input.data, job.shape.classes, needs_of(job)
    size, lanes = real_bytes(like), lanes_of(like)
    across = classes * lanes * most_slots(job)
    values, row = in_lines(select(job.across, across, classes) * size), in_lines(classes * size)
    waiting = WAITING * row_pitch(like, classes) * size
    writes_there = job.out.exists & ~is_copied(job, job.out) & ~job.streams
    unused = shares_scratch(job) | writes_there | ~(job.out.exists | needs.mean)
    sums = in_lines(select(needs.mean, classes * 8, 0))
    return Lengths(
        x=select(needs.x, values, 0),
        y=select(needs.y, values, 0),
        e=select(unused, 0, select(needs.mean & ~job.across, waiting, values)),
        target_row=select(needs.target_row, row, 0),
        class_weight=select(needs.class_weight, row, 0),
        sums=sums,
        lane_sums=select(job.across, sums * lanes, 0),
    )


@staged
def scratch_bytes(job: Any) -> Int:
    n = scratch_lengths(job)
    fixed = LINE + SLOTS * SLOT + 2 * PARTIAL_BYTES + STAGING
    values = n.x + n.y + n.e + n.target_row + n.class_weight
    return values + 2 * (n.sums + n.lane_sums) + fixed


@staged
def cut_scratch(job: Any, memory: Any) -> Scratch:
    n = scratch_lengths(job)
    like, place = job.input.data, aligned(data(memory))

    def cut(count: int, length: Any) -> list[Pointer]:
        nonlocal place
        starts = [offset_bytes(place, length * i) for i in range(count + 1)]
        place = starts.pop()
        return starts

    slots = cut(SLOTS, n.x.like(SLOT))
    kind, label, places, waiting_at = map(as_int64, slots[:4])
    label_weight, sample_weight, doubles, doubles2 = map(as_float64, slots[4:8])
    waiting_apart, waiting_hi, waiting_lo = map(as_float64, slots[8:11])
    hi, lo = cut(2, n.x.like(PARTIAL_BYTES))
    (staging,) = cut(1, n.x.like(STAGING))
    values = [cut(1, length)[0] for length in (n.x, n.y, n.e, n.target_row, n.class_weight)]
    x, y, e, target_row, class_weight = (as_like(p, like) for p in values)
    own_hi, own_lo, mean_hi, mean_lo = map(as_float64, cut(2, n.sums) + cut(2, n.lane_sums))
    return Scratch(
        # Sums of either kind are not on their way at the same time.
        partial=Partial(as_float64(hi), as_float64(lo), as_like(hi, like), as_like(lo, like)),
        x=x,
        e=select(shares_scratch(job), x, e),
        y=y,
        target_row=target_row,
        class_weight=class_weight,
        mean_hi=mean_hi,
        mean_lo=mean_lo,
        own_hi=own_hi,
        own_lo=own_lo,
        waiting_at=waiting_at,
        waiting_apart=waiting_apart,
        waiting_hi=waiting_hi,
        waiting_lo=waiting_lo,
        kind=kind,
        label=label,
        label_weight=label_weight,
        sample_weight=sample_weight,
        places=places,
        doubles=doubles,
        doubles2=doubles2,
        reals=as_like(slots[11], like),
        staging=as_like(staging, like),
    )
