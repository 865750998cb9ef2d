"""softmax and log_softmax of tensors, with their derivatives."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch.overrides import handle_torch_function, has_torch_function_unary

import fastsoftmax

from . import probability_operators as operators
from .arrays import array_of, tensor_of
from .ways import Way, belongs_to_torch, is_batched, way_for

__all__ = ["log_softmax", "softmax"]


def softmax(
    input: torch.Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    r"""Turn logits into probabilities, as `torch.nn.functional.softmax` does.

    Parameters
    ----------
    input : Tensor
        Logits of any shape and strides, float64, float32, float16 or bfloat16. The two short ones
        are computed in float32 and rounded once.
    dim : int, optional
        The dimension of the classes. Without it PyTorch's old rule holds, with a warning: 0 for
        tensors of 0, 1 or 3 dimensions, else 1.
    _stacklevel : int
        Not used.
    dtype : torch.dtype, optional
        What to convert the input to first.

    Returns
    -------
    Tensor
        Probabilities, of the shape of `input`; differentiable any number of times.

    Raises
    ------
    IndexError
        If there is no such dimension.
    TypeError
        If `input` is not floating-point and no `dtype` was given.

    Notes
    -----
    Every probability is within 2 ulp of the exact one, as in `fastsoftmax.softmax`. Autocast leaves
    the dtype alone, as it does for PyTorch's function on the CPU.

    Examples
    --------
    >>> import torch
    >>> from fastsoftmax.torch import softmax
    >>> softmax(torch.tensor([[0.0, 0.0], [0.0, -torch.inf]]), dim=1).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    if has_torch_function_unary(input):
        return _overridden(softmax, input, dim, _stacklevel, dtype)
    return _apply("softmax", input, dim, dtype)


def log_softmax(
    input: torch.Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Turn logits into log-probabilities, as `torch.nn.functional.log_softmax` does.

    Parameters
    ----------
    input, dim, _stacklevel, dtype
        As in `softmax`.

    Returns
    -------
    Tensor
        Log-probabilities, of the shape of `input`; differentiable any number of times.

    Raises
    ------
    IndexError, TypeError
        As in `softmax`.

    Notes
    -----
    Within 4 ulp of the exact value for the largest class too, however close to 0 that is.

    Examples
    --------
    >>> import torch
    >>> from fastsoftmax.torch import log_softmax
    >>> print(*(f"{entry:.4e}" for entry in log_softmax(torch.tensor([20.0, 0.0]), dim=0)))
    -2.0612e-09 -2.0000e+01
    """
    if has_torch_function_unary(input):
        return _overridden(log_softmax, input, dim, _stacklevel, dtype)
    return _apply("log_softmax", input, dim, dtype)


def _apply(name: str, x: torch.Tensor, dim: int | None, dtype: torch.dtype | None) -> torch.Tensor:
    if dim is None:
        dim = _implicit_dim(name, x.dim())
    if dtype is not None:
        x = x.to(dtype)
    elif not x.is_floating_point():
        raise TypeError(
            f"{name}: input must be floating-point, not {x.dtype}; give a dtype to convert it to"
        )
    if belongs_to_torch(name, x) or x.numel() == 0 or x.dim() == 0:
        result: torch.Tensor = getattr(torch, name)(x, dim)
    elif (way := way_for(x)) is Way.OPERATOR:
        result = operators.FORWARD[name](x, dim)
    elif way is Way.TRANSFORM:
        result = _Transformed.apply(x, dim, name)
    elif torch.is_grad_enabled() and x.requires_grad:
        result = _Probabilities.apply(x, dim, name)
    else:
        result = _compute(name, x, dim)
    return result


def _compute(name: str, x: torch.Tensor, dim: int) -> torch.Tensor:
    return tensor_of(getattr(fastsoftmax, name)(array_of(x), dim))


def _implicit_dim(name: str, ndim: int) -> int:
    warnings.warn(
        f"{name} without dim takes the classes from a dimension that depends on the number of "
        "dimensions, which is deprecated in PyTorch; give dim=",
        stacklevel=4,
    )
    return 0 if ndim in (0, 1, 3) else 1


def _overridden(function: Any, x: torch.Tensor, *arguments: Any) -> torch.Tensor:
    names = ("dim", "_stacklevel", "dtype")
    options = dict(zip(names, arguments, strict=True))
    result: torch.Tensor = handle_torch_function(function, (x,), x, **options)
    return result


class _Probabilities(torch.autograd.Function):
    """softmax or log_softmax, by name, of plain tensors."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, dim: int, name: str) -> torch.Tensor:
        output = _compute(name, x, dim)
        ctx.save_for_backward(output)
        ctx.dim, ctx.name = dim, name
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (output,) = ctx.saved_tensors
        if torch.is_grad_enabled() or is_batched(grad_output):
            return operators.FORMULA[ctx.name](grad_output, output, ctx.dim), None, None
        arrays = array_of(grad_output), array_of(output)
        grad = getattr(fastsoftmax, f"{ctx.name}_backward")(*arrays, ctx.dim)
        return tensor_of(grad), None, None


class _Transformed(torch.autograd.Function):
    """The same for ``torch.func``, at any level of its transforms.

    Its context is set up apart, as they need it, which makes it slower to call.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: torch.Tensor, dim: int, name: str) -> torch.Tensor:
        output: torch.Tensor = operators.FORWARD[name](x, dim)
        return output

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        _, ctx.dim, ctx.name = inputs
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (output,) = ctx.saved_tensors
        return operators.FORMULA[ctx.name](grad_output, output, ctx.dim), None, None
