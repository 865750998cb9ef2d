"""How the samples and classes of a linear layer are cut up: by their numbers and the memory alone.

The sizes were measured with OpenBLAS: products of some hundred samples with all weights run at
what the CPU can do, and so do transposed ones whose result, some megabytes at most, is still in
cache when it is added to the sum over the chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .problem import Problem, Results, is_usable

__all__ = ["AT_A_TIME", "Tiles", "slices"]

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
"""Chunks are a multiple of these, and no fewer where that can be helped."""
BIAS_SUMS = 4
"""The bias's gradient: the sums of some rows, of all, what rounding left out, and the result."""
BIAS_PARTS = 6
"""Temporary arrays of theirs."""
AT_A_TIME = 8192
"""Classes that these are for."""
STATE_BYTES = 3000
"""Of a sample: what merging the states of two parts of its classes takes."""
FEWEST_COLUMNS = 256
"""Of the classes in such a part, whatever the memory is."""


class Tiles(NamedTuple):
    """How many samples and classes are worked on at a time.

    Of a `chunk` of the samples the logits are held: those of all classes, to which the kernels go
    by `rows`, or where these would be too few, of `columns` classes. Products with converted
    weights, and those that are added to the gradient of the weights, are made for `classes` at a
    time.
    """

    chunk: int
    columns: int
    rows: int
    classes: int

    @classmethod
    def of(cls, problem: Problem, results: Results, workspace_bytes: int) -> Tiles:
        """Return the sizes of the pieces, for so much memory in all."""
        itemsize, features = problem.dtype.itemsize, max(1, problem.features)
        tile_bytes = min(MOST_TILE_BYTES, workspace_bytes // TILES)
        classes = max(FEWEST_IN_A_TILE, tile_bytes // (features * itemsize))
        targets = problem.probabilities
        converted = targets is not None and not is_usable(targets, problem.dtype)
        tiles = 1 + converted + (not is_usable(problem.weight, problem.dtype))
        left = workspace_bytes - tiles * tile_bytes
        if results.dbias is not None:
            sums = BIAS_SUMS * problem.classes + BIAS_PARTS * min(problem.classes, AT_A_TIME)
            left = max(left - sums * 8, left // 4)
        a_row = problem.classes * itemsize
        copied = 0 if is_usable(problem.x, problem.dtype) else 2 * features * itemsize
        chunk = min(left // (a_row + copied), max(CACHED_BYTES // a_row, ENOUGH_ROWS))
        if chunk < min(WHOLE_ROWS, problem.samples):
            return cls._of_parts(problem, left, classes)
        if chunk > WHOLE_ROWS:
            chunk -= chunk % WHOLE_ROWS
        chunk = max(1, min(chunk, problem.samples))
        rows = chunk
        if converted:
            rows = tile_bytes // a_row
        elif problem.bias is not None:
            # It is added to few rows at a time, which the kernels then find in the cache.
            rows = max(WHOLE_ROWS, tile_bytes // a_row)
        rows = max(1, min(rows, chunk))
        return cls(chunk, problem.classes, rows, min(classes, problem.classes))

    @classmethod
    def _of_parts(cls, problem: Problem, left: int, classes: int) -> Tiles:
        """Return the sizes where the logits of few samples alone would fill the memory."""
        itemsize, features = problem.dtype.itemsize, max(1, problem.features)
        a_sample = 3 * features * itemsize + STATE_BYTES
        chunk = max(1, min(ENOUGH_ROWS, problem.samples, left // 2 // a_sample))
        # Their targets may be needed in other words, smoothed or weighted.
        arrays = 1 if problem.labels is not None and not problem.label_smoothing else 3
        columns = max(FEWEST_COLUMNS, (left - chunk * a_sample) // (chunk * itemsize * arrays))
        return cls(chunk, min(columns, problem.classes), chunk, min(classes, columns))


def slices(length: int, step: int, begin: int = 0) -> Iterator[slice]:
    """Cut `length` from `begin` on into pieces of at most `step`."""
    for start in range(begin, begin + length, step):
        yield slice(start, min(start + step, begin + length))
