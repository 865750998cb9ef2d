"""Chunk of samples by chunk: the logits of all their classes, the kernels, the products."""

from __future__ import annotations

import numpy as np

from .._typing import Array
from .bias_sums import BiasSums
from .problem import Problem, Results, usable
from .products import Products
from .tiles import Tiles, slices

__all__ = ["evaluate_rows"]


def evaluate_rows(problem: Problem, results: Results, tiles: Tiles) -> list[float]:
    """Fill the results and return the losses of parts of the samples, over the divisor."""
    every = slice(0, problem.classes)
    memory = np.empty((tiles.chunk, problem.classes), problem.dtype)
    products = Products(problem, results, tiles.classes)
    sums = None if results.dbias is None else BiasSums(results.dbias)
    losses = []
    for samples in slices(problem.samples, tiles.chunk):
        x = usable(problem.x[samples], problem.dtype)
        logits = memory[: len(x)]
        products.put_logits(x, every, logits)
        for rows in slices(len(x), tiles.rows):
            some = slice(samples.start + rows.start, samples.start + rows.stop)
            losses.append(_run_kernels(problem, results, some, logits[rows], sums))
        if results.dx is not None:
            place = results.dx[samples]
            work = place if place.dtype == x.dtype else np.empty(place.shape, x.dtype)
            products.put_dx(logits, every, work)
            if work is not place:
                place[...] = work
        products.add_dweight(logits, x, every, samples.start == 0)
    if sums is not None:
        sums.finish()
    return losses


def _run_kernels(
    problem: Problem, results: Results, samples: slice, logits: Array, sums: BiasSums | None
) -> float:
    """Add the bias, put the logits' gradient in their place and return the loss."""
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
        None if sums is None else sums.of_some,
        results.want_loss,
        problem.num_threads,
    )
    if sums is not None:
        sums.add()
    return loss
