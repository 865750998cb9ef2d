"""Between the caller's arrays and blocks in lanes: each view by the way that suits how it lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .block import transform, transform_streaming
from .columns import copy_columns, copy_to_columns
from .compilation import called, jitted
from .job import sample_at
from .memory import CACHE_LINE, element_at, end_streaming, offset, set_element_at, store
from .real import real_bytes
from .staging import Pointer, Wide, staged
from .turn import (
    lanes_from_rows,
    rows_from_lanes,
    stream_rows_from_lanes,
    turn_from_rows,
    turn_to_rows,
)
from .views import lies_along, rows_follow, rows_turn_in_squares, samples_lie_along
from .words import select, to_real

__all__ = [
    "STAGING",
    "close_job",
    "close_output",
    "finish",
    "open_output",
    "open_view",
    "store_results",
]

MOST_STAGED = 128
"""Classes of rows that are put together before they are streamed."""
STAGING = (MOST_STAGED + 1) * CACHE_LINE
"""Bytes for them, or for a class of all blocks of a group, wherever in a line they begin."""
LEAST_STAGED = 1024
"""Bytes of a block that is worth it."""


@called
def drop_classes(shape: Any, where: Any, b: Any, values: Pointer, dropped: float) -> None:
    """Put `dropped` in place of the classes that the mask leaves out."""
    for i in range(b.rows):
        keep = sample_at(shape, where, b.sample + i)
        for k in range(shape.classes):
            if element_at(keep, k * where.classes) == 0:
                values[k * b.lanes + i] = dropped


@called
def copy_rows(shape: Any, view: Any, b: Any, values: Pointer) -> None:
    """Value by value; 0 in rows that do not exist."""
    for i in range(b.rows):
        p = sample_at(shape, view, b.sample + i)
        for k in range(shape.classes):
            values[k * b.lanes + i] = element_at(p, k * view.classes)
    for i in range(b.rows, b.lanes):
        for k in range(shape.classes):
            values[k * b.lanes + i] = 0.0


@called
def copy_view(shape: Any, view: Any, b: Any, scratch: Pointer) -> None:
    """The block's values of a view, in lanes."""
    if samples_lie_along(shape, view, b):
        if b.slot == 0:
            copy_columns(shape, view, b, scratch)
        return
    rows = sample_at(shape, view, b.sample)
    if rows_follow(shape, view, b):
        lanes_from_rows(rows, shape.classes, scratch)
    elif rows_turn_in_squares(shape, view, b):
        turn_from_rows(rows, view.inner, shape.classes, scratch)
    else:
        copy_rows(shape, view, b, scratch)


@jitted
def open_view(
    shape: Any, view: Any, b: Any, scratch: Pointer, where: Any, dropped: float
) -> Pointer:
    """The block's values of a view, in lanes: there if they lie so, else copied to `scratch`.

    Classes that the mask `where`, if there is one, leaves out become `dropped`.
    """
    if not b.across and not where.exists and lies_along(shape, view):
        return sample_at(shape, view, b.sample)
    copy_view(shape, view, b, scratch)
    if where.exists:
        drop_classes(shape, where, b, scratch, dropped)
    return scratch


@staged
def open_output(job: Any, view: Any, b: Any, scratch: Pointer) -> Pointer:
    """Where a block computes what goes to a view.

    There itself if its rows lie along the lanes; in `scratch` otherwise, or where it is to be
    streamed there at the end.
    """
    there = view.exists & lies_along(job.shape, view) & ~job.streams & ~b.across
    return select(there, sample_at(job.shape, view, b.sample), scratch)


@called
def write_rows(shape: Any, view: Any, b: Any, values: Pointer) -> None:
    for i in range(b.rows):
        p = sample_at(shape, view, b.sample + i)
        for k in range(shape.classes):
            set_element_at(p, k * view.classes, values[k * b.lanes + i])


@called
def copy_to_view(job: Any, view: Any, b: Any, s: Any, values: Pointer) -> None:
    shape = job.shape
    if samples_lie_along(shape, view, b):
        if b.slot == b.slots - 1:
            slots = offset(values, -b.slot * b.length)
            copy_to_columns(shape, view, b, slots, job.streams, s.staging)
        return
    rows = sample_at(shape, view, b.sample)
    if rows_follow(shape, view, b):
        large = b.length * real_bytes(values) >= LEAST_STAGED
        if job.streams and large and shape.classes <= MOST_STAGED:
            stream_rows_from_lanes(rows, b, values, s.staging)
        else:
            rows_from_lanes(rows, shape.classes, values)
    elif rows_turn_in_squares(shape, view, b):
        turn_to_rows(rows, view.inner, shape.classes, values)
    else:
        write_rows(shape, view, b, values)


@jitted
def finish(
    job: Any, view: Any, b: Any, step: Callable[..., Any], context: Any, values: Pointer
) -> Pointer:
    """The last transform of a block, to what open_output gave for the view.

    Where it is streamed, past that to the view. The result is where it went.
    """
    if job.streams and not b.across and lies_along(job.shape, view):
        there = sample_at(job.shape, view, b.sample)
        transform_streaming(b.length, step, context, there)
        return there
    transform(b, step, context, values)
    return values


@staged
def store_rounded(shape: Any, view: Any, b: Any, values: Wide) -> None:
    store(sample_at(shape, view, b.sample), 0, to_real(view.data, values))


@jitted
def store_results(shape: Any, view: Any, b: Any, s: Any, values: Wide) -> None:
    """A number a row, to a view of one a sample."""
    if samples_lie_along(shape, view, b):
        store_rounded(shape, view, b, values)
        return
    store(s.doubles, 0, values)
    for i in range(b.rows):
        set_element_at(sample_at(shape, view, b.sample + i), 0, s.doubles[i])


@jitted
def close_job(job: Any) -> None:
    """After a thread's last block."""
    if job.streams:
        end_streaming(job.input.data)


@jitted
def close_output(
    job: Any, view: Any, b: Any, s: Any, values: Pointer, where: Any, dropped: float
) -> None:
    """Bring what open_output's place holds to the view, with `dropped` for dropped classes."""
    if where.exists:
        drop_classes(job.shape, where, b, values, dropped)
    if b.across or not lies_along(job.shape, view):
        copy_to_view(job, view, b, s, values)
