"""The exponential, shifted in its exponent.

With n = round(x log2 e) and r = x - n ln 2, e^x = 2^n e^r. Softmax does not change when a row's
exponentials share a factor, so instead of the maximum M its integer N = round(M log2 e) is
subtracted, from n: between integers that rounds nothing, where x - M in floating point is wrong by
up to |x - M| units of roundoff. e^r comes from a polynomial 1 + r + r^2 q(r), minimax for the
relative error on |r| <= ln 2 / 2: 2^-28.2 in float32, 2^-57.9 in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .numba_api import types
from .real import bits_of, exponent_bias, headroom, largest_unshifted
from .staging import Wide, staged
from .words import (
    absolute,
    fma,
    has_fma,
    index_from,
    is_finite,
    maximum,
    pow2,
    select,
    to_float64,
    to_real,
)

__all__ = ["Shift", "shift_for", "shifted_exp"]

# Added and taken away again, they round to the nearest integer.
ROUND_TO_INTEGER_32 = float.fromhex("0x1.8p23")
ROUND_TO_INTEGER_64 = float.fromhex("0x1.8p52")
LOG2E_32 = float.fromhex("0x1.715476p+0")
LOG2E_64 = float.fromhex("0x1.71547652b82fep+0")
LN2_HI_32 = float.fromhex("0x1.62e43p-1")
LN2_LO_32 = float.fromhex("-0x1.05c61p-29")
LN2_HI_64 = float.fromhex("0x1.62e42fefa39efp-1")
LN2_LO_64 = float.fromhex("0x1.abc9e3b39803fp-56")
# In two parts of 40 bits, so that their products with an n below 2^13 are exact.
LN2_HI_40 = float.fromhex("0x1.62e42fefa4p-1")
LN2_LO_40 = float.fromhex("-0x1.8432a1b0e2p-43")

Q_32 = tuple(
    map(
        float.fromhex,
        ("0x1.fffffcp-2", "0x1.55548cp-3", "0x1.555858p-5", "0x1.123dep-7", "0x1.6ac74cp-10"),
    )
)
Q_64 = tuple(
    map(
        float.fromhex,
        (
            "0x1.000000000000ap-1",
            "0x1.55555555554ffp-3",
            "0x1.55555555506bp-5",
            "0x1.1111111126714p-7",
            "0x1.6c16c1847a77p-10",
            "0x1.a01a013159295p-13",
            "0x1.a0199954f7c0bp-16",
            "0x1.71df15c1f8947p-19",
            "0x1.28ae0631254e8p-22",
            "0x1.ad97f1b362d8p-26",
        ),
    )
)


class Shift(NamedTuple):
    """What each row's maximum M says of its exponentials.

    e^x is taken as 2^(headroom - N) e^(x - shift).
    """

    shift: Wide  # M where |M| is too large for n to be exact, else 0
    floor: Wide  # below it (relative to shift) the exponential is 0
    bits: Wide  # headroom - N plus the exponent's bias
    exponent: Wide  # N


@staged
def shift_for(maxima: Wide) -> Any:
    """x - M is exact wherever it matters once |M| > largest_unshifted.

    x is then within a factor of two of M, or a multiple of a unit that leaves the difference few
    enough bits. A maximum that is not finite, whose row becomes NaN anyway, is treated as 0.
    """
    m = to_float64(select(is_finite(maxima), maxima, 0))
    is_large = absolute(m) > largest_unshifted(maxima)
    n = (m * LOG2E_64 + ROUND_TO_INTEGER_64) - ROUND_TO_INTEGER_64
    n = select(is_large, 0, n)
    bits = headroom(maxima) + exponent_bias(maxima) - n
    return Shift(
        to_real(maxima, select(is_large, m, 0)),
        to_real(maxima, -bits * LN2_HI_64),
        index_from(maxima, bits.to(types.int32)),
        n,
    )


def reduce(x: Wide, n: Wide) -> Wide:
    """x - n ln 2 for integral n.

    Cody and Waite's two steps: the first is exact, since n times the rounded ln 2 is a multiple of
    its last bit and what is left needs no more bits than the type has.
    """
    if bits_of(x) == 64:
        hi, lo = (LN2_HI_64, LN2_LO_64) if has_fma() else (LN2_HI_40, LN2_LO_40)
    elif has_fma():
        hi, lo = LN2_HI_32, LN2_LO_32
    else:
        # Products of two float32 are exact in float64, which stands in for the fused operation.
        return to_real(x, to_float64(x) - to_float64(n) * LN2_HI_64)
    return fma(-n, lo, fma(-n, hi, x))


def polynomial(r: Wide, r2: Wide) -> Wide:
    if bits_of(r) == 32:
        q = r.like(Q_32[4])
        for coefficient in Q_32[3::-1]:
            q = fma(q, r, coefficient)
        return q
    q01, q23, q45, q67, q89 = (fma(r.like(Q_64[i + 1]), r, Q_64[i]) for i in range(0, 10, 2))
    r4 = r2 * r2
    q03, q47 = fma(q23, r2, q01), fma(q67, r2, q45)
    return fma(fma(q89, r4, q47), r4, q03)


def shifted_exp(x: Wide, s: Any) -> Any:
    """The shifted exponential of each lane, and what its last rounding took from it. NaN stays NaN.

    1 + r is kept with its rounding error until the polynomial's share is added, so that the result
    is wrong by that last rounding and r's own, at most a quarter of a unit of roundoff: 1.25 units
    in all, 0.25 with the residual.
    """
    is_single = bits_of(x) == 32
    round_to_integer = ROUND_TO_INTEGER_32 if is_single else ROUND_TO_INTEGER_64
    x = maximum(s.floor, x - s.shift)
    rounded = fma(x, LOG2E_32 if is_single else LOG2E_64, round_to_integer)
    n = rounded - round_to_integer
    r = reduce(x, n)
    r2 = r * r
    curve = r2 * polynomial(r, r2)
    scale = pow2(rounded, s.bits)
    line = fma(r, scale, scale)
    small = fma(curve, scale, fma(r, scale, scale - line))
    e = line + small
    return e, small - (e - line)
