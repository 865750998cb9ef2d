"""Tensors as arrays, and arrays as tensors, in the same memory."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch

from .._typing import Array

__all__ = ["array_of", "new_like", "tensor_of"]


def array_of(tensor: torch.Tensor) -> Array:
    """Return the elements of a tensor on the CPU as an array, at the tensor's own strides."""
    if tensor.dtype is torch.bfloat16:
        bits: Array = tensor.view(torch.int16).numpy(force=True)
        return bits.view(_bfloat16())
    array: Array = tensor.numpy(force=True)
    return array


def tensor_of(array: Any) -> torch.Tensor:
    """Return a tensor of the elements of an array; of a NumPy scalar, a tensor without axes.

    NumPy asks the system for huge pages where an array is large, and PyTorch by default does not,
    so that for a new result the array's memory is the better one: less time goes into page faults.
    """
    array = np.asarray(array)
    if array.dtype.kind != "f":  # bfloat16, to which NumPy is a stranger
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def new_like(like: torch.Tensor) -> torch.Tensor:
    """Return a tensor as `torch.empty_like` does, with its strides, in an array's memory."""
    strides = torch.empty_like(like, device="meta").stride()
    memory = np.empty(math.prod(like.shape) * like.element_size(), np.uint8)
    return torch.from_numpy(memory).view(like.dtype).as_strided(like.shape, strides)


@functools.cache
def _bfloat16() -> np.dtype[Any]:
    try:
        from ml_dtypes import bfloat16
    except ImportError:
        raise ImportError(
            "tensors of bfloat16 need ml_dtypes, which is not installed. "
            'Run: pip install "fastsoftmax[torch]"'
        ) from None
    dtype: np.dtype[Any] = np.dtype(bfloat16)
    return dtype
