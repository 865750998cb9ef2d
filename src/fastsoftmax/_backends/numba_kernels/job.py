"""What a kernel is told: views of checked arrays and the options of one call."""

from __future__ import annotations

from typing import Any, NamedTuple

from .block import SHORT_ROW
from .memory import (
    as_uint8,
    count_up,
    data,
    is_in_memory,
    lengths_of,
    offset_bytes,
    size_of,
    strides_of,
)
from .numba_api import types
from .real import lanes_of, real_bytes
from .staging import Bool, Int, Number, Pointer, staged
from .words import choose, select

__all__ = [
    "CHUNKS",
    "ArrayJob",
    "Shape",
    "TargetJob",
    "View",
    "array_job",
    "array_type",
    "goes_across",
    "next_range",
    "no_view",
    "open_target_job",
    "plain_job",
    "sample_at",
    "sample_offset",
    "shape_of",
    "target_types",
    "vector_view",
    "view_of",
]

STREAMED = 1 << 22
"""Elements of an output that is written past the caches..."""
FITS_NEAR = 1 << 24
"""...unless no cache would hold a row of what is on its way there."""
MOST_ACROSS = 1 << 30
"""Classes that lanes of 32 bits can count."""


class Shape(NamedTuple):
    """Samples (outer, inner) by classes."""

    outer: Int
    inner: Int
    classes: Int


class View(NamedTuple):
    """An array of such a shape; strides in bytes, of any sign."""

    exists: Bool
    data: Pointer
    outer: Int
    inner: Int
    classes: Int


class ArrayJob(NamedTuple):
    """The job of an operation from arrays to an array."""

    shape: Any
    across: Bool  # whether rows go across the lanes
    input: Any
    other: Any  # the second input: a mask, or the output of a backward operation
    out: Any
    results: Any  # a number a sample
    streams: Bool  # whether the output is written past the caches


class Labels(NamedTuple):
    """Views of labels of either width, of which one exists."""

    int32: Any
    int64: Any


class TargetJob(NamedTuple):
    """The job of an operation on logits with targets."""

    shape: Any
    across: Bool
    input: Any
    labels: Any
    have_labels: Bool
    other: Any  # probabilities as targets
    class_weight: Any
    sample_weight: Any
    has_ignore_index: Bool
    ignore_index: Int
    label_smoothing: Number
    divisor: Number
    want_loss: Bool
    want_mean_grad: Bool
    losses: Any
    out: Any
    hess: Any
    hessian: Int
    streams: Bool


# --- views -----------------------------------------------------------------------------------


def shape_of(array: Any) -> Shape:
    return Shape(*lengths_of(array))


def view_of(array: Any) -> View:
    """An array (A, B, K) or (A, B) as a view; one of length 0 stands for none."""
    strides = strides_of(array)
    classes = strides[2] if len(strides) == 3 else 0
    return View(size_of(array) != 0, data(array), strides[0], strides[1], classes)


def rows_view(array: Any) -> View:
    """An array (m, K) as a view."""
    between_rows, between_classes = strides_of(array)
    return View(
        size_of(array) != 0, data(array), between_rows.like(0), between_rows, between_classes
    )


def vector_view(array: Any) -> View:
    """An array (K,) without gaps as a view."""
    return View(size_of(array) != 0, data(array), 0, 0, 0)


def absent(view: Any) -> View:
    """In place of a view like another that is not there."""
    return View(view.exists.like(False), view.data, *(view.outer.like(0),) * 3)


@staged
def no_view(s: Any) -> View:
    """In place of a mask where an operation takes none."""
    return View(False, as_uint8(s.x), 0, 0, 0)


def streams_to(shape: Any, view: Any, masked: Bool) -> Bool:
    """Whether an output is written past the caches: large ones, if they are in memory yet."""
    large = shape.outer * shape.inner * shape.classes >= STREAMED
    large = large & (shape.classes <= FITS_NEAR)

    def is_there() -> Bool:
        middle = shape.outer // 2 * view.outer + shape.inner // 2 * view.inner
        return is_in_memory(offset_bytes(view.data, middle + shape.classes // 2 * view.classes))

    return choose(large & view.exists & ~masked, is_there, lambda: large.like(False))


def array_job(
    x: Any, other: Any, out: Any, ends_in_loss: bool, masked: Any, results: bool = False
) -> ArrayJob:
    """The job of an operation without targets; its output is rows, or `results`."""
    shape, view = shape_of(x), view_of(x)
    across = goes_across(shape, view, ends_in_loss=ends_in_loss)
    rows = absent(view_of(out)) if results else view_of(out)
    streams = streams_to(shape, rows, view.exists.like(masked))
    return ArrayJob(shape, across, view, view_of(other), rows, view_of(out), streams)


def plain_job(x: Any, out: Any, ends_in_loss: bool) -> ArrayJob:
    """The same from arrays (m, K) in C order, too small to be streamed."""
    shape, (view, rows) = Shape(size_of(x).like(1), *lengths_of(x)), map(rows_view, (x, out))
    across = goes_across(shape, view, ends_in_loss=ends_in_loss)
    return ArrayJob(shape, across, view, absent(view), rows, rows, across.like(False))


@staged
def sample_offset(shape: Any, view: Any, sample: Int) -> Int:
    """Where a sample begins in a view, in bytes."""
    return choose(
        shape.outer == 1,
        lambda: sample * view.inner,
        lambda: sample // shape.inner * view.outer + sample % shape.inner * view.inner,
    )


@staged
def sample_at(shape: Any, view: Any, sample: Int) -> Pointer:
    return offset_bytes(view.data, sample_offset(shape, view, sample))


def goes_across(shape: Any, view: Any, ends_in_loss: bool) -> Bool:
    """Whether rows go across the lanes. The bits are the same either way, so the choice is free.

    Rows up to some length fill the vectors better so; a row along them pays for its own start and
    end, the more where there is a loss. Measured.
    """
    lanes, size = lanes_of(view.data), real_bytes(view.data)
    few = shape.outer * shape.inner < lanes // 2  # most lanes would be empty
    vectors = (12 if size == 4 else 16) if ends_in_loss else 8
    longest = select(few, shape.classes.like(SHORT_ROW * lanes), vectors * lanes)
    in_columns = (view.classes != size) & (view.inner == size) & (shape.inner >= lanes)
    return (shape.classes <= longest) | (in_columns & (shape.classes < MOST_ACROSS))


# --- arguments -------------------------------------------------------------------------------


def array_type(element: Any, axes: int, is_input: bool) -> Any:
    return types.Array(element, axes, "A", readonly=is_input)


CHUNKS = (types.intp, types.Array(types.int64, 1, "C"))
"""The types of a kernel's last arguments: samples a chunk, and what threads share.

That is the number of the next chunk and the number of the one whose mean gradient is to be added.
"""


@staged
def next_range(job: Any, chunk: Int, shared: Any) -> tuple[Int, Int, Int]:
    """Take a chunk of samples that no thread has taken: begin, end and number.

    When there is none left, it is an empty one.
    """
    number, samples = count_up(shared), job.shape.outer * job.shape.inner
    begin, end = number * chunk, (number + 1) * chunk
    return begin, select(end < samples, end, samples), number


def target_types(real: Any) -> tuple[Any, ...]:
    """The types of the first arguments of a kernel with targets."""
    return (
        array_type(real, 3, True),  # logits
        array_type(types.int32, 2, True),  # labels
        array_type(types.int64, 2, True),
        array_type(real, 3, True),  # probabilities
        array_type(types.float64, 1, True),  # class_weight
        array_type(types.float64, 2, True),  # sample_weight
    )


@staged
def open_target_job(inputs: Any, ignore: Any, numbers: Any, want: Any, outputs: Any) -> TargetJob:
    logits, labels32, labels64, probabilities, class_weight, sample_weight = inputs
    shape, view = shape_of(logits), view_of(logits)
    labels = Labels(view_of(labels32), view_of(labels64))
    losses, out, *more = map(view_of, outputs)
    hess = more[0] if more else absent(out)
    return TargetJob(
        shape=shape,
        across=goes_across(shape, view, ends_in_loss=True),
        input=view,
        labels=labels,
        have_labels=labels.int32.exists | labels.int64.exists,
        other=view_of(probabilities),
        class_weight=vector_view(class_weight),
        sample_weight=view_of(sample_weight),
        has_ignore_index=ignore[0],
        ignore_index=ignore[1],
        label_smoothing=numbers[0],
        divisor=numbers[1],
        hessian=numbers[2],
        want_loss=want[0],
        want_mean_grad=want[1],
        losses=losses,
        out=out,
        hess=hess,
        streams=streams_to(shape, out, view.exists.like(False)),
    )
