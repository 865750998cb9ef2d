"""A linear layer's loss and its gradients: by the package's own functions, and in PyTorch's.

The package's function never holds the logits whole. PyTorch's operations do, and are there for
gradients that are to be differentiated again, or come in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch.nn import functional

import fastsoftmax

from ..typing import Wrt
from .arrays import array_of, tensor_of
from .derivatives import spread
from .evaluation import Options, option_keywords
from .transforms import Gradient

__all__ = [
    "Gradients",
    "Layer",
    "LinearOptions",
    "composed_gradients",
    "evaluate_layer",
    "gradients_by_sample",
]

_NAMES: tuple[Wrt, ...] = ("x", "weight", "bias")

Gradients: TypeAlias = list[torch.Tensor | None]
"""With respect to input, weights and bias of a layer; None for those that are not wanted."""


class Layer(NamedTuple):
    """Tensors on the CPU: a layer with its input, targets, and the weights of the classes."""

    x: torch.Tensor
    """(N, d), float32 or float64: what is computed in, and the dtype of losses and gradients."""
    linear_weight: torch.Tensor
    """(C, d), of no wider dtype."""
    linear_bias: torch.Tensor | None
    target: torch.Tensor
    weight: torch.Tensor | None


class LinearOptions(NamedTuple):
    """What a call asks for beside its tensors: that of `Options`, and the memory to work in."""

    ignore_index: int
    reduction: str
    label_smoothing: float
    workspace_bytes: int

    @property
    def of_logits(self) -> Options:
        """Those of the loss of logits."""
        return Options(*self[:3])


def evaluate_layer(
    layer: Layer,
    options: LinearOptions,
    wanted: Sequence[bool] = (False, False, False),
    sample_weight: torch.Tensor | None = None,
) -> tuple[torch.Tensor, Gradients]:
    """Return the loss, and those gradients that are wanted, from one pass.

    With the reduction ``"none"`` the gradients are those of the sum.
    """
    x, linear_weight, linear_bias, target, weight = layer
    loss, grads = fastsoftmax.linear_cross_entropy_value_and_grad(
        array_of(x),
        array_of(linear_weight),
        array_of(target),
        None if linear_bias is None else array_of(linear_bias),
        class_weight=None if weight is None else array_of(weight),
        sample_weight=None if sample_weight is None else array_of(sample_weight),
        wrt=[name for name, want in zip(_NAMES, wanted, strict=True) if want],
        workspace_bytes=options.workspace_bytes,
        **option_keywords((len(x), len(linear_weight)), target, options.of_logits),
    )
    return tensor_of(loss), [None if grad is None else tensor_of(grad) for grad in grads]


def gradients_by_sample(
    layer: Layer, options: LinearOptions, wanted: Sequence[bool], scales: torch.Tensor
) -> Gradients:
    """Return the gradients of the sum of the samples' losses, each times a factor of its own.

    The factors are the samples' weights. Samples with negative ones are gone through apart, with
    the weights' opposites, and what comes of them is subtracted. Factors that are not finite are
    none that weights can be.
    """
    scales = scales.detach().double()
    if not scales.isfinite().all():
        with torch.no_grad():
            return composed_gradients(layer, options, wanted, scales.to(layer.x.dtype))
    negative = scales < 0
    if not negative.any():
        return evaluate_layer(layer, options, wanted, scales)[1]
    found: Gradients = [None, None, None]
    if wanted[0]:
        found[0] = torch.empty_like(layer.x)
    for rows, sign in ((~negative, 1), (negative, -1)):
        if not rows.any():
            continue
        some = layer._replace(x=layer.x[rows], target=layer.target[rows])
        _, (dx, *others) = evaluate_layer(some, options, wanted, scales[rows] * sign)
        if dx is not None and found[0] is not None:
            found[0][rows] = dx * sign
        for place, grad in enumerate(others, 1):
            if grad is not None:
                before = found[place]
                found[place] = grad * sign if before is None else before.add_(grad, alpha=sign)
    return found


def composed_gradients(
    layer: Layer, options: LinearOptions, wanted: Sequence[bool], grad_output: torch.Tensor
) -> Gradients:
    """Return the gradients by way of the logits, in what PyTorch differentiates or batches."""
    x, linear_weight, linear_bias, target, weight = layer
    with torch.autocast("cpu", enabled=False):
        matrix = linear_weight.to(x.dtype)
        bias = None if linear_bias is None else linear_bias.to(x.dtype)
        logits = functional.linear(x, matrix, bias)
        if target.shape == logits.shape:
            target = target.to(x.dtype)
        by_logits = Gradient.apply(logits, target, weight, options.of_logits, None)
        by_logits = by_logits * spread(grad_output, logits, options.of_logits)
        return [
            by_logits @ matrix if wanted[0] else None,
            by_logits.mT @ x if wanted[1] else None,
            by_logits.sum(0) if wanted[2] else None,
        ]
