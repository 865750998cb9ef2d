"""A linear layer and its targets: checked, in two axes, and what is wanted of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, Backend, Float64Array

__all__ = ["Problem", "Results", "is_usable", "usable"]


@dataclass(frozen=True, slots=True)
class Problem:
    """m samples of d features, K classes. As a backend takes them, but for the factors."""

    kernels: Backend
    num_threads: int
    dtype: np.dtype[np.floating]
    """What is computed in: float32 or float64."""
    x: Array
    """(m, d), of any real dtype."""
    weight: Array
    """(K, d), of any real dtype."""
    bias: Array | None
    """(K,), in `dtype`."""
    labels: Array | None
    """(m,), all in range."""
    probabilities: Array | None
    """(m, K), of any real dtype."""
    class_weight: Float64Array | None
    sample_weight: Float64Array | None
    ignore_index: int | None
    label_smoothing: float
    divisor: float
    """Of losses and gradients."""

    @property
    def samples(self) -> int:
        return int(self.x.shape[0])

    @property
    def features(self) -> int:
        return int(self.x.shape[1])

    @property
    def classes(self) -> int:
        return int(self.weight.shape[0])


@dataclass(frozen=True, slots=True)
class Results:
    """Where the results go, each or None where it is not wanted."""

    want_loss: bool
    """Whether the losses' sum is wanted."""
    losses: Array | None
    """(m,), in the dtype computed in."""
    dx: Array | None
    """(m, d), of any real dtype: each entry is written once."""
    dweight: Array | None
    """(K, d), in the dtype computed in."""
    dbias: Float64Array | None
    """(K,), zeros."""

    @property
    def want_products(self) -> bool:
        """Whether the gradient of the logits is needed for something."""
        return self.dx is not None or self.dweight is not None


def is_usable(array: Array, dtype: np.dtype[np.floating]) -> bool:
    """Return whether BLAS can multiply the array where it lies."""
    if array.dtype != dtype or not array.flags.aligned:
        return False
    itemsize = array.itemsize
    (rows, columns), (down, along) = array.shape, array.strides
    return (along == itemsize and down % itemsize == 0 and down >= columns * itemsize) or (
        down == itemsize and along % itemsize == 0 and along >= rows * itemsize
    )


def usable(array: Array, dtype: np.dtype[np.floating]) -> Array:
    """Return the array itself if BLAS can multiply it where it lies, else a copy in `dtype`."""
    return array if is_usable(array, dtype) else np.ascontiguousarray(array, dtype)
