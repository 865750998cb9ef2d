"""Cross-entropy as a PyTorch operator, for whoever traces or transforms a program."""

from __future__ import annotations

from typing import Any

import torch

from .arrays import new_like
from .derivatives import class_axis, divisor, gradient_backward, spread, target_gradient
from .evaluation import Options, evaluate, evaluate_with_gradient
from .evaluation import gradient as evaluate_gradient

__all__ = ["gradient", "loss"]

_OPTIONS = "int ignore_index, str reduction, float label_smoothing"


@torch.library.custom_op(
    "fastsoftmax::cross_entropy",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor x, Tensor target, Tensor? weight, {_OPTIONS}, bool with_grad) "
    "-> (Tensor, Tensor)",
)
def _cross_entropy(
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    with_grad: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss and the gradient, or an empty tensor in its place."""
    options = Options(ignore_index, reduction, label_smoothing)
    if not with_grad:
        return evaluate(x, target, weight, options), x.new_empty(0)
    return evaluate_with_gradient(x, target, weight, options, new_like(x))


@torch.library.custom_op(
    "fastsoftmax::cross_entropy_grad",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor x, Tensor target, Tensor? weight, {_OPTIONS}) -> Tensor",
)
def _cross_entropy_grad(
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> torch.Tensor:
    """Return the gradient."""
    options = Options(ignore_index, reduction, label_smoothing)
    return evaluate_gradient(x, target, weight, options, new_like(x))


def loss(
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    options: Options,
    with_grad: bool = False,
) -> torch.Tensor:
    """Return the loss, with the gradient kept for the backward pass if there will be one."""
    result: torch.Tensor = _cross_entropy(x, target, weight, *options, with_grad)[0]
    return result


def gradient(
    x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, options: Options
) -> torch.Tensor:
    """Return the gradient, which can be differentiated again."""
    result: torch.Tensor = _cross_entropy_grad(x, target, weight, *options)
    return result


def _without_classes(x: torch.Tensor) -> list[Any]:
    shape = list(x.shape)
    del shape[class_axis(x)]
    return shape


@_cross_entropy.register_fake
def _(
    x: torch.Tensor, target: Any, weight: Any, ignore: Any, reduction: str, smoothing: Any,
    with_grad: bool,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    loss = x.new_empty(_without_classes(x) if reduction == "none" else ())
    return loss, torch.empty_like(x) if with_grad else x.new_empty(0)


@_cross_entropy_grad.register_fake
def _(x: torch.Tensor, *arguments: Any) -> torch.Tensor:
    return torch.empty_like(x)


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, target, weight = inputs[:3]
    grad = output[1] if isinstance(output, tuple) else None
    ctx.save_for_backward(x, target, weight, grad)
    ctx.options = Options(*inputs[3:6])
    ctx.set_materialize_grads(False)


def _loss_backward(
    ctx: Any, grad_output: torch.Tensor | None, unused: Any
) -> tuple[torch.Tensor | None, ...]:
    by_logits = by_target = None
    x, target, weight, grad = ctx.saved_tensors
    if grad_output is not None and ctx.needs_input_grad[0]:
        if torch.is_grad_enabled() or grad.shape != x.shape:
            grad = _cross_entropy_grad(x, target, weight, *ctx.options)
        by_logits = grad * spread(grad_output, x, ctx.options)
    if grad_output is not None and ctx.needs_input_grad[1]:
        by_target = target_gradient(grad_output, x, target, weight, ctx.options)
    return by_logits, by_target, None, None, None, None, None


def _grad_backward(ctx: Any, v: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    by_logits = by_target = None
    if v is not None:
        x, target, weight, _ = ctx.saved_tensors
        by_logits, by_target = gradient_backward(v, x, target, weight, ctx.options)
    return by_logits, by_target, None, None, None, None


_cross_entropy.register_autograd(_loss_backward, setup_context=_keep_inputs)
_cross_entropy_grad.register_autograd(_grad_backward, setup_context=_keep_inputs)


def _fold(info: Any, in_dims: Any, arguments: Any) -> tuple[Any, ...]:
    """Return logits and targets of all samples of all the batch, one after another."""
    x, target, weight = arguments[:3]
    if in_dims[2] is not None:
        raise NotImplementedError(
            "cross_entropy under vmap: the class weights must be the same for the whole batch"
        )
    x, target = (
        tensor.expand(info.batch_size, *tensor.shape) if at is None else tensor.movedim(at, 0)
        for tensor, at in zip((x, target), in_dims, strict=False)
    )
    if x.dim() == 2:  # (C) each: the batch makes (N, C)
        return x, target, weight, x, target
    return x.flatten(0, 1), target.flatten(0, 1), weight, x, target


def _divisors(
    x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, options: Options
) -> torch.Tensor:
    """Return the divisor of each member of the batch."""
    each = [divisor(one, its, weight, options) for one, its in zip(x, target, strict=True)]
    return torch.stack([torch.as_tensor(value, dtype=torch.float64) for value in each])


@_cross_entropy.register_vmap
def _(info: Any, in_dims: Any, *arguments: Any) -> tuple[Any, Any]:
    x, target, weight, batch, targets = _fold(info, in_dims, arguments)
    options, with_grad = Options(*arguments[3:6]), arguments[6]
    loss, grad = _cross_entropy(
        x, target, weight, options.ignore_index, "none", options.label_smoothing, with_grad
    )
    samples = list(batch.shape)
    del samples[1 + (batch.dim() > 2)]
    loss = loss.reshape(samples)
    if with_grad:
        grad = _divide(grad.reshape(batch.shape), batch, targets, weight, options)
    if options.reduction == "none":
        return (loss, grad), (0, 0 if with_grad else None)
    totals = loss.double().flatten(1).sum(1) if loss.dim() > 1 else loss.double()
    if options.reduction == "mean":
        totals = totals / _divisors(batch, targets, weight, options)
    return (totals.to(x.dtype), grad), (0, 0 if with_grad else None)


@_cross_entropy_grad.register_vmap
def _(info: Any, in_dims: Any, *arguments: Any) -> tuple[Any, Any]:
    x, target, weight, batch, targets = _fold(info, in_dims, arguments)
    options = Options(*arguments[3:6])
    grad = _cross_entropy_grad(
        x, target, weight, options.ignore_index, "sum", options.label_smoothing
    )
    return _divide(grad.reshape(batch.shape), batch, targets, weight, options), 0


def _divide(
    grad: torch.Tensor, batch: Any, targets: Any, weight: Any, options: Options
) -> torch.Tensor:
    if options.reduction != "mean":
        return grad
    factors = 1.0 / _divisors(batch, targets, weight, options)
    return grad * factors.to(grad.dtype).reshape((-1,) + (1,) * (grad.dim() - 1))
