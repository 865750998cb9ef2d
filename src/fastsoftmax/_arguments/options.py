"""The options of the cross-entropy functions."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np

from .._typing import Array, ArrayLike, Float64Array
from .arrays import FLOAT64, as_array, cast, float_dtypes

__all__ = [
    "check_class_weight",
    "check_class_weight_shape",
    "check_hessian",
    "check_ignore_index",
    "check_index",
    "check_label_smoothing",
    "check_num_classes",
    "check_reduction",
    "check_sample_weight",
    "check_sample_weight_shape",
    "to_float",
]

REDUCTIONS = ("mean", "sum", "none")
MOST_CLASSES = 2**63 - 1
HESSIANS = ("exact", "xgboost", "lightgbm")


def check_reduction(reduction: str, of_mean_grad: bool) -> None:
    """Raise unless the reduction is known, and reduces where that is needed."""
    _check_choice(reduction, "reduction", REDUCTIONS)
    if of_mean_grad and reduction == "none":
        raise ValueError(
            "reduction 'none' has no meaning for the mean gradient, which is summed over the "
            "samples; use 'mean' or 'sum', or cross_entropy_grad for a gradient per sample"
        )


def check_hessian(hessian: str, num_classes: int) -> None:
    """Raise unless the Hessian is known and defined for so many classes."""
    _check_choice(hessian, "hessian", HESSIANS)
    if hessian == "lightgbm" and num_classes == 1:
        raise ValueError(
            "hessian 'lightgbm' has the factor K/(K-1), which is not defined for K = 1 class"
        )


def check_label_smoothing(label_smoothing: SupportsFloat) -> float:
    """Return the smoothing as a float in [0, 1]."""
    if type(label_smoothing) is float:
        value = label_smoothing
    elif isinstance(label_smoothing, Real) and not isinstance(label_smoothing, bool):
        value = to_float(label_smoothing)
    else:
        raise TypeError(
            f"label_smoothing must be a number in [0, 1], not {label_smoothing!r} "
            f"({type(label_smoothing).__name__})"
        )
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"label_smoothing must be in [0, 1], not {value}")
    return value


def to_float(number: Any) -> float:
    """Return the nearest float, which of a number beyond all of them is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def check_num_classes(num_classes: SupportsIndex) -> int:
    """Return a number of classes, whose labels 64 bits can hold."""
    total = check_index(num_classes, "num_classes")
    if total < 1:
        raise ValueError(f"num_classes must be at least 1, not {total}")
    if total > MOST_CLASSES:
        raise ValueError(f"num_classes must be less than 2**63, not {total}")
    return total


def check_ignore_index(ignore_index: SupportsIndex | None) -> int | None:
    """Return the label to ignore as an int of any size."""
    return None if ignore_index is None else check_index(ignore_index, "ignore_index", " or None")


def check_index(value: SupportsIndex, name: str, alternative: str = "") -> int:
    """Return an integer as an int of any size."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} must be an integer{alternative}, not {value!r} ({type(value).__name__})"
        ) from None


def check_class_weight(weight: ArrayLike, num_classes: int, name: str = "weight") -> Float64Array:
    """Return the weights of the classes as float64 in one piece."""
    array = _as_float64(weight, name)
    check_class_weight_shape(array.shape, num_classes, name)
    _check_not_negative(array, name)
    return np.ascontiguousarray(array)


def check_class_weight_shape(
    shape: tuple[int, ...], num_classes: int, name: str = "weight"
) -> None:
    """Raise unless there is one weight for each class."""
    if shape != (num_classes,):
        raise ValueError(
            f"{name} must have one entry for each of the {num_classes} classes, "
            f"a shape of {(num_classes,)}, not {shape}"
        )


def check_sample_weight(sample_weight: ArrayLike, shape: tuple[int, ...]) -> Float64Array:
    """Return the weights of the samples as float64."""
    array = _as_float64(sample_weight, "sample_weight")
    check_sample_weight_shape(array.shape, shape)
    _check_not_negative(array, "sample_weight")
    return array


def check_sample_weight_shape(shape: tuple[int, ...], samples: tuple[int, ...]) -> None:
    """Raise unless there is one weight for each sample."""
    if shape != samples:
        raise ValueError(
            f"sample_weight must have one entry for each sample, a shape of {samples}, not {shape}"
        )


def _as_float64(values: ArrayLike, name: str) -> Float64Array:
    array = as_array(values, name)
    float_dtypes(array.dtype, name)
    return cast(array, FLOAT64)


def _check_not_negative(array: Array, name: str) -> None:
    if array.size == 0 or array.min() >= 0:  # the minimum is NaN if any is
        return
    index = np.unravel_index(int(np.argmin(array >= 0)), array.shape)
    value = float(array[index])
    place = ", ".join(str(position) for position in index)
    problem = "is not a number" if math.isnan(value) else "is negative"
    raise ValueError(f"{name}[{place}] = {value} {problem}; weights must be at least 0")


def _check_choice(value: str, name: str, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")
