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
    "largest_factor",
    "largest_real",
    "largest_unshifted",
    "real_bytes",
    "safe_exponent",
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
def safe_exponent(like: Any) -> int:
    """Factors outside 2^±this are split before they are rounded to the element type."""
    return 100 if bits_of(like) == 32 else 500


@staged
def largest_factor(like: Any) -> float:
    return 2.0 ** safe_exponent(like)


@staged
def largest_real(like: Any) -> float:
    return float(np.finfo(np.float32 if bits_of(like) == 32 else np.float64).max)


@staged
def distance_unit(like: Any) -> float:
    """In it, distances below the maximum have room, and so has the splitting of their products."""
    return 2.0**-1 if bits_of(like) == 32 else 2.0**-64
