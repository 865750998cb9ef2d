"""The constants of the element type, float32 or float64, of what a kernel works on."""

from __future__ import annotations

from typing import Any

import numpy as np

from .powers import POWER_BITS, POWER_FACTOR
from .staging import staged
from .words import bits_of, lanes_of

__all__ = [
    "bits_of",
    "distance_unit",
    "exponent_bias",
    "headroom",
    "lanes_of",
    "large_distance_unit",
    "largest_exponent",
    "largest_real",
    "largest_unshifted",
    "log2e",
    "power_factor",
    "power_steps",
    "product_scale",
    "real_bytes",
    "room",
    "round_to_integer",
    "segment",
    "small_distances",
    "smallest_exponent",
    "smallest_grid",
    "unscaled_factor",
]


@staged
def real_bytes(like: Any) -> int:
    return bits_of(like) // 8


@staged
def exponent_bias(like: Any) -> int:
    return 127 if bits_of(like) == 32 else 1023


@staged
def headroom(like: Any) -> int:
    """Exponentials are kept times 2^headroom, so that none that matters is subnormal."""
    return 60 if bits_of(like) == 32 else 256


@staged
def room(like: Any) -> float:
    """The inverse of 2^headroom."""
    return 2.0 ** -headroom(like)


@staged
def round_to_integer(like: Any) -> float:
    """Added and taken away again, it rounds to the nearest integer."""
    return 1.5 * 2.0 ** (23 if bits_of(like) == 32 else 52)


@staged
def log2e(like: Any) -> float:
    return float.fromhex("0x1.715476p+0" if bits_of(like) == 32 else "0x1.71547652b82fep+0")


@staged
def power_steps(like: Any) -> int:
    """How many powers of two are looked up between one exponent and the next."""
    return 1 << POWER_BITS[bits_of(like)]


@staged
def power_factor(like: Any) -> float:
    """What they have in common."""
    return POWER_FACTOR[bits_of(like)]


@staged
def segment(like: Any) -> int:
    """So many terms of a sum of exponentials start from one grid."""
    return 1 << (9 if bits_of(like) == 32 else 8)


@staged
def smallest_grid(like: Any) -> int:
    """The grid's exponent is at least this."""
    return -110 if bits_of(like) == 32 else -1000


@staged
def largest_unshifted(like: Any) -> float:
    """Beyond this the maximum is subtracted first; see `find_shifts`."""
    return 256.0 if bits_of(like) == 32 else 2048.0


@staged
def smallest_exponent(like: Any) -> int:
    """Factors below two to this are split before they are rounded to the element type."""
    return -100 if bits_of(like) == 32 else -500


@staged
def largest_exponent(like: Any) -> int:
    """And so are factors above two to this."""
    return 30 if bits_of(like) == 32 else 500


@staged
def product_scale(like: Any) -> float:
    """Products with factors are made so many times larger: no part of a small one is subnormal."""
    return 2.0**32 if bits_of(like) == 32 else 2.0**160


@staged
def unscaled_factor(like: Any) -> float:
    """But for factors so large that none of their products is small."""
    return 2.0**28 if bits_of(like) == 32 else 2.0**200


@staged
def largest_real(like: Any) -> float:
    return float(np.finfo(np.float32 if bits_of(like) == 32 else np.float64).max)


@staged
def distance_unit(like: Any) -> float:
    """In it, the sum of two distances from the maximum has room, and so has splitting products."""
    return 2.0**-2 if bits_of(like) == 32 else 2.0**-64


@staged
def small_distances(like: Any) -> float:
    """Sums of products, in whose terms digits may be lost with that unit.

    No product of two float32 numbers is too small for a float64 sum.
    """
    return 0.0 if bits_of(like) == 32 else 2.0**-636


@staged
def large_distance_unit(like: Any) -> float:
    """With it none is lost."""
    return 1.0 if bits_of(like) == 32 else 2.0**448
