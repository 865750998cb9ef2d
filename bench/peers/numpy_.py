"""NumPy at its best: in place, without Python loops, in the dtype of the logits."""

from __future__ import annotations

from fastsoftmax._cli import numpy_baseline
from fastsoftmax._cli.problems import OPERATIONS, Call, Problem

from .blas import limit_blas
from .peer import Peer

__all__ = ["NUMPY"]


def _prepare(problem: Problem, threads: int) -> Call:
    limit_blas(threads)
    return numpy_baseline.prepare(problem)


# It stands in the groups of any number of threads, as what ratios are taken to, though
# only the product in its mean gradient uses more than one.
NUMPY = Peer("numpy", "numpy", "numpy", frozenset(OPERATIONS), _prepare)
