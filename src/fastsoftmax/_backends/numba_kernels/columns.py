"""Columns, with their samples side by side, to lanes and back."""

from __future__ import annotations

from typing import Any

from .block import transform_streaming
from .compilation import called
from .job import sample_at
from .memory import (
    address_in_line,
    load,
    offset,
    offset_bytes,
    prefetch,
    prefetch_to_write,
    store,
)
from .real import lanes_of, real_bytes
from .staging import Pointer
from .turn import staged_step

__all__ = ["FEW_CLASSES", "GROUP", "copy_columns", "copy_to_columns"]

AHEAD = 8
"""Classes between what is read and what is fetched."""
GROUP = 8
"""Blocks whose columns are walked together."""
FEW_CLASSES = 64
"""So many need no groups."""


@called
def copy_columns(shape: Any, view: Any, b: Any, slots: Pointer) -> None:
    """The columns of a group of blocks to slots, the whole width of the group at once.

    Where the classes are far apart, each step to the next is a page of its own.
    """
    lanes = lanes_of(slots)
    row = lanes * real_bytes(slots)
    p = sample_at(shape, view, b.sample)
    for k in range(shape.classes):
        column = offset_bytes(p, k * view.classes)
        ahead = AHEAD * view.classes if k + AHEAD < shape.classes else 0
        for i in range(b.slots):
            prefetch(column, ahead + i * row)
        for i in range(b.slots):
            store(slots, i * b.length + k * lanes, load(column, i * lanes))


@called
def stream_class(b: Any, out: Pointer, slots: Pointer, staging: Pointer) -> None:
    """A class of all blocks of a group, by whole lines."""
    lanes = lanes_of(slots)
    as_aligned = offset_bytes(staging, address_in_line(out))
    for i in range(b.slots):
        store(as_aligned, i * lanes, load(slots, i * b.length))
    transform_streaming(b.slots * lanes, staged_step, as_aligned, out)


@called
def copy_to_columns(
    shape: Any, view: Any, b: Any, slots: Pointer, streams: bool, staging: Pointer
) -> None:
    lanes = lanes_of(slots)
    row = lanes * real_bytes(slots)
    p = sample_at(shape, view, b.sample - b.slot * lanes)
    # A single block that is not in line with the caches' lines would be two halves of them.
    in_line = address_in_line(p) == 0 and view.classes % 64 == 0
    streams = streams and (b.slots > 1 or in_line)
    for k in range(shape.classes):
        column = offset_bytes(p, k * view.classes)
        ahead = AHEAD * view.classes if k + AHEAD < shape.classes else 0
        prefetch_to_write(column, ahead)
        if streams:
            prefetch_to_write(column, ahead + b.slots * row)
            stream_class(b, column, offset(slots, k * lanes), staging)
        else:
            for i in range(b.slots):
                store(column, i * lanes, load(slots, i * b.length + k * lanes))
