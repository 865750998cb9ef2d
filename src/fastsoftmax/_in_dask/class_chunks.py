"""Blocks with some classes of their samples: their states, merged, and each block finished.

A block becomes a state of 8 numbers a sample, `sharded.merge_states` makes one of those of all
blocks of its samples, and with that each block is finished for itself: no task has two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np

from .. import sharded
from . import class_tasks
from .arguments import Logits, trailing
from .graph import CLASSES, NUMBERS, Argument, apply, origin, reduce_blocks
from .problem import SUMS, Problem

__all__ = [
    "logsumexp",
    "loss_sums",
    "losses",
    "of_logits_shape",
    "sums_and_grad",
    "sums_and_mean_grad",
    "value_and_grad",
]

WAYS = {"softmax": (sharded.softmax, 0.0), "log_softmax": (sharded.log_softmax, -np.inf)}


def of_logits_shape(
    name: str, logits: Logits, mask: da.Array | None, settings: dict[str, Any]
) -> da.Array:
    """Return softmax or log_softmax."""
    compute, left_out = WAYS[name]
    return apply(
        class_tasks.probabilities,
        logits.indices,
        logits.dtype,
        (logits.array, logits.indices),
        _of_samples(logits, _state_of_logits(logits, mask, settings)),
        (mask, trailing(logits, mask)),
        compute=compute,
        left_out=left_out,
        options={**settings, "axis": logits.axis},
    )


def logsumexp(
    logits: Logits, mask: da.Array | None, keepdims: bool, settings: dict[str, Any]
) -> da.Array:
    """Return the logarithm of the sum of exponentials."""
    return apply(
        class_tasks.logsumexp,
        logits.indices if keepdims else logits.sample_indices,
        logits.dtype,
        _of_samples(logits, _state_of_logits(logits, mask, settings)),
        new={logits.axis: 1} if keepdims else None,
        axis=logits.axis if keepdims else None,
        result_dtype=logits.dtype,
    )


def losses(problem: Problem) -> da.Array:
    """Return the loss of each sample."""
    return _losses(problem, _state(problem))


def value_and_grad(problem: Problem) -> tuple[da.Array, da.Array]:
    """Return the loss of each sample and the gradient."""
    state = _state(problem)
    return _losses(problem, state), _grad(problem, state, 1.0)


def loss_sums(problem: Problem) -> da.Array:
    """Return the sums of the samples of each row of blocks."""
    return _loss_sums(problem, _state(problem))


def sums_and_grad(problem: Problem, divisor: Any) -> tuple[da.Array, da.Array]:
    """Return the sums of the samples of each row of blocks, and the gradient over the divisor."""
    state = _state(problem)
    return _loss_sums(problem, state), _grad(problem, state, divisor)


def sums_and_mean_grad(problem: Problem) -> tuple[da.Array, da.Array]:
    """Return the sums as above, and each block's gradient summed, with its rounding error."""
    x, state = problem.logits, _state(problem)
    pairs = problem.on_blocks(
        class_tasks.mean_grad,
        (*x.sample_indices, x.axis, NUMBERS),
        np.float64,
        _of_samples(x, state),
        (1.0, ()),
        _first_class(x),
        lengths={**problem.summed, NUMBERS: 2},
    )
    return _loss_sums(problem, state), pairs


def _state(problem: Problem) -> da.Array:
    """Return the state of all classes, with the targets in it."""
    return _state_of(
        problem.logits,
        problem.task_options,
        (problem.targets.array, problem.target_indices),
        weight=problem.options.weight,
        origin=problem.origin(),
    )


def _state_of_logits(logits: Logits, mask: da.Array | None, settings: dict[str, Any]) -> da.Array:
    """Return the state of all classes that take part."""
    options = {**settings, "axis": logits.axis, "num_classes": logits.num_classes}
    return _state_of(logits, options, (None, None), mask=mask)


def _state_of(
    logits: Logits,
    options: dict[str, Any],
    targets: Argument,
    *,
    mask: da.Array | None = None,
    weight: da.Array | None = None,
    origin: Sequence[Argument] = (),
) -> da.Array:
    """Return the merged states, of the shape of the samples with an axis behind."""
    states = apply(
        class_tasks.state,
        (*logits.indices, NUMBERS),
        np.float64,
        (logits.array, logits.indices),
        targets,
        (mask, trailing(logits, mask)),
        _first_class(logits),
        (weight, (CLASSES,)),
        *origin,
        lengths={logits.axis: 1},
        new={NUMBERS: sharded.STATE_SIZE},
        options=options,
    )
    return reduce_blocks(states, (logits.axis,), class_tasks.merge_states)


def _losses(problem: Problem, state: da.Array) -> da.Array:
    x = problem.logits
    return apply(
        class_tasks.losses,
        x.sample_indices,
        x.dtype,
        *_finished(problem, state),
        options=problem.task_options,
        result_dtype=x.dtype,
    )


def _loss_sums(problem: Problem, state: da.Array) -> da.Array:
    return apply(
        class_tasks.loss_sums,
        (*problem.logits.sample_indices, NUMBERS),
        np.float64,
        *_finished(problem, state),
        lengths={**problem.summed, NUMBERS: SUMS},
        options=problem.task_options,
    )


def _finished(problem: Problem, state: da.Array) -> list[Argument]:
    """Return what losses are made of: states have all that there is to know of probabilities."""
    x, options, labels = problem.logits, problem.options, problem.targets.are_labels
    return [
        _of_samples(x, state),
        (problem.targets.array if labels else None, x.sample_indices),
        (options.sample_weight, x.sample_indices),
        (options.weight if labels else None, (CLASSES,)),
        *problem.origin(),
    ]


def _grad(problem: Problem, state: da.Array, divisor: Any) -> da.Array:
    x = problem.logits
    return problem.on_blocks(
        class_tasks.grad,
        x.indices,
        x.dtype,
        _of_samples(x, state),
        (divisor, ()),
        _first_class(x),
    )


def _of_samples(logits: Logits, state: da.Array) -> Argument:
    return state, (*logits.sample_indices, NUMBERS)


def _first_class(logits: Logits) -> Argument:
    """Return an argument that tells each block its first class."""
    (argument,) = origin((logits.chunks[logits.axis],), (logits.axis,))
    return argument
