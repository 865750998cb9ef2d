"""Between the caller's arrays, at any strides, and blocks in lanes."""

from __future__ import annotations

from typing import Any

from .block import Block
from .compilation import jitted
from .job import sample_at
from .memory import element_at, load, load_some, offset_bytes, set_element_at, store
from .real import lanes_of, real_bytes
from .staging import Bool, Int, Pointer, staged
from .words import select, turned

__all__ = ["close_output", "next_block", "open_output", "open_view"]


@staged
def lies_along(shape: Any, view: Any) -> Bool:
    """Whether a view's rows are values side by side, to be worked on where they lie."""
    return (view.classes == real_bytes(view.data)) | (shape.classes == 1)


@staged
def samples_lie_along(shape: Any, view: Any, b: Any) -> Bool:
    """Whether the block's samples lie side by side, a class of them all one vector in memory."""
    lanes = lanes_of(view.data)
    in_one_run = b.sample % shape.inner + lanes <= shape.inner
    return (view.inner == real_bytes(view.data)) & (b.rows == lanes) & in_one_run


@jitted
def drop_classes(shape: Any, where: Any, b: Any, values: Pointer, dropped: float) -> None:
    """Put `dropped` in place of the classes that the mask leaves out."""
    for i in range(b.rows):
        keep = sample_at(shape, where, b.sample + i)
        for k in range(shape.classes):
            if element_at(keep, k * where.classes) == 0:
                values[k * b.lanes + i] = dropped


SQUARE = 4


@staged
def turns_in_squares(shape: Any, view: Any, b: Any) -> Bool:
    """Whether the block is whole and its rows lie along, so that it can be turned in squares."""
    whole = b.across & (b.rows == lanes_of(view.data)) & (shape.classes >= SQUARE)
    return whole & lies_along(shape, view)


@staged
def four_rows(shape: Any, view: Any, sample: Int) -> Any:
    return tuple(sample_at(shape, view, sample + i) for i in range(SQUARE))


@staged
def square_in(rows: Any, k: Int, values: Pointer, lane: Int) -> None:
    square = (load_some(row, k, SQUARE) for row in rows)
    for i, column in enumerate(turned(*square)):
        store(values, (k + i) * lanes_of(values) + lane, column)


@staged
def square_out(rows: Any, k: Int, values: Pointer, lane: Int) -> None:
    square = (load_some(values, (k + i) * lanes_of(values) + lane, SQUARE) for i in range(SQUARE))
    for row, column in zip(rows, turned(*square), strict=True):
        store(row, k, column)


@jitted
def turn_in(shape: Any, view: Any, b: Any, values: Pointer) -> None:
    for i in range(0, lanes_of(values), SQUARE):
        rows = four_rows(shape, view, b.sample + i)
        for k in range(0, shape.classes - SQUARE + 1, SQUARE):
            square_in(rows, k, values, i)
        # The last one overlaps where the classes are no multiple of its side.
        square_in(rows, shape.classes - SQUARE, values, i)


@jitted
def turn_out(shape: Any, view: Any, b: Any, values: Pointer) -> None:
    for i in range(0, lanes_of(values), SQUARE):
        rows = four_rows(shape, view, b.sample + i)
        for k in range(0, shape.classes - SQUARE + 1, SQUARE):
            square_out(rows, k, values, i)
        square_out(rows, shape.classes - SQUARE, values, i)


@jitted
def copy_in(shape: Any, view: Any, b: Any, values: Pointer) -> None:
    """The block's values of a view, in lanes; 0 in rows that do not exist."""
    lanes = lanes_of(values)
    if b.across and samples_lie_along(shape, view, b):
        p = sample_at(shape, view, b.sample)
        for k in range(shape.classes):
            store(values, k * lanes, load(offset_bytes(p, k * view.classes), 0))
    elif turns_in_squares(shape, view, b):
        turn_in(shape, view, b, values)
    else:
        for i in range(b.rows):
            p = sample_at(shape, view, b.sample + i)
            for k in range(shape.classes):
                values[k * b.lanes + i] = element_at(p, k * view.classes)
        for i in range(b.rows, b.lanes):
            for k in range(shape.classes):
                values[k * lanes + i] = 0.0


@jitted
def copy_out(shape: Any, view: Any, b: Any, values: Pointer) -> None:
    lanes = lanes_of(values)
    if b.across and samples_lie_along(shape, view, b):
        p = sample_at(shape, view, b.sample)
        for k in range(shape.classes):
            store(offset_bytes(p, k * view.classes), 0, load(values, k * lanes))
    elif turns_in_squares(shape, view, b):
        turn_out(shape, view, b, values)
    else:
        for i in range(b.rows):
            p = sample_at(shape, view, b.sample + i)
            for k in range(shape.classes):
                set_element_at(p, k * view.classes, values[k * b.lanes + i])


@jitted
def open_view(
    shape: Any, view: Any, b: Any, scratch: Pointer, where: Any, dropped: float
) -> Pointer:
    """The block's values of a view, in lanes: there if they lie so, else copied to `scratch`.

    Classes that the mask `where`, if there is one, leaves out become `dropped`.
    """
    if not b.across and not where.exists and lies_along(shape, view):
        return sample_at(shape, view, b.sample)
    copy_in(shape, view, b, scratch)
    if where.exists:
        drop_classes(shape, where, b, scratch, dropped)
    return scratch


@staged
def open_output(shape: Any, view: Any, b: Any, scratch: Pointer) -> Pointer:
    """Where a block computes what goes to a view: there itself if its rows lie along the lanes."""
    there = view.exists & lies_along(shape, view)
    return select(b.across, scratch, select(there, sample_at(shape, view, b.sample), scratch))


@jitted
def close_output(
    shape: Any, view: Any, b: Any, values: Pointer, where: Any, dropped: float
) -> None:
    """Bring what open_output's place holds to the view, with `dropped` for dropped classes."""
    if where.exists:
        drop_classes(shape, where, b, values, dropped)
    if b.across or not lies_along(shape, view):
        copy_out(shape, view, b, values)


@staged
def next_block(shape: Any, like: Pointer, across: Bool, sample: Int, end: Int) -> Block:
    lanes = select(across, sample.like(lanes_of(like)), 1)
    left = end - sample
    rows = select(left < lanes, left, lanes)
    return Block(across, shape.classes, shape.classes * lanes, rows, lanes, sample)
