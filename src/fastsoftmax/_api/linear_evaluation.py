"""The one path of the linear layer's loss: from its arguments to the chunks' loop and back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np

from .._arguments.arrays import to_scalar
from .._arguments.linear import Layer, check_gradients, check_layer, check_workspace
from .._arguments.options import (
    check_class_weight,
    check_ignore_index,
    check_label_smoothing,
    check_reduction,
    check_sample_weight,
)
from .._arguments.outputs import new_like, plain, separate_all, store
from .._arguments.targets import check_targets
from .._backends.environment import in_environment_of_backend
from .._control import resolve_num_threads
from .._linear import evaluate
from .._linear.problem import Problem, Results
from .._sums import accurate_sum
from .._typing import Array, ArrayLike, Backend
from ..typing import OutputArray, Wrt
from .evaluation import count_labels

__all__ = ["evaluate_linear"]


@in_environment_of_backend
def evaluate_linear(
    kernels: Backend,
    want_loss: bool,
    wrt: Sequence[Wrt] | None,
    x: ArrayLike,
    weight: ArrayLike,
    targets: ArrayLike,
    bias: ArrayLike | None,
    class_weight: ArrayLike | None,
    sample_weight: ArrayLike | None,
    ignore_index: SupportsIndex | None,
    label_smoothing: SupportsFloat,
    reduction: str,
    out: Sequence[OutputArray | None] | None,
    workspace_bytes: SupportsIndex,
    num_threads: SupportsIndex | None,
) -> tuple[Any, tuple[Array | None, ...]]:
    """Return (loss or None, gradients, each of them None where it is not wanted)."""
    threads = resolve_num_threads(num_threads)
    check_reduction(reduction, False)
    workspace = check_workspace(workspace_bytes)
    layer = check_layer(x, weight, bias)
    samples, classes = layer.x.shape[:-1], layer.weight.shape[0]
    ignore = None if ignore_index is None else check_ignore_index(ignore_index)
    labels, probabilities, ignore = check_targets(
        targets, (*samples, classes), samples, classes, ignore
    )
    w = None
    if class_weight is not None:
        w = check_class_weight(class_weight, classes, "class_weight")
    s = None if sample_weight is None else check_sample_weight(sample_weight, samples)
    smoothing = check_label_smoothing(label_smoothing)
    wanted, outputs = check_gradients(wrt, out, layer)
    arrays = (layer.x, layer.weight, layer.bias, labels, probabilities, w, s)
    for output in outputs:
        arrays = arrays if output is None else tuple(separate_all(arrays, output))
    losses = np.empty(samples, layer.compute) if want_loss and reduction == "none" else None
    problem = _problem(kernels, threads, layer, arrays, ignore, smoothing)
    results = _results(layer, wanted, outputs, want_loss, losses)
    divisor = _divisor(problem, labels, reduction == "mean")
    if wanted[1] and layer.dtype != layer.compute:
        # The sums of weights' gradients in another dtype than theirs are extra memory too.
        workspace = max(workspace - layer.weight.size * layer.compute.itemsize, workspace // 2)
    with np.errstate(all="ignore"):
        total = evaluate(dataclasses.replace(problem, divisor=divisor), results, workspace)
    loss: Any = None
    if losses is not None:
        loss = (
            store(losses, None, layer.dtype)
            if samples
            else to_scalar(float(losses[()]), layer.dtype)
        )
    elif want_loss:
        loss = to_scalar(total, layer.dtype)
    return loss, _stored(results, layer, outputs)


def _problem(
    kernels: Backend,
    threads: int,
    layer: Layer,
    arrays: tuple[Any, ...],
    ignore: int | None,
    smoothing: float,
) -> Problem:
    """Return the layer and its targets, the samples in one axis; the divisor is still 1."""
    x, weight, bias, labels, probabilities, class_weight, sample_weight = arrays
    m = math.prod(x.shape[:-1])
    return Problem(
        kernels,
        threads,
        layer.compute,
        x.reshape(m, x.shape[-1]),
        weight,
        bias,
        None if labels is None else labels.reshape(m),
        None if probabilities is None else probabilities.reshape(m, weight.shape[0]),
        class_weight,
        None if sample_weight is None else sample_weight.reshape(m),
        ignore,
        smoothing,
        1.0,
    )


def _results(
    layer: Layer,
    wanted: tuple[bool, ...],
    outputs: list[Array | None],
    want_loss: bool,
    losses: Array | None,
) -> Results:
    """Return the places for the results: those given where they will do, else new ones."""
    m, features = math.prod(layer.x.shape[:-1]), layer.x.shape[-1]
    dx, dweight, _ = outputs
    if wanted[0]:
        # A copy, where the axes of the samples cannot be seen as one.
        memory = np.empty(layer.x.shape, layer.dtype) if dx is None else plain(dx)
        dx = memory.reshape(m, features)
    if wanted[1]:
        dweight = new_like(dweight, layer.weight, layer.compute)
    return Results(
        want_loss and losses is None,
        None if losses is None else losses.reshape(m),
        dx,
        dweight,
        np.zeros(layer.weight.shape[0]) if wanted[2] else None,
    )


def _stored(
    results: Results, layer: Layer, outputs: list[Array | None]
) -> tuple[Array | None, ...]:
    """Return the gradients, in the caller's arrays where there are any."""
    dx = None if results.dx is None else results.dx.reshape(layer.x.shape)
    found = zip((dx, results.dweight, results.dbias), outputs, strict=True)
    return tuple(None if made is None else store(made, out, layer.dtype) for made, out in found)


def _divisor(problem: Problem, labels: Array | None, mean: bool) -> float:
    """Return what losses and gradients are divided by; raise if a label is out of range."""
    sample_weight = problem.sample_weight
    if labels is not None:
        assert problem.labels is not None
        total_weight = 0.0
        if labels.size:
            total_weight = count_labels(
                problem.kernels,
                labels,
                problem.labels[None],
                problem.classes,
                problem.ignore_index,
                problem.class_weight,
                None if sample_weight is None else sample_weight[None],
            )
        return total_weight if mean else 1.0
    if not mean:
        return 1.0
    return float(problem.samples) if sample_weight is None else accurate_sum(sample_weight)
