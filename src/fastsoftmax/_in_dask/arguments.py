"""Checking arguments while a graph is made, and cutting them into blocks as the logits are.

Nothing is computed here: of a Dask array only shape, dtype and chunks are looked at. What its
values have to be is checked by the tasks.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol, SupportsFloat, SupportsIndex, TypeAlias

import dask.array as da
import numpy as np

from .._arguments.arrays import (
    as_array,
    check_axis,
    check_classes,
    check_where,
    float_dtypes,
)
from .._arguments.options import (
    check_class_weight,
    check_class_weight_shape,
    check_ignore_index,
    check_label_smoothing,
    check_reduction,
    check_sample_weight,
    check_sample_weight_shape,
)
from .._arguments.targets import are_labels, check_label_dtype, check_targets
from .._control import resolve_backend, resolve_num_threads
from ..typing import ArrayLike, BackendName, Reduction

__all__ = [
    "DaskLike",
    "Logits",
    "Options",
    "Targets",
    "as_logits",
    "as_mask",
    "as_options",
    "as_targets",
    "settings",
    "trailing",
]

Chunks = tuple[tuple[Any, ...], ...]


class DaskCollection(Protocol):
    """A Dask array to type checkers, of which Dask has two classes."""

    def __dask_graph__(self) -> Any: ...

    def __dask_keys__(self) -> Any: ...


DaskLike: TypeAlias = DaskCollection | ArrayLike
"""What is taken for a Dask array, or made one."""


class Logits(NamedTuple):
    """A Dask array of logits, what stands for its dimensions, and the results' dtype."""

    array: da.Array
    axis: int
    dtype: np.dtype[Any]

    @property
    def num_classes(self) -> int:
        return int(self.array.shape[self.axis])

    @property
    def indices(self) -> tuple[int, ...]:
        """A number for each dimension, as `dask.array.blockwise` names them."""
        return tuple(range(self.array.ndim))

    @property
    def sample_indices(self) -> tuple[int, ...]:
        return self.indices[: self.axis] + self.indices[self.axis + 1 :]

    @property
    def first_axes(self) -> tuple[int, ...]:
        """The axes of the samples where the class axis is behind them, or gone."""
        return self.indices[:-1]

    @property
    def shape(self) -> tuple[Any, ...]:
        return _comparable(self.array.shape)

    @property
    def samples(self) -> tuple[Any, ...]:
        """The shape of the samples; NaN for what is not known."""
        return tuple(self.shape[i] for i in self.sample_indices)

    @property
    def chunks(self) -> Chunks:
        return tuple(self.array.chunks)

    @property
    def sample_chunks(self) -> Chunks:
        return tuple(self.chunks[i] for i in self.sample_indices)

    @property
    def in_one_piece(self) -> bool:
        """Whether each sample has all its classes in one block."""
        return len(self.chunks[self.axis]) == 1


class Targets(NamedTuple):
    """Targets in the logits' blocks: labels without the class axis, or probabilities."""

    array: da.Array
    are_labels: bool
    ignore_index: int | None


class Options(NamedTuple):
    """The options of the cross-entropy functions, arrays among them in the logits' blocks."""

    weight: da.Array | None
    sample_weight: da.Array | None
    label_smoothing: float
    reduction: Reduction


def settings(backend: BackendName | None, num_threads: SupportsIndex) -> dict[str, Any]:
    """Return the backend and the number of threads as every task is to use them.

    Each task has the name of the backend that is in effect now and here, so that all workers
    compute the same bits.
    """
    return {
        "backend": resolve_backend(backend).NAME,
        "num_threads": resolve_num_threads(num_threads),
    }


def as_logits(x: Any, axis: SupportsIndex, name: str) -> Logits:
    """Return logits as a Dask array; what is none becomes one, with Dask's own choice of chunks."""
    array = x if isinstance(x, da.Array) else da.asarray(as_array(x, name))
    dtype, _ = float_dtypes(array.dtype, name)
    position = check_axis(axis, array.ndim)
    if any(map(math.isnan, array.chunks[position])):
        raise ValueError(
            f"{name} has chunks of unknown sizes along axis {position}, that of the classes; "
            f"call {name}.compute_chunk_sizes() first"
        )
    check_classes(array, position, name)
    lengths = array.chunks[position]
    if 0 in lengths:  # a block without classes has no maximum
        array = array.rechunk({position: tuple(length for length in lengths if length)})
    return Logits(array, position, dtype)


def trailing(logits: Logits, mask: da.Array | None) -> tuple[int, ...] | None:
    """Return the indices of a mask, whose axes are the last of the logits'."""
    return None if mask is None else logits.indices[logits.array.ndim - mask.ndim :]


def as_mask(where: Any, logits: Logits, name: str) -> da.Array | None:
    """Return a mask of classes in the logits' blocks, except along axes that it is broadcast on."""
    if where is None:
        return None
    mask = where if isinstance(where, da.Array) else as_array(where, "where")
    beside = zip(reversed(mask.shape), reversed(logits.shape), strict=False)
    if not isinstance(where, da.Array) and any(math.isnan(n) and own != 1 for own, n in beside):
        _check_known(logits, "where")
    # Dtype and shape are all that is checked, so anything with both will do; unknown lengths are 1.
    shape, wanted = (
        tuple(1 if math.isnan(n) else n for n in lengths) for lengths in (mask.shape, logits.shape)
    )
    check_where(np.broadcast_to(np.zeros((), mask.dtype), shape), wanted, name)
    own = logits.chunks[logits.array.ndim - mask.ndim :]
    chunks = tuple(
        (1,) if length == 1 else chunk for length, chunk in zip(mask.shape, own, strict=True)
    )
    return _aligned(mask, chunks, "where", name)


def as_targets(targets: Any, logits: Logits, ignore_index: SupportsIndex | None) -> Targets:
    """Tell labels from probabilities, and cut them as the logits are."""
    ignore = None if ignore_index is None else check_ignore_index(ignore_index)
    shape, samples = logits.shape, logits.samples
    if isinstance(targets, da.Array):
        own = _known_as(targets.shape, samples if targets.ndim == len(samples) else shape)
        labels = are_labels(own, targets.dtype, shape, samples, ignore)
        if labels:
            check_label_dtype(own, targets.dtype)
    else:
        _check_known(logits, "targets")
        array, probabilities, ignore = check_targets(
            targets, shape, samples, logits.num_classes, ignore
        )
        labels = array is not None
        targets = array if labels else probabilities
    chunks = logits.sample_chunks if labels else logits.chunks
    return Targets(_aligned(targets, chunks, "targets", "logits"), labels, ignore)


def as_options(
    logits: Logits,
    of_mean_grad: bool,
    weight: Any,
    sample_weight: Any,
    label_smoothing: SupportsFloat,
    reduction: Reduction,
) -> Options:
    """Return the options checked."""
    check_reduction(reduction, of_mean_grad)
    smoothing = check_label_smoothing(label_smoothing)
    if weight is not None:
        if isinstance(weight, da.Array):
            float_dtypes(weight.dtype, "weight")
            check_class_weight_shape(weight.shape, logits.num_classes)
        else:
            weight = check_class_weight(weight, logits.num_classes)
        weight = _aligned(weight, ((logits.num_classes,),), "weight", "logits")
    if sample_weight is not None:
        if isinstance(sample_weight, da.Array):
            float_dtypes(sample_weight.dtype, "sample_weight")
            own = _known_as(sample_weight.shape, logits.samples)
            check_sample_weight_shape(own, logits.samples)
        else:
            _check_known(logits, "sample_weight")
            sample_weight = check_sample_weight(sample_weight, logits.samples)
        sample_weight = _aligned(sample_weight, logits.sample_chunks, "sample_weight", "logits")
    return Options(weight, sample_weight, smoothing, reduction)


def _aligned(array: Any, chunks: Chunks, name: str, of: str) -> da.Array:
    """Return an array with these chunks."""
    if not isinstance(array, da.Array):
        return da.from_array(array, chunks=chunks)
    if _comparable_chunks(array.chunks) == _comparable_chunks(chunks):
        return array
    goal = []
    for axis, (own, wanted) in enumerate(zip(array.chunks, chunks, strict=True)):
        unknown = any(map(math.isnan, own + wanted))
        if unknown and len(own) != len(wanted):
            raise ValueError(
                f"{name} has {len(own)} chunks along axis {axis} where {of} has {len(wanted)}, and "
                "not all of their sizes are known; call compute_chunk_sizes() on the arrays first"
            )
        goal.append(own if unknown else wanted)
    return array.rechunk(tuple(goal))


def _check_known(logits: Logits, name: str) -> None:
    """Raise if an array without chunks cannot be cut as the logits are."""
    if any(map(math.isnan, logits.samples)):
        raise ValueError(
            f"logits have chunks of unknown sizes, so {name} must be a Dask array with the same "
            "chunks; or call logits.compute_chunk_sizes() first"
        )


def _known_as(own: tuple[Any, ...], wanted: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a shape in which what is unknown, here or there, is as wanted."""
    if len(own) != len(wanted):
        return _comparable(own)
    return tuple(
        w if math.isnan(o) or math.isnan(w) else o for o, w in zip(own, wanted, strict=True)
    )


def _comparable(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a shape in which what is unknown is the same object each time, and so equal."""
    return tuple(math.nan if math.isnan(length) else length for length in shape)


def _comparable_chunks(chunks: Chunks) -> Chunks:
    return tuple(map(_comparable, chunks))
