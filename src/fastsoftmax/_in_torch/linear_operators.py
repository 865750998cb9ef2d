"""The loss of a linear layer as a PyTorch operator, for whoever traces a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .linear_evaluation import (
    Gradients,
    Layer,
    LinearOptions,
    composed_gradients,
    evaluate_layer,
    gradients_by_sample,
)

__all__ = ["loss"]

_ARGUMENTS = (
    "Tensor x, Tensor linear_weight, Tensor? linear_bias, Tensor target, Tensor? weight, "
    "int ignore_index, str reduction, float label_smoothing, int workspace_bytes, "
    "bool want_x, bool want_linear_weight, bool want_linear_bias"
)


def loss(layer: Layer, options: LinearOptions, wanted: Sequence[bool]) -> torch.Tensor:
    """Return the loss, with the gradients that are wanted kept for the backward pass."""
    with_loss = [want and options.reduction != "none" for want in wanted]
    result: torch.Tensor = _linear_cross_entropy(*layer, *options, *with_loss)[0]
    return result


@torch.library.custom_op(
    "fastsoftmax::linear_cross_entropy",
    mutates_args=(),
    device_types="cpu",
    schema=f"({_ARGUMENTS}) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _linear_cross_entropy(*arguments: Any) -> tuple[torch.Tensor, ...]:
    """Return the loss and the gradients, or empty tensors in the place of some."""
    layer, options, wanted = _taken_apart(arguments)
    loss, grads = evaluate_layer(layer, options, wanted)
    return loss, *_filled(layer, grads)


@torch.library.custom_op(
    "fastsoftmax::linear_cross_entropy_grad",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor grad_output, {_ARGUMENTS}) -> (Tensor, Tensor, Tensor)",
)
def _linear_cross_entropy_grad(
    grad_output: torch.Tensor, *arguments: Any
) -> tuple[torch.Tensor, ...]:
    """Return the gradients of what unreduced losses went into."""
    layer, options, wanted = _taken_apart(arguments)
    return _filled(layer, gradients_by_sample(layer, options, wanted, grad_output))


def _taken_apart(arguments: Any) -> tuple[Layer, LinearOptions, Sequence[bool]]:
    return Layer(*arguments[:5]), LinearOptions(*arguments[5:9]), arguments[9:]


def _filled(layer: Layer, grads: Gradients) -> tuple[torch.Tensor, ...]:
    """Return the gradients as an operator does: all of them, in C order."""
    empty = layer.x.new_empty
    return tuple(empty(0) if grad is None else grad.contiguous() for grad in grads)


def _fake(layer: Layer, wanted: Sequence[bool]) -> tuple[torch.Tensor, ...]:
    shapes = layer.x.shape, layer.linear_weight.shape, layer.linear_weight.shape[:1]
    empty = layer.x.new_empty
    return tuple(empty(shape if want else 0) for shape, want in zip(shapes, wanted, strict=True))


@_linear_cross_entropy.register_fake
def _(*arguments: Any) -> tuple[torch.Tensor, ...]:
    layer, options, wanted = _taken_apart(arguments)
    samples = layer.x.shape[:1] if options.reduction == "none" else ()
    return layer.x.new_empty(samples), *_fake(layer, wanted)


@_linear_cross_entropy_grad.register_fake
def _(grad_output: torch.Tensor, *arguments: Any) -> tuple[torch.Tensor, ...]:
    layer, _, wanted = _taken_apart(arguments)
    return _fake(layer, wanted)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    layer, ctx.options, ctx.made = _taken_apart(inputs)
    ctx.save_for_backward(*layer, *output[1:])
    ctx.set_materialize_grads(False)


def _backward(
    ctx: Any, grad_output: torch.Tensor | None, *unused: Any
) -> tuple[torch.Tensor | None, ...]:
    found: Sequence[torch.Tensor | None] = (None, None, None)
    wanted, options = list(ctx.needs_input_grad[:3]), ctx.options
    if grad_output is not None:
        layer, grads = Layer(*ctx.saved_tensors[:5]), ctx.saved_tensors[5:]
        if torch.is_grad_enabled():
            found = composed_gradients(layer, options, wanted, grad_output)
        elif options.reduction == "none":
            found = _linear_cross_entropy_grad(grad_output, *layer, *options, *wanted)
        else:
            if any(want and not made for want, made in zip(wanted, ctx.made, strict=True)):
                grads = _linear_cross_entropy(*layer, *options, *wanted)[1:]
            found = [grad * grad_output for grad in grads]
        found = [
            None if grad is None or tensor is None or not want else grad.to(tensor.dtype)
            for want, grad, tensor in zip(wanted, found, layer, strict=False)
        ]
    return *found, *[None] * 9


_linear_cross_entropy.register_autograd(_backward, setup_context=_keep)
