"""Cross-entropy of tensors, the gradient computed together with the loss."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import torch
from torch import is_grad_enabled
from torch.autograd import forward_ad
from torch.compiler import is_dynamo_compiling
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function_variadic

from .._backends import plain
from .._control import SETTINGS
from . import operators
from .derivatives import class_axis, divisor, spread, target_gradient
from .evaluation import Options, evaluate, evaluate_with_gradient, gradient, scaled_gradient
from .transforms import Gradient, Loss
from .ways import WATCHERS, Way, belongs_to_torch, is_batched, is_one, way_for

__all__ = ["cross_entropy"]

_SHORT = (torch.float16, torch.bfloat16)
_options = functools.lru_cache(Options)


def cross_entropy(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    r"""Compute the cross-entropy of logits with targets, as PyTorch's function of that name does.

    The loss of a sample with logits f and targets t over C classes is

    .. math:: L = \sum_k y_k \Bigl(\log \sum_j \exp(f_j) - f_k\Bigr), \qquad
        y_k = w_k \Bigl((1 - \varepsilon) t_k + \frac{\varepsilon}{C}\Bigr)

    Parameters
    ----------
    input : Tensor
        Logits of shape (C), (N, C) or (N, C, d1, d2, ...), at any strides; float64, float32,
        float16 or bfloat16. The two short ones are computed in float32 and rounded once.
    target : Tensor
        Labels of the shape of `input` without the classes, of any integer dtype; or probabilities
        of the shape of `input`, floating-point.
    weight : Tensor, optional
        The weights w of the C classes, not negative.
    size_average, reduce : bool, optional
        What older programs say in place of `reduction`: deprecated, with a warning.
    ignore_index : int, default -100
        Samples with this label, which need not be a class, have no loss and no gradient and do
        not count in the mean. With probabilities it must be negative, and means nothing.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean of labels is weighted by the class weights of the labels that count; that of
        probabilities is over the number of samples.
    label_smoothing : float, default 0.0
        The share :math:`\varepsilon` in [0, 1] of each target that is spread over all classes.

    Returns
    -------
    Tensor
        The loss: without dimensions, or for ``"none"`` of the shape of the labels; in the dtype
        of `input`, with probabilities of a wider dtype in that one. Differentiable any number of
        times with respect to `input`, and to `target` where it is probabilities.

    Raises
    ------
    IndexError
        If a label is out of range: as with PyTorch. The error is a ValueError too, as with
        `fastsoftmax.cross_entropy`.
    ValueError
        If a shape does not fit, a weight is negative, or an option has no meaning here.
    TypeError
        If a dtype is of the wrong kind.

    Notes
    -----
    If `input` requires a gradient, it is made in the same pass as the loss, into memory that the
    first backward pass gives away: it becomes ``input.grad``, or the gradient of whatever the
    logits came from, as it is. Where the loss was scaled, it is multiplied in place. Further
    backward passes through a retained graph compute it anew.

    Under autocast on the CPU logits of float16 and bfloat16 are converted to float32 first, as
    PyTorch's function does there. A class weight that itself requires a gradient, tensors that are
    not on the CPU and forward-mode derivatives go to ``torch.nn.functional.cross_entropy``.

    Examples
    --------
    >>> import torch
    >>> from fastsoftmax.torch import cross_entropy
    >>> logits = torch.tensor([[20.0, 0.0, 0.0, 0.0]], requires_grad=True)
    >>> loss = cross_entropy(logits, torch.tensor([0]))
    >>> loss.backward()
    >>> print(*(f"{entry:.4e}" for entry in logits.grad[0]))   # torch's own: 0 for the first
    -6.1835e-09 2.0612e-09 2.0612e-09 2.0612e-09
    """
    loss: torch.Tensor
    if weight is None and size_average is None and reduce is None and not is_dynamo_compiling():
        loss = _plain(input, target, ignore_index, reduction, label_smoothing)
        if loss is not None:
            return loss
    if has_torch_function_variadic(input, target, weight):
        return _overridden(
            input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing
        )
    if size_average is not None or reduce is not None:
        reduction = _legacy_reduction(size_average, reduce)
    options = Options(ignore_index, reduction, label_smoothing)
    if belongs_to_torch("cross_entropy", input, target) or (
        weight is not None and weight.requires_grad
    ):
        return functional.cross_entropy(
            input,
            target,
            weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )
    if not input.is_floating_point() or input.dim() == 0:
        raise TypeError(
            "cross_entropy: input must be floating-point logits of shape (C), (N, C) or "
            f"(N, C, d1, ...), not {input.dtype} of shape {tuple(input.shape)}"
        )
    input, target = _in_one_dtype(input, target)
    wants_grad = is_grad_enabled() and (input.requires_grad or target.requires_grad)
    way = way_for(input, target)
    if way is Way.OPERATOR:
        loss = operators.loss(input, target, weight, options, wants_grad)
    elif way is Way.TRANSFORM:
        loss = Loss.apply(input, target, weight, options)
    elif wants_grad:
        loss = _apply(input, target, weight, options)
    else:
        loss = evaluate(input, target, weight, options)
    return loss


def _plain(x: Any, target: Any, ignore_index: int, reduction: str, label_smoothing: float) -> Any:
    """Return the loss as a tensor where all is as plain as it mostly is; else None."""
    if type(x) is not torch.Tensor or forward_ad._current_level >= 0:
        return None
    function: Any = plain.exchanged_cross_entropy
    wants_grad = x.requires_grad and is_grad_enabled()
    if wants_grad:
        function = plain.exchanged_cross_entropy_value_and_grad
    made = function(
        x, target, 1, None, None, ignore_index, label_smoothing, reduction, None, None, None,
        SETTINGS, WATCHERS,
    )  # fmt: skip
    if made is not None and wants_grad:
        made = _apply_plain(x, [target, _options(ignore_index, reduction, label_smoothing), made])
    return made


def _in_one_dtype(input: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits in the dtype of the loss, and probabilities as targets likewise."""
    if input.dtype in _SHORT and torch.is_autocast_enabled("cpu"):
        input = input.float()
    if target.shape == input.shape and target.is_floating_point() and target.dtype != input.dtype:
        dtype = torch.promote_types(input.dtype, target.dtype)
        return input.to(dtype), target.to(dtype)
    return input, target


def _legacy_reduction(size_average: bool | None, reduce: bool | None) -> str:
    reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(
        f"size_average and reduce are deprecated; use reduction={reduction!r}", stacklevel=3
    )
    return reduction


def _overridden(input: torch.Tensor, target: torch.Tensor, *arguments: Any) -> torch.Tensor:
    weight = arguments[0]
    names = (
        "weight", "size_average", "ignore_index", "reduce", "reduction", "label_smoothing",
    )  # fmt: skip
    options = dict(zip(names, arguments, strict=True))
    tensors = (input, target, weight)
    result: torch.Tensor = handle_torch_function(cross_entropy, tensors, input, target, **options)
    return result


class _CrossEntropy(torch.autograd.Function):
    """The loss, which keeps its gradient for the first backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
        options: Options,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, target, weight)
        ctx.options = options
        if not ctx.needs_input_grad[0]:
            return evaluate(x, target, weight, options)
        loss, ctx.grad = evaluate_with_gradient(x, target, weight, options)
        return loss

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        by_logits = by_target = None
        grad = ctx.__dict__.pop("grad", None)  # whoever has it may write to it: nobody else does
        if ctx.needs_input_grad[0]:
            if is_grad_enabled():
                by_logits = _differentiable(ctx, grad, grad_output)
            elif grad is not None and is_one(grad_output):
                by_logits = grad
            else:
                by_logits = _first_order(ctx, grad, grad_output)
        if ctx.needs_input_grad[1]:
            x, target, weight = ctx.saved_tensors
            by_target = target_gradient(grad_output, x, target, weight, ctx.options)
        return by_logits, by_target, None, None


class _PlainCrossEntropy(torch.autograd.Function):
    """The same for labels, with loss and gradient made before."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, rest: list[Any]) -> torch.Tensor:
        target, ctx.options, (loss, ctx.grad) = rest
        ctx.save_for_backward(x, target, None)
        return loss

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grad, ctx.grad = ctx.grad, None
        if is_grad_enabled():
            return _differentiable(ctx, grad, grad_output), None
        try:
            if grad is not None and grad_output.item() == 1.0:
                return grad, None
        except RuntimeError:  # the losses' gradients are several, in a batch
            pass
        return _first_order(ctx, grad, grad_output), None


# Past what Function.apply does for torch.func, which does not come this way.
_apply: Any = super(torch.autograd.Function, _CrossEntropy).apply
_apply_plain: Any = super(torch.autograd.Function, _PlainCrossEntropy).apply

# What the engine calls: it would look up and call the very same.
_PlainCrossEntropy._backward_cls.apply = _PlainCrossEntropy.backward


def _first_order(ctx: Any, grad: torch.Tensor | None, grad_output: torch.Tensor) -> torch.Tensor:
    if grad is None:
        x, target, weight = ctx.saved_tensors
        grad = gradient(x, target, weight, ctx.options)
    if is_batched(grad_output):
        return grad * spread(grad_output, grad, ctx.options)
    if grad.dtype in _SHORT:
        return _scaled_short(ctx, grad, grad_output)
    return grad.mul_(spread(grad_output, grad, ctx.options))


def _scaled_short(ctx: Any, grad: torch.Tensor, grad_output: torch.Tensor) -> torch.Tensor:
    """Compute the gradient again with the scale in it.

    Losses in float16 are scaled up so that small gradients are kept, which is too late for those
    that were rounded to 0 before.
    """
    x, target, weight = ctx.saved_tensors
    shape = list(x.shape)
    del shape[class_axis(x)]
    factors = grad_output.double() / divisor(x, target, weight, ctx.options)
    if not factors.isfinite().all():
        return grad.mul_(spread(grad_output, grad, ctx.options))
    factors = factors.expand(shape)
    scaled_gradient(x, target, weight, ctx.options, factors.abs(), grad)
    if (factors < 0).any():
        grad.mul_(factors.sign().to(grad.dtype).unsqueeze(class_axis(x)))
    return grad


def _differentiable(ctx: Any, grad: torch.Tensor | None, grad_output: torch.Tensor) -> torch.Tensor:
    x, target, weight = ctx.saved_tensors
    made = None if grad is None else [grad]
    by_logits: torch.Tensor = Gradient.apply(x, target, weight, ctx.options, made)
    return by_logits * spread(grad_output, x, ctx.options)
