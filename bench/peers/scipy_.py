"""SciPy: softmax and log_softmax, on one thread, always into new arrays."""

from __future__ import annotations

from fastsoftmax._cli.problems import Call, Problem

from .peer import Peer

__all__ = ["SCIPY"]


def _prepare(problem: Problem, threads: int) -> Call:
    from scipy import special

    x, axis = problem.logits, problem.axis
    if problem.operation == "softmax":
        return lambda: special.softmax(x, axis)
    return lambda: special.log_softmax(x, axis)


SCIPY = Peer(
    "scipy",
    "scipy",
    "scipy.special",
    frozenset({"softmax", "log_softmax"}),
    _prepare,
    threads="one",
)
