"""Sums of many numbers with hardly any rounding error."""

from __future__ import annotations

import numpy as np

from ._typing import Array, Float64Array

__all__ = ["RunningSum", "accurate_sum", "pairwise_sum", "two_sum"]

_AT_A_TIME = 1 << 15
"""Entries, so that they are in cache and take little memory."""


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded sum and its exact rounding error (Knuth's TwoSum)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def accurate_sum(values: Float64Array) -> float:
    """Sum as if in twice the working precision; the order is fixed by the array's own C order.

    It is added in halves, and so is what rounding leaves out.
    """
    with np.errstate(all="ignore"):
        terms = values.ravel()
        errors = np.zeros(terms.size)
        while terms.size > 1:
            half = terms.size // 2
            sums, left_out = two_sum(terms[:half], terms[half : 2 * half])
            left_out += errors[:half] + errors[half : 2 * half]
            odd = terms.size % 2
            terms = np.append(sums, terms[-1]) if odd else sums
            errors = np.append(left_out, errors[-1]) if odd else left_out
        total = float(terms[0]) if terms.size else 0.0
        return total + float(errors[0]) if np.isfinite(total) and errors.size else total


def pairwise_sum(values: Array, out: Float64Array) -> None:
    """Write the sums along the first axis of an array of two, added in halves in float64."""
    step = max(1, _AT_A_TIME // len(values))
    for start in range(0, values.shape[1], step):
        columns = slice(start, start + step)
        rows = values[:, columns].astype(np.float64)
        while len(rows) > 1:
            half = len(rows) // 2
            rows[:half] += rows[half : 2 * half]
            if len(rows) % 2:
                rows[0] += rows[-1]
            rows = rows[:half]
        out[columns] = rows[0]


class RunningSum:
    """A sum of many terms, kept in twice the precision of its type."""

    def __init__(self, zero: Array) -> None:
        self._sum = zero
        self._lost = np.zeros_like(zero)

    def add(self, term: Array) -> None:
        """Add a term of the shape of the sum."""
        with np.errstate(all="ignore"):
            self._sum, lost = two_sum(self._sum, term)
            self._lost = self._lost + np.where(np.isfinite(lost), lost, 0)

    def value(self) -> Array:
        """Return the sum so far, rounded to its type."""
        finite = np.isfinite(self._sum)
        result: Array = self._sum + np.where(finite, self._lost, 0)
        return result
