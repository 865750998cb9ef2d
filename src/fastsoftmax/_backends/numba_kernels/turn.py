"""Rows, with their classes side by side, turned into lanes and back."""

from __future__ import annotations

from typing import Any

from .block import transform_streaming
from .compilation import called
from .memory import (
    CACHE_LINE,
    address_in_line,
    load,
    load_lanes,
    load_quarters,
    offset,
    offset_bytes,
    prefetch_far,
    prefetch_to_write,
    store,
    store_quarters,
)
from .real import lanes_of, real_bytes
from .staging import Int, Pointer, Wide, staged
from .words import QUARTER_BITS, bits_of, picked, turned

__all__ = [
    "lanes_from_rows",
    "rows_from_lanes",
    "square_side",
    "stream_rows_from_lanes",
    "turn_from_rows",
    "turn_to_rows",
]

FAR_AHEAD = 8192
"""Bytes between what is read and what is fetched."""


@staged
def square_side(like: Any) -> int:
    """Classes and rows to a square, of which each quarter of a vector holds a row."""
    return QUARTER_BITS // bits_of(like)


# --- squares ---------------------------------------------------------------------------------


@staged
def square_from_rows(rows: Pointer, stride: Int, k: Int, values: Pointer) -> None:
    side, first = square_side(rows), offset(rows, k)
    square = (
        load_quarters(offset_bytes(first, stride * i), stride * side, side) for i in range(side)
    )
    for i, column in enumerate(turned(*square)):
        store(values, (k + i) * lanes_of(values), column)


@staged
def square_to_rows(rows: Pointer, stride: Int, k: Int, values: Pointer) -> None:
    side, first = square_side(rows), offset(rows, k)
    square = (load(values, (k + i) * lanes_of(values)) for i in range(side))
    for i, row in enumerate(turned(*square)):
        store_quarters(offset_bytes(first, stride * i), stride * side, row)


@called
def turn_from_rows(rows: Pointer, stride: int, classes: int, values: Pointer) -> None:
    side = square_side(values)
    for k in range(0, classes - side + 1, side):
        square_from_rows(rows, stride, k, values)
    if classes % side > 0:  # the last square overlaps the one before
        square_from_rows(rows, stride, classes - side, values)


@called
def turn_to_rows(rows: Pointer, stride: int, classes: int, values: Pointer) -> None:
    side = square_side(values)
    for k in range(0, classes - side + 1, side):
        square_to_rows(rows, stride, k, values)
    if classes % side > 0:
        square_to_rows(rows, stride, classes - side, values)


# --- rows of fewer classes than a square has, one after another ------------------------------


def deal(classes: int, source: Pointer, target: Pointer, lane_of: Any) -> None:
    """Vector after vector of `target`, each value from where lane_of says it is in `source`."""
    lanes = lanes_of(source)
    vectors = tuple(load(source, i * lanes) for i in range(classes))
    for i in range(classes):
        store(target, i * lanes, picked(vectors, [lane_of(i * lanes + j) for j in range(lanes)]))


def deal_from_rows(rows: Pointer, classes: int, values: Pointer) -> None:
    lanes = lanes_of(rows)
    deal(classes, rows, values, lambda place: place % lanes * classes + place // lanes)


def deal_to_rows(rows: Pointer, classes: int, values: Pointer) -> None:
    lanes = lanes_of(rows)
    deal(classes, values, rows, lambda place: place % classes * lanes + place // classes)


@staged
def three_from_rows(rows: Pointer, values: Pointer) -> None:
    deal_from_rows(rows, 3, values)


@staged
def two_from_rows(rows: Pointer, values: Pointer) -> None:
    deal_from_rows(rows, 2, values)


@staged
def one_from_rows(rows: Pointer, values: Pointer) -> None:
    deal_from_rows(rows, 1, values)


@staged
def three_to_rows(rows: Pointer, values: Pointer) -> None:
    deal_to_rows(rows, 3, values)


@staged
def two_to_rows(rows: Pointer, values: Pointer) -> None:
    deal_to_rows(rows, 2, values)


@staged
def one_to_rows(rows: Pointer, values: Pointer) -> None:
    deal_to_rows(rows, 1, values)


# --- rows that follow each other without gaps ------------------------------------------------


@called
def lanes_from_rows(rows: Pointer, classes: int, values: Pointer) -> None:
    """What is to be read soon is fetched.

    Where rows are walked square by square, the hardware does not see where that leads.
    """
    size = real_bytes(rows)
    for i in range(0, classes * lanes_of(rows) * size, CACHE_LINE):
        prefetch_far(rows, FAR_AHEAD + i)
    if classes >= square_side(rows):
        turn_from_rows(rows, classes * size, classes, values)
    elif classes == 3:
        three_from_rows(rows, values)
    elif classes == 2:
        two_from_rows(rows, values)
    else:
        one_from_rows(rows, values)


@called
def rows_from_lanes(rows: Pointer, classes: int, values: Pointer) -> None:
    if classes >= square_side(rows):
        turn_to_rows(rows, classes * real_bytes(rows), classes, values)
    elif classes == 3:
        three_to_rows(rows, values)
    elif classes == 2:
        two_to_rows(rows, values)
    else:
        one_to_rows(rows, values)


@staged
def staged_step(source: Pointer, index: Int, lanes: Int) -> Wide:
    return load_lanes(source, index, lanes, 0)


@called
def stream_rows_from_lanes(rows: Pointer, b: Any, values: Pointer, staging: Pointer) -> None:
    """By whole lines, which the rows are first put together to.

    The line that blocks share is written in the caches, and has to be there first.
    """
    as_aligned = offset_bytes(staging, address_in_line(rows))
    prefetch_to_write(rows, FAR_AHEAD + b.length * real_bytes(rows))
    rows_from_lanes(as_aligned, b.classes, values)
    transform_streaming(b.length, staged_step, as_aligned, rows)
