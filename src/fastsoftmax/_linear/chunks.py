"""Chunk of samples by chunk: all their logits, the kernels over them, the products with them.

The products are BLAS's to share among its threads, and the kernels' threads take turns with them.
"""

from __future__ import annotations

import math

import numpy as np

from .._sums import two_sum
from .._typing import Array, Float64Array
from .problem import Problem, Results, is_usable, usable
from .tiles import Tiles, slices

__all__ = ["evaluate_chunks"]

AT_A_TIME = 1024
"""Classes, where it is as well to have little memory for what is temporary."""


def evaluate_chunks(problem: Problem, results: Results, tiles: Tiles) -> float:
    """Fill the results and return the sum of the losses over the divisor."""
    chunks = _Chunks(problem, results, tiles)
    for samples in slices(problem.samples, tiles.chunk):
        chunks.do(samples)
    return chunks.finish()


class _Chunks:
    """The memory for the logits of some samples at a time, and what is done with it."""

    def __init__(self, problem: Problem, results: Results, tiles: Tiles) -> None:
        self._problem, self._results, self._tiles = problem, results, tiles
        self._logits = np.empty((tiles.chunk, problem.classes), problem.dtype)
        self._part: Array | None = None  # of the weights' gradient, of one chunk
        self._losses: list[float] = []
        self._sums = None if results.dbias is None else _Sums(results.dbias)

    def do(self, samples: slice) -> None:
        """Work on some samples, whose logits' gradient takes the place of the logits."""
        problem, results = self._problem, self._results
        x = usable(problem.x[samples], problem.dtype)
        logits = self._logits[: len(x)]
        self._put_logits(x, logits)
        for rows in slices(len(x), self._tiles.rows):
            self._run_kernels(samples.start, rows, logits[rows])
        if results.dx is not None:
            self._put_dx(logits, results.dx[samples])
        if results.dweight is not None:
            self._add_dweight(logits, x, results.dweight, samples.start == 0)

    def finish(self) -> float:
        """Complete the bias's gradient and return the loss."""
        if self._sums is not None:
            self._sums.store()
        losses = self._losses
        return math.fsum(losses) if all(map(math.isfinite, losses)) else sum(losses)

    def _put_logits(self, x: Array, logits: Array) -> None:
        problem = self._problem
        weight = problem.weight
        if is_usable(weight, problem.dtype):
            np.matmul(x, weight.T, out=logits)
        else:
            for classes in slices(problem.classes, self._tiles.classes):
                np.matmul(x, usable(weight[classes], problem.dtype).T, out=logits[:, classes])

    def _run_kernels(self, start: int, rows: slice, logits: Array) -> None:
        """Add the bias to some of the chunk's rows and put their gradient in their place."""
        problem, results, sums = self._problem, self._results, self._sums
        samples = slice(start + rows.start, start + rows.stop)
        if problem.bias is not None:
            logits += problem.bias
        probabilities = problem.probabilities
        if probabilities is not None:
            probabilities = usable(probabilities[samples], problem.dtype)[None]
        loss = problem.kernels.cross_entropy(
            logits[None],
            None if problem.labels is None else problem.labels[None, samples],
            probabilities,
            problem.class_weight,
            None if problem.sample_weight is None else problem.sample_weight[None, samples],
            problem.ignore_index,
            problem.label_smoothing,
            problem.divisor,
            None if results.losses is None else results.losses[None, samples],
            logits[None] if results.want_products else None,
            None if sums is None else sums.of_rows,
            results.want_loss,
            problem.num_threads,
        )
        self._losses.append(loss)
        if sums is not None:
            sums.add()

    def _put_dx(self, grad: Array, place: Array) -> None:
        problem = self._problem
        if is_usable(problem.weight, problem.dtype):
            if place.dtype == problem.dtype:
                np.matmul(grad, problem.weight, out=place)
            else:
                place[...] = grad @ problem.weight
            return
        total = np.zeros(place.shape, problem.dtype)
        for classes in slices(problem.classes, self._tiles.classes):
            total += grad[:, classes] @ usable(problem.weight[classes], problem.dtype)
        place[...] = total

    def _add_dweight(self, grad: Array, x: Array, dweight: Array, first: bool) -> None:
        if not first and self._part is None:
            self._part = np.empty((self._tiles.classes, x.shape[1]), x.dtype)
        for classes in slices(self._problem.classes, self._tiles.classes):
            place = dweight[classes]
            if self._part is None:
                np.matmul(grad[:, classes].T, x, out=place)
            else:
                part = self._part[: len(place)]
                np.matmul(grad[:, classes].T, x, out=part)
                place += part


class _Sums:
    """The gradient of the bias: sums over rows, added in their order, and what rounding loses."""

    def __init__(self, dbias: Float64Array) -> None:
        self.of_rows = np.zeros_like(dbias)
        self._total, self._lost = dbias, np.zeros_like(dbias)

    def add(self) -> None:
        """Add what the kernels have written for some rows."""
        for classes in slices(self._total.size, AT_A_TIME):
            total = self._total[classes]
            total[...], lost = two_sum(total, self.of_rows[classes])
            self._lost[classes] += lost

    def store(self) -> None:
        self._lost[~np.isfinite(self._lost)] = 0
        self._total += self._lost
