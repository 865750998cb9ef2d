"""Samples in chunks, whose number and length depend on the shape alone, and their sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array, Float64Array
from .compilation import Kernel, jitted
from .losses import UNIT_OF_HUGE
from .numba_api import types
from .parallel import are_near, note_end, run_in_threads
from .staging import Number
from .sums import sum_error
from .words import is_finite

__all__ = [
    "COMBINE",
    "WORTH_A_THREAD",
    "WORTH_WAKING",
    "Plan",
    "chunk_length",
    "combine",
    "mean_pitch",
    "threads_that_pay",
]

CHUNK_ELEMENTS = 16384
"""A chunk's logits stay in cache between their kernel's passes."""
MEAN_ROWS = 64
"""Of long rows to a chunk with a mean gradient, which costs a row's time to add up."""
FEWEST_CHUNKS = 8
"""But no fewer chunks than these for its sake..."""
FEWEST_MEAN_ROWS = 4
"""...unless their rows would be fewer than these."""
WORTH_A_THREAD = 65536
"""Elements: below this another thread costs more than it saves..."""
WORTH_WAKING = 1 << 18
"""...and below this if it has to be woken first."""
ROWS_ACROSS = 16
"""Chunks are whole blocks, where rows lie across the lanes."""
LONGEST_ACROSS = 192
"""At most, classes side by side."""
COLUMNS = 128
"""Chunks are whole groups of blocks, where samples lie side by side."""
COUNTABLE = 1 << 55
"""Classes whose scratch memory can be counted in bytes, if not be had."""
MEAN_PITCH = 16
"""A mean gradient's sums in memory are whole vectors."""


def chunk_length(samples: int, classes: int, class_stride: int, want_mean_grad: bool) -> int:
    """Return how many samples a chunk has: plain arithmetic, for compiled callers too."""
    chunk = CHUNK_ELEMENTS // classes + 1
    if want_mean_grad:
        rows = max(samples // FEWEST_CHUNKS, FEWEST_MEAN_ROWS)
        chunk = max(chunk, min(MEAN_ROWS, rows))
    if class_stride not in (4, 8):
        chunk = -(-chunk // COLUMNS) * COLUMNS
    if classes <= LONGEST_ACROSS:
        chunk = -(-chunk // ROWS_ACROSS) * ROWS_ACROSS
    return chunk


def mean_pitch(classes: int) -> int:
    """Return how many sums a mean gradient of so many classes has room for."""
    return -(-classes // MEAN_PITCH) * MEAN_PITCH


def threads_that_pay(elements: int, num_threads: int) -> int:
    """Return how many of the threads that a call may use are of use to it."""
    if num_threads == 1 or elements < WORTH_A_THREAD:
        return 1
    return 1 if elements < WORTH_WAKING and not are_near() else num_threads


class Plan:
    """How the samples of one call are cut up."""

    __slots__ = ("chunk", "chunks", "classes", "itemsize", "may_share", "threads")

    def __init__(self, x: Array, num_threads: int, want_mean_grad: bool = False) -> None:
        outer, inner, self.classes = x.shape
        if self.classes > COUNTABLE:
            raise MemoryError(f"no memory for rows of {self.classes} classes")
        self.itemsize = x.itemsize
        samples = outer * inner
        self.chunk = chunk_length(samples, self.classes, x.strides[2], want_mean_grad)
        self.chunks = -(-samples // self.chunk)
        elements = samples * self.classes
        self.may_share = num_threads > 1 and elements >= WORTH_A_THREAD
        self.threads = min(threads_that_pay(elements, num_threads), self.chunks)

    def run(self, kernel: Kernel, *args: Any) -> None:
        """Call a kernel, its chunks' length and what threads share added."""
        run_in_threads(kernel.version(self.itemsize), (*args, self.chunk), self.threads)
        if self.may_share:
            note_end()

    def sums(self, want_mean_grad: bool) -> tuple[Float64Array, Float64Array]:
        """Return where the chunks put their losses, and all together their mean gradient."""
        mean_shape = (2, mean_pitch(self.classes)) if want_mean_grad else (0, 0)
        return np.empty((self.chunks, 4)), np.zeros(mean_shape)


@jitted
def add_up(hi: Any, lo: Any) -> Number:
    total = 0.0
    lost = 0.0
    for i in range(hi.size):
        before = total
        total += hi[i]
        lost = lost + (sum_error(before, hi[i], total) + lo[i]) if is_finite(total) else 0.0
    return total + lost


def combine_chunks(chunk_loss: Any, mean_sums: Any, mean_grad: Any, divisor: float) -> Number:
    for k in range(mean_grad.size):
        mean_grad[k] = mean_sums[0, k] + mean_sums[1, k]
    common = add_up(chunk_loss[:, 0], chunk_loss[:, 1]) / divisor
    huge = add_up(chunk_loss[:, 2], chunk_loss[:, 3])
    return common if huge == 0 else common + huge * (UNIT_OF_HUGE / divisor)


def _signature(real: Any) -> tuple[Any, ...]:
    sums = types.Array(types.float64, 2, "C")
    return sums, sums, types.Array(types.float64, 1, "C"), types.float64


COMBINE = Kernel(combine_chunks, _signature, itemsizes=(8,))


def combine(
    chunk_loss: Float64Array, mean_sums: Float64Array, mean_grad: Float64Array, divisor: float
) -> float:
    """Fill the mean gradient and return the loss over the divisor, from the chunks' in order."""
    loss: float = COMBINE.version(8)(chunk_loss, mean_sums, mean_grad, divisor)
    return loss
