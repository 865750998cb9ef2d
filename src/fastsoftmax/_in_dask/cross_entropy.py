"""The cross-entropy functions: what is made of blocks, reduced over them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import dask.array as da

from . import tasks, whole_rows
from .graph import PAIR, apply, sum_blocks
from .problem import Problem

__all__ = ["loss", "value_and_grad", "value_and_mean_grad"]


def loss(problem: Problem) -> da.Array:
    """Return the loss, or that of each sample."""
    blocks = _blocks(problem)
    if problem.options.reduction == "none":
        losses: da.Array = blocks.losses(problem)
        return losses
    return _reduced_loss(problem, blocks.total_loss(problem), problem.divisor(), False)


def value_and_grad(problem: Problem) -> tuple[da.Array, da.Array]:
    """Return the loss and the gradient."""
    divisor = problem.divisor()
    value, grad = _blocks(problem).value_and_grad(problem, divisor)
    if problem.options.reduction == "none":
        return value, grad
    return _reduced_loss(problem, value, divisor, True), grad


def value_and_mean_grad(problem: Problem) -> tuple[da.Array, da.Array]:
    """Return the loss and the gradient summed over the samples."""
    x, divisor = problem.logits, problem.divisor()
    value, grad = _blocks(problem).value_and_mean_grad(problem)
    mean_grad = apply(
        tasks.reduced_mean_grad,
        (x.axis,),
        x.dtype,
        (sum_blocks(grad, len(x.samples)), (x.axis, PAIR)),
        (divisor, ()),
        result_dtype=x.dtype,
    )
    return _reduced_loss(problem, value, divisor, False), mean_grad


def _blocks(problem: Problem) -> ModuleType:
    return whole_rows


def _reduced_loss(problem: Problem, parts: da.Array, divisor: Any, divided: bool) -> da.Array:
    """Return the loss as an array without axes; `divided` if its parts are so already."""
    x = problem.logits
    return apply(
        tasks.reduced_loss,
        (),
        x.dtype,
        (sum_blocks(parts, len(x.samples)), (PAIR,)),
        (divisor, ()),
        divided=divided,
        result_dtype=x.dtype,
    )
