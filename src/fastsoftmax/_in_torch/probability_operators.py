"""softmax and log_softmax as PyTorch operators, for whoever traces or transforms a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import fastsoftmax

from .arrays import array_of, new_like

__all__ = [
    "log_softmax",
    "log_softmax_backward_formula",
    "softmax",
    "softmax_backward_formula",
]


def softmax_backward_formula(
    grad_output: torch.Tensor, output: torch.Tensor, dim: int
) -> torch.Tensor:
    """Return the vector-Jacobian product in PyTorch's operations, to be differentiated again."""
    product = grad_output * output
    return product - output * product.sum(dim, keepdim=True)


def log_softmax_backward_formula(
    grad_output: torch.Tensor, output: torch.Tensor, dim: int
) -> torch.Tensor:
    """Return the vector-Jacobian product in PyTorch's operations, to be differentiated again."""
    return grad_output - output.exp() * grad_output.sum(dim, keepdim=True)


def _define(name: str, schema: str, compute: Callable[..., Any]) -> Any:
    """Return an operator whose last tensor says what its result is like, with fake and vmap."""

    def run(*arguments: Any) -> torch.Tensor:
        *tensors, dim = arguments
        out = new_like(tensors[-1])
        compute(*map(array_of, tensors), dim, out=array_of(out))
        return out

    def fake(*arguments: Any) -> torch.Tensor:
        return torch.empty_like(arguments[-2])

    def vmap(info: Any, in_dims: Any, *arguments: Any) -> tuple[torch.Tensor, int]:
        *tensors, dim = arguments
        together = [
            tensor.expand(info.batch_size, *tensor.shape) if at is None else tensor.movedim(at, 0)
            for tensor, at in zip(tensors, in_dims, strict=False)
        ]
        return operator(*together, dim + 1 if dim >= 0 else dim), 0

    operator: Any = torch.library.custom_op(
        f"fastsoftmax::{name}", run, mutates_args=(), device_types="cpu", schema=schema
    )
    operator.register_fake(fake)
    operator.register_vmap(vmap)
    return operator


_FORWARD, _BACKWARD = (
    "(Tensor x, int dim) -> Tensor",
    "(Tensor grad_output, Tensor output, int dim) -> Tensor",
)
softmax = _define("softmax", _FORWARD, fastsoftmax.softmax)
log_softmax = _define("log_softmax", _FORWARD, fastsoftmax.log_softmax)
_softmax_backward = _define("softmax_backward", _BACKWARD, fastsoftmax.softmax_backward)
_log_softmax_backward = _define("log_softmax_backward", _BACKWARD, fastsoftmax.log_softmax_backward)


def _keep_output(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(output)
    ctx.dim = inputs[-1]


def _differentiate(operator: Any, backward: Any, formula: Callable[..., torch.Tensor]) -> None:
    def vector_jacobian_product(ctx: Any, grad_output: torch.Tensor) -> tuple[Any, None]:
        (output,) = ctx.saved_tensors
        chosen = formula if torch.is_grad_enabled() else backward
        return chosen(grad_output, output, ctx.dim), None

    operator.register_autograd(vector_jacobian_product, setup_context=_keep_output)


_differentiate(softmax, _softmax_backward, softmax_backward_formula)
_differentiate(log_softmax, _log_softmax_backward, log_softmax_backward_formula)
