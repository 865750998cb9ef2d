"""Reference values beyond float64, and the distance of a result from them in ulp.

An `Exact` array holds every value as ``(hi + lo) * 2**exponent`` with ``0.5 <= |hi| < 1``: at least
106 bits (64 where it was made from an extended-precision array), and an exponent that neither
overflows nor underflows, so that the last subnormal of float64 can be judged too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Exact", "from_wide", "ulp_error"]

FloatArray = npt.NDArray[np.float64]

# dtype name: bits of the significand, exponent of the smallest subnormal, 2**max overflows
_FORMATS = {
    "float16": (11, -24, 16),
    "bfloat16": (8, -133, 128),
    "float32": (24, -149, 128),
    "float64": (53, -1074, 1024),
}


@dataclass(frozen=True)
class Exact:
    """An array of reference values; infinities and NaN are in `hi`."""

    hi: FloatArray
    lo: FloatArray
    exponent: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.hi.shape

    def __getitem__(self, index: Any) -> Exact:
        return Exact(self.hi[index], self.lo[index], self.exponent[index])

    def reshape(self, *shape: int) -> Exact:
        return Exact(self.hi.reshape(shape), self.lo.reshape(shape), self.exponent.reshape(shape))

    def moveaxis(self, source: int, destination: int) -> Exact:
        def moved(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.moveaxis(part, source, destination)

        return Exact(moved(self.hi), moved(self.lo), moved(self.exponent))

    def to_float64(self) -> FloatArray:
        """The nearest float64, near enough for messages and coarse comparisons."""
        with np.errstate(all="ignore"):
            return np.ldexp(self.hi + self.lo, self.exponent)


def from_wide(values: npt.NDArray[Any]) -> Exact:
    """Of float64 or longdouble values, each taken as exact."""
    mantissa, exponent = np.frexp(np.asarray(values))
    finite = np.isfinite(mantissa)
    hi = mantissa.astype(np.float64)
    with np.errstate(invalid="ignore"):
        lo = np.where(finite, mantissa - hi, 0).astype(np.float64)
    return Exact(hi, lo, np.where(finite, exponent, 0).astype(np.int64))


def ulp_error(
    actual: npt.ArrayLike,
    exact: Exact,
    dtype: npt.DTypeLike | None = None,
    *,
    scale: Exact | None = None,
) -> FloatArray:
    """The distance of `actual` from `exact` in units in the last place.

    The unit is the spacing of `dtype` (that of `actual`) in the binade of the exact value, or of
    `scale` where it is given; at the bottom it is the smallest subnormal. NaN agrees with nothing
    but NaN. An infinite exact value agrees only with itself; a finite one beyond the largest number
    counts as 2**emax, and so does an infinite result for a finite exact value.
    """
    actual = np.asarray(actual)
    bits, bottom, top = _FORMATS[np.dtype(actual.dtype if dtype is None else dtype).name]
    values = actual.astype(np.float64)
    if values.shape != exact.shape:
        raise ValueError(f"a result of shape {values.shape} against a reference of {exact.shape}")

    hi, lo, exponent = _clamp(exact, top)
    reference = exact if scale is None else scale
    unit = np.clip(_clamp(reference, top)[2] - bits, bottom, top - bits)
    unit = np.where(reference.hi == 0, bottom, unit)
    mantissa, own_exponent = np.frexp(values)
    mantissa = np.where(np.isinf(values), np.copysign(0.5, values), mantissa)
    own_exponent = np.where(np.isinf(values), top + 1, own_exponent)
    with np.errstate(all="ignore"):
        difference = np.ldexp(mantissa, own_exponent - unit) - np.ldexp(hi, exponent - unit)
        error = np.abs(difference - np.ldexp(lo, exponent - unit))
    error = np.where(np.isnan(error), np.inf, error)
    agree = (np.isnan(exact.hi) & np.isnan(values)) | (exact.hi == values)
    return np.where(np.isfinite(exact.hi), error, np.where(agree, 0.0, np.inf))


def _clamp(exact: Exact, top: int) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    over = np.isfinite(exact.hi) & (exact.exponent > top)
    return (
        np.where(over, np.copysign(0.5, exact.hi), exact.hi),
        np.where(over, 0.0, exact.lo),
        np.where(over, top + 1, exact.exponent),
    )
