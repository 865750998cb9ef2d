"""The operations as calls of the package, and which backends can make them."""

from __future__ import annotations

import numpy as np

from .. import (
    available_backends,
    cross_entropy_grad_hess,
    cross_entropy_value_and_grad,
    cross_entropy_value_and_mean_grad,
    log_softmax,
    softmax,
)
from ..typing import BackendName
from .problems import Call, Problem

__all__ = ["prepare", "usable_backends"]


def usable_backends() -> tuple[tuple[BackendName, ...], dict[BackendName, str]]:
    """Return the backends that work here, and why each of the others that are installed fails."""
    usable, broken = [], {}
    for name in available_backends():
        try:
            softmax(np.zeros(2), backend=name)
        except ImportError as error:
            broken[name] = str(error)
        else:
            usable.append(name)
    return tuple(usable), broken


def prepare(problem: Problem, backend: BackendName, num_threads: int) -> Call:
    """Return a call that solves the problem with a backend."""
    x, labels, axis, out = problem.logits, problem.labels, problem.axis, problem.output()
    both = (out, problem.output()) if problem.reuse else None
    b, n = backend, num_threads
    calls: dict[str, Call] = {
        "softmax": lambda: softmax(x, axis, out=out, backend=b, num_threads=n),
        "log_softmax": lambda: log_softmax(x, axis, out=out, backend=b, num_threads=n),
        "value_and_grad": lambda: cross_entropy_value_and_grad(
            x, labels, axis, out=out, backend=b, num_threads=n
        ),
        "value_and_mean_grad": lambda: cross_entropy_value_and_mean_grad(
            x, labels, axis, backend=b, num_threads=n
        ),
        "grad_hess": lambda: cross_entropy_grad_hess(
            x, labels, axis, out=both, backend=b, num_threads=n
        ),
    }
    return calls[problem.operation]
