"""The cross-entropy of a linear layer's logits, which are never held whole."""

from __future__ import annotations

import math

from .blas import with_at_most
from .parts import evaluate_parts
from .problem import Problem, Results
from .rows import evaluate_rows
from .tiles import Tiles

__all__ = ["evaluate"]

WORTH_LIMITING = 4_000_000
"""Multiplications: below this BLAS has no use for several threads."""


def evaluate(problem: Problem, results: Results, workspace_bytes: int) -> float:
    """Fill the results and return the sum of the losses over the divisor.

    Floating-point warnings are for the caller to silence.
    """
    if problem.divisor == 0.0 or problem.samples == 0:
        for gradient in (results.dx, results.dweight):
            if gradient is not None:
                gradient[...] = 0
        return math.nan if problem.divisor == 0.0 else 0.0
    tiles = Tiles.of(problem, results, workspace_bytes)
    way = evaluate_rows if tiles.columns == problem.classes else evaluate_parts
    products = problem.samples * problem.features * problem.classes
    if products > WORTH_LIMITING:
        losses = with_at_most(problem.num_threads, lambda: way(problem, results, tiles))
    else:
        losses = way(problem, results, tiles)
    return math.fsum(losses) if all(map(math.isfinite, losses)) else sum(losses)
