"""Numbers kept to twice the precision of float64, as unevaluated sums hi + lo of two arrays.

What NumPy has not: errors of products and quotients, and an exponential good to 2^-63. The error
of a sum is in `_sums`. An infinite or NaN hi has a lo of 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ._sums import two_sum
from ._typing import Array, Float64Array

__all__ = ["Pair", "exp_scaled", "pair_of", "plus", "quotient", "times"]

UPPER_HALF = np.int64(-(1 << 27))
"""The mask of 26 of a significand's 53 bits, the first of which is not stored."""
STEP_BITS = 10
"""The exponential looks up powers of two in steps of 2^-10 of the exponent."""


class Pair(NamedTuple):
    """The numbers hi + lo; hi is the sum rounded."""

    hi: Float64Array
    lo: Float64Array


def pair_of(hi: Array, lo: Array) -> Pair:
    """Return the sum of two numbers, of any size."""
    total, error = two_sum(hi, lo)
    return Pair(total, np.where(np.isfinite(total), error, 0.0))


def plus(a: Pair, b: Pair) -> Pair:
    """Return a + b, to 2^-104 of it where both have one sign."""
    total, error = two_sum(a.hi, b.hi)
    return _joined(total, error + (a.lo + b.lo))


def times(a: Pair, b: Pair) -> Pair:
    """Return a b, to 2^-100 of it where nothing underflows."""
    product = a.hi * b.hi
    return _joined(product, _product_error(a.hi, b.hi, product) + (a.hi * b.lo + a.lo * b.hi))


def quotient(a: Pair, b: Pair) -> Pair:
    """Return a / b, to 2^-100 of it: what the rounded quotient leaves is divided once more."""
    ratio = a.hi / b.hi
    product = ratio * b.hi
    rest = (a.hi - product) - _product_error(ratio, b.hi, product)
    return _joined(ratio, (rest + (a.lo - ratio * b.lo)) / b.hi)


def _joined(hi: Array, lo: Array) -> Pair:
    """Return the sum of two numbers of which the second is the smaller (Dekker)."""
    total = hi + lo
    finite = np.isfinite(total)
    return Pair(np.where(finite, total, hi), np.where(finite, lo - (total - hi), 0.0))


def _product_error(a: Array, b: Array, product: Array) -> Array:
    """Return what a b, rounded to `product`, left out (Dekker; the splitting cuts bits off)."""
    a_hi, b_hi = _upper_half(a), _upper_half(b)
    a_lo, b_lo = a - a_hi, b - b_hi
    result: Array = ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo
    return result


def _upper_half(a: Array) -> Array:
    values = np.asarray(a, np.float64)
    return (values.view(np.int64) & UPPER_HALF).view(np.float64)


# --- the exponential ---------------------------------------------------------------------------


def _powers_of_two() -> tuple[Float64Array, Float64Array]:
    """Return 2^(j / 1024) for all j, by square roots and products of whole numbers."""
    unit = 200
    root = 2 << unit
    for _ in range(STEP_BITS):
        root = math.isqrt(root << unit)
    power, pairs = 1 << unit, []
    for _ in range(1 << STEP_BITS):
        hi = math.ldexp(float(power), -unit)
        pairs.append((hi, math.ldexp(float(power - int(math.ldexp(hi, unit))), -unit)))
        power = power * root >> unit
    hi_lo = np.array(pairs)
    return hi_lo[:, 0].copy(), hi_lo[:, 1].copy()


POWER_HI, POWER_LO = _powers_of_two()

# ln 2 in parts of 32, 32 and 64 bits, over the steps: the first two have exact products with a
# number of steps of up to 21 bits.
LN2 = 0xB17217F7D1CF79ABC9E3B39803F2F6AF
LN2_PARTS = tuple(
    math.ldexp(float(part), -down - STEP_BITS)
    for part, down in ((LN2 >> 96, 32), (LN2 >> 64 & 0xFFFFFFFF, 64), (LN2 & (1 << 64) - 1, 128))
)
STEPS_PER_UNIT = (1 << STEP_BITS) / math.log(2)
LOWEST = -1000.0
"""Here and below the exponential is taken as 0."""


def exp_scaled(d: Pair, exponent: int) -> Pair:
    """Return e^d 2^exponent for d <= 0, to 2^-63 of it, 0 where d is below -1000 or NaN.

    With n = round(d 1024 / ln 2) and r = d - n ln 2 / 1024, at most 2^-11.5, e^d is a power of two
    out of the table times e^r, of which the series of five terms is good to 2^-64.
    """
    in_range = d.hi > LOWEST
    hi = np.where(in_range, d.hi, 0.0)
    steps = np.rint(hi * STEPS_PER_UNIT)
    r, error = two_sum(hi, -steps * LN2_PARTS[0])
    r, error2 = two_sum(r, -steps * LN2_PARTS[1])
    rest = error + error2 + np.where(in_range, d.lo, 0.0) - steps * LN2_PARTS[2]
    curve = rest + r * r * (0.5 + r * (1 / 6 + r / 24))
    n = steps.astype(np.int32)
    at = n & ((1 << STEP_BITS) - 1)
    power = POWER_HI[at]
    total, error = two_sum(power, POWER_LO[at] + power * (r + curve))
    scale = (n >> STEP_BITS) + np.where(in_range, exponent, -(1 << 16)).astype(np.int32)
    return Pair(np.ldexp(total, scale), np.ldexp(error, scale))
