"""Types of arguments and options, for annotations in code that passes them on.

::

    from typing import Unpack
    from fastsoftmax.typing import ArrayLike, CrossEntropyOptions

    def loss_of(x: ArrayLike, labels: ArrayLike, **options: Unpack[CrossEntropyOptions]) -> float:
        return float(fastsoftmax.cross_entropy(x, labels, reduction="mean", **options))

They say nothing of shapes. Where logits are given as an array of float16, float32 or float64, the
results' dtype is known to type checkers as well; else it is left open.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, SupportsFloat, SupportsIndex, TypeAlias, TypedDict

import numpy.typing as npt

__all__ = [
    "ArrayLike",
    "BackendName",
    "CallOptions",
    "CrossEntropyOptions",
    "Hessian",
    "LinearCrossEntropyOptions",
    "MeanOrSum",
    "OutputArray",
    "Reduction",
    "SupportsArray",
    "SupportsBuffer",
    "SupportsDLPack",
    "TargetOptions",
    "Wrt",
]

BackendName: TypeAlias = Literal["c", "numba", "numpy"]
"""What computes."""

MeanOrSum: TypeAlias = Literal["mean", "sum"]
"""Reductions to one number."""

Reduction: TypeAlias = Literal["mean", "sum", "none"]
"""What becomes of the losses of the samples."""

Hessian: TypeAlias = Literal["exact", "xgboost", "lightgbm"]
"""Whose diagonal of the Hessian, see `fastsoftmax.cross_entropy_grad_hess`."""

Wrt: TypeAlias = Literal["x", "weight", "bias"]
"""What a linear layer can be differentiated by."""


class SupportsArray(Protocol):
    """What has ``__array__``, also where its own types do not say what that returns."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


class SupportsDLPack(Protocol):
    """An array of another library, as DLPack hands it over."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...

    def __dlpack_device__(self) -> tuple[Any, Any]: ...


class SupportsBuffer(Protocol):
    """What has the buffer protocol: `memoryview`, `array.array`, ctypes arrays and others."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


ArrayLike: TypeAlias = npt.ArrayLike | SupportsArray | SupportsDLPack
"""What can be read: whatever NumPy makes an array of, and arrays of other libraries."""

OutputArray: TypeAlias = npt.NDArray[Any] | SupportsDLPack | SupportsBuffer
"""What can be written to where it lies."""


class CallOptions(TypedDict, total=False):
    """What every function can be told: how to compute."""

    backend: BackendName | None
    num_threads: SupportsIndex | None


class TargetOptions(CallOptions, total=False):
    """What every cross-entropy can be told of its targets, beside the weights of classes."""

    sample_weight: ArrayLike | None
    ignore_index: SupportsIndex | None
    label_smoothing: SupportsFloat


class CrossEntropyOptions(TargetOptions, total=False):
    """The options of `fastsoftmax.cross_entropy` and its gradients, but for the reduction."""

    weight: ArrayLike | None


class LinearCrossEntropyOptions(TargetOptions, total=False):
    """Those of `fastsoftmax.linear_cross_entropy`, whose `weight` is the layer's."""

    class_weight: ArrayLike | None
    workspace_bytes: SupportsIndex


def __dir__() -> list[str]:
    return sorted(__all__)
