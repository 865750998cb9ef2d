"""What is timed: operations, their input, and the answer they have to give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DTYPES",
    "OPERATIONS",
    "Array",
    "Call",
    "Problem",
    "WrongAnswerError",
    "expected",
    "make_problem",
    "verify",
]

Array = NDArray[Any]
#: A prepared call: takes nothing, returns one array or a tuple of arrays and scalars.
Call = Callable[[], Any]

OPERATIONS = ("softmax", "log_softmax", "value_and_grad", "value_and_mean_grad", "grad_hess")
DTYPES = ("float32", "float64")

# Far above what any sound implementation loses to rounding, far below any real mistake.
_TOLERANCE = {"float32": 2e-4, "float64": 1e-9, "float16": 5e-3, "bfloat16": 2e-2}


class WrongAnswerError(Exception):
    """Raised when an implementation's answer is not the right one."""


@dataclass(frozen=True)
class Problem:
    """One operation on one input.

    Attributes
    ----------
    operation : str
        One of `OPERATIONS`; losses and gradients are means, ``grad_hess`` is per sample.
    logits : array of shape (m, K), or (K, m) with ``axis=0``
        float32 or float64, in any memory order.
    labels : int64 array of shape (m,)
        The true class of each sample.
    axis : {-1, 0}
        Where the classes are.
    reuse : bool
        Whether a call may write into the same output arrays each time.
    """

    operation: str
    logits: Array
    labels: Array
    axis: int = -1
    reuse: bool = True

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return int(self.logits.shape[self.axis])

    @property
    def num_samples(self) -> int:
        """Number of samples m."""
        return int(self.logits.size // self.num_classes)

    @cached_property
    def rows(self) -> Array:
        """The sample numbers 0 … m - 1, to index the logits beside the labels."""
        return np.arange(self.num_samples)

    @property
    def at_labels(self) -> tuple[Array, Array]:
        """The index of the true classes' entries in an array like the logits."""
        return (self.labels, self.rows) if self.axis == 0 else (self.rows, self.labels)

    def output(self) -> Array | None:
        """Return a new array like the logits if outputs are reused, else None."""
        return np.empty_like(self.logits) if self.reuse else None


def make_problem(
    operation: str,
    shape: tuple[int, int],
    dtype: str,
    *,
    axis: int = -1,
    order: Literal["C", "F"] = "C",
    reuse: bool = True,
    seed: int = 0,
) -> Problem:
    """Return a random problem: normal logits of standard deviation 3, uniform labels.

    Parameters
    ----------
    operation : str
        One of `OPERATIONS`.
    shape : (int, int)
        Samples and classes (m, K), whatever the axis.
    dtype : str
        One of `DTYPES`.
    axis : {-1, 0}
        Where to put the classes; with 0 the array has shape (K, m).
    order : {"C", "F"}
        Memory order of the logits.
    reuse : bool
        Whether outputs are reused from call to call.
    seed : int
        Seed of the random numbers.
    """
    samples, classes = shape
    rng = np.random.default_rng(seed)
    stored = (classes, samples) if axis == 0 else (samples, classes)
    logits = rng.standard_normal(stored, dtype=np.dtype(dtype).type)
    logits *= 3
    labels = rng.integers(0, classes, samples)
    return Problem(operation, np.asarray(logits, order=order), labels, axis, reuse)


def expected(problem: Problem) -> tuple[Array, ...]:
    """Return the answer, computed in float64 from the textbook formulas."""
    x = problem.logits.astype(np.float64)
    axis, m = problem.axis, problem.num_samples
    x -= x.max(axis=axis, keepdims=True)
    log_p = x - np.log(np.exp(x).sum(axis=axis, keepdims=True))
    if problem.operation == "log_softmax":
        return (log_p,)
    p = np.exp(log_p)
    if problem.operation == "softmax":
        return (p,)
    loss = -log_p[problem.at_labels].mean()
    grad = p.copy()
    grad[problem.at_labels] -= 1
    if problem.operation == "value_and_grad":
        return (loss, grad / m)
    if problem.operation == "value_and_mean_grad":
        return (loss, grad.mean(axis=1 + axis))
    return (grad, p * (1 - p))


def verify(problem: Problem, answer: Any, want: tuple[Array, ...] | None = None) -> None:
    """Raise `WrongAnswerError` unless the answer is right to the precision of its dtype.

    Parameters
    ----------
    problem : Problem
        What was asked.
    answer : array or tuple
        What an implementation returned.
    want : tuple of arrays, optional
        The result of `expected`, computed if not given.
    """
    parts = answer if isinstance(answer, tuple) else (answer,)
    want = expected(problem) if want is None else want
    if len(parts) != len(want):
        raise WrongAnswerError(
            f"{problem.operation} returned {len(parts)} results, not {len(want)}"
        )
    tolerance = _TOLERANCE[str(problem.logits.dtype)]
    # A mean gradient is the small difference of a mean probability and a frequency.
    least = 1 / problem.num_classes if problem.operation == "value_and_mean_grad" else 0
    for number, (got, right) in enumerate(zip(parts, want, strict=True)):
        got = np.asarray(got)
        if got.shape != np.shape(right):
            raise WrongAnswerError(
                f"result {number} of {problem.operation} has shape {got.shape}, "
                f"not {np.shape(right)}"
            )
        error = float(np.max(np.abs(got - right)))
        allowed = tolerance * max(float(np.max(np.abs(right))), least if number == 1 else 0)
        if not error <= allowed:
            raise WrongAnswerError(
                f"result {number} of {problem.operation} is off by {error:.3g}; "
                f"at most {allowed:.3g} was expected"
            )
