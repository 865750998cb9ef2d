"""Blocks with all classes of their samples: each goes to the core's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np

from . import tasks
from .graph import NUMBERS, apply
from .problem import SUMS, Problem

__all__ = ["loss_sums", "losses", "sums_and_grad", "sums_and_mean_grad", "value_and_grad"]


def losses(problem: Problem) -> da.Array:
    """Return the loss of each sample."""
    x = problem.logits
    return problem.on_blocks(tasks.losses, x.sample_indices, x.dtype)


def value_and_grad(problem: Problem) -> tuple[da.Array, da.Array]:
    """Return the loss of each sample and the gradient."""
    x = problem.logits
    both = problem.on_blocks(tasks.value_and_grad, x.indices, object)
    loss = apply(tasks.first, x.sample_indices, x.dtype, (both, x.indices))
    return loss, apply(tasks.second, x.indices, x.dtype, (both, x.indices))


def loss_sums(problem: Problem) -> da.Array:
    """Return the sums of each block."""
    return problem.on_blocks(
        tasks.loss_sums,
        (*problem.logits.sample_indices, NUMBERS),
        np.float64,
        lengths=problem.summed,
        new={NUMBERS: SUMS},
    )


def sums_and_grad(problem: Problem, divisor: Any) -> tuple[da.Array, da.Array]:
    """Return the sums of each block and the gradient over the divisor."""
    x = problem.logits
    both = problem.on_blocks(tasks.sums_and_grad, x.indices, object, (divisor, ()))
    return (
        _summed(problem, tasks.first, both, (), SUMS),
        apply(tasks.second, x.indices, x.dtype, (both, x.indices)),
    )


def sums_and_mean_grad(problem: Problem) -> tuple[da.Array, da.Array]:
    """Return the sums of each block, and its gradient summed, with its rounding error."""
    both = problem.on_blocks(tasks.sums_and_mean_grad, problem.logits.indices, object)
    return (
        _summed(problem, tasks.first, both, (), SUMS),
        _summed(problem, tasks.second, both, (problem.logits.axis,), 2),
    )


def _summed(
    problem: Problem,
    function: Callable[..., Any],
    both: da.Array,
    axes: tuple[int, ...],
    numbers: int,
) -> da.Array:
    """Return one of the two results of each block, which are summed over its samples."""
    x = problem.logits
    return apply(
        function,
        (*x.sample_indices, *axes, NUMBERS),
        np.float64,
        (both, x.indices),
        lengths=problem.summed,
        new={NUMBERS: numbers},
    )
