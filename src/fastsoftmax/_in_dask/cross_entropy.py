"""The cross-entropy functions: what is made of blocks, reduced over them."""

from __future__ import annotations

from types import ModuleType

import dask.array as da

from . import class_chunks, tasks, whole_rows
from .graph import NUMBERS, apply, reduce_blocks
from .problem import Problem

__all__ = ["loss", "value_and_grad", "value_and_mean_grad"]


def loss(problem: Problem) -> da.Array:
    """Return the loss, or that of each sample."""
    way = _way(problem)
    if problem.options.reduction == "none":
        losses: da.Array = way.losses(problem)
        return losses
    return _mean_loss(problem, _merged(problem, way.loss_sums(problem)))


def value_and_grad(problem: Problem) -> tuple[da.Array, da.Array]:
    """Return the loss and the gradient."""
    way = _way(problem)
    if problem.options.reduction == "none":
        both: tuple[da.Array, da.Array] = way.value_and_grad(problem)
        return both
    sums, grad = way.sums_and_grad(problem, problem.divisor())
    return _mean_loss(problem, _merged(problem, sums)), grad


def value_and_mean_grad(problem: Problem) -> tuple[da.Array, da.Array]:
    """Return the loss and the gradient summed over the samples."""
    x = problem.logits
    parts, pairs = _way(problem).sums_and_mean_grad(problem)
    sums = _merged(problem, parts)
    mean_grad = apply(
        tasks.mean_grad,
        (x.axis,),
        x.dtype,
        (reduce_blocks(pairs, x.first_axes, tasks.merge_pairs), (x.axis, NUMBERS)),
        (sums, (NUMBERS,)),
        is_mean=problem.is_mean,
        result_dtype=x.dtype,
    )
    return _mean_loss(problem, sums), mean_grad


def _way(problem: Problem) -> ModuleType:
    return whole_rows if problem.logits.in_one_piece else class_chunks


def _merged(problem: Problem, parts: da.Array) -> da.Array:
    """Return the sums of all blocks."""
    return reduce_blocks(parts, problem.logits.first_axes, tasks.merge_loss_sums)


def _mean_loss(problem: Problem, sums: da.Array) -> da.Array:
    dtype = problem.logits.dtype
    return apply(
        tasks.mean_loss,
        (),
        dtype,
        (sums, (NUMBERS,)),
        is_mean=problem.is_mean,
        result_dtype=dtype,
    )
