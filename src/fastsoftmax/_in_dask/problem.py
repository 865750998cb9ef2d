"""A call of a cross-entropy function, checked, and how its arrays come to tasks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, SupportsFloat, SupportsIndex

import dask.array as da
import numpy as np

from ..typing import BackendName, Reduction
from . import tasks
from .arguments import Logits, Options, Targets, as_logits, as_options, as_targets, settings
from .graph import CLASSES, NUMBERS, Argument, apply, origin, reduce_blocks

__all__ = ["SUMS", "Problem"]

SUMS = 4
"""The numbers of `sharded.loss_sums`, without a gradient."""


@dataclass(frozen=True)
class Problem:
    """Logits, targets and options, checked and in the same blocks."""

    logits: Logits
    targets: Targets
    options: Options
    settings: dict[str, Any]

    @classmethod
    def of(
        cls,
        logits: Any,
        targets: Any,
        axis: SupportsIndex,
        weight: Any,
        sample_weight: Any,
        ignore_index: SupportsIndex | None,
        label_smoothing: SupportsFloat,
        reduction: Reduction,
        backend: BackendName | None,
        num_threads: SupportsIndex,
        of_mean_grad: bool = False,
    ) -> Problem:
        """Check what a public function was given."""
        chosen = settings(backend, num_threads)
        x = as_logits(logits, axis, "logits")
        t = as_targets(targets, x, ignore_index)
        options = as_options(x, of_mean_grad, weight, sample_weight, label_smoothing, reduction)
        return cls(x, t, options, chosen)

    @property
    def target_indices(self) -> tuple[int, ...]:
        """The indices of the targets' axes."""
        x = self.logits
        return x.sample_indices if self.targets.are_labels else x.indices

    @property
    def task_options(self) -> dict[str, Any]:
        """What each task has to know."""
        return {
            **self.settings,
            "axis": self.logits.axis,
            "num_classes": self.logits.num_classes,
            "ignore_index": self.targets.ignore_index,
            "label_smoothing": self.options.label_smoothing,
        }

    @property
    def is_mean(self) -> bool:
        return self.options.reduction == "mean"

    @property
    def summed(self) -> dict[int, int]:
        """What becomes of a block's lengths where it is summed over its samples."""
        return dict.fromkeys(self.logits.sample_indices, 1)

    def on_blocks(
        self,
        function: Callable[..., Any],
        out: tuple[int, ...],
        dtype: Any,
        *more: Argument,
        lengths: dict[int, int] | None = None,
        new: dict[int, int] | None = None,
        **keywords: Any,
    ) -> da.Array:
        """Call a function on the blocks of logits and targets, some more, and weights."""
        return apply(
            function,
            out,
            dtype,
            (self.logits.array, self.logits.indices),
            (self.targets.array, self.target_indices),
            *more,
            (self.options.sample_weight, self.logits.sample_indices),
            (self.options.weight, (CLASSES,)),
            *self.origin(),
            lengths=lengths,
            new=new,
            options=self.task_options,
            **keywords,
        )

    def origin(self) -> list[Argument]:
        """Return arguments that tell a task where the labels of its block begin."""
        x = self.logits
        return origin(x.sample_chunks, x.sample_indices) if self.targets.are_labels else []

    def divisor(self) -> Any:
        """Return what the loss is divided by: a number, or an array where it is to be computed.

        It depends on targets and weights, never on the logits.
        """
        if not self.is_mean:
            return 1.0
        x, weight, sample_weight = self.logits, self.options.weight, self.options.sample_weight
        if not self.targets.are_labels:
            weight = None
        all_count = weight is None and self.targets.ignore_index is None
        if all_count and sample_weight is None and not any(map(math.isnan, x.samples)):
            return float(math.prod(x.samples))
        parts = apply(
            tasks.weight_of_block,
            (*x.sample_indices, NUMBERS),
            np.float64,
            (self.targets.array, self.target_indices),
            (sample_weight, x.sample_indices),
            (weight, (CLASSES,)),
            *self.origin(),
            lengths=self.summed,
            new={NUMBERS: 2},
            are_labels=self.targets.are_labels,
            options=self.task_options,
        )
        pair = reduce_blocks(parts, x.first_axes, tasks.merge_pairs)
        return apply(tasks.total, (), np.float64, (pair, (NUMBERS,)))
