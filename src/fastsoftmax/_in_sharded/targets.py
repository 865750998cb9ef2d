"""What the targets are of a shard of the classes: labels there or elsewhere, or probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import SupportsFloat, SupportsIndex

import numpy as np

from .._api.evaluation import count_labels
from .._arguments.arrays import FLOAT32, as_array, cast, same_dtype
from .._arguments.options import (
    MOST_CLASSES,
    check_class_weight,
    check_ignore_index,
    check_index,
    check_label_smoothing,
    check_num_classes,
)
from .._arguments.targets import check_targets
from .._typing import Array, ArrayLike, Backend, Float64Array

__all__ = ["ShardTargets", "check_shard_targets"]


@dataclass
class ShardTargets:
    """The targets of a shard's samples, and the options that say what they come to.

    A class has the target y = w ((1 - eps) t + eps / K). For labels that is `others` for all
    classes and `own` more for the label, which may be of another shard.
    """

    first: int
    num_classes: int  # K, of all shards
    labels: Array | None
    probabilities: Array | None
    ignore: int | None
    weight: Float64Array | None
    smoothing: float

    def arrays(self) -> tuple[Array | None, Array | None]:
        return self.labels, self.probabilities

    def with_arrays(self, labels: Array | None, probabilities: Array | None) -> ShardTargets:
        """Return the same of other views of the arrays."""
        return ShardTargets(
            self.first, self.num_classes, labels, probabilities,
            self.ignore, self.weight, self.smoothing,
        )  # fmt: skip

    def is_dense(self) -> bool:
        """Whether classes that are no label have targets."""
        return self.probabilities is not None or (self.labels is not None and self.smoothing != 0)

    def count(self, kernels: Backend, given: ShardTargets, sample_weight: Array | None) -> float:
        """Return the total weight of the labels that count; raise if one is out of range."""
        assert self.labels is not None
        assert given.labels is not None
        return count_labels(
            kernels, given.labels, self.labels, self.num_classes, self.ignore, self.weight,
            sample_weight,
        )  # fmt: skip

    def ignored(self) -> Array | None:
        """Return where labels are ignored, None if they all count."""
        if self.labels is None or self.ignore is None:
            return None
        ignored: Array = self.labels == self.ignore
        return ignored if ignored.any() else None

    def dense(self, x: Array) -> Array | None:
        """Return the targets y of logits (A, B, k) but for a label's own, None if there are none.

        They are of the dtype of the logits, whose rounding is all that they lose.
        """
        if not self.is_dense():
            return None
        weights = self.shard_weight(x.shape[2])
        smooth = self.smoothing / self.num_classes
        if self.probabilities is None:
            row = (np.ones(x.shape[2]) if weights is None else weights) * smooth
            return np.broadcast_to(row.astype(x.dtype), x.shape)
        y = self.probabilities
        if self.smoothing:
            y = y * x.dtype.type(1 - self.smoothing)
            y += x.dtype.type(smooth)
        return y if weights is None else y * weights.astype(x.dtype)

    def shard_weight(self, classes: int) -> Float64Array | None:
        return None if self.weight is None else self.weight[self.first : self.first + classes]

    def own(self, classes: int) -> tuple[Array, Array]:
        """Return the number of each label's class in the shard, and its own target.

        Of a label that is ignored or elsewhere they are 0 and 0.
        """
        assert self.labels is not None
        local = self.labels.astype(np.int64) - self.first
        here = (local >= 0) & (local < classes)
        if self.ignore is not None:
            here &= self.labels != self.ignore
        local = np.where(here, local, 0)
        weights = self.shard_weight(classes)
        own = 1 - self.smoothing if weights is None else (1 - self.smoothing) * weights[local]
        return local, np.where(here, own, 0.0)


def check_shard_targets(
    x: Array,
    axis: int,
    targets: ArrayLike | None,
    first_class: SupportsIndex,
    num_classes: SupportsIndex | None,
    weight: ArrayLike | None,
    ignore_index: SupportsIndex | None,
    label_smoothing: SupportsFloat,
) -> tuple[Array, ShardTargets]:
    """Return the logits in the dtype to compute in, and their targets.

    Whether labels are in range is not known yet.
    """
    shape, samples = x.shape, x.shape[:axis] + x.shape[axis + 1 :]
    smoothing = check_label_smoothing(label_smoothing)
    first, total, w = _check_classes(shape[axis], first_class, num_classes, weight, smoothing)
    ignore = None if ignore_index is None else check_ignore_index(ignore_index)
    labels = probabilities = None
    if targets is not None:
        labels, probabilities, ignore = check_targets(targets, shape, samples, total, ignore)
    if probabilities is not None:
        x, probabilities = same_dtype(x, probabilities)
    given = ShardTargets(first, total, labels, probabilities, ignore, w, smoothing)
    if given.is_dense() and x.dtype.itemsize == 2 and (smoothing or w is not None):
        # The targets are not those of the caller, and need not be rounded so.
        x = cast(x, FLOAT32)
        given.probabilities = None if probabilities is None else cast(probabilities, FLOAT32)
    return x, given


def _check_classes(
    classes: int,
    first_class: SupportsIndex,
    num_classes: SupportsIndex | None,
    weight: ArrayLike | None,
    smoothing: float,
) -> tuple[int, int, Float64Array | None]:
    """Return the first class, the number of all classes and their weights."""
    first = check_index(first_class, "first_class")
    if first < 0:
        raise ValueError(f"first_class must be at least 0, not {first}")
    if first > MOST_CLASSES - classes:
        raise ValueError(
            f"first_class must be less than 2**63 less the shard's classes, not {first}"
        )
    if num_classes is not None:
        total = check_num_classes(num_classes)
    elif weight is not None:
        weight = as_array(weight, "weight")
        total = weight.size
    elif smoothing:
        raise ValueError(
            f"label_smoothing = {smoothing} is spread over all classes: say with num_classes how "
            "many there are in all shards"
        )
    else:
        total = first + classes
    if total < first + classes:
        raise ValueError(
            f"the shard has classes {first} to {first + classes - 1}, but "
            f"{'num_classes' if num_classes is not None else 'weight'} says that there are {total}"
        )
    return first, total, None if weight is None else check_class_weight(weight, total)
