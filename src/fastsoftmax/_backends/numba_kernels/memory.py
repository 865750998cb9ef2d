"""Memory as the kernels walk it: pointers, vectors there, arrays, and what threads share."""

from __future__ import annotations

import mmap
import sys
from typing import Any

from .numba_api import cgutils, default_manager, ir, types
from .staging import Bool, Int, Lanes, Number, Pointer, Value, Wide, llvm_type, staged
from .words import (
    call_c,
    call_llvm,
    iota,
    is_x86,
    joined_quarters,
    lanes_of,
    line_like,
    llvm_suffix,
    quarters_of,
    splat,
    splat_index,
)

__all__ = [
    "CACHE_LINE",
    "address_in_line",
    "aligned",
    "as_float64",
    "as_int64",
    "as_like",
    "as_uint8",
    "count_up",
    "data",
    "element_at",
    "end_streaming",
    "is_in_memory",
    "keep",
    "lengths_of",
    "load",
    "load_as_many",
    "load_lanes",
    "load_quarters",
    "load_some",
    "offset",
    "offset_bytes",
    "prefetch",
    "prefetch_far",
    "prefetch_to_write",
    "read_once",
    "read_shared",
    "same_or_apart",
    "set_element_at",
    "size_of",
    "store",
    "store_lanes",
    "store_quarters",
    "stream",
    "strides_of",
    "write_shared",
]

INT32 = ir.IntType(32)
CACHE_LINE = 64


# --- vectors ---------------------------------------------------------------------------------


def _vector_at(pointer: Value, index: Any, line: Lanes) -> Any:
    return pointer.builder.bitcast(pointer.place(index), llvm_type(line).as_pointer())


def _alignment(pointer: Value) -> int:
    return int(pointer.kind.dtype.bitwidth) // 8


def load_some(pointer: Pointer, index: Int, count: int) -> Wide:
    """From pointer[index] on, so many elements as a vector."""
    line = Lanes(pointer.kind.dtype, count)
    place = _vector_at(pointer, index, line)
    return pointer.new(pointer.builder.load(place, align=_alignment(pointer)), line)


@staged
def load_as_many(like: Any, pointer: Pointer, index: Int) -> Wide:
    """From pointer[index] on, as many elements of the pointer's own type as `like` has lanes."""
    return load_some(pointer, index, lanes_of(like))


@staged
def load(pointer: Pointer, index: Int) -> Wide:
    """The vector at pointer[index]."""
    return load_as_many(pointer, pointer, index)


def load_quarters(pointer: Pointer, distance: Int, count: int) -> Wide:
    """A vector of four times `count` elements, each time so many bytes further."""
    places = (offset_bytes(pointer, distance * i) for i in range(4))
    return joined_quarters([load_some(place, 0, count) for place in places])


def store_quarters(pointer: Pointer, distance: Int, value: Wide) -> None:
    for i, quarter in enumerate(quarters_of(value)):
        store(offset_bytes(pointer, distance * i), 0, quarter)


@staged
def store(pointer: Pointer, index: Int, value: Wide) -> None:
    """Put a vector to pointer[index]."""
    place = _vector_at(pointer, index, value.kind)
    pointer.builder.store(value.llvm, place, align=_alignment(pointer))


@staged
def stream(pointer: Pointer, index: Int, value: Wide) -> None:
    """Put a vector to a whole line of memory, past the caches; see `end_streaming`."""
    place, module = _vector_at(pointer, index, value.kind), pointer.builder.module
    instruction = pointer.builder.store(value.llvm, place, align=CACHE_LINE)
    instruction.set_metadata("nontemporal", module.add_metadata([INT32(1)]))


@staged
def end_streaming(like: Any) -> None:
    """Let what was streamed be seen by others before what is written from now on."""
    like.builder.fence("seq_cst")
    if is_x86():
        call_llvm(like, "x86.sse.sfence", ir.VoidType())


def _prefetch(pointer: Pointer, distance: Int, writes: bool, nearness: int) -> None:
    """Fetch a line, which need not exist, to one of the caches, of which 3 is the nearest."""
    place = offset_bytes(as_uint8(pointer), distance).llvm
    hints = INT32(int(writes)), INT32(nearness), INT32(1)
    call_llvm(pointer, "prefetch.p0", ir.VoidType(), place, *hints)


@staged
def prefetch(pointer: Pointer, distance: Int) -> None:
    _prefetch(pointer, distance, False, 3)


@staged
def prefetch_far(pointer: Pointer, distance: Int) -> None:
    """Not to the nearest cache."""
    _prefetch(pointer, distance, False, 2)


@staged
def prefetch_to_write(pointer: Pointer, distance: Int) -> None:
    _prefetch(pointer, distance, True, 3)


# LLVM makes plain instructions of these where `lanes` is known to be all.


@staged
def load_lanes(pointer: Pointer, index: Int, lanes: Int, fill: Number) -> Wide:
    """The first `lanes` of a vector from memory, `fill` in the others; no more is read."""
    line, other = line_like(pointer), splat(pointer, fill)
    place, kind = _vector_at(pointer, index, line), other.llvm.type
    present = (iota(pointer) < splat_index(pointer, lanes)).llvm
    name, size = f"masked.load.{llvm_suffix(kind)}.p0", INT32(_alignment(pointer))
    return other.new(call_llvm(pointer, name, kind, place, size, present, other.llvm))


@staged
def store_lanes(pointer: Pointer, index: Int, lanes: Int, value: Wide) -> None:
    """Put the first `lanes` of a vector to memory."""
    place, kind = _vector_at(pointer, index, value.kind), value.llvm.type
    present = (iota(pointer) < splat_index(pointer, lanes)).llvm
    name, size = f"masked.store.{llvm_suffix(kind)}.p0", INT32(_alignment(pointer))
    call_llvm(pointer, name, ir.VoidType(), value.llvm, place, size, present)


# --- pointers --------------------------------------------------------------------------------


@staged
def offset(pointer: Pointer, elements: Int) -> Pointer:
    return pointer.new(pointer.place(elements))


@staged
def as_like(pointer: Pointer, like: Pointer) -> Pointer:
    """The same place as one of elements of another type."""
    return like.new(pointer.builder.bitcast(pointer.llvm, like.llvm.type))


def _as(pointer: Value, element: Any) -> Value:
    kind = types.CPointer(element)
    return pointer.new(pointer.builder.bitcast(pointer.llvm, llvm_type(kind)), kind)


def as_uint8(pointer: Pointer) -> Pointer:
    return _as(pointer, types.uint8)


def as_float64(pointer: Pointer) -> Pointer:
    return _as(pointer, types.float64)


def as_int64(pointer: Pointer) -> Pointer:
    return _as(pointer, types.int64)


@staged
def offset_bytes(pointer: Pointer, distance: Int) -> Pointer:
    return as_like(offset(as_uint8(pointer), distance), pointer)


@staged
def address_in_line(pointer: Pointer) -> Int:
    """How many bytes after the begin of its cache line a pointer points."""
    builder, size = pointer.builder, llvm_type(types.intp)
    address = builder.ptrtoint(pointer.llvm, size)
    return pointer.new(builder.and_(address, size(CACHE_LINE - 1)), types.intp)


def is_in_memory(pointer: Pointer) -> Bool:
    """Whether the page exists yet; that it does, where the system does not say.

    A page that does not is made when it is written to, and then is in the caches.
    """
    builder, size = pointer.builder, llvm_type(types.intp)
    if not sys.platform.startswith("linux"):
        return pointer.new(ir.Constant(llvm_type(types.boolean), 1), types.boolean)
    byte = ir.IntType(8)
    state = cgutils.alloca_once(builder, byte)
    page = builder.and_(builder.ptrtoint(pointer.llvm, size), size(-mmap.PAGESIZE))
    start = builder.inttoptr(page, byte.as_pointer())
    failed = call_c(pointer, "mincore", start, size(1), state)
    present = builder.trunc(builder.load(state), ir.IntType(1))
    unknown = builder.icmp_unsigned("!=", failed, INT32(0))
    return pointer.new(builder.or_(unknown, present), types.boolean)


def aligned(pointer: Pointer) -> Pointer:
    """The first place from the pointer on at which a cache line begins."""
    builder, size = pointer.builder, llvm_type(types.intp)
    last = builder.add(builder.ptrtoint(pointer.llvm, size), size(CACHE_LINE - 1))
    first = builder.and_(last, size(-CACHE_LINE))
    return pointer.new(builder.inttoptr(first, pointer.llvm.type))


@staged
def element_at(pointer: Pointer, distance: Int) -> Number:
    """The element so many bytes from a pointer."""
    return offset_bytes(pointer, distance)[0]


@staged
def set_element_at(pointer: Pointer, distance: Int, number: Number) -> None:
    offset_bytes(pointer, distance)[0] = number


def read_once(pointer: Pointer, distance: Int) -> Int:
    """A whole number that other threads may write: read a single time, however often it is used."""
    place = offset_bytes(pointer, distance).llvm
    value = pointer.builder.load_atomic(place, "monotonic", _alignment(pointer))
    return pointer.new(value, pointer.kind.dtype).to(types.int64)


# --- arrays ----------------------------------------------------------------------------------


def _field(array: Value, name: str) -> Any:
    position = default_manager.lookup(array.kind).get_field_position(name)
    return array.builder.extract_value(array.llvm, position)


def _lengths(array: Value, name: str) -> tuple[Value, ...]:
    lengths = _field(array, name)
    extract = array.builder.extract_value
    return tuple(array.new(extract(lengths, i), types.intp) for i in range(array.kind.ndim))


@staged
def data(array: Any) -> Pointer:
    """The pointer to an array's first element. It does not keep the array alive; see `keep`."""
    return array.new(_field(array, "data"), types.CPointer(array.kind.dtype))


def size_of(array: Any) -> Int:
    return array.new(_field(array, "nitems"), types.intp)


def lengths_of(array: Any) -> tuple[Int, ...]:
    return _lengths(array, "shape")


def strides_of(array: Any) -> tuple[Int, ...]:
    """In bytes."""
    return _lengths(array, "strides")


@staged
def keep(array: Any) -> None:
    """Do nothing: Numba frees an array after its last use by name, whatever points into it."""


@staged
def same_or_apart(a: Any, b: Any) -> Bool:
    """Whether two arrays without gaps, of as many bytes, are one or have nothing in common."""
    builder, size = a.builder, llvm_type(types.intp)
    first, second = (a.new(builder.ptrtoint(data(x).llvm, size), types.intp) for x in (a, b))
    distance, length = second - first, size_of(a) * (a.kind.dtype.bitwidth // 8)
    return (distance == 0) | (distance >= length) | (distance <= -length)


def count_up(counter: Any) -> Int:
    """Count up an array's int64, which threads share; its value before."""
    one = ir.Constant(llvm_type(types.int64), 1)
    before = counter.builder.atomic_rmw("add", data(counter).llvm, one, "monotonic")
    return counter.new(before, types.int64)


@staged
def read_shared(counters: Any, index: Int) -> Int:
    """An array's int64, with all that was written before it was."""
    place = data(counters).place(index)
    return counters.new(counters.builder.load_atomic(place, "acquire", 8), types.int64)


@staged
def write_shared(counters: Any, index: Int, value: Int) -> None:
    """Set an array's int64 after all that was written so far."""
    counters.builder.store_atomic(value.llvm, data(counters).place(index), "release", 8)
