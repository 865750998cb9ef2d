"""Chunk of samples by chunk, part of the classes by part: for more classes than memory is for.

The logits are made twice: first for the chunk's merged state, which the gradient of each part is
made from; see `fastsoftmax.sharded`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._in_sharded.classes import cross_entropy_grad, partial_state
from .._in_sharded.losses import cross_entropy
from .._in_sharded.state import merge_states
from .._sums import pairwise_sum
from .._typing import Array, Float64Array
from .bias_sums import BiasSums
from .problem import Problem, Results, usable
from .products import Products
from .tiles import Tiles, slices

__all__ = ["evaluate_parts"]


def evaluate_parts(problem: Problem, results: Results, tiles: Tiles) -> list[float]:
    """Fill the results and return the losses of the chunks, over the divisor."""
    memory = np.empty(tiles.chunk * tiles.columns, problem.dtype)
    products = Products(problem, results, tiles.classes)
    sums = None if results.dbias is None else BiasSums(results.dbias)
    losses = []
    for samples in slices(problem.samples, tiles.chunk):
        chunk = _Chunk(problem, tiles, products, samples, memory)
        state = chunk.state()
        if results.want_loss or results.losses is not None:
            losses.append(chunk.put_losses(state, results))
        if results.want_products or sums is not None:
            chunk.put_gradients(state, results, sums)
    if sums is not None:
        sums.finish()
    return losses


class _Chunk:
    """Some of the samples."""

    def __init__(
        self, problem: Problem, tiles: Tiles, products: Products, samples: slice, memory: Array
    ) -> None:
        self._problem, self._products = problem, products
        self._samples, self._memory = samples, memory
        self._parts = list(slices(problem.classes, tiles.columns))
        self._x = usable(problem.x[samples], problem.dtype)
        self._options: dict[str, Any] = {
            "num_classes": problem.classes,
            "weight": problem.class_weight,
            "ignore_index": problem.ignore_index,
        }
        self._shared: dict[str, Any] = {
            "label_smoothing": problem.label_smoothing,
            "backend": problem.kernels.NAME,
            "num_threads": problem.num_threads,
        }
        sample_weight = problem.sample_weight
        self._sample_weight = None if sample_weight is None else sample_weight[samples]

    def state(self) -> Float64Array:
        """Return the merged state of all classes."""
        state: Float64Array | None = None
        for classes in self._parts:
            more = partial_state(
                self._logits(classes), self._targets(classes), first_class=classes.start,
                **self._options, **self._shared,
            )  # fmt: skip
            state = more if state is None else merge_states([state, more])
        assert state is not None
        return state

    def put_losses(self, state: Float64Array, results: Results) -> float:
        """Write the samples' losses, or return their sum over the divisor."""
        problem = self._problem
        labels = None if problem.labels is None else problem.labels[self._samples]
        losses = cross_entropy(
            state,
            labels,
            sample_weight=self._sample_weight,
            reduction="sum" if results.losses is None else "none",
            divisor=problem.divisor,
            dtype=np.float64 if results.losses is None else problem.dtype,
            **(self._options if labels is not None else {}),
        )
        if results.losses is None:
            return float(losses)
        results.losses[self._samples] = losses
        return 0.0

    def put_gradients(self, state: Float64Array, results: Results, sums: BiasSums | None) -> None:
        """Write the samples' part of dx, and add theirs to the other gradients."""
        place = None if results.dx is None else results.dx[self._samples]
        dx = part = np.empty(0)
        if place is not None:
            dx, part = np.zeros(place.shape, self._x.dtype), np.empty(place.shape, self._x.dtype)
        for classes in self._parts:
            grad = self._grad(classes, state)
            if place is not None:
                self._products.put_dx(grad, classes, part)
                dx += part
            self._products.add_dweight(grad, self._x, classes, self._samples.start == 0)
            if sums is not None:
                pairwise_sum(grad, sums.of_some[classes])
        if place is not None:
            place[...] = dx
        if sums is not None:
            sums.add()

    def _grad(self, classes: slice, state: Float64Array) -> Array:
        logits = self._logits(classes)
        return cross_entropy_grad(
            logits, self._targets(classes), state, first_class=classes.start,
            sample_weight=self._sample_weight, divisor=self._problem.divisor, out=logits,
            **self._options, **self._shared,
        )  # fmt: skip

    def _logits(self, classes: slice) -> Array:
        shape = len(self._x), classes.stop - classes.start
        logits = self._memory[: shape[0] * shape[1]].reshape(shape)
        self._products.put_logits(self._x, classes, logits)
        if self._problem.bias is not None:
            logits += self._problem.bias[classes]
        return logits

    def _targets(self, classes: slice) -> Array:
        problem = self._problem
        if problem.labels is not None:
            return problem.labels[self._samples]
        assert problem.probabilities is not None
        return usable(problem.probabilities[self._samples, classes], problem.dtype)
