"""The derivatives as ``torch.func`` takes them, at any level of its transforms.

`torch.autograd.Function` with its context set up apart is slower to call than without, so that
plain tensors have functions of their own.
"""

from __future__ import annotations

from typing import Any

import torch

from . import operators
from .derivatives import gradient_backward, spread, target_gradient
from .evaluation import Options

__all__ = ["Gradient", "Loss"]


class Loss(torch.autograd.Function):
    """The loss, by the operator."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, options: Options
    ) -> torch.Tensor:
        return operators.loss(x, target, weight, options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        _keep(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, target, weight = ctx.saved_tensors
        by_logits = by_target = None
        if ctx.needs_input_grad[0]:
            grad = Gradient.apply(x, target, weight, ctx.options, None)
            by_logits = grad * spread(grad_output, x, ctx.options)
        if ctx.needs_input_grad[1]:
            by_target = target_gradient(grad_output, x, target, weight, ctx.options)
        return by_logits, by_target, None, None


class Gradient(torch.autograd.Function):
    """The gradient as a function of logits and targets: what a second derivative goes through."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
        options: Options,
        made: list[torch.Tensor] | None,
    ) -> torch.Tensor:
        """Return the gradient that was made already, hidden in a list, or compute it."""
        return made[0] if made else operators.gradient(x, target, weight, options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        _keep(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, v: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, target, weight = ctx.saved_tensors
        by_logits, by_target = gradient_backward(v, x, target, weight, ctx.options)
        return by_logits, by_target, None, None, None


def _keep(ctx: Any, inputs: tuple[Any, ...]) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.options = inputs[3]
