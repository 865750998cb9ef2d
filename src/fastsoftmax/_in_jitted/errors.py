"""What compiled code raises: errors that make their message when they are raised, in Python."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "ClassWeightShapeError",
    "LabelError",
    "NoClassesError",
    "OutputError",
    "SampleWeightShapeError",
    "SmoothingError",
    "TargetShapeError",
    "WeightError",
    "WhereError",
]


def _place(position: int, shape: tuple[int, ...]) -> str:
    index = [int(each) for each in np.unravel_index(position, shape)] if shape else []
    return f"[{', '.join(map(str, index))}]" if index else ""


class NoClassesError(ValueError):
    """The class axis is of length 0."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        axis = len(shape) - 1
        super().__init__(f"{name} has no classes: of its shape {shape}, axis {axis} is of length 0")


class OutputError(ValueError):
    """`out` is of another shape, read-only, or one element in several places."""

    def __init__(self, shape: Any, wanted: Any, strides: Any, writeable: bool) -> None:
        if shape != wanted:
            message = f"out must be of shape {wanted}, not {shape}"
        elif not writeable:
            message = "out is read-only"
        else:
            message = (
                "out shares memory between its own elements: "
                f"its shape is {shape} with strides {strides}"
            )
        super().__init__(message)


class TargetShapeError(ValueError):
    """Targets that fit neither as labels nor as probabilities."""

    def __init__(self, shape: Any, logits: tuple[int, ...]) -> None:
        super().__init__(
            f"targets must be labels of shape {logits[:-1]} or probabilities of shape {logits}, "
            f"not an array of shape {shape}"
        )


class LabelError(ValueError):
    """A label out of range."""

    def __init__(
        self, label: int, position: int, logits: tuple[int, ...], ignores: bool, ignore_index: int
    ) -> None:
        place, count = _place(position, logits[:-1]), logits[-1]
        classes = "1 class" if count == 1 else f"{count} classes"
        exception = f" and is not ignore_index = {ignore_index}" if ignores else ""
        super().__init__(f"targets{place} = {label} is out of range for {classes}{exception}")


class ClassWeightShapeError(ValueError):
    """Class weights that are not one a class."""

    def __init__(self, shape: Any, num_classes: int) -> None:
        super().__init__(
            f"weight must have one entry for each of the {num_classes} classes, "
            f"a shape of {(num_classes,)}, not {shape}"
        )


class SampleWeightShapeError(ValueError):
    """Sample weights that are not one a sample."""

    def __init__(self, shape: Any, logits: tuple[int, ...]) -> None:
        super().__init__(
            f"sample_weight must have one entry for each sample, "
            f"a shape of {logits[:-1]}, not {shape}"
        )


class WeightError(ValueError):
    """A weight that is negative or NaN."""

    def __init__(self, of_class: bool, value: float, position: int, shape: Any) -> None:
        name = "weight" if of_class else "sample_weight"
        problem = "is not a number" if math.isnan(value) else "is negative"
        super().__init__(
            f"{name}{_place(position, shape)} = {value} {problem}; weights must be at least 0"
        )


class SmoothingError(ValueError):
    """Label smoothing outside of [0, 1]."""

    def __init__(self, value: float) -> None:
        super().__init__(f"label_smoothing must be in [0, 1], not {value}")


class WhereError(ValueError):
    """A mask that cannot be broadcast to the logits."""

    def __init__(self, shape: Any, logits: Any) -> None:
        super().__init__(f"where of shape {shape} cannot be broadcast to the shape {logits} of x")
