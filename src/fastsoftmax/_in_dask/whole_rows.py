"""Logits chunked along the samples alone: each block goes to the core's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np

from . import tasks
from .graph import PAIR, apply
from .problem import Problem

__all__ = ["losses", "total_loss", "value_and_grad", "value_and_mean_grad"]


def losses(problem: Problem) -> da.Array:
    """Return the loss of each sample."""
    x = problem.logits
    return problem.on_blocks(tasks.losses, x.sample_indices, x.dtype)


def total_loss(problem: Problem) -> da.Array:
    """Return the loss of each block, to be added."""
    return problem.on_blocks(
        tasks.total_loss,
        (*problem.logits.sample_indices, PAIR),
        np.float64,
        lengths=_ones(problem),
        new={PAIR: 2},
    )


def value_and_grad(problem: Problem, divisor: Any) -> tuple[da.Array, da.Array]:
    """Return the losses, one by one or to be added, and the gradient; both over the divisor."""
    x, reduction = problem.logits, problem.options.reduction
    both = problem.on_blocks(
        tasks.value_and_grad, x.indices, object, (divisor, ()), reduction=reduction
    )
    grad = apply(tasks.second, x.indices, x.dtype, (both, x.indices))
    if reduction == "none":
        return apply(tasks.first, x.sample_indices, x.dtype, (both, x.indices)), grad
    return _to_be_added(problem, tasks.first, both, ()), grad


def value_and_mean_grad(problem: Problem) -> tuple[da.Array, da.Array]:
    """Return the loss of each block and its gradient summed over the samples, to be added."""
    x = problem.logits
    both = problem.on_blocks(tasks.value_and_mean_grad, x.indices, object)
    return (
        _to_be_added(problem, tasks.first, both, ()),
        _to_be_added(problem, tasks.second, both, (x.axis,)),
    )


def _to_be_added(
    problem: Problem, function: Any, both: da.Array, axes: tuple[int, ...]
) -> da.Array:
    x = problem.logits
    return apply(
        function,
        (*x.sample_indices, *axes, PAIR),
        np.float64,
        (both, x.indices),
        lengths=_ones(problem),
        new={PAIR: 2},
    )


def _ones(problem: Problem) -> dict[int, int]:
    """What becomes of the samples of a block where they are summed."""
    return dict.fromkeys(problem.logits.sample_indices, 1)
