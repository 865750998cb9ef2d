"""The arguments of the functions for JAX: axes, masks and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex, TypeAlias

import jax
import jax.numpy as jnp

from .._arguments.arrays import check_axis, check_classes

__all__ = ["Axis", "as_logits", "as_mask", "merge_axes", "to_labels"]

Axis: TypeAlias = "SupportsIndex | Sequence[SupportsIndex] | None"


def as_logits(x: Any, name: str) -> jax.Array:
    """Return an array of one of the dtypes that have kernels; integers become floats."""
    array = jnp.asarray(x)
    if jnp.issubdtype(array.dtype, jnp.integer) or array.dtype == jnp.bool_:
        return array.astype(jnp.result_type(float))
    if array.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        raise TypeError(f"{name} must hold real numbers, not values of dtype {array.dtype}")
    return array


def as_mask(where: Any, logits: jax.Array, axis: Axis = -1) -> jax.Array:
    """Return the mask in the logits' shape; one of the samples' shape lacks the class axes."""
    mask = jnp.asarray(where)
    if mask.dtype != jnp.bool_:
        raise TypeError(f"where must be of dtype bool, not {mask.dtype}")
    if mask.ndim != logits.ndim and axis is not None:
        mask = jnp.expand_dims(mask, axis)
    try:
        return jnp.broadcast_to(mask, logits.shape)
    except ValueError:
        raise ValueError(
            f"where of shape {jnp.shape(where)} cannot be broadcast to the logits' shape "
            f"{logits.shape}"
        ) from None


def merge_axes(
    arrays: tuple[jax.Array | None, ...], axis: Axis, name: str
) -> tuple[list[Any], int, Callable[[jax.Array], jax.Array]]:
    """Merge the class axes of arrays of one shape into a single one.

    Returns
    -------
    arrays : list of (array or None)
        Themselves where there is but one axis.
    axis : int
        The one class axis, counted from the front.
    restore : callable
        Gives an array of the merged shape the original one.
    """
    first: Any = arrays[0]
    ndim = first.ndim
    given = range(ndim) if axis is None else axis if isinstance(axis, Sequence) else (axis,)
    axes = [check_axis(position, ndim) for position in given]
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis {axis} names an axis twice")
    if len(axes) == 1:
        check_classes(first, axes[0], name)
        return list(arrays), axes[0], lambda result: result
    last = tuple(range(ndim - len(axes), ndim))
    moved_shape = jnp.moveaxis(first, axes, last).shape
    merged_shape = (*moved_shape[: ndim - len(axes)], -1 if first.size else 0)
    if first.size == 0:
        length = 1
        for position in axes:
            length *= first.shape[position]
        merged_shape = (*merged_shape[:-1], length)

    def restore(result: jax.Array) -> jax.Array:
        return jnp.moveaxis(result.reshape(moved_shape), last, axes)

    merged = [
        None if array is None else jnp.moveaxis(array, axes, last).reshape(merged_shape)
        for array in arrays
    ]
    result: Any = merged[0]
    check_classes(result, result.ndim - 1, name)
    return merged, result.ndim - 1, restore


def to_labels(labels: Any, num_classes: int, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Return labels as int32 or int64, -1 where out of range, and whether they are in range.

    Negative ones count from the end, as an index does.
    """
    array = jnp.asarray(labels)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"labels must be of an integer dtype, not {array.dtype}")
    if array.shape != shape:
        raise ValueError(
            f"labels must have the shape of the logits without the class axes, {shape}, "
            f"not {array.shape}"
        )
    if jnp.issubdtype(array.dtype, jnp.unsignedinteger) and array.dtype.itemsize >= 4:
        array = jnp.minimum(array, num_classes)
    if array.dtype.itemsize < 8:
        array = array.astype(jnp.int32)
    elif array.dtype != jnp.int64:
        array = array.astype(jnp.int64)
    array = jnp.where(array < 0, array + num_classes, array)
    valid = (array >= 0) & (array < num_classes)
    return jnp.where(valid, array, -1), valid
