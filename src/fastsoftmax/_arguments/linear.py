"""A linear layer, its gradients, and the memory to work in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, SupportsIndex

import numpy as np

from .._typing import Array, ArrayLike
from ..typing import OutputArray, Wrt
from .arrays import as_array, cast, check_classes, common_dtypes, float_dtypes
from .options import check_index
from .outputs import check_out, overlaps

__all__ = ["GRADIENTS", "Layer", "check_gradients", "check_layer", "check_workspace"]

GRADIENTS = ("x", "weight", "bias")
"""What there are gradients with respect to, in their order."""

FEWEST_BYTES = 1 << 16


class Layer(NamedTuple):
    """What the logits are made of: as given, but for the bias, which is in `compute`."""

    x: Array
    weight: Array
    bias: Array | None
    dtype: np.dtype[Any]  # of the results
    compute: np.dtype[Any]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Those of the gradients."""
        return self.x.shape, self.weight.shape, self.weight.shape[:1]


def check_layer(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None) -> Layer:
    """Return the layer as arrays whose shapes and dtypes go together."""
    rows, matrix = as_array(x, "x"), as_array(weight, "weight")
    dtype, compute = common_dtypes(rows.dtype, matrix.dtype, ("x", "weight"))
    if rows.ndim == 0:
        raise ValueError("x must have an axis of features, its last, but it is a scalar")
    if matrix.ndim != 2:
        raise ValueError(
            f"weight must have two axes, classes by features, not the shape {matrix.shape}"
        )
    if matrix.shape[1] != rows.shape[-1]:
        raise ValueError(
            f"weight of shape {matrix.shape} is for {matrix.shape[1]} features, "
            f"but x of shape {rows.shape} has {rows.shape[-1]}"
        )
    check_classes(matrix, 0, "weight")
    if bias is None:
        return Layer(rows, matrix, None, dtype, compute)
    offsets = as_array(bias, "bias")
    float_dtypes(offsets.dtype, "bias")
    if offsets.shape != matrix.shape[:1]:
        raise ValueError(
            f"bias must have one entry for each of the {matrix.shape[0]} classes, "
            f"a shape of {matrix.shape[:1]}, not {offsets.shape}"
        )
    return Layer(rows, matrix, cast(offsets, compute), dtype, compute)


def check_gradients(
    wrt: Sequence[Wrt] | None, out: Sequence[OutputArray | None] | None, layer: Layer
) -> tuple[tuple[bool, ...], list[Array | None]]:
    """Return which gradients are wanted, and where to put them if that was said."""
    if wrt is None:
        wanted: tuple[bool, ...] = (True, True, layer.bias is not None)
    else:
        names = (wrt,) if isinstance(wrt, str) else tuple(wrt)
        for name in names:
            if name not in GRADIENTS:
                raise ValueError(
                    f"wrt must name some of {', '.join(map(repr, GRADIENTS))}, not {name!r}"
                )
        wanted = tuple(name in names for name in GRADIENTS)
    if out is None:
        return wanted, [None] * len(GRADIENTS)
    if not isinstance(out, (tuple, list)) or len(out) != len(GRADIENTS):
        raise TypeError(
            "out must be a tuple of three, an array or None for the gradient with respect to each "
            f"of {', '.join(GRADIENTS)}, not {_describe(out)}"
        )
    outputs = [
        check_out(array, shape, layer.dtype, f"out[{place}]")
        for place, (array, shape) in enumerate(zip(out, layer.shapes, strict=True))
    ]
    for place, (array, want) in enumerate(zip(outputs, wanted, strict=True)):
        if array is not None and not want:
            raise ValueError(
                f"out[{place}] is for the gradient with respect to {GRADIENTS[place]}, "
                "which is not asked for"
            )
        for other in range(place):
            before = outputs[other]
            if array is not None and before is not None and overlaps(array, before):
                raise ValueError(f"out[{place}] and out[{other}] share memory")
    return wanted, outputs


def check_workspace(workspace_bytes: SupportsIndex) -> int:
    """Return the size of the memory to work in."""
    size = check_index(workspace_bytes, "workspace_bytes")
    if size < FEWEST_BYTES:
        raise ValueError(f"workspace_bytes must be at least {FEWEST_BYTES}, not {size}")
    return size


def _describe(value: Any) -> str:
    length = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
    return f"a {type(value).__name__}{length}"
