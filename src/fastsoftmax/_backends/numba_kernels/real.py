"""The constants of the element type, float32 or float64, of what a kernel works on."""

from __future__ import annotations

from typing import Any

import numpy as np

from .staging import staged
from .words import bits_of, lanes_of

__all__ = [
    "bits_of",
    "distance_unit",
    "exponent_bias",
    "headroom",
    "lanes_of",
    "largest_exponent",
    "largest_real",
    "largest_unshifted",
    "product_scale",
    "real_bytes",
    "smallest_exponent",
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
def largest_unshifted(like: Any) -> float:
    """Beyond this the maximum is subtracted first; see `shift_for`."""
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
def largest_real(like: Any) -> float:
    return float(np.finfo(np.float32 if bits_of(like) == 32 else np.float64).max)


@staged
def distance_unit(like: Any) -> float:
    """In it, distances below the maximum have room, and so has the splitting of their products."""
    return 2.0**-1 if bits_of(like) == 32 else 2.0**-64
