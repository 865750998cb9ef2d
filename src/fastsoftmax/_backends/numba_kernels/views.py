"""The caller's arrays: how their rows lie, and how rows lie to each other."""

from __future__ import annotations

from typing import Any

from .real import lanes_of, real_bytes
from .staging import Bool, staged
from .turn import square_side

__all__ = ["lies_along", "rows_follow", "rows_turn_in_squares", "samples_lie_along"]


@staged
def lies_along(shape: Any, view: Any) -> Bool:
    """Whether a view's rows are values side by side, to be worked on where they lie."""
    return (view.classes == real_bytes(view.data)) | (shape.classes == 1)


def is_whole_run(shape: Any, view: Any, b: Any) -> Bool:
    """Whether the block is whole and its samples are equally far apart."""
    lanes = lanes_of(view.data)
    return b.across & (b.rows == lanes) & (b.sample % shape.inner + lanes <= shape.inner)


@staged
def samples_lie_along(shape: Any, view: Any, b: Any) -> Bool:
    """Whether the block's samples lie side by side, a class of them all one vector in memory."""
    return (view.inner == real_bytes(view.data)) & is_whole_run(shape, view, b)


@staged
def rows_follow(shape: Any, view: Any, b: Any) -> Bool:
    """Whether the rows of a whole block follow each other without gaps."""
    is_next = view.inner == shape.classes * real_bytes(view.data)
    return is_whole_run(shape, view, b) & lies_along(shape, view) & is_next


@staged
def rows_turn_in_squares(shape: Any, view: Any, b: Any) -> Bool:
    """Whether the rows of a whole block, their classes side by side, can be turned in squares."""
    fits = shape.classes >= square_side(view.data)
    return is_whole_run(shape, view, b) & lies_along(shape, view) & fits
