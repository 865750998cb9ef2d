"""The exponential, shifted in its exponent.

With n = round(x steps log2 e) and r = x - n ln 2 / steps, e^x = 2^(n / steps) e^r. Softmax does not
change when a row's exponentials share a factor, so instead of the maximum M an integer, N = round(M
log2 e), is subtracted, from n / steps: between integers that rounds nothing, where x - M in
floating point is wrong by up to |x - M| units of roundoff. The power of two comes from a table for
its fraction and as an exponent for the rest; e^r - 1 from a polynomial r + r^2 q(r), minimax for
the relative error of e^r: 2^-32.4 for |r| <= ln 2 / 16 in float32, 2^-57.6 for |r| <= ln 2 / 8 in
float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .real import (
    bits_of,
    exponent_bias,
    headroom,
    largest_real,
    largest_unshifted,
    log2e,
    power_steps,
    round_to_integer,
    segment,
    smallest_grid,
)
from .staging import Wide, staged
from .words import (
    fma,
    has_fma,
    maximum,
    power_of,
    scale_of,
    select,
    splat,
    to_float64,
    to_real,
)

__all__ = ["Exponential", "Shifts", "find_shifts", "shifted_exp"]

LN2_HI_32 = float.fromhex("0x1.62e43p-1")
LN2_LO_32 = float.fromhex("-0x1.05c61p-29")
LN2_HI_64 = float.fromhex("0x1.62e42fefa39efp-1")
LN2_LO_64 = float.fromhex("0x1.abc9e3b39803fp-56")
# The first part has 38 bits, so that its product with an n below 2^15 is exact.
LN2_HI_38 = float.fromhex("0x1.62e42fefap-1")
LN2_LO_38 = float.fromhex("0x1.cf79abc9e3b3ap-40")

Q_32 = tuple(map(float.fromhex, ("0x1p-1", "0x1.555c72p-3", "0x1.555672p-5")))
Q_64 = tuple(
    map(
        float.fromhex,
        (
            "0x1.0000000000006p-1",
            "0x1.5555555557e81p-3",
            "0x1.555555554190bp-5",
            "0x1.111110a162f62p-7",
            "0x1.6c16c3859ea0dp-10",
            "0x1.a030caccf9090p-13",
            "0x1.a000852144be5p-16",
        ),
    )
)


class Shifts(NamedTuple):
    """What each row's maximum M says of its exponentials.

    e^x is taken as 2^(headroom - N) e^(x - shift), times power_factor.
    """

    n: Wide  # N
    shift: Wide  # M where |M| is too large for n to be exact, else 0
    floor: Wide  # below it (relative to shift) the exponential is 0
    round: Wide  # round_to_integer, in its low bits headroom - N and the exponent's bias, in steps
    grid: Wide  # what sums of exponentials start from; see exponential_sums


def grid_for(largest: Wide, shift: Wide, floor: Wide, rounding: Wide) -> Wide:
    """What a segment's sums of exponentials start from.

    3/2 of a power of two, so large that no sum of `segment` exponentials up to that of `largest`
    changes the exponent of what starts from it: those are below 2^(k + 1.1) with the whole steps k.
    """
    least = floor + (smallest_grid(largest) + exponent_bias(largest)) / log2e(largest)
    steps = fma(maximum(largest - shift, least), power_steps(largest) * log2e(largest), rounding)
    return scale_of(steps) * (1.5 * 8 * segment(largest))


@staged
def find_shifts(maxima: Wide, largest: Wide) -> Shifts:
    """The shifts of rows, of which `largest` is the largest value that is to be summed.

    x - M is exact wherever it matters once |M| > largest_unshifted: x is then within a factor of
    two of M, or a multiple of a unit that leaves the difference few enough bits. A maximum that is
    not finite, whose row becomes NaN anyway, is treated as 0.
    """
    zero, rounding = splat(maxima, 0), splat(maxima, round_to_integer(maxima))
    size = maximum(maxima, zero - maxima)
    is_large = size > largest_unshifted(maxima)
    shift = select(is_large, maxima, zero)
    shift = select(size > largest_real(maxima), zero, shift)
    n = fma(select(is_large, zero, maxima), log2e(maxima), rounding) - rounding
    exponent = headroom(maxima) + exponent_bias(maxima) - n
    floor = fma(exponent, -1 / log2e(maxima), zero)
    rounding = fma(exponent, power_steps(maxima), rounding)
    return Shifts(n, shift, floor, rounding, grid_for(largest, shift, floor, rounding))


def reduce(x: Wide, n: Wide) -> Wide:
    """x - n ln 2 / steps for integral n.

    Cody and Waite's two steps: the first is exact, since n times the rounded constant is a multiple
    of its last bit and what is left needs no more bits than the type has.
    """
    steps = power_steps(x)
    if bits_of(x) == 64:
        hi, lo = (LN2_HI_64, LN2_LO_64) if has_fma() else (LN2_HI_38, LN2_LO_38)
    elif has_fma():
        hi, lo = LN2_HI_32, LN2_LO_32
    else:
        # Products of two float32 are exact in float64, which stands in for the fused operation.
        return to_real(x, to_float64(x) - to_float64(n) * (LN2_HI_64 / steps))
    return fma(-n, lo / steps, fma(-n, hi / steps, x))


def polynomial(r: Wide, r2: Wide) -> Wide:
    if bits_of(r) == 32:
        return fma(fma(fma(r, Q_32[2], Q_32[1]), r, Q_32[0]), r2, r)
    q01, q23, q45 = (fma(r, Q_64[i + 1], Q_64[i]) for i in range(0, 6, 2))
    q26 = fma(fma(r2, Q_64[6], q45), r2, q23)
    return fma(fma(q26, r2, q01), r2, r)


class Exponential(NamedTuple):
    """e, rounded, is power + rest, which is not."""

    e: Wide
    power: Wide
    rest: Wide


def shifted_exp(x: Wide, s: Any) -> Exponential:
    """The shifted exponential of each lane. NaN stays NaN.

    |r| is at most ln 2 / 16 or / 8, and so are the roundings of r, of the polynomial and of the
    rest, relative to e: three times that in units of roundoff is what power + rest may be wrong by,
    0.13 or 0.26, and one unit more e.
    """
    x = maximum(s.floor, x - s.shift)
    steps = fma(x, power_steps(x) * log2e(x), s.round)
    r = reduce(x, steps - s.round)
    power = power_of(steps) * scale_of(steps)
    rest = power * polynomial(r, r * r)
    return Exponential(power + rest, power, rest)
