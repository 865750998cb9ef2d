"""Arrays as the kernels take them, for compiled code: views at given strides, without a copy."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from .._backends.numba_kernels.numba_api import (
    cgutils,
    intrinsic,
    make_array,
    new_reference,
    signature,
    types,
)

__all__ = [
    "address",
    "as_entries",
    "as_output_entries",
    "as_output_rows",
    "as_rows",
    "counters",
    "direct_entries",
    "direct_output_entries",
    "direct_output_rows",
    "direct_rows",
    "first",
    "ignore_both",
    "ignore_four",
    "ignore_three",
    "label_of_row",
    "nothing",
    "second",
    "sums_of_chunk",
]


def _fill(
    context: Any, builder: Any, kind: Any, place: Any, shape: Any, strides: Any, owner: Any
) -> Any:
    """An array of this type at a place in the memory that another owns."""
    array = make_array(kind)(context, builder)
    word = context.get_value_type(types.intp)
    count = word(1)
    for length in shape:
        count = builder.mul(count, length)
    array.data = builder.bitcast(place, context.get_data_type(kind.dtype).as_pointer())
    array.shape = cgutils.pack_array(builder, shape, ty=word)
    array.strides = cgutils.pack_array(builder, strides, ty=word)
    array.itemsize = word(kind.dtype.bitwidth // 8)
    array.nitems = count
    if owner is not None:
        array.meminfo = owner.meminfo
        array.parent = owner.parent
    return array._getvalue()


def _element(kind: Any) -> Any:
    return types.uint8 if kind.dtype == types.boolean else kind.dtype


def _view(has_classes: bool, is_input: bool) -> Callable[..., Any]:
    """An intrinsic (array, distance, A, B, step A, step B) -> view, all steps in bytes.

    A view (A, B) of an array, or (A, B, K) with its last axis for the classes, from so many bytes
    behind its first element on.
    """

    def view(
        context: Any, array: Any, distance: Any, a: Any, b: Any, step_a: Any, step_b: Any
    ) -> Any:
        kind = types.Array(_element(array), 3 if has_classes else 2, "A", readonly=is_input)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            owner = make_array(array)(context, builder, args[0])
            start = builder.bitcast(owner.data, cgutils.voidptr_t)
            place = builder.gep(start, [args[1]])
            shape, strides = [*args[2:4]], [*args[4:6]]
            if has_classes:
                shape.append(builder.extract_value(owner.shape, array.ndim - 1))
                strides.append(builder.extract_value(owner.strides, array.ndim - 1))
            value = _fill(context, builder, kind, place, shape, strides, owner)
            return new_reference(context, builder, kind, value)

        return signature(kind, array, *[types.intp] * 5), generate

    return intrinsic(view)


as_rows = _view(has_classes=True, is_input=True)
as_output_rows = _view(has_classes=True, is_input=False)
as_entries = _view(has_classes=False, is_input=True)
as_output_entries = _view(has_classes=False, is_input=False)


def _direct_view(has_classes: bool, is_input: bool) -> Callable[..., Any]:
    """An intrinsic (samples, number, array) -> view (1, samples[, K]) of samples at one step.

    Arrays of more than one sample axis are in C order.
    """

    def view(context: Any, samples: Any, number: Any, array: Any) -> Any:
        kind = types.Array(_element(array), 3 if has_classes else 2, "A", readonly=is_input)
        axes = array.ndim - has_classes

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            word = context.get_value_type(types.intp)
            owner = make_array(array)(context, builder, args[2])
            lengths = cgutils.unpack_tuple(builder, owner.shape) if array.ndim else []
            steps = cgutils.unpack_tuple(builder, owner.strides) if array.ndim else []
            step = word(0)
            if axes == 1:
                step = steps[0]
            elif axes > 1:
                step = builder.mul(lengths[-1], owner.itemsize) if has_classes else owner.itemsize
            shape, strides = [word(1), args[0]], [word(0), step]
            if has_classes:
                shape.append(lengths[-1])
                strides.append(steps[-1])
            value = _fill(context, builder, kind, owner.data, shape, strides, owner)
            return new_reference(context, builder, kind, value)

        return signature(kind, types.intp, types.intp, array), generate

    return intrinsic(view)


direct_rows = _direct_view(has_classes=True, is_input=True)
direct_output_rows = _direct_view(has_classes=True, is_input=False)
direct_entries = _direct_view(has_classes=False, is_input=True)
direct_output_entries = _direct_view(has_classes=False, is_input=False)


# --- in place of what is not there: nothing is compiled for these ------------------------------


@cache
def nothing(element: Any, axes: int, given: int = 0) -> Callable[..., Any]:
    """Return an intrinsic for an array of length 0: to a kernel, one that is not there.

    It takes so many arguments as `given` says, and does not look at them.
    """
    kind = types.Array(element, axes, "C")

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        zeros = [context.get_value_type(types.intp)(0)] * axes
        return _fill(context, builder, kind, cgutils.voidptr_t(None), zeros, zeros, None)

    def of_none(context: Any) -> Any:
        return signature(kind), generate

    def of_one(context: Any, one: Any) -> Any:
        return signature(kind, one), generate

    def of_two(context: Any, one: Any, another: Any) -> Any:
        return signature(kind, one, another), generate

    return intrinsic((of_none, of_one, of_two)[given])


@intrinsic
def first(context: Any, one: Any, another: Any) -> Any:
    """The first of two arguments."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return new_reference(context, builder, one, args[0])

    return signature(one, one, another), generate


@intrinsic
def second(context: Any, one: Any, another: Any) -> Any:
    """The second of two arguments."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return new_reference(context, builder, another, args[1])

    return signature(another, one, another), generate


@intrinsic
def ignore_both(context: Any, one: Any, another: Any) -> Any:
    """Nothing to do with two arguments."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return signature(types.none, one, another), generate


@intrinsic
def ignore_three(context: Any, one: Any, two: Any, three: Any) -> Any:
    """Nothing to do with three arguments."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return signature(types.none, one, two, three), generate


@intrinsic
def ignore_four(context: Any, one: Any, two: Any, three: Any, four: Any) -> Any:
    """Nothing to do with four arguments."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return signature(types.none, one, two, three, four), generate


# --- on the stack ----------------------------------------------------------------------------


def _on_stack(element: Any, shape: tuple[int, ...], has_number: bool) -> Callable[..., Any]:
    """An intrinsic for a small array that lasts as long as the function which calls it.

    All 0, or all the one number that it is given.
    """
    kind = types.Array(element, len(shape), "C")
    size = element.bitwidth // 8
    steps = [math.prod(shape[axis + 1 :]) * size for axis in range(len(shape))]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word, number = context.get_value_type(types.intp), context.get_value_type(element)
        place = cgutils.alloca_once(builder, number, size=math.prod(shape))
        for i in range(math.prod(shape)):
            builder.store(args[0] if has_number else number(0), builder.gep(place, [word(i)]))
        lengths = [word(length) for length in shape]
        return _fill(context, builder, kind, place, lengths, [word(s) for s in steps], None)

    def with_number(context: Any, number: Any) -> Any:
        return signature(kind, element), generate

    def of_zeros(context: Any) -> Any:
        return signature(kind), generate

    return intrinsic(with_number if has_number else of_zeros)


counters = _on_stack(types.int64, (2,), has_number=False)
"""What a kernel's threads share; here there is one."""
sums_of_chunk = _on_stack(types.float64, (1, 4), has_number=False)
"""Where a single chunk puts its losses."""
label_of_row = _on_stack(types.int64, (1, 1), has_number=True)


@intrinsic
def address(context: Any, array: Any) -> Any:
    """Where an array's first element is."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = make_array(array)(context, builder, args[0]).data
        return builder.ptrtoint(data, context.get_value_type(types.intp))

    return signature(types.intp, array), generate
