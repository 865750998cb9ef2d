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
