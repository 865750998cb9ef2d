"""Cross-entropy of tensors by the package's own functions: the loss, and its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

import fastsoftmax

from .arrays import array_of, tensor_of

__all__ = [
    "Options",
    "evaluate",
    "evaluate_with_gradient",
    "gradient",
    "option_keywords",
    "scaled_gradient",
]


class Options(NamedTuple):
    """What a call asks for beside its tensors."""

    ignore_index: int
    reduction: str
    label_smoothing: float


def evaluate(
    x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, options: Options
) -> torch.Tensor:
    """Return the loss alone."""
    logits, targets, axis, keywords = _arguments(x, target, weight, options)
    return tensor_of(fastsoftmax.cross_entropy(logits, targets, axis, **keywords))


def evaluate_with_gradient(
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    options: Options,
    out: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss and the gradient with respect to x, both from one pass."""
    logits, targets, axis, keywords = _arguments(x, target, weight, options)
    loss, grad = fastsoftmax.cross_entropy_value_and_grad(
        logits, targets, axis, out=None if out is None else array_of(out), **keywords
    )
    return tensor_of(loss), tensor_of(grad) if out is None else out


def gradient(
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    options: Options,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the gradient alone."""
    logits, targets, axis, keywords = _arguments(x, target, weight, options)
    grad = fastsoftmax.cross_entropy_grad(
        logits, targets, axis, out=None if out is None else array_of(out), **keywords
    )
    return tensor_of(grad) if out is None else out


def scaled_gradient(
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    options: Options,
    factors: torch.Tensor,
    out: torch.Tensor,
) -> torch.Tensor:
    """Return the gradient with each sample's times a factor of its own, rounded once.

    The factors, float64 of at least 0, stand in place of the reduction.
    """
    logits, targets, axis, keywords = _arguments(x, target, weight, options)
    keywords["reduction"] = "sum"
    fastsoftmax.cross_entropy_grad(
        logits, targets, axis, sample_weight=array_of(factors), out=array_of(out), **keywords
    )
    return out


def _arguments(
    x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, options: Options
) -> tuple[Any, Any, int, dict[str, Any]]:
    keywords = option_keywords(x.shape, target, options)
    if weight is not None:
        keywords["weight"] = array_of(weight)
    return array_of(x), array_of(target), 0 if x.dim() == 1 else 1, keywords


def option_keywords(
    shape: torch.Size | tuple[int, ...], target: torch.Tensor, options: Options
) -> dict[str, Any]:
    """Return the options as the package's functions take them, for logits of that shape."""
    ignore_index: int | None = options.ignore_index
    if target.shape == shape:
        if not target.is_floating_point():
            raise TypeError(
                f"targets of the shape of the logits, {tuple(shape)}, are probabilities and "
                f"must be floating-point, not {target.dtype}"
            )
        if options.ignore_index < 0:
            ignore_index = None  # as PyTorch does: there are no labels that could be ignored
    return {
        "ignore_index": ignore_index,
        "label_smoothing": options.label_smoothing,
        "reduction": options.reduction,
    }
