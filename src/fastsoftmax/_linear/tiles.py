"""How the samples and classes of a linear layer are cut up: by their numbers and the memory alone.

The sizes were measured with OpenBLAS: products of some hundred samples with all weights run at
what the CPU can do, and so do transposed ones whose result, some megabytes at most, is still in
cache when it is added to the sum over the chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .problem import Problem, is_usable

__all__ = ["Tiles", "slices"]

TILES = 16
"""Of so many parts of the memory one is for a tile: of weights, of their gradient, of targets."""
MOST_TILE_BYTES = 4 << 20
FEWEST_IN_A_TILE = 32
CACHED_BYTES = 16 << 20
"""Of logits: chunks of more leave the last-level cache..."""
ENOUGH_ROWS = 512
"""...which they do only for products of so many samples: with fewer, all weights and their
gradient are fetched and stored too often."""
WHOLE_ROWS = 64
"""Chunks are a multiple of these."""
BIAS_SUMS = 3
"""Sums of the bias's gradient: of some rows, of all, and what rounding left out."""


class Tiles(NamedTuple):
    """How many samples and classes are worked on at a time.

    Of a `chunk` of the samples all logits are held, to which the kernels go by `rows`. Products
    with converted weights, and those that are added to the gradient of the weights, are made for
    `classes` at a time.
    """

    chunk: int
    rows: int
    classes: int

    @classmethod
    def of(cls, problem: Problem, workspace_bytes: int) -> Tiles:
        """Return the sizes of the pieces, for so much memory in all."""
        itemsize, features = problem.dtype.itemsize, max(1, problem.features)
        tile_bytes = min(MOST_TILE_BYTES, workspace_bytes // TILES)
        classes = max(FEWEST_IN_A_TILE, tile_bytes // (features * itemsize))
        targets = problem.probabilities
        converted = targets is not None and not is_usable(targets, problem.dtype)
        tiles = 1 + converted + (not is_usable(problem.weight, problem.dtype))
        left = workspace_bytes - tiles * tile_bytes - BIAS_SUMS * problem.classes * 8
        a_row = problem.classes * itemsize
        copied = 0 if is_usable(problem.x, problem.dtype) else 2 * features * itemsize
        chunk = min(left // (a_row + copied), max(CACHED_BYTES // a_row, ENOUGH_ROWS))
        if chunk > WHOLE_ROWS:
            chunk -= chunk % WHOLE_ROWS
        chunk = max(1, min(chunk, problem.samples))
        # A bias is added to few rows at a time, which the kernels then find in the cache.
        apart = converted or problem.bias is not None
        rows = min(chunk, max(1, tile_bytes // 2 // a_row)) if apart else chunk
        return cls(chunk, rows, min(classes, problem.classes))


def slices(length: int, step: int) -> Iterator[slice]:
    """Cut `length` into pieces of at most `step`."""
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))
