"""What a classifier is given to learn from: labels of any kind, or probabilities; weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._typing import Array, Float64Array

__all__ = ["Targets", "check_targets", "weigh"]

_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Targets:
    """The classes and, for each sample, the position of its class or the classes' probabilities."""

    classes: Array
    labels: Array | None
    probabilities: Array | None

    def totals(self, sample_weight: Float64Array | None) -> Float64Array:
        """Return the weight of the samples of each class."""
        if self.labels is not None:
            counts = np.bincount(self.labels, sample_weight, len(self.classes))
            return counts.astype(np.float64)
        assert self.probabilities is not None
        totals: Float64Array = (
            self.probabilities.sum(axis=0, dtype=np.float64)
            if sample_weight is None
            else sample_weight @ self.probabilities
        )
        return totals


def check_targets(y: Any, dtype: np.dtype[Any]) -> Targets:
    """Tell labels from probabilities, which have a column for each class, in the dtype given."""
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] > 1:
        return Targets(np.arange(array.shape[1]), None, _check_probabilities(array, dtype))
    labels = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    classes, positions = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has samples of 1 class only, {classes.tolist()[0]!r}; at least 2 classes are needed"
        )
    return Targets(classes, positions.astype(np.int32), None)


def weigh(
    targets: Targets,
    class_weight: Mapping[Any, float] | str | None,
    sample_weight: Float64Array | None,
) -> tuple[Array, Float64Array | None, float]:
    """Return labels or probabilities, the samples' weights, and the total weight of all samples.

    The weights of the classes go into those of the samples; with probabilities they go into these,
    whose rows then need not add up to 1.
    """
    totals = targets.totals(sample_weight)
    by_class = None if class_weight is None else _by_class(targets.classes, class_weight, totals)
    total = float(totals.sum() if by_class is None else totals @ by_class)
    if not total > 0.0:
        raise ValueError("the weights of all samples are zero: there is nothing to learn from")
    if targets.labels is not None:
        if by_class is not None:
            of_labels = by_class[targets.labels]
            sample_weight = of_labels if sample_weight is None else sample_weight * of_labels
        return targets.labels, sample_weight, total
    probabilities = targets.probabilities
    assert probabilities is not None
    if by_class is not None:
        probabilities = probabilities * by_class.astype(probabilities.dtype)
    return probabilities, sample_weight, total


def _check_probabilities(array: Array, dtype: np.dtype[Any]) -> Array:
    try:
        probabilities = np.ascontiguousarray(array, dtype)
    except (TypeError, ValueError):
        raise ValueError(
            f"y of shape {array.shape} must hold probabilities, a column for each class, "
            f"not values of dtype {array.dtype}"
        ) from None
    sums = probabilities.sum(axis=1, dtype=np.float64)
    # Comparisons with NaN are false, so these find it too.
    wrong = ~((probabilities.min(axis=1) >= 0.0) & (np.abs(sums - 1.0) <= _SUM_TOLERANCE))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"y of shape {array.shape} must hold probabilities, a column for each class: "
            f"none negative, and each row with the sum 1. Row {row} has the sum {sums[row]:g} "
            f"and the smallest entry {probabilities[row].min():g}. If these are counts, divide "
            "each row by its sum and pass the sums as sample_weight; several labels for one sample "
            "are a task for sklearn.multioutput"
        )
    return probabilities


def _by_class(
    classes: Array, class_weight: Mapping[Any, float] | str, totals: Float64Array
) -> Float64Array:
    """Return the weights of the classes in their order; those not named have the weight 1."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        # As if each class that is there had the same share of the total weight.
        weights = np.zeros(len(classes))
        np.divide(totals.sum() / len(classes), totals, out=weights, where=totals > 0.0)
        return weights
    if not isinstance(class_weight, Mapping):
        raise ValueError(f'class_weight must be a dict, "balanced" or None, not {class_weight!r}')
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    # A part of the samples may lack a class, but a class without a weight may be a misspelt one.
    if unknown and len(class_weight) - len(unknown) < len(labels):
        raise ValueError(f"class_weight has {unknown}, which are not among the classes {labels}")
    for label, weight in class_weight.items():
        if not 0.0 <= weight < np.inf:
            raise ValueError(f"class_weight[{label!r}] = {weight} must be finite and not negative")
    return np.array([class_weight.get(label, 1.0) for label in labels], np.float64)
