"""Cross-entropy of a linear layer's logits, which are never held whole."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import is_grad_enabled
from torch.autograd import forward_ad
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function_variadic

from .._api.linear_cross_entropy import WORKSPACE_BYTES
from . import linear_operators
from .cross_entropy import cross_entropy
from .linear_evaluation import (
    Gradients,
    Layer,
    LinearOptions,
    composed_gradients,
    evaluate_layer,
    gradients_by_sample,
)
from .ways import Way, belongs_to_torch, is_batched, is_one, way_for

__all__ = ["linear_cross_entropy"]

_SHORT = (torch.float16, torch.bfloat16)


def linear_cross_entropy(
    input: torch.Tensor,
    linear_weight: torch.Tensor,
    target: torch.Tensor,
    *,
    linear_bias: torch.Tensor | None = None,
    weight: torch.Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
    workspace_bytes: int = WORKSPACE_BYTES,
) -> torch.Tensor:
    r"""Compute the cross-entropy of the logits of a linear layer, without holding the logits.

    It is `cross_entropy` of the logits :math:`f = x W^T + b`, with the signature and the meaning of
    ``torch.nn.functional.linear_cross_entropy``, and needs no version of PyTorch that has it. Only
    as many logits exist at a time as the memory to work in has room for.

    Parameters
    ----------
    input : Tensor
        x, of shape (in_features) or (N, in_features); float64, float32, float16 or bfloat16. The
        two short ones are computed in float32, and loss and gradients rounded once.
    linear_weight : Tensor
        W, of shape (C, in_features), or (C, d1, ..., in_features) for a loss of logits of shape
        (N, C, d1, ...); of the dtype of `input`.
    target : Tensor
        Labels of the shape of the logits without the classes, of any integer dtype; or
        probabilities of the shape of the logits, floating-point.
    linear_bias : Tensor, optional
        b, of shape (C) or (C, d1, ...).
    weight : Tensor, optional
        The weights of the C classes, not negative.
    reduction : {"mean", "sum", "none"}, default "mean"
        As in `cross_entropy`.
    ignore_index : int, optional
        Samples with this label have no loss and no gradient and do not count in the mean; by
        default -100. Probabilities have none.
    label_smoothing : float, default 0.0
        The share in [0, 1] of each target that is spread over all classes.
    options : torch.nn.LinearCrossEntropyOptions, optional
        How PyTorch is to cut up the samples: passed on where its function is called, and of no
        meaning otherwise.
    workspace_bytes : int, default 64 MiB
        How much memory the computation may use beside arguments and results, at least 64 KiB.

    Returns
    -------
    Tensor
        The loss: without dimensions, or for ``"none"`` of the shape of the labels; in the dtype
        of `input`, with probabilities of a wider dtype in that one. Differentiable any number of
        times with respect to `input`, `linear_weight`, `linear_bias`, and to `target` where it is
        probabilities.

    Raises
    ------
    IndexError
        If a label is out of range. The error is a ValueError too.
    ValueError
        If a shape does not fit, a weight is negative, or an option has no meaning here.
    TypeError
        If a dtype is of the wrong kind, or is not that of `input`.

    See Also
    --------
    cross_entropy
    fastsoftmax.linear_cross_entropy_value_and_grad : The same for arrays.

    Notes
    -----
    With the reductions ``"mean"`` and ``"sum"`` those gradients that are required are made in the
    same pass as the loss, and given away by the first backward pass; where the loss was scaled,
    they are multiplied in place. Until then those of float16 and bfloat16 are in float32, so that
    a scaled loss keeps what would round to 0. Further backward passes through a retained graph
    compute them anew. With ``"none"`` they are computed in the backward pass, which knows the
    factors of the samples' losses.

    Under autocast on the CPU the loss is float32, as PyTorch's is, but nothing is rounded to the
    short dtype on the way: what is float32 is multiplied in float32.

    The logits are held whole by `cross_entropy` of ``torch.nn.functional.linear``, where that is
    asked for what is not here: weights of more than two dimensions, targets or class weights that
    require a gradient, ``torch.func`` and derivatives in forward mode; and by a backward pass with
    ``create_graph=True`` or with a batch of gradients. Tensors that are not on the CPU go to
    PyTorch's own function.

    Examples
    --------
    >>> import torch
    >>> from fastsoftmax.torch import linear_cross_entropy
    >>> x, head = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.nn.Linear(2, 3, bias=False)
    >>> _ = torch.nn.init.zeros_(head.weight)
    >>> loss = linear_cross_entropy(x, head.weight, torch.tensor([2, 0]))
    >>> loss.backward()
    >>> print(f"{loss.item():.6f}", [round(entry, 4) for entry in head.weight.grad[2].tolist()])
    1.098612 [-0.3333, -0.5]
    """
    tensors = (input, linear_weight, target, linear_bias, weight)
    keywords: dict[str, Any] = {
        "linear_bias": linear_bias, "weight": weight, "reduction": reduction,
        "ignore_index": ignore_index, "label_smoothing": label_smoothing,
    }  # fmt: skip
    loss: torch.Tensor
    if has_torch_function_variadic(*tensors):
        keywords |= {"options": options, "workspace_bytes": workspace_bytes}
        loss = handle_torch_function(
            linear_cross_entropy, tensors, input, linear_weight, target, **keywords
        )
        return loss
    _check(input, linear_weight, target, linear_bias, ignore_index)
    given = [tensor for tensor in tensors if tensor is not None]
    belongs = belongs_to_torch("linear_cross_entropy", *given)
    if belongs and forward_ad._current_level < 0 and _in_torch is not None:
        loss = _in_torch(input, linear_weight, target, options=options, **keywords)
        return loss
    keywords["ignore_index"] = -100 if ignore_index is None else ignore_index
    way = way_for(*given)
    if (
        belongs
        or way is Way.TRANSFORM
        or linear_weight.dim() > 2
        or target.requires_grad
        or (weight is not None and weight.requires_grad)
    ):
        return _composed(input, linear_weight, target, **keywords)
    is_one_sample = input.dim() == 1
    if is_one_sample:
        input, target = input.unsqueeze(0), target.unsqueeze(0)
    compute, dtype = _dtypes(input, linear_weight, target)
    layer = Layer(input.to(compute), linear_weight, linear_bias, target, weight)
    chosen = LinearOptions(keywords["ignore_index"], reduction, label_smoothing, workspace_bytes)
    wanted = [is_grad_enabled() and t is not None and t.requires_grad for t in layer[:3]]
    if way is Way.OPERATOR:
        loss = linear_operators.loss(layer, chosen, wanted)
    elif any(wanted):
        loss = _LinearCrossEntropy.apply(*layer, chosen)
    else:
        loss = evaluate_layer(layer, chosen)[0]
    if is_one_sample and reduction == "none":
        loss = loss.squeeze(0)
    return loss.to(dtype)


_in_torch: Any = getattr(functional, "linear_cross_entropy", None)
"""PyTorch's own function, where it has one."""


def _check(
    input: torch.Tensor,
    linear_weight: torch.Tensor,
    target: torch.Tensor,
    linear_bias: torch.Tensor | None,
    ignore_index: int | None,
) -> None:
    """Raise unless the layer's shapes and dtypes go together, and `ignore_index` with targets."""
    shape, matrix = tuple(input.shape), tuple(linear_weight.shape)
    if len(shape) not in (1, 2):
        raise ValueError(f"input must be of shape (in_features) or (N, in_features), not {shape}")
    if len(matrix) < 2:
        raise ValueError(
            f"linear_weight must be of shape (C, in_features) or (C, d1, ..., in_features), "
            f"not {matrix}"
        )
    if matrix[-1] != shape[-1]:
        raise ValueError(
            f"linear_weight of shape {matrix} is for {matrix[-1]} features, "
            f"but input of shape {shape} has {shape[-1]}"
        )
    if len(matrix) > 2 and len(shape) == 1:
        raise ValueError(
            f"linear_weight of shape {matrix} needs input of shape (N, {matrix[-1]}), not {shape}"
        )
    if linear_bias is not None and tuple(linear_bias.shape) != matrix[:-1]:
        raise ValueError(
            f"linear_bias must be of shape {matrix[:-1]}, not {tuple(linear_bias.shape)}"
        )
    for name, tensor in (("linear_weight", linear_weight), ("linear_bias", linear_bias)):
        if tensor is None:
            continue
        if not (input.is_floating_point() and tensor.is_floating_point()):
            raise TypeError(
                f"input and {name} must be floating-point, not {input.dtype} and {tensor.dtype}"
            )
        if tensor.dtype != input.dtype and input.is_cpu and not torch.is_autocast_enabled("cpu"):
            raise TypeError(
                f"input and {name} must be of one dtype, not {input.dtype} and {tensor.dtype}"
            )
    if ignore_index is not None and target.shape == (*shape[:-1], *matrix[:-1]):
        raise ValueError(
            f"ignore_index = {ignore_index} is for labels, but the targets are probabilities"
        )


def _dtypes(
    input: torch.Tensor, linear_weight: torch.Tensor, target: torch.Tensor
) -> tuple[torch.dtype, torch.dtype]:
    """Return what is computed in, and the dtype of the loss."""
    dtype = torch.promote_types(input.dtype, linear_weight.dtype)
    if target.is_floating_point():
        dtype = torch.promote_types(dtype, target.dtype)
    if dtype not in _SHORT:
        return dtype, dtype
    return torch.float32, torch.float32 if torch.is_autocast_enabled("cpu") else dtype


def _composed(
    input: torch.Tensor,
    linear_weight: torch.Tensor,
    target: torch.Tensor,
    *,
    linear_bias: torch.Tensor | None,
    **keywords: Any,
) -> torch.Tensor:
    """Return the loss by way of all logits."""
    outer = linear_weight.shape[:-1]
    matrix = linear_weight.reshape(math.prod(outer), linear_weight.shape[-1])
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = functional.linear(input, matrix, bias).reshape(*input.shape[:-1], *outer)
    return cross_entropy(logits, target, **keywords)


class _LinearCrossEntropy(torch.autograd.Function):
    """The loss, which keeps the gradients that are wanted for the first backward pass."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> torch.Tensor:
        *tensors, ctx.options = arguments
        ctx.save_for_backward(*tensors)
        ctx.dtypes = [None if tensor is None else tensor.dtype for tensor in tensors[:3]]
        if ctx.options.reduction == "none":
            return evaluate_layer(Layer(*tensors), ctx.options)[0]
        wanted = ctx.needs_input_grad[:3]
        loss, ctx.grads = evaluate_layer(Layer(*tensors), ctx.options, wanted)
        return loss

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        made = ctx.__dict__.pop("grads", None)  # whoever has them may write to them
        found = _gradients(ctx, made, grad_output)
        rounded = (
            None if grad is None else grad.to(dtype)
            for grad, dtype in zip(found, ctx.dtypes, strict=True)
        )
        return *rounded, None, None, None


def _gradients(ctx: Any, made: Gradients | None, grad_output: torch.Tensor) -> Gradients:
    """Return the gradients of what the loss went into; those `made` with the loss may be used."""
    wanted, options = ctx.needs_input_grad[:3], ctx.options
    batched = is_batched(grad_output)
    if is_grad_enabled() or (batched and options.reduction == "none"):
        return composed_gradients(Layer(*ctx.saved_tensors), options, wanted, grad_output)
    if options.reduction == "none":
        return gradients_by_sample(Layer(*ctx.saved_tensors), options, wanted, grad_output)
    if made is None:
        made = evaluate_layer(Layer(*ctx.saved_tensors), options, wanted)[1]
    if batched:
        return [None if grad is None else grad * grad_output for grad in made]
    if is_one(grad_output):
        return made
    return [None if grad is None else grad.mul_(grad_output) for grad in made]
