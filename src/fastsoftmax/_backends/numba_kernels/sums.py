"""Sums: LANES of them at a time, and numbers kept to twice the precision as two float64, hi + lo.

Nothing here branches: what is said of a number goes for vectors of them, one a row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .compilation import jitted
from .memory import load_as_many, store
from .real import bits_of, lanes_of
from .staging import Int, Pointer, Wide, staged
from .words import (
    LINE_BITS,
    fma,
    fold_lanes,
    from_bits,
    has_fma,
    is_finite,
    select,
    splat,
    to_bits,
    to_float64,
    to_real,
    upper_half,
)

__all__ = [
    "Accumulator",
    "Sum",
    "acc_add",
    "acc_add_product",
    "acc_add_scaled",
    "acc_load",
    "acc_store",
    "acc_zero",
    "fold_acc",
    "fold_rows",
    "fold_sum",
    "mul_pair",
    "sum_error",
    "sum_log1p",
    "sum_negative",
    "sum_of",
    "sum_plus",
    "sum_product",
    "sum_quotient",
    "sum_ratio",
    "sum_times",
    "sum_value",
    "sum_zero",
]

LN2_HI = float.fromhex("0x1.62e42fefa4p-1")
LN2_LO = float.fromhex("-0x1.8432a1b0e2p-43")


@staged
def sum_error(a: Any, b: Any, total: Any) -> Any:
    """a + b is exactly `total`, its rounded value, plus the result (Knuth's two-sum)."""
    b_part = total - a
    return (a - (total - b_part)) + (b - b_part)


def product_error(a: Any, b: Any, product: Any) -> Any:
    """What a b of float64, rounded to `product`, left out.

    Dekker's product, but that the splitting cuts bits off, which cannot overflow.
    """
    if has_fma():
        return fma(a, b, -product)
    a_hi, b_hi = upper_half(a), upper_half(b)
    a_lo, b_lo = a - a_hi, b - b_hi
    return ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo


def mul_pair(a: Wide, hi: Wide, lo: Wide, down: Wide) -> Wide:
    """a (hi + lo), rounded once but for the last terms' own rounding, times a power of two."""
    if bits_of(a) == 32 and not has_fma():
        return to_real(a, to_float64(a) * (to_float64(hi) + to_float64(lo)) * to_float64(down))
    if has_fma():
        return fma(a, hi, a * lo) * down
    product = a * hi
    return (product + (product_error(a, hi, product) + a * lo)) * down


# --- numbers kept to twice the precision -----------------------------------------------------


class Sum(NamedTuple):
    """hi + lo, one a row."""

    hi: Any
    lo: Any


def is_plain(a: Wide) -> bool:
    """Whether a row value of float64 belongs to rows of float32, of which there are more lanes.

    float64 is twice their precision: lo is 0 throughout.
    """
    return bool(a.kind.count * bits_of(a) > LINE_BITS)


def if_finite(a: Any, yes: Any, no: Any) -> Any:
    """Infinities and NaN stay as they are; an error term would make NaN of both."""
    return select(is_finite(a), yes, no)


@staged
def sum_zero(like: Any) -> Sum:
    zero = to_float64(splat(like, 0))
    return Sum(zero, zero)


def sum_value(a: Any) -> Any:
    return a.hi + a.lo


def sum_of(hi: Any, lo: Any) -> Sum:
    total = hi + lo
    if is_plain(hi):
        return Sum(total, hi.like(0))
    return Sum(total, if_finite(total, sum_error(hi, lo, total), 0))


def sum_plus(a: Any, b: Any) -> Sum:
    total = a.hi + b.hi
    if is_plain(total):
        return Sum(total, total.like(0))
    return sum_of(total, if_finite(total, sum_error(a.hi, b.hi, total) + (a.lo + b.lo), 0))


def sum_negative(a: Any) -> Sum:
    return Sum(-a.hi, -a.lo)


def sum_product(a: Any, b: Any) -> Sum:
    product = a.hi * b.hi
    if is_plain(product):
        return Sum(product, product.like(0))
    error = product_error(a.hi, b.hi, product) + (a.hi * b.lo + a.lo * b.hi)
    return sum_of(product, if_finite(product, error, 0))


def sum_times(a: Any, b: Any) -> Sum:
    return sum_product(a, Sum(b, b.like(0)))


def sum_ratio(a: Any, b: Any, inverse: Any) -> Sum:
    """a / b, given 1 / b.hi, whose rounding is made good by what is left."""
    quotient = a.hi * inverse
    if is_plain(quotient):
        return Sum(quotient, quotient.like(0))
    product = quotient * b.hi
    rest = (a.hi - product) - product_error(quotient, b.hi, product)
    return sum_of(quotient, if_finite(quotient, (rest + (a.lo - quotient * b.lo)) * inverse, 0))


def sum_quotient(a: Any, b: Any) -> Sum:
    return sum_ratio(a, b, b.hi.like(1) / b.hi)


LOG1P_EVEN = tuple(
    map(float.fromhex, ("0x1.2f0bc36828acdp-3", "0x1.74664537fbd72p-3", "0x1.24924942190e9p-2"))
)
LOG1P_ODD = tuple(
    map(float.fromhex, ("0x1.39a118e58a77bp-3", "0x1.c71c51ea109a2p-3", "0x1.999999997fab3p-2"))
)
LOG1P_FIRST = float.fromhex("0x1.5555555555593p-1")
ROOT_OF_HALF = 0x3FE6A09E667F3BCD
ONE = 0x3FF0000000000000
TWO_TO_52 = 0x4330000000000000


def sum_log1p(a: Any) -> Any:
    """log(1 + a) for a >= 0.

    u = 1 + a is 2^k m with m within a factor of sqrt 2 of 1, and log m = f - (f^2 / 2 - s (f^2 / 2
    + z R(z))) with f = m - 1, s = f / (2 + f) and z = s^2: the series of 2 artanh s, but that f
    itself, exact, stands apart. R is minimax, to 2^-59 of the logarithm. What u's rounding left out
    of 1 + a is added as a tangent, times 1 / u: in float32 only near 1, where alone it is seen
    there, in float64 with 1 / m = (1 - s) / (1 + s) = (1 - s)(1 - s + s^2 - ...), which is exact at
    1, and wrong by a 90th of a unit of roundoff elsewhere.
    """
    one = a.hi.like(1)
    u = one + a.hi
    left_out = sum_error(one, a.hi, u) + a.lo
    bits = to_bits(u)
    exponent = (bits - ROOT_OF_HALF) >> 52
    k = from_bits(exponent | TWO_TO_52) - 2.0**52
    f = from_bits(bits - (exponent << 52)) - 1
    s = f / (2 + f)
    z = s * s
    z2 = z * z
    even, odd = ((c[0] * z2 + c[1]) * z2 + c[2] for c in (LOG1P_EVEN, LOG1P_ODD))
    r = (even * z + odd) * z + LOG1P_FIRST
    if is_plain(u):
        tangent = select(u < 2, left_out, 0)
    else:
        one_over_2_to_k = from_bits(ONE - (exponent << 52))
        tangent = left_out * one_over_2_to_k * ((1 - s) * ((1 - s) + z))
    half_square = 0.5 * f * f
    curve = s * (half_square + z * r) + (k * LN2_LO + tangent)
    return if_finite(a.hi, k * LN2_HI + (f - (half_square - curve)), a.hi)


# --- LANES sums ------------------------------------------------------------------------------


class Accumulator(NamedTuple):
    """A sum a lane, in float64, and what rounding took from its terms: of float32 nothing."""

    sum: Wide
    residual: Wide


@staged
def acc_zero(like: Any) -> Accumulator:
    return Accumulator(*sum_zero(like))


def acc_add(acc: Any, a: Wide) -> Accumulator:
    total = acc.sum + to_float64(a)
    if is_plain(total):
        return Accumulator(total, acc.residual)
    return Accumulator(total, acc.residual + sum_error(acc.sum, a, total))


def acc_add_product(acc: Any, a: Wide, b: Wide) -> Accumulator:
    if is_plain(acc.sum):
        return Accumulator(fma(to_float64(a), to_float64(b), acc.sum), acc.residual)
    product = a * b
    acc = acc_add(acc, product)
    return Accumulator(acc.sum, acc.residual + product_error(a, b, product))


def acc_add_scaled(acc: Any, a: Wide, factor: Any) -> Accumulator:
    """Add a times a factor hi + lo."""
    if is_plain(acc.sum):
        return Accumulator(fma(to_float64(a), factor.hi, acc.sum), acc.residual)
    return acc_add(acc, fma(a, factor.hi, a * factor.lo))


def acc_load(like: Any, sums: Any, index: Int) -> Accumulator:
    """From sums hi + lo in memory, of which float32 has no lo."""
    total = load_as_many(like, sums.hi, index)
    rest = total.like(0) if is_plain(total) else load_as_many(like, sums.lo, index)
    return Accumulator(total, rest)


def acc_store(like: Any, sums: Any, index: Int, acc: Any) -> None:
    store(sums.hi, index, acc.sum)
    if not is_plain(acc.sum):
        store(sums.lo, index, acc.residual)


def finished(hi: Wide, lo: Wide) -> Sum:
    return sum_of(hi, if_finite(hi, lo, 0))


@staged
def fold_sum(a: Any) -> Sum:
    """The lanes' sums added up, in halves, again in each lane."""
    plain = is_plain(a.hi)

    def join(first: tuple[Wide, ...], second: tuple[Wide, ...]) -> tuple[Wide, ...]:
        total, rest = (first[i] + second[i] for i in range(2))
        return total, rest if plain else rest + sum_error(first[0], second[0], total)

    return finished(*(splat(a.hi, each) for each in fold_lanes((a.hi, a.lo), join)))


@staged
def fold_acc(acc: Any) -> Sum:
    return fold_sum(Sum(acc.sum, acc.residual))


@staged
def fold_into(like: Pointer, hi: Pointer, lo: Pointer, to: Int, other: Int) -> None:
    a, b = load_as_many(like, hi, to), load_as_many(like, hi, other)
    total = a + b
    store(hi, to, total)
    if not is_plain(total):
        rest = load_as_many(like, lo, to) + load_as_many(like, lo, other)
        store(lo, to, rest + sum_error(a, b, total))


@staged
def finished_rows(like: Pointer, hi: Pointer, lo: Pointer) -> Sum:
    total = load_as_many(like, hi, 0)
    return finished(total, total.like(0) if is_plain(total) else load_as_many(like, lo, 0))


@jitted
def fold_rows(like: Pointer, hi: Pointer, lo: Pointer, used: int) -> Any:
    """LANES vectors of sums in memory added up, in halves, as the lanes of one are added up.

    Vectors from `used` on are 0 and are not read; of float32's sums there is no `lo`.
    """
    lanes = lanes_of(like)
    half = lanes // 2
    while half > 0:
        if half < used:
            for i in range(min(used - half, half)):
                fold_into(like, hi, lo, i * lanes, (i + half) * lanes)
            used = half
        half //= 2
    return finished_rows(like, hi, lo)
