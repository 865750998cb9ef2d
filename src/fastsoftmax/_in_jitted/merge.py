"""The sample axes of several arrays merged to two, in compiled code.

By the rules of `_arguments.layout` for arrays in Python, which decide the order of the samples: the
widest steps first, as the first array would have it, and one boundary between neighbouring axes at
most; an array that needs another is copied.
"""

from __future__ import annotations

from typing import Any

from .._backends.numba_kernels.compilation import Kernel, jitted
from .._backends.numba_kernels.numba_api import types

__all__ = ["MERGE"]


@jitted
def comes_before(steps: Any, first: int, second: int) -> bool:
    for array in range(steps.shape[0]):
        a, b = abs(steps[array, first]), abs(steps[array, second])
        if a != b:
            return bool(a > b)
    return False


@jitted
def sort_axes(lengths: Any, steps: Any, order: Any) -> int:
    """Put the axes longer than 1 into `order`; how many there are."""
    count = 0
    for axis in range(lengths.size):
        if lengths[axis] > 1:
            place = count
            while place > 0 and comes_before(steps, axis, order[place - 1]):
                order[place] = order[place - 1]
                place -= 1
            order[place] = axis
            count += 1
    return count


@jitted
def boundary_of(steps: Any, array: int, lengths: Any, order: Any, count: int, kept: int) -> int:
    """The one boundary that is left, `kept` included; 0 for none, -1 for more than one."""
    for place in range(1, count):
        here, before = order[place], order[place - 1]
        if steps[array, before] != steps[array, here] * lengths[here]:
            if kept not in (0, place):
                return -1
            kept = place
    return kept


def merge(steps: Any, lengths: Any, order: Any, plan: Any) -> None:
    """Find out how arrays are walked as (A, B).

    `steps` has a row for each array and a column for each sample axis. In the result `plan`, row 0
    is (A, B, axes in `order`), and row i + 1 of array i (is it to be copied, step A, step B).
    """
    count = sort_axes(lengths, steps, order)
    split = 0
    for array in range(steps.shape[0]):
        boundary = boundary_of(steps, array, lengths, order, count, split)
        plan[array + 1, 0] = boundary < 0
        if boundary >= 0:
            split = boundary
    a = b = 1
    for place in range(count):
        if place < split:
            a *= lengths[order[place]]
        else:
            b *= lengths[order[place]]
    plan[0, 0], plan[0, 1], plan[0, 2] = a, b, count
    for array in range(steps.shape[0]):
        plan[array + 1, 1] = steps[array, order[split - 1]] if split > 0 else 0
        plan[array + 1, 2] = steps[array, order[count - 1]] if count > split else 0


def _signature(real: Any) -> tuple[Any, ...]:
    table, vector = types.Array(types.int64, 2, "C"), types.Array(types.int64, 1, "C")
    return table, vector, vector, table


MERGE = Kernel(merge, _signature)
