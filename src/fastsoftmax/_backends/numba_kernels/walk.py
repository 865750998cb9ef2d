"""One block after another, and how many share their walks through memory."""

from __future__ import annotations

from typing import Any

from .block import Block
from .columns import FEW_CLASSES, GROUP
from .job import TargetJob
from .memory import offset
from .real import lanes_of, real_bytes
from .staging import Int, staged
from .words import select

__all__ = ["most_slots", "next_block", "slot_scratch"]


@staged
def most_slots(job: Any) -> Int:
    """Blocks to a group: more than one where a view's samples lie side by side."""
    like, classes = job.input.data, job.shape.classes
    views = [job.input, job.other, job.out]
    if isinstance(job, TargetJob):
        views.append(job.hess)
    columns = classes < 0
    for view in views:
        columns = columns | (view.exists & (view.inner == real_bytes(like)))
    wide = (classes > FEW_CLASSES) & (job.shape.inner >= GROUP * lanes_of(like))
    return select(columns & job.across & wide, classes.like(GROUP), 1)


def find_slot(job: Any, begin: Int, sample: Int, end: Int, most: Int) -> tuple[Int, Int]:
    """The number of a block in its group, and how many there are in it."""
    lanes, inner = lanes_of(job.input.data), job.shape.inner
    number = (sample - begin) // lanes % most
    first = sample - number * lanes
    whole_blocks = (end - first) // lanes
    slots = select(whole_blocks < most, whole_blocks, most)
    in_one_run = first % inner + slots * lanes <= inner
    grouped = in_one_run & (number < slots)
    return select(grouped, number, 0), select(grouped, slots, 1)


@staged
def next_block(job: Any, begin: Int, sample: Int, end: Int, most: Int) -> Block:
    """The block of a chunk from `begin` to `end` that starts at `sample`."""
    lanes = select(job.across, sample.like(lanes_of(job.input.data)), 1)
    left = end - sample
    rows = select(left < lanes, left, lanes)
    slot, slots = find_slot(job, begin, sample, end, most)
    classes = job.shape.classes
    return Block(job.across, classes, classes * lanes, rows, lanes, sample, slot, slots)


@staged
def slot_scratch(s: Any, b: Any) -> Any:
    """A block's part of the scratch memory, by its slot."""
    skipped = b.slot * b.length
    return s._replace(x=offset(s.x, skipped), e=offset(s.e, skipped), y=offset(s.y, skipped))
