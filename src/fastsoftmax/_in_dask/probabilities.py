"""softmax, log_softmax and logsumexp of Dask arrays."""

from __future__ import annotations

from typing import Any, SupportsIndex

import dask.array as da

from .._api import probabilities as core
from ..typing import BackendName
from . import class_chunks, tasks
from .arguments import as_logits, as_mask, settings, trailing
from .graph import apply

__all__ = ["logsumexp", "of_logits_shape"]


def of_logits_shape(
    name: str,
    x: Any,
    axis: SupportsIndex,
    where: Any,
    backend: BackendName | None,
    num_threads: SupportsIndex,
) -> da.Array:
    """Return softmax or log_softmax, whose results have the logits' shape."""
    chosen = settings(backend, num_threads)
    logits = as_logits(x, axis, "x")
    mask = as_mask(where, logits, "x")
    if not logits.in_one_piece:
        return class_chunks.of_logits_shape(name, logits, mask, chosen)
    return apply(
        tasks.probabilities,
        logits.indices,
        logits.dtype,
        (logits.array, logits.indices),
        (mask, trailing(logits, mask)),
        compute=getattr(core, name),
        options={**chosen, "axis": logits.axis},
    )


def logsumexp(
    x: Any,
    axis: SupportsIndex,
    keepdims: bool,
    where: Any,
    backend: BackendName | None,
    num_threads: SupportsIndex,
) -> da.Array:
    """Return the logarithm of the sum of exponentials."""
    chosen = settings(backend, num_threads)
    logits = as_logits(x, axis, "x")
    mask = as_mask(where, logits, "x")
    keepdims = bool(keepdims)
    if not logits.in_one_piece:
        return class_chunks.logsumexp(logits, mask, keepdims, chosen)
    return apply(
        tasks.probabilities,
        logits.indices if keepdims else logits.sample_indices,
        logits.dtype,
        (logits.array, logits.indices),
        (mask, trailing(logits, mask)),
        lengths={logits.axis: 1} if keepdims else None,
        compute=core.logsumexp,
        options={**chosen, "axis": logits.axis, "keepdims": keepdims},
    )
