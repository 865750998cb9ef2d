"""Layers of a Dask graph: a function on every block, and sums over blocks in a fixed order."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np

from . import tasks

__all__ = ["CLASSES", "PAIR", "Argument", "apply", "origin", "reduce_blocks", "sum_blocks"]

Argument = tuple[Any, tuple[int, ...] | None]

PAIR = 100
"""The index of the axis of length 2 that holds a sum and its rounding error."""
CLASSES = 101
"""The index of the axis of what has an entry for each class and comes to each task whole."""

_PARTS = 16
"""Blocks that one task adds, in all."""


def apply(
    function: Callable[..., Any],
    out: tuple[int, ...],
    dtype: Any,
    *arguments: Argument,
    lengths: dict[int, int] | None = None,
    new: dict[int, int] | None = None,
    **options: Any,
) -> da.Array:
    """Call a function on the blocks of some arrays, each with the indices of its axes.

    Its result has the indices `out`, of which `lengths` says how long each block becomes and `new`
    how long those are which no argument has. Blocks along an index that is not in `out` come in
    lists. An argument without indices, and one that is None, is given to each task as it is.
    """
    pairs = [
        item
        for value, indices in arguments
        for item in (value, indices if isinstance(value, da.Array) else None)
    ]
    return da.blockwise(
        function,
        out,
        *pairs,
        dtype=dtype,
        meta=np.empty((0,) * len(out), dtype),
        adjust_chunks=lengths,
        new_axes=new,
        align_arrays=False,
        concatenate=None,
        **options,
    )


def origin(chunks: tuple[tuple[Any, ...], ...], indices: tuple[int, ...]) -> list[Argument]:
    """Return arguments for `apply` that tell each block where it begins, -1 if not known."""
    arguments: list[Argument] = []
    for lengths, index in zip(chunks, indices, strict=True):
        ends = np.cumsum(np.array(lengths, np.float64))
        starts = np.where(np.isnan(ends), -1, ends - np.array(lengths)).astype(np.int64)
        starts[1:][np.isnan(ends[:-1])] = -1
        starts[:1] = 0
        arguments.append((da.from_array(starts, chunks=1), (index,)))
    return arguments


def reduce_blocks(
    parts: da.Array, axes: tuple[int, ...], function: Callable[..., Any], meta: Any
) -> da.Array:
    """Reduce along axes by a tree whose shape depends on the number of blocks alone.

    Each task has `function(blocks, axis, keepdims)` make one of a few neighbours, concatenated.
    """
    if not axes:
        return parts
    each = max(2, math.floor(_PARTS ** (1 / len(axes)) + 0.5))
    return da.reduction(
        parts,
        chunk=_unchanged,
        combine=function,
        aggregate=function,
        axis=axes,
        dtype=parts.dtype,
        meta=meta,
        concatenate=True,
        split_every=dict.fromkeys(axes, each),
    )


def sum_blocks(parts: da.Array, samples: int) -> da.Array:
    """Add sums, which end in an axis of length 2, along the first axes."""
    meta = np.empty((0,) * (parts.ndim - samples), parts.dtype)
    return reduce_blocks(parts, tuple(range(samples)), tasks.add_blocks, meta)


def _unchanged(block: Any, axis: Any, keepdims: bool) -> Any:
    return block
