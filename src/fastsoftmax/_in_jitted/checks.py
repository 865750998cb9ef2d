"""What is checked, and brought into form, when the compiled code runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._backends.numba_kernels.compilation import jitted
from .errors import NoClassesError, OutputError
from .views import address

__all__ = ["check_classes", "check_classes_of_x", "output_like", "separated", "separated_from"]


@jitted
def check_classes(logits: Any) -> None:
    if logits.shape[-1] == 0:
        raise NoClassesError("logits", logits.shape)


@jitted
def check_classes_of_x(x: Any) -> None:
    if x.shape[-1] == 0:
        raise NoClassesError("x", x.shape)


@jitted
def shares_itself(array: Any) -> bool:
    """Whether an element is in several places."""
    for axis in range(array.ndim):
        if array.strides[axis] == 0 and array.shape[axis] > 1:
            return bool(array.size > 0)
    return False


@jitted
def check_writeable(out: Any, shape: Any) -> None:
    if out.shape != shape or shares_itself(out):
        raise OutputError(out.shape, shape, out.strides, True)


@jitted
def refuse_read_only(out: Any, shape: Any) -> None:
    raise OutputError(out.shape, shape, out.strides, False)


def output_like(out: Any) -> Callable[..., Any]:
    """Return the compiled check of an output by its type: (out, shape)."""
    return check_writeable if out.mutable else refuse_read_only


@jitted
def span(array: Any) -> Any:
    """The addresses of the first byte of an array and of the first one behind it."""
    low = high = address(array)
    for axis in range(array.ndim):
        distance = (array.shape[axis] - 1) * array.strides[axis]
        low += min(distance, 0)
        high += max(distance, 0)
    return low, high + array.itemsize


@jitted
def overlaps(first: Any, second: Any) -> bool:
    a, b = span(first), span(second)
    return bool(a[0] < b[1] and b[0] < a[1])


@jitted
def separated(x: Any, out: Any) -> Any:
    """The input of an output of its dtype and shape: a copy unless it is it, or apart from it."""
    if overlaps(x, out) and not (address(x) == address(out) and x.strides == out.strides):
        return x.copy()
    return x


@jitted
def separated_array(array: Any, out: Any) -> Any:
    if overlaps(array, out):
        return array.copy()
    return array


@jitted
def separated_number(array: Any, out: Any) -> Any:
    return array.copy()


def separated_from(array: Any) -> Callable[..., Any]:
    """Return the compiled function (array, out) -> array that writing `out` does not change."""
    return separated_array if array.ndim else separated_number
