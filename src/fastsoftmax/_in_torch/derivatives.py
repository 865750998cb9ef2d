"""Derivatives of the cross-entropy in PyTorch's operations, where they are differentiated again.

With the reduced loss :math:`J = \\sum_i c\\, L^{(i)}`, the targets y of `fastsoftmax.cross_entropy`
with weights and smoothing in them, and :math:`s = \\sum_k y_k` of each sample, the gradient is
:math:`G = c (s p - y)`, and its product with v has the derivatives
:math:`c s (p \\circ v - p \\sum_k p_k v_k)` by the logits and
:math:`c (1 - \\varepsilon) w_k (\\sum_j p_j v_j - v_k)` by probabilities as targets.
"""

from __future__ import annotations

from typing import Any

import torch

from .evaluation import Options
from .probabilities import log_softmax, softmax

__all__ = ["class_axis", "divisor", "gradient_backward", "spread", "target_gradient"]


def class_axis(x: torch.Tensor) -> int:
    """Return where the classes are: (C), (N, C), (N, C, d1, ...)."""
    return 0 if x.dim() == 1 else 1


def spread(grad_output: torch.Tensor, x: torch.Tensor, options: Options) -> torch.Tensor:
    """Return the losses' gradient such that it multiplies an array of the logits' shape."""
    return grad_output.unsqueeze(class_axis(x)) if options.reduction == "none" else grad_output


def divisor(
    x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, options: Options
) -> Any:
    """Return what the sum of the losses was divided by: 1/c."""
    if options.reduction != "mean":
        return 1.0
    if target.shape == x.shape:
        return max(1, target.numel() // target.shape[class_axis(x)])
    counts = target != options.ignore_index
    if weight is None:
        return counts.sum().clamp(min=1)
    total = _label_weights(target, weight.double(), counts).sum()
    return total.where(total > 0, 1.0)


def target_gradient(
    grad_output: torch.Tensor,
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    options: Options,
) -> torch.Tensor:
    """Return the gradient with respect to targets that are probabilities: -c (1-ε) w log p."""
    axis = class_axis(x)
    factor = (1.0 - options.label_smoothing) / divisor(x, target, weight, options)
    by_target: torch.Tensor = log_softmax(x, axis) * -factor
    if weight is not None:
        by_target = by_target * _along(weight, x)
    return by_target * spread(grad_output, x, options)


def gradient_backward(
    v: torch.Tensor,
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    options: Options,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the derivatives of (v, G) with respect to logits and probabilities as targets."""
    axis = class_axis(x)
    c = 1.0 / divisor(x, target, weight, options)
    p = softmax(x, axis)
    product = p * v
    total = product.sum(axis, keepdim=True)
    sums = _target_sums(x, target, weight, options).unsqueeze(axis)
    by_logits = ((product - p * total) * (sums * c)).to(x.dtype)
    if target.shape != x.shape:
        return by_logits, None
    by_target = (total - v) * ((1.0 - options.label_smoothing) * c)
    return by_logits, by_target if weight is None else by_target * _along(weight, x)


def _target_sums(
    x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, options: Options
) -> torch.Tensor:
    """Return s, the sum of each sample's targets with weights and smoothing in them."""
    axis, smoothing = class_axis(x), options.label_smoothing
    even = 1.0 if weight is None else weight.mean(dtype=x.dtype)
    if target.shape == x.shape:
        weighted = target if weight is None else target * _along(weight, x)
        return (1.0 - smoothing) * weighted.sum(axis) + smoothing * even
    counts = target != options.ignore_index
    own = counts.to(x.dtype) if weight is None else _label_weights(target, weight, counts)
    return (1.0 - smoothing) * own + smoothing * even * counts.to(x.dtype)


def _label_weights(
    target: torch.Tensor, weight: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    labels = target.long().where(counts, 0)
    return weight[labels] * counts


def _along(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the weights of the classes such that they multiply an array of the logits' shape."""
    return weight.reshape((-1,) + (1,) * (x.dim() - class_axis(x) - 1))
