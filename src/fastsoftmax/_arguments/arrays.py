"""Logits and masks: their dtype, their class axis, their shape."""

from __future__ import annotations

import operator
import sys
from typing import Any, SupportsIndex

import numpy as np
from numpy.exceptions import AxisError

from .._typing import Array, ArrayLike, BoolArray
from .exports import as_numpy, is_exported

__all__ = [
    "FLOAT32",
    "FLOAT64",
    "as_array",
    "cast",
    "check_axis",
    "check_classes",
    "check_logits",
    "check_pair",
    "check_where",
    "common_dtypes",
    "float_dtypes",
    "same_dtype",
    "to_scalar",
]

FLOAT16 = np.dtype(np.float16)
FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

_COMPUTED_IN: dict[np.dtype[Any], np.dtype[Any]] = {
    FLOAT16: FLOAT32,
    FLOAT32: FLOAT32,
    FLOAT64: FLOAT64,
}
_COMPUTED_IN_FLOAT64 = frozenset("?bBhHiIlLqQg")


def check_logits(x: ArrayLike, axis: SupportsIndex, name: str) -> tuple[Array, int, np.dtype[Any]]:
    """Return the logits as an array to compute with, their class axis, and the result's dtype."""
    if type(x) is np.ndarray and (
        ((dtype := x.dtype) is FLOAT32 or dtype is FLOAT64) and x.flags.aligned
    ):
        array = x
    else:
        array = as_array(x, name)
        dtype, compute = float_dtypes(array.dtype, name)
        array = cast(array, dtype if dtype.itemsize == 2 else compute)
    axis = check_axis(axis, array.ndim)
    check_classes(array, axis, name)
    return array, axis, dtype


def check_pair(
    grad_output: ArrayLike, output: ArrayLike, axis: SupportsIndex
) -> tuple[Array, Array, int, np.dtype[Any]]:
    """Return two arrays of one shape in one dtype to compute with, the axis, the result's dtype."""
    first, second = as_array(grad_output, "grad_output"), as_array(output, "output")
    dtype = compute = second.dtype
    if first.dtype is not dtype or (dtype is not FLOAT32 and dtype is not FLOAT64):
        dtype, compute = common_dtypes(first.dtype, dtype, ("grad_output", "output"))
    if first.shape != second.shape:
        raise ValueError(
            f"grad_output and output must have the same shape, not {first.shape} and {second.shape}"
        )
    axis = check_axis(axis, second.ndim)
    check_classes(second, axis, "output")
    if dtype.itemsize == 2:
        compute = dtype
    return cast(first, compute), cast(second, compute), axis, dtype


def common_dtypes(
    first: np.dtype[Any], second: np.dtype[Any], names: tuple[str, str]
) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the dtypes of the result and of the computation for two inputs, by their names."""
    result, compute = float_dtypes(first, names[0])
    other_result, other_compute = float_dtypes(second, names[1])
    if result == other_result:
        return result, compute
    wider = FLOAT64 if FLOAT64 in (compute, other_compute) else FLOAT32
    return wider, wider


def same_dtype(logits: Array, probabilities: Array) -> tuple[Array, Array]:
    """Return both in the dtype to compute in, which is that of the logits unless they are half."""
    if probabilities.dtype != logits.dtype and logits.dtype.itemsize == 2:
        logits = cast(logits, FLOAT32)
    return logits, cast(probabilities, logits.dtype)


def as_array(x: ArrayLike, name: str) -> Array:
    """Return an array-like as a plain array; masked entries are refused.

    Whatever shares its memory, through DLPack or the buffer protocol, is not copied.
    """
    if type(x) is np.ndarray:
        return x
    if is_exported(x):
        return as_numpy(x, name)
    masked = sys.modules.get("numpy.ma")  # loaded by whoever made a masked array
    if masked is not None and masked.is_masked(x):
        raise TypeError(
            f"{name} is a masked array with masked entries, which would be ignored; "
            "pass its data, and leave classes out with where= and samples with sample_weight="
        )
    return np.asarray(x)


def float_dtypes(dtype: np.dtype[Any], name: str) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the dtypes of the result and of the computation for an input of some dtype."""
    native = dtype.newbyteorder("=") if not dtype.isnative else dtype
    compute = _COMPUTED_IN.get(native)
    if compute is not None:
        # One object for each, so that "is" suffices elsewhere.
        return compute if native == compute else FLOAT16, compute
    if dtype.char in _COMPUTED_IN_FLOAT64:
        return FLOAT64, FLOAT64
    if dtype.name == "bfloat16":
        return native, FLOAT32
    raise TypeError(f"{name} must hold real numbers, not values of dtype {dtype}")


def cast(array: Array, dtype: np.dtype[Any]) -> Array:
    """Return the array itself if it is of this dtype and aligned, else a converted copy."""
    if array.dtype == dtype and array.flags.aligned:
        # Equal but not identical: C long long beside long, or a dtype with metadata.
        return array if array.dtype is dtype else array.view(dtype)
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def check_axis(axis: SupportsIndex, ndim: int) -> int:
    """Return the axis counted from the front."""
    if type(axis) is not int:
        try:
            if isinstance(axis, bool):
                raise TypeError
            axis = operator.index(axis)
        except TypeError:
            raise TypeError(
                f"axis must be an integer, not {axis!r} ({type(axis).__name__})"
            ) from None
    if not -ndim <= axis < ndim:
        raise AxisError(axis, ndim)
    return axis + ndim if axis < 0 else axis


def check_classes(array: Array, axis: int, name: str) -> None:
    """Raise if there is no class at all."""
    if array.shape[axis] == 0:
        raise ValueError(
            f"{name} has no classes: of its shape {array.shape}, axis {axis} is of length 0"
        )


def check_where(where: ArrayLike, shape: tuple[int, ...], name: str) -> BoolArray:
    """Return the mask broadcast to the shape of the logits."""
    mask = as_array(where, "where")
    if mask.dtype != np.bool_:
        raise TypeError(f"where must be of dtype bool, not {mask.dtype}")
    if mask.shape == shape:
        return mask
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(
            f"where of shape {mask.shape} cannot be broadcast to the shape {shape} of {name}"
        ) from None


def to_scalar(value: float, dtype: np.dtype[Any]) -> Any:
    """Return a float64 value as a NumPy scalar, rounded once and without a warning."""
    if dtype is FLOAT64:
        return np.float64(value)
    if dtype is FLOAT32:
        if 1e-37 < value < 1e37:
            return np.float32(value)
        with np.errstate(all="ignore"):
            return np.float32(value)
    with np.errstate(all="ignore"):
        if dtype is FLOAT16:
            return np.float16(value)
        return dtype.type(_round_to_odd(value))


def _round_to_odd(value: float) -> np.float32:
    """Round to float32 such that rounding on to bfloat16 is as if from float64 directly."""
    near = np.float32(value)
    if not np.isfinite(near) or float(near) == value:
        return near
    bits = near.view(np.uint32)
    if bits & 1:
        return near
    # An inexact result gets an odd last bit, which no tie of the shorter format has.
    away = abs(float(near)) < abs(value)
    return (bits + np.uint32(1) if away else bits - np.uint32(1)).view(np.float32)
