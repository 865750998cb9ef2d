"""Layers of a Dask graph: functions of blocks, and reductions over them in a fixed order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np

__all__ = ["CLASSES", "NUMBERS", "Argument", "apply", "origin", "reduce_blocks"]

Argument = tuple[Any, tuple[int, ...] | None]
"""An array with the indices of its axes, or what is given to each task as it is, without."""

NUMBERS = 100
"""The index of an axis that holds the few numbers of a sum or of a state."""
CLASSES = 101
"""The index of the axis of what has an entry for each class and comes to each task whole."""

_PARTS = 16
"""Blocks that one task makes one of, about."""


def apply(
    function: Callable[..., Any],
    out: tuple[int, ...],
    dtype: Any,
    *arguments: Argument,
    lengths: dict[int, int] | None = None,
    new: dict[int, int] | None = None,
    **options: Any,
) -> da.Array:
    """Call a function on the blocks of some arrays.

    Its result has the indices `out`, of which `lengths` says how long each block becomes and `new`
    how long those are which no argument has. Blocks along an index that is not in `out` come in
    lists.
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
        starts = np.concatenate([[0.0], np.cumsum(lengths, dtype=np.float64)[:-1]])
        known = np.where(np.isnan(starts), -1, starts).astype(np.int64)
        arguments.append((da.from_array(known, chunks=1), (index,)))
    return arguments


def reduce_blocks(parts: da.Array, axes: tuple[int, ...], function: Callable[..., Any]) -> da.Array:
    """Reduce along axes by a tree whose shape depends on the numbers of blocks alone.

    Each task has `function(blocks, axis, keepdims)` make one of a few neighbours, concatenated.
    """
    if not axes:
        return parts
    each = max(2, round(_PARTS ** (1 / len(axes))))
    return da.reduction(
        parts,
        chunk=_unchanged,
        combine=function,
        aggregate=function,
        axis=axes,
        dtype=parts.dtype,
        meta=np.empty((0,) * (parts.ndim - len(axes)), parts.dtype),
        concatenate=True,
        split_every=dict.fromkeys(axes, each),
    )


def _unchanged(block: Any, axis: Any, keepdims: bool) -> Any:
    return block
