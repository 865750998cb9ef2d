"""softmax and log_softmax as PyTorch operators, for whoever traces or transforms a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import fastsoftmax

from .arrays import array_of, new_like

__all__ = ["FORMULA", "FORWARD"]


def _softmax_formula(grad_output: torch.Tensor, output: torch.Tensor, dim: int) -> torch.Tensor:
    """Return the vector-Jacobian product in PyTorch's operations, to be differentiated again."""
    product = grad_output * output
    return product - output * product.sum(dim, keepdim=True)


def _log_softmax_formula(grad_output: torch.Tensor, output: torch.Tensor, dim: int) -> torch.Tensor:
    """Return the vector-Jacobian product in PyTorch's operations, to be differentiated again."""
    return grad_output - output.exp() * grad_output.sum(dim, keepdim=True)


def _define(name: str, schema: str) -> Any:
    """Return an operator whose last tensor says what its result is like, with fake and vmap."""
    compute: Callable[..., Any] = getattr(fastsoftmax, name)

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


FORMULA: dict[str, Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]] = {
    "softmax": _softmax_formula,
    "log_softmax": _log_softmax_formula,
}
"""By the functions' names, from grad_output, output and dim to the gradient of the input."""

FORWARD = {name: _define(name, "(Tensor x, int dim) -> Tensor") for name in FORMULA}
"""By the functions' names, the operators."""

_BACKWARD = {
    name: _define(f"{name}_backward", "(Tensor grad_output, Tensor output, int dim) -> Tensor")
    for name in FORMULA
}


def _keep_output(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(output)
    ctx.dim = inputs[-1]


def _differentiate(name: str) -> None:
    def vector_jacobian_product(ctx: Any, grad_output: torch.Tensor) -> tuple[Any, None]:
        (output,) = ctx.saved_tensors
        chosen = FORMULA if torch.is_grad_enabled() else _BACKWARD
        return chosen[name](grad_output, output, ctx.dim), None

    FORWARD[name].register_autograd(vector_jacobian_product, setup_context=_keep_output)


for _name in FORMULA:
    _differentiate(_name)
