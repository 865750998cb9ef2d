"""How the arrays of a call are handed to a kernel, by their types: at once, or merged first.

Both ways offer the same compiled functions. The arrays of a call are counted in the order in which
their axes are merged; in place of one that is not there, the logits are given again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._backends.numba_kernels.compilation import jitted
from .linking import linked
from .merge import MERGE
from .views import (
    as_entries,
    as_output_entries,
    as_output_rows,
    as_rows,
    direct_entries,
    direct_output_entries,
    direct_output_rows,
    direct_rows,
    ignore_four,
    second,
)

__all__ = ["Way", "way_for"]

merge = linked(MERGE, __name__)


class Way(NamedTuple):
    """Compiled functions. A layout is what `open` returns, and all others take."""

    open: Callable[..., Any]  # (first, ..., last array) of the call
    rows: Callable[..., Any]  # (layout, number, array) -> input (A, B, K)
    entries: Callable[..., Any]  # (layout, number, array) -> input (A, B)
    output_rows: Callable[..., Any]
    output_entries: Callable[..., Any]
    close_rows: Callable[..., Any]  # (layout, number, view, array): the view is filled
    close_entries: Callable[..., Any]
    position: Callable[..., Any]  # (layout, position among (A, B)) -> in C order


def way_for(logits: Any, arrays: tuple[Any, ...]) -> Way:
    """Return the way for a call, by the types of the logits and of the arrays after them."""
    if logits.ndim <= 2 or all(array.layout == "C" for array in (logits, *arrays)):
        return _direct(1 + len(arrays))
    return _merged(1 + len(arrays))


@jitted
def open_direct_three(x: Any, mask: Any, out: Any) -> int:
    return int(x.size // x.shape[-1])


@jitted
def open_direct_five(x: Any, targets: Any, sample_weight: Any, losses: Any, grad: Any) -> int:
    return int(x.size // x.shape[-1])


def _direct(count: int) -> Way:
    """One sample, or a row of them at one step: all arrays of three axes or more in C order.

    The layout is the number of samples.
    """
    return Way(
        open_direct_three if count == 3 else open_direct_five,
        direct_rows, direct_entries, direct_output_rows, direct_output_entries,
        ignore_four, ignore_four, second,
    )  # fmt: skip


@jitted
def distance_to(layout: Any, sample: int, strides: Any) -> int:
    """Where a sample, counted in merged order, begins in an array: bytes."""
    lengths, order, plan = layout
    distance = 0
    for place in range(plan[0, 2] - 1, -1, -1):
        axis = order[place]
        distance += sample % lengths[axis] * strides[axis]
        sample //= lengths[axis]
    return distance


@jitted
def in_c_order(layout: Any, sample: int) -> int:
    """The same sample's number in C order."""
    lengths = layout[0]
    steps = np.ones_like(lengths)
    for axis in range(lengths.size - 2, -1, -1):
        steps[axis] = steps[axis + 1] * lengths[axis + 1]
    return distance_to(layout, sample, steps)


@jitted
def merged_rows(layout: Any, number: int, array: Any) -> Any:
    plan = layout[2]
    a, b, step_a, step_b = plan[0, 0], plan[0, 1], plan[number + 1, 1], plan[number + 1, 2]
    if plan[number + 1, 0] == 0:
        return as_rows(array, 0, a, b, step_a, step_b)
    first = as_rows(array, 0, 1, 1, 0, 0)
    copy = np.empty((a, b, array.shape[-1]), first.dtype)
    for i in range(a * b):
        copy[i // b, i % b] = as_rows(array, distance_to(layout, i, array.strides), 1, 1, 0, 0)[
            0, 0
        ]
    step = copy.shape[2] * copy.itemsize
    return as_rows(copy, 0, a, b, b * step, step)


@jitted
def merged_entries(layout: Any, number: int, array: Any) -> Any:
    plan = layout[2]
    a, b, step_a, step_b = plan[0, 0], plan[0, 1], plan[number + 1, 1], plan[number + 1, 2]
    if plan[number + 1, 0] == 0:
        return as_entries(array, 0, a, b, step_a, step_b)
    copy = np.empty((a, b), array.dtype)
    for i in range(a * b):
        distance = distance_to(layout, i, array.strides)
        copy[i // b, i % b] = as_entries(array, distance, 1, 1, 0, 0)[0, 0]
    return as_entries(copy, 0, a, b, b * copy.itemsize, copy.itemsize)


@jitted
def merged_output_rows(layout: Any, number: int, array: Any) -> Any:
    plan = layout[2]
    a, b, step_a, step_b = plan[0, 0], plan[0, 1], plan[number + 1, 1], plan[number + 1, 2]
    if plan[number + 1, 0] == 0:
        return as_output_rows(array, 0, a, b, step_a, step_b)
    copy = np.empty((a, b, array.shape[-1]), array.dtype)
    step = copy.shape[2] * copy.itemsize
    return as_output_rows(copy, 0, a, b, b * step, step)


@jitted
def merged_output_entries(layout: Any, number: int, array: Any) -> Any:
    plan = layout[2]
    a, b, step_a, step_b = plan[0, 0], plan[0, 1], plan[number + 1, 1], plan[number + 1, 2]
    if plan[number + 1, 0] == 0:
        return as_output_entries(array, 0, a, b, step_a, step_b)
    copy = np.empty((a, b), array.dtype)
    return as_output_entries(copy, 0, a, b, b * copy.itemsize, copy.itemsize)


@jitted
def close_merged_rows(layout: Any, number: int, view: Any, array: Any) -> None:
    """Bring what a copy holds to the output that it stands for."""
    if layout[2][number + 1, 0] != 0:
        b = view.shape[1]
        for i in range(view.shape[0] * b):
            distance = distance_to(layout, i, array.strides)
            as_output_rows(array, distance, 1, 1, 0, 0)[0, 0] = view[i // b, i % b]


@jitted
def close_merged_entries(layout: Any, number: int, view: Any, array: Any) -> None:
    if layout[2][number + 1, 0] != 0:
        b = view.shape[1]
        for i in range(view.shape[0] * b):
            distance = distance_to(layout, i, array.strides)
            as_output_entries(array, distance, 1, 1, 0, 0)[0, 0] = view[i // b, i % b]


@jitted
def note_steps(steps: Any, number: int, array: Any) -> None:
    for axis in range(steps.shape[1]):
        steps[number, axis] = array.strides[axis]


@jitted
def open_plan(logits: Any, steps: Any) -> Any:
    lengths = np.empty(steps.shape[1], np.int64)
    for axis in range(lengths.size):
        lengths[axis] = logits.shape[axis]
    order = np.zeros_like(lengths)
    plan = np.empty((steps.shape[0] + 1, 3), np.int64)
    merge(steps, lengths, order, plan)
    return lengths, order, plan


@jitted
def open_three(x: Any, mask: Any, out: Any) -> Any:
    steps = np.empty((3, x.ndim - 1), np.int64)
    note_steps(steps, 0, x)
    note_steps(steps, 1, mask)
    note_steps(steps, 2, out)
    return open_plan(x, steps)


@jitted
def open_five(x: Any, targets: Any, sample_weight: Any, losses: Any, grad: Any) -> Any:
    steps = np.empty((5, x.ndim - 1), np.int64)
    note_steps(steps, 0, x)
    note_steps(steps, 1, targets)
    note_steps(steps, 2, sample_weight)
    note_steps(steps, 3, losses)
    note_steps(steps, 4, grad)
    return open_plan(x, steps)


def _merged(count: int) -> Way:
    """Samples along two axes and more, in any order in memory."""
    return Way(
        open_three if count == 3 else open_five,
        merged_rows, merged_entries, merged_output_rows, merged_output_entries,
        close_merged_rows, close_merged_entries, in_c_order,
    )  # fmt: skip
