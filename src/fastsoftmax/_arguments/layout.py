"""Bringing arrays of any number of axes into the form the backends take.

The class axis goes last, and the sample axes are merged to two: logits become (A, B, K), arrays
with one entry a sample (A, B). All arrays of a call are merged alike, without a copy where their
strides allow it.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import numpy as np

from .._typing import Array

__all__ = ["canonical"]

Pending: TypeAlias = list[tuple[Array, Array]]


def canonical(
    axis: int, arrays: tuple[Array | None, ...], num_outputs: int
) -> tuple[list[Any], Pending]:
    """Return the arrays in canonical form.

    Parameters
    ----------
    axis : int
        The class axis, counted from the front, of every array of as many axes as the first; it may
        be of another length. Arrays with one axis less have no class axis. No axis may be of
        length 0.
    arrays : tuple of (array or None)
        The logits first, the outputs last.
    num_outputs : int
        How many of the last arrays are written.

    Returns
    -------
    views : list of (array or None)
        Views of the arrays, or copies of those whose strides do not allow a view.
    pending : list of (output, temporary)
        Views of outputs that could not be used as they are. The temporary will hold the result,
        which is then to be copied there.
    """
    logits: Any = arrays[0]
    ndim = logits.ndim
    if ndim == 2:
        if axis == 1:
            return [None if array is None else array[None] for array in arrays], []
        return [
            None if array is None else (array.T if array.ndim == 2 else array)[None]
            for array in arrays
        ], []
    if ndim == 1:
        return [None if array is None else array[None, None] for array in arrays], []
    if axis == ndim - 1 and all(array is None or array.flags.c_contiguous for array in arrays):
        return [
            None
            if array is None
            else array.reshape((1, -1, array.shape[-1]) if array.ndim == ndim else (1, -1))
            for array in arrays
        ], []
    return _merge(axis, arrays, num_outputs)


def _merge(
    axis: int, arrays: tuple[Array | None, ...], num_outputs: int
) -> tuple[list[Any], Pending]:
    logits: Any = arrays[0]
    ndim = logits.ndim
    order = _sample_axes(axis, arrays, ndim)
    lengths = [logits.shape[position] for position in order]
    # Where a boundary between two neighbouring axes has to stay; at most one can.
    kept: set[int] = set()
    views: list[Any] = []
    pending: Pending = []
    for index, array in enumerate(arrays):
        if array is None:
            views.append(None)
            continue
        moved = _move(array, order, axis, ndim)
        boundaries = kept | _boundaries(moved, lengths)
        if len(boundaries) <= 1:
            kept = boundaries
        elif index < len(arrays) - num_outputs:
            moved = np.ascontiguousarray(moved)
        else:
            place = moved
            moved = np.empty(place.shape, place.dtype)
            pending.append((place, moved))
        views.append(moved)
    split = min(kept, default=0)
    samples = (prod(lengths[:split]), prod(lengths[split:]))
    return [
        None if view is None else view.reshape(samples + view.shape[len(lengths) :])
        for view in views
    ], pending


def _sample_axes(axis: int, arrays: tuple[Array | None, ...], ndim: int) -> list[int]:
    """Return the sample axes longer than 1, the widest steps first, as the logits would have it."""
    logits: Any = arrays[0]
    steps = []
    for position in range(ndim):
        if position != axis and logits.shape[position] > 1:
            wide = [
                -abs(
                    array.strides[position if array.ndim == ndim else position - (position > axis)]
                )
                for array in arrays
                if array is not None
            ]
            steps.append((wide, position))
    return [position for _, position in sorted(steps)]


def _move(array: Array, order: list[int], axis: int, ndim: int) -> Array:
    """Return a view with the sample axes in this order, the class axis last if there is one."""
    if array.ndim == ndim:
        last = [axis]
    else:
        last = []
        order = [position - (position > axis) for position in order]
    units = [position for position in range(array.ndim) if position not in (*order, *last)]
    moved = array.transpose(order + units + last)
    return moved.reshape([array.shape[position] for position in order + last]) if units else moved


def _boundaries(moved: Array, lengths: list[int]) -> set[int]:
    """Return the places between neighbouring sample axes that one step cannot walk across."""
    strides = moved.strides
    return {
        place
        for place in range(1, len(lengths))
        if strides[place - 1] != strides[place] * lengths[place]
    }
