"""The backends of fastsoftmax."""

from __future__ import annotations

from functools import partial

from fastsoftmax._cli.implementations import prepare
from fastsoftmax._cli.problems import OPERATIONS, Call, Problem

from .peer import Peer

__all__ = ["NUMBA", "C"]


def _prepare(backend: str, problem: Problem, threads: int) -> Call:
    return prepare(problem, backend, threads)


C = Peer("c", "fastsoftmax", "fastsoftmax._c", frozenset(OPERATIONS), partial(_prepare, "c"))
NUMBA = Peer("numba", "fastsoftmax", "numba", frozenset(OPERATIONS), partial(_prepare, "numba"))
