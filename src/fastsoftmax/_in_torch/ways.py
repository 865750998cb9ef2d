"""Which way a call goes: straight to the arrays, through an operator, or to PyTorch itself."""

from __future__ import annotations

import enum
import warnings

import torch
from torch.autograd import forward_ad

__all__ = ["WATCHERS", "Way", "belongs_to_torch", "is_batched", "is_one", "way_for"]

WATCHERS = (
    torch._C._len_torch_function_stack,
    torch._C._len_torch_dispatch_stack,
    torch._C._are_functorch_transforms_active,
    torch._C._get_tracing_state,
)
"""Each returns what is false as long as nobody is to know of what is done to plain tensors."""

_PLAIN = (torch.Tensor, torch.nn.Parameter)
_told: list[bool] = []


def belongs_to_torch(function: str, *tensors: torch.Tensor) -> bool:
    """Return whether PyTorch's own function is to be called, with a warning if that is news.

    That is so for tensors that are not on the CPU, or not strided; and for derivatives in forward
    mode, which the functions here do not have.
    """
    for tensor in tensors:
        if not tensor.is_cpu:
            _tell(f"fastsoftmax.torch works on the CPU: {function} of a tensor on {tensor.device}")
            return True
        if tensor.layout is not torch.strided:
            _tell(f"fastsoftmax.torch works on strided tensors: {function} of a {tensor.layout}")
            return True
    return bool(forward_ad._current_level >= 0)


class Way(enum.Enum):
    """How what is done to tensors is made known."""

    DIRECT = enum.auto()
    """Plain tensors with memory, and nothing watches what is done to them."""

    OPERATOR = enum.auto()
    """``torch.compile``, a dispatch mode, ``torch.jit.trace``, or a subclass of tensors."""

    TRANSFORM = enum.auto()
    """``torch.func``, which takes no operators that have derivatives."""


def way_for(*tensors: torch.Tensor) -> Way:
    """Return which way these tensors have to go now."""
    if torch.compiler.is_compiling():
        return Way.OPERATOR
    if torch._C._are_functorch_transforms_active():
        return Way.TRANSFORM
    if torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state() is not None:
        return Way.OPERATOR
    if all(type(tensor) in _PLAIN for tensor in tensors):
        return Way.DIRECT
    return Way.OPERATOR


def is_batched(tensor: torch.Tensor) -> bool:
    """Return whether this is several tensors, as under ``vmap`` and with ``is_grads_batched``."""
    of = torch._C._functorch
    return bool(of.is_batchedtensor(tensor) or of.is_legacy_batchedtensor(tensor))


def is_one(grad_output: torch.Tensor) -> bool:
    """Return whether a loss's own gradient is what it was before: the loss was not scaled."""
    if grad_output.dim() > 0 or is_batched(grad_output):
        return False
    return bool(grad_output.item() == 1.0)


def _tell(news: str) -> None:
    if torch.compiler.is_compiling() or _told:
        return
    _told.append(True)
    warnings.warn(
        f"{news} goes to torch.nn.functional, and so will others, without further warning",
        stacklevel=4,
    )
