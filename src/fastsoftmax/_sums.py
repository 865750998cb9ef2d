"""Sums of many numbers with hardly any rounding error."""

from __future__ import annotations

import numpy as np

from ._typing import Array, Float64Array

__all__ = ["accurate_sum", "two_sum"]


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded sum and its exact rounding error (Knuth's TwoSum)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def accurate_sum(values: Float64Array) -> float:
    """Sum as if in twice the working precision; the order is fixed by the array's own C order."""
    with np.errstate(all="ignore"):
        terms = values.ravel()
        error = 0.0
        while terms.size > 1:
            half = terms.size // 2
            sums, errors = two_sum(terms[:half], terms[half : 2 * half])
            error += float(errors.sum())
            terms = np.append(sums, terms[-1]) if terms.size % 2 else sums
        total = float(terms[0]) if terms.size else 0.0
        return total + error if np.isfinite(total) else total
