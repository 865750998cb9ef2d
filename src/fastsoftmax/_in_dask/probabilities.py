"""softmax, log_softmax and logsumexp of Dask arrays."""

from __future__ import annotations

from typing import Any, SupportsIndex

import dask.array as da

from .._api import probabilities as core
from . import tasks
from .arguments import Logits, as_logits, as_mask, settings
from .graph import apply

__all__ = ["logsumexp", "of_logits_shape"]


def of_logits_shape(
    name: str,
    x: Any,
    axis: SupportsIndex,
    where: Any,
    backend: str | None,
    num_threads: SupportsIndex,
) -> da.Array:
    """Return softmax or log_softmax, whose results have the logits' shape."""
    options = settings(backend, num_threads)
    logits = as_logits(x, axis, "x")
    mask = as_mask(where, logits, "x")
    return _block_by_block(name, logits, mask, logits.indices, None, options)


def logsumexp(
    x: Any,
    axis: SupportsIndex,
    keepdims: bool,
    where: Any,
    backend: str | None,
    num_threads: SupportsIndex,
) -> da.Array:
    """Return the logarithm of the sum of exponentials."""
    options = {**settings(backend, num_threads), "keepdims": bool(keepdims)}
    logits = as_logits(x, axis, "x")
    mask = as_mask(where, logits, "x")
    out = logits.indices if keepdims else logits.sample_indices
    lengths = {logits.axis: 1} if keepdims else None
    return _block_by_block("logsumexp", logits, mask, out, lengths, options)


def _block_by_block(
    name: str,
    logits: Logits,
    mask: da.Array | None,
    out: tuple[int, ...],
    lengths: dict[int, int] | None,
    options: dict[str, Any],
) -> da.Array:
    return apply(
        tasks.probabilities,
        out,
        logits.dtype,
        (logits.array, logits.indices),
        (mask, trailing(logits, mask)),
        lengths=lengths,
        compute=getattr(core, name),
        options={**options, "axis": logits.axis},
    )


def trailing(logits: Logits, mask: da.Array | None) -> tuple[int, ...] | None:
    """Return the indices of a mask, which is broadcast to the logits."""
    return None if mask is None else logits.indices[logits.array.ndim - mask.ndim :]
