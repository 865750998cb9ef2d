"""Arrays as the kernels take them, for compiled code: views at given strides, without a copy."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    "label_of_row",
    "nothing",
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

    return intrinsic(view)  # type: ignore[no-any-return]


as_rows = _view(has_classes=True, is_input=True)
as_output_rows = _view(has_classes=True, is_input=False)
as_entries = _view(has_classes=False, is_input=True)
as_output_entries = _view(has_classes=False, is_input=False)


def nothing(element: Any, axes: int) -> Callable[..., Any]:
    """Return an intrinsic for an array of length 0: to a kernel, one that is not there."""

    def none(context: Any) -> Any:
        kind = types.Array(element, axes, "C")

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            word = context.get_value_type(types.intp)
            zeros = [word(0)] * axes
            place = cgutils.voidptr_t(None)
            return _fill(context, builder, kind, place, zeros, zeros, None)

        return signature(kind), generate

    return intrinsic(none)  # type: ignore[no-any-return]


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

    return intrinsic(with_number if has_number else of_zeros)  # type: ignore[no-any-return]


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
