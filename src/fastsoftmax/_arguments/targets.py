"""Targets: class labels, or probabilities."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .._typing import Array, ArrayLike
from .arrays import as_array, cast, float_dtypes
from .exports import is_exported

__all__ = ["LabelError", "are_labels", "check_label_dtype", "check_targets", "label_error"]

INT32 = np.dtype(np.int32)
INT64 = np.dtype(np.int64)
LIMITS = {INT32: (-(2**31), 2**31 - 1), INT64: (-(2**63), 2**63 - 1)}


MOST_FLAT_AXES = 32
"""That numpy.ndarray.flat can go through: fewer than an array can have."""


class LabelError(ValueError, IndexError):
    """A label that is no class: a bad value, and, as other libraries see it, a bad index."""


def check_targets(
    targets: ArrayLike,
    shape: tuple[int, ...],
    samples: tuple[int, ...],
    num_classes: int,
    ignore_index: int | None,
) -> tuple[Array | None, Array | None, int | None]:
    """Tell labels from probabilities by their shape.

    Probabilities have the shape `shape`, labels the shape `samples`.

    Returns
    -------
    labels : array of int32 or int64, or None
        Of the right dtype and shape; whether they are in range is not known yet.
    probabilities : array of real numbers, or None
    ignore_index : int or None
        None where no label can be equal to it.
    """
    array = as_array(targets, "targets")
    if not are_labels(array.shape, array.dtype, shape, samples, ignore_index):
        return None, array, None
    dtype = array.dtype
    if (dtype is not INT64 and dtype is not INT32) or not array.flags.aligned:
        array, ignore_index = _to_labels(array, targets, num_classes, ignore_index)
        dtype = array.dtype
    if ignore_index is not None:
        lowest, highest = LIMITS[dtype]
        if not lowest <= ignore_index <= highest:
            ignore_index = None
    return array, None, ignore_index


def are_labels(
    target_shape: tuple[int, ...],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    samples: tuple[int, ...],
    ignore_index: int | None,
) -> bool:
    """Tell labels from probabilities; raise if the targets can be neither.

    The dtype of labels is left to `check_label_dtype`.
    """
    if target_shape == samples:
        return True
    if target_shape == shape:
        float_dtypes(dtype, "targets")
        if ignore_index is not None:
            raise ValueError(
                f"ignore_index = {ignore_index} has no meaning for targets that are probabilities; "
                "give those samples a sample_weight of 0"
            )
        return False
    raise ValueError(
        f"targets must be labels of shape {samples} or probabilities of shape {shape}, "
        f"not an array of shape {target_shape} and dtype {dtype}"
    )


def check_label_dtype(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise unless labels are integers."""
    if dtype.kind not in "iu":
        raise TypeError(
            f"targets of shape {shape} are labels and must be of an integer dtype, not {dtype}"
        )


def label_error(
    labels: Array,
    num_classes: int,
    ignore_index: int | None,
    origin: tuple[int, ...] | None = None,
) -> LabelError:
    """Return the error that names the first label out of range, in the caller's own order.

    `origin` is where these labels begin in a larger array, if they are a part of one.
    """
    index = np.unravel_index(_first_bad(labels, num_classes, ignore_index), labels.shape)
    whole = index if origin is None else np.add(origin, index)
    place = f"[{', '.join(str(position) for position in whole)}]" if index else ""
    classes = "1 class" if num_classes == 1 else f"{num_classes} classes"
    exception = "" if ignore_index is None else f" and is not ignore_index = {ignore_index}"
    return LabelError(f"targets{place} = {labels[index]} is out of range for {classes}{exception}")


def _first_bad(labels: Array, num_classes: int, ignore_index: int | None) -> int:
    """Return the number of the first label that is no class and is not ignored, in C order."""
    block = 1 << 20  # at a time: there may be more than memory for a mask of all
    flat = labels.flat if labels.ndim <= MOST_FLAT_AXES else labels.reshape(-1)
    for begin in range(0, labels.size, block):
        some = flat[begin : begin + block]
        bad = (some < 0) | (some >= num_classes)
        if ignore_index is not None:
            bad &= some != ignore_index
        if bad.any():
            return begin + int(np.argmax(bad))
    return 0


def _to_labels(
    array: Array, targets: ArrayLike, num_classes: int, ignore_index: int | None
) -> tuple[Array, int | None]:
    """Return labels of any integer dtype as int32 or int64, and what to ignore among them."""
    kind = array.dtype.kind
    if kind not in "iu" and not _is_array_like(targets):
        # From Python objects: none at all, or integers that no one dtype holds.
        if array.size == 0:
            return array.astype(INT64), ignore_index
        exact = np.array(targets, dtype=object)
        if exact.shape == array.shape and all(_is_integer(label) for label in exact.ravel()):
            return _fit(exact, num_classes, ignore_index)
    check_label_dtype(array.shape, array.dtype)
    if array.size and kind == "u" and array.itemsize == 8 and int(array.max()) > LIMITS[INT64][1]:
        return _fit(array, num_classes, ignore_index)
    if array.dtype == INT32:
        return cast(array, INT32), ignore_index
    return cast(array, INT64), ignore_index


def _fit(labels: Array, num_classes: int, ignore_index: int | None) -> tuple[Array, int | None]:
    """Return labels as int64, given that those which do not fit are to be ignored."""
    bad = (labels < 0) | (labels >= num_classes)
    ignored = np.zeros(labels.shape, bool) if ignore_index is None else labels == ignore_index
    if (bad & ~ignored).any():
        raise label_error(labels, num_classes, ignore_index)
    fitting = np.where(ignored, 0, labels).astype(INT64)
    fitting[ignored] = -1
    return fitting, -1


def _is_array_like(targets: object) -> bool:
    """Whether the dtype is the caller's own: what is at those addresses need not be objects."""
    protocols = "__array_interface__", "__array_struct__", "__array__"
    return is_exported(targets) or any(hasattr(targets, protocol) for protocol in protocols)


def _is_integer(label: object) -> bool:
    if isinstance(label, (bool, np.bool_)):
        return False
    try:
        operator.index(label)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True
