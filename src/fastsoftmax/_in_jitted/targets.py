"""Targets, weights and options of the cross-entropy functions, brought into the kernels' form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._backends.numba_kernels.compilation import jitted
from .._backends.numba_kernels.numba_api import TypingError, types
from .arguments import check_array, constant, is_none
from .errors import (
    ClassWeightShapeError,
    SampleWeightShapeError,
    SmoothingError,
    TargetShapeError,
)
from .views import nothing, second

__all__ = ["Option", "class_weight_of", "ignored", "sample_weight_of", "smoothing_of", "targets_of"]

no_weight = nothing(types.float64, 1, given=2)


class Option(NamedTuple):
    """An array of a call: the compiled function (argument, logits) -> array, and its type."""

    bring: Callable[..., Any]
    type: Any  # the logits' where there is none
    is_there: bool = True
    is_labels: bool = False


# --- targets ---------------------------------------------------------------------------------


@jitted
def labels_as_they_are(targets: Any, logits: Any) -> Any:
    if targets.shape != logits.shape[:-1]:
        raise TargetShapeError(targets.shape, logits.shape)
    return targets


@jitted
def labels_as_int64(targets: Any, logits: Any) -> Any:
    return labels_as_they_are(targets.astype(np.int64), logits)


@jitted
def label_as_array(targets: Any, logits: Any) -> Any:
    label = np.empty((), np.int64)
    label[()] = targets
    return label


@jitted
def probabilities_as_they_are(targets: Any, logits: Any) -> Any:
    if targets.shape != logits.shape:
        raise TargetShapeError(targets.shape, logits.shape)
    return targets


@jitted
def probabilities_as_logits(targets: Any, logits: Any) -> Any:
    return probabilities_as_they_are(targets.astype(logits.dtype), logits)


def targets_of(targets: Any, logits: Any) -> Option:
    """Tell labels from probabilities by their number of axes."""
    if logits.ndim == 1 and isinstance(targets, types.Integer):
        _refuse_uint64(targets)
        return Option(label_as_array, types.Array(types.int64, 0, "C"), is_labels=True)
    array = check_array(targets, "targets", "fib")
    if array.ndim == logits.ndim:
        if array.dtype == logits.dtype:
            return Option(probabilities_as_they_are, array)
        return Option(probabilities_as_logits, _cast(array, logits.dtype))
    if array.ndim != logits.ndim - 1:
        raise TypingError(
            f"targets must be labels with {logits.ndim - 1} axes or probabilities with "
            f"{logits.ndim}, not an array with {array.ndim}"
        )
    check_array(array, "targets that are labels", "i")
    _refuse_uint64(array.dtype)
    if array.dtype in (types.int32, types.int64):
        return Option(labels_as_they_are, array, is_labels=True)
    return Option(labels_as_int64, _cast(array, types.int64), is_labels=True)


def _refuse_uint64(kind: Any) -> None:
    if kind == types.uint64:
        raise TypingError("labels of uint64 are not supported in compiled code; use int64")


def _cast(array: Any, dtype: Any) -> Any:
    """The type of astype's result."""
    layout = array.layout if array.layout in "CF" else "C"
    return types.Array(dtype, array.ndim, layout)


# --- weights ---------------------------------------------------------------------------------


@jitted
def class_weight(weight: Any, logits: Any) -> Any:
    if weight.size != logits.shape[-1]:
        raise ClassWeightShapeError(weight.shape, logits.shape[-1])
    copy = np.empty(weight.size)
    for k in range(weight.size):
        copy[k] = weight[k]
    return copy


@jitted
def sample_weight_as_it_is(weight: Any, logits: Any) -> Any:
    if weight.shape != logits.shape[:-1]:
        raise SampleWeightShapeError(weight.shape, logits.shape)
    return weight


@jitted
def sample_weight_as_float64(weight: Any, logits: Any) -> Any:
    return sample_weight_as_it_is(weight.astype(np.float64), logits)


def class_weight_of(weight: Any) -> Option:
    """Class weights come as a copy in one piece."""
    kind = types.Array(types.float64, 1, "C")
    if is_none(weight):
        return Option(no_weight, kind, is_there=False)
    check_array(weight, "weight", "fib", 1)
    return Option(class_weight, kind)


def sample_weight_of(weight: Any, logits: Any) -> Option:
    """Sample weights come as an array of float64 of the labels' shape."""
    if is_none(weight):
        return Option(second, logits, is_there=False)
    array = check_array(weight, "sample_weight", "fib", logits.ndim - 1)
    if array.dtype == types.float64:
        return Option(sample_weight_as_it_is, array)
    return Option(sample_weight_as_float64, _cast(array, types.float64))


# --- numbers ---------------------------------------------------------------------------------


@jitted
def check_smoothing(label_smoothing: Any) -> float:
    eps = float(label_smoothing)
    if not 0.0 <= eps <= 1.0:
        raise SmoothingError(eps)
    return eps


@jitted
def no_smoothing(label_smoothing: Any) -> float:
    return 0.0


def smoothing_of(label_smoothing: Any) -> Callable[..., Any]:
    """Return the compiled function from what was given to a float in [0, 1]."""
    value = constant(label_smoothing)
    if isinstance(value, float) and value == 0.0:
        return no_smoothing
    if not isinstance(label_smoothing, (types.Float, types.Integer)):
        raise TypingError(f"label_smoothing must be a number in [0, 1], not {label_smoothing}")
    return check_smoothing


@jitted
def ignore_none(ignore_index: Any) -> Any:
    return False, 0


@jitted
def ignore_label(ignore_index: Any) -> Any:
    return True, int(ignore_index)


def ignored(ignore_index: Any, targets: Option) -> Callable[..., Any]:
    """Return the compiled function from what was given to (is there one, the label to ignore)."""
    if is_none(ignore_index):
        return ignore_none
    if not isinstance(ignore_index, types.Integer):
        raise TypingError(f"ignore_index must be an integer or None, not {ignore_index}")
    if not targets.is_labels:
        raise TypingError(
            "ignore_index has no meaning for targets that are probabilities; "
            "give those samples a sample_weight of 0"
        )
    return ignore_label
