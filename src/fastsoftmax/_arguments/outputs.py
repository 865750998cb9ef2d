"""Arrays to write results into: the caller's or new ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.exceptions import TooHardError

from .._typing import Array
from ..typing import OutputArray
from .exports import as_output

__all__ = [
    "check_out",
    "new_like",
    "overlaps",
    "plain",
    "same_view",
    "separate",
    "separate_all",
    "store",
]

OVERLAP_WORK = 10_000
"""How long to look for a common address before a copy is cheaper."""


def check_out(
    out: OutputArray | None, shape: tuple[int, ...], dtype: np.dtype[Any], name: str = "out"
) -> Array | None:
    """Return `out`, if there is one, given that results of this shape and dtype can go there.

    What is not a NumPy array comes back as one that shares its memory.
    """
    if out is None:
        return None
    if type(out) is not np.ndarray:
        if hasattr(out, "mask"):
            raise TypeError(f"{name} must be a numpy.ndarray, not {type(out).__name__}")
        out = as_output(out, name)
    array = plain(out)
    if array.dtype != dtype:
        raise TypeError(f"{name} must be of dtype {dtype}, not {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, not {array.shape}")
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only")
    if shares_itself(array):
        raise ValueError(
            f"{name} shares memory between its own elements: "
            f"its shape is {array.shape} with strides {array.strides}"
        )
    return out


def plain(out: Array) -> Array:
    """Return `out` as an array of NumPy's own type, of which all is true that it says of itself.

    What a subclass says of its shape, and which views it gives, is its own affair.
    """
    return out if type(out) is np.ndarray else np.asarray(out)


def shares_itself(array: Array) -> bool:
    """Return whether an element lies where another one does; True where that is too hard to say."""
    if array.flags.c_contiguous or array.flags.f_contiguous or array.size == 0:
        return False
    steps = sorted(
        (abs(step), length)
        for step, length in zip(array.strides, array.shape, strict=True)
        if length > 1
    )
    reach = array.itemsize  # of all that lies within one step along the next axis
    for step, length in steps:
        if step < reach:
            break
        reach += step * (length - 1)
    else:
        return False
    if array.size > OVERLAP_WORK:
        return True
    places = np.zeros(1, np.int64)
    for step, length in steps:
        places = np.add.outer(places, step * np.arange(length)).ravel()
    places.sort()
    return bool((np.diff(places) < array.itemsize).any())


def new_like(out: Array | None, like: Array, dtype: np.dtype[Any]) -> Array:
    """Return what the backend writes into: `out` where that is possible, else a new array.

    A new array has the shape and the order of the axes in memory of `like`.
    """
    if out is None:
        return np.empty_like(like, dtype=dtype)
    array = plain(out)
    if array.dtype is not dtype or not array.flags.aligned:
        return np.empty_like(like, dtype=dtype)
    return array


def store(work: Array, out: Array | None, dtype: np.dtype[Any]) -> Array:
    """Return the result: what was computed in `work`, in `out` if given, else in dtype."""
    if out is None:
        if work.dtype is dtype or work.dtype == dtype:
            return work
        with np.errstate(all="ignore"):
            return work.astype(dtype)
    if work is not out and not same_view(work, plain(out)):
        with np.errstate(all="ignore"):
            np.copyto(plain(out), work, casting="unsafe")
    return out


def separate(array: Array, out: Array, in_place: bool) -> Array:
    """Return an input that writing `out` does not change: a copy if they overlap.

    With `in_place` an input that is exactly `out` stays as it is.
    """
    if array is out:
        return array if in_place else array.copy()
    if not overlaps(array, out) or (in_place and same_view(array, plain(out))):
        return array
    return array.copy()


def separate_all(arrays: tuple[Array | None, ...], out: Array) -> list[Any]:
    """Return inputs that writing `out` does not change, as copies where they overlap."""
    return [
        array.copy() if array is not None and overlaps(array, out) else array for array in arrays
    ]


def overlaps(first: Array, second: Array) -> bool:
    """Return whether two arrays share memory; True where that is too hard to say."""
    first, second = plain(first), plain(second)
    if not np.may_share_memory(first, second):
        return False
    try:
        return np.shares_memory(first, second, max_work=OVERLAP_WORK)  # type: ignore[arg-type]
    except TooHardError:
        return True


def same_view(first: Array, second: Array) -> bool:
    """Return whether two arrays are the same elements at the same places."""
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and first.strides == second.strides
        and first.__array_interface__["data"][0] == second.__array_interface__["data"][0]
    )
