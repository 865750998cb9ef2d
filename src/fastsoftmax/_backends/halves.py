"""float16 and bfloat16 for backends that compute in float32 and float64 alone.

Samples are converted to float32 a block at a time, so that there is never a copy of all of them;
what comes of a block is rounded into the outputs before the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeAlias

import numpy as np

from .._sums import RunningSum
from .._typing import Array, Float64Array

__all__ = ["Block", "blocks_of", "cross_entropy_on_halves", "grad_hess_on_halves", "on_halves"]

HALF_BLOCK = 1 << 21
"""Elements converted at a time: enough that threads pay."""

Block: TypeAlias = tuple[slice, slice]


def blocks_of(shape: tuple[int, ...], elements: int) -> Iterator[Block]:
    """Split the samples of an array (A, B, K) such that a block holds few elements."""
    outer, inner, num_classes = shape
    step_inner = min(inner, max(1, elements // num_classes))
    step_outer = max(1, elements // (inner * num_classes))
    for i in range(0, outer, step_outer):
        for j in range(0, inner, step_inner):
            yield slice(i, i + step_outer), slice(j, j + step_inner)


def on_halves(kernel: Callable[..., None]) -> Callable[..., None]:
    """Let a kernel take halves that is called with inputs, an output and a number of threads.

    The first input says which samples there are; others may be halves too, or None.
    """

    @wraps(kernel)
    def call(x: Array, *arguments: Any) -> None:
        *others, out, num_threads = arguments
        if not _is_half(x):
            kernel(x, *arguments)
            return
        for block in blocks_of(x.shape, HALF_BLOCK):
            part = _part(x, block)
            results = _room(out, block, part)
            kernel(part, *(_part(other, block) for other in others), results, num_threads)
            _round_to(out, block, results)

    return call


def cross_entropy_on_halves(kernel: Callable[..., float]) -> Callable[..., float]:
    """Let a backend's cross_entropy take halves."""

    @wraps(kernel)
    def call(
        logits: Array,
        labels: Array | None,
        probabilities: Array | None,
        weight: Float64Array | None,
        sample_weight: Float64Array | None,
        ignore_index: int | None,
        label_smoothing: float,
        divisor: float,
        losses: Array | None,
        grad: Array | None,
        mean_grad: Float64Array | None,
        want_loss: bool,
        num_threads: int,
    ) -> float:
        options = (ignore_index, label_smoothing, divisor)
        arrays = (logits, labels, probabilities, sample_weight, losses, grad)
        if not _is_half(logits):
            return kernel(
                *arrays[:3], weight, sample_weight, *options, *arrays[4:], mean_grad, want_loss,
                num_threads,
            )  # fmt: skip
        total = RunningSum(np.zeros(()))
        of_block = None if mean_grad is None else np.zeros_like(mean_grad)
        means = None if of_block is None else RunningSum(of_block.copy())
        for block in blocks_of(logits.shape, HALF_BLOCK):
            x, t, y, s = (_part(array, block) for array in arrays[:4])
            rooms = [_room(out, block, x) for out in arrays[4:]]
            loss = kernel(x, t, y, weight, s, *options, *rooms, of_block, want_loss, num_threads)
            total.add(np.asarray(loss))
            if of_block is not None and means is not None:
                means.add(of_block)
            for out, room in zip(arrays[4:], rooms, strict=True):
                _round_to(out, block, room)
        if mean_grad is not None and means is not None:
            mean_grad[:] = means.value()
        return float(total.value())

    return call


def grad_hess_on_halves(kernel: Callable[..., None]) -> Callable[..., None]:
    """Let a backend's grad_hess take halves."""

    @wraps(kernel)
    def call(
        logits: Array,
        labels: Array | None,
        probabilities: Array | None,
        sample_weight: Float64Array | None,
        hessian: str,
        grad: Array,
        hess: Array,
        num_threads: int,
    ) -> None:
        arrays = (logits, labels, probabilities, sample_weight)
        if not _is_half(logits):
            kernel(*arrays, hessian, grad, hess, num_threads)
            return
        for block in blocks_of(logits.shape, HALF_BLOCK):
            parts = [_part(array, block) for array in arrays]
            rooms = [_room(out, block, parts[0]) for out in (grad, hess)]
            kernel(*parts, hessian, *rooms, num_threads)
            for out, room in zip((grad, hess), rooms, strict=True):
                _round_to(out, block, room)

    return call


def _is_half(array: Array) -> bool:
    return array.dtype.itemsize == 2


def _part(array: Array | None, block: Block) -> Any:
    """Return a block of an input: of halves in float32, of anything else as it is."""
    if array is None:
        return None
    return array[block].astype(np.float32) if _is_half(array) else array[block]


def _room(out: Array | None, block: Block, like: Array) -> Any:
    """Return float32 memory for a block of an output of halves; another is written as it is."""
    if out is None:
        return None
    if not _is_half(out):
        return out[block]
    shape = out[block].shape
    return np.empty_like(like) if shape == like.shape else np.empty(shape, np.float32)


def _round_to(out: Array | None, block: Block, results: Any) -> None:
    if out is not None and _is_half(out):
        with np.errstate(all="ignore"):
            out[block] = results
