"""The words that kernels are written in: instructions on numbers and vectors.

A kernel sees the machine as vectors of 64 bytes of its element type, whatever the registers are:
LLVM splits them as it must. What is summed in which order, and so every bit of a result, is then
the same on every CPU that fuses multiply and add, and the same as the C kernels'.

Where a word needs to be told the element type, it is given something `like` it: a number, a vector
or a pointer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .numba_api import cgutils, codegen_target, ir, types
from .powers import POWER_BITS, POWERS
from .staging import (
    Bool,
    Int,
    Lanes,
    Number,
    Value,
    Wide,
    element_of,
    llvm_type,
    staged,
    with_element,
)

__all__ = [
    "LINE_BITS",
    "QUARTER_BITS",
    "absolute",
    "any_lane",
    "bits_of",
    "call_c",
    "call_llvm",
    "choose",
    "first_lane",
    "fma",
    "fold_lanes",
    "from_bits",
    "has_fma",
    "index_from",
    "iota",
    "is_double",
    "is_finite",
    "is_x86",
    "joined_quarters",
    "lanes_of",
    "line_like",
    "llvm_suffix",
    "maximum",
    "minimum",
    "picked",
    "power_of",
    "quarters_of",
    "scale_of",
    "select",
    "splat",
    "splat_bool",
    "splat_index",
    "splat_number",
    "to_bits",
    "to_float64",
    "to_real",
    "turned",
    "two_to",
    "upper_half",
    "yield_thread",
]

LINE_BITS = 512
QUARTER_BITS = LINE_BITS // 4
MANTISSA_BITS = {32: 23, 64: 52}
EXPONENT_MASK = {32: 0x7F800000, 64: 0x7FF0000000000000}
UPPER_HALF = -(1 << 27)
"""26 of the 53 bits of a float64."""
REALS = {32: types.float32, 64: types.float64}
INTEGERS = {32: types.int32, 64: types.int64}
INT32 = ir.IntType(32)


def call_llvm(like: Value, name: str, result: Any, *args: Any) -> Any:
    """Call an intrinsic of LLVM."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    function = cgutils.get_or_insert_function(like.builder.module, kind, f"llvm.{name}")
    return like.builder.call(function, args)


def call_c(like: Value, name: str, *args: Any) -> Any:
    """Call a function of the system's C library that returns an int."""
    kind = ir.FunctionType(INT32, [arg.type for arg in args])
    function = cgutils.get_or_insert_function(like.builder.module, kind, name)
    return like.builder.call(function, args)


@staged
def yield_thread(like: Any) -> None:
    """Let others run, in a loop that waits for another thread, where the system knows how."""
    if hasattr(os, "sched_yield"):
        call_c(like, "sched_yield")


def llvm_suffix(kind: Any) -> str:
    """How LLVM writes a type in the name of an intrinsic."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{llvm_suffix(kind.element)}"
    return {ir.FloatType: "f32", ir.DoubleType: "f64"}.get(type(kind)) or f"i{kind.width}"


def is_x86() -> bool:
    return codegen_target()[0].startswith(("x86_64", "amd64", "i386", "i686"))


def has_feature(name: str) -> bool:
    """Whether the CPU that is compiled for has a set of instructions, by LLVM's name for it."""
    return f"+{name}" in codegen_target()[2].split(",")


def has_fma() -> bool:
    """Whether multiply and add are one instruction on the CPU that is compiled for."""
    return not is_x86() or has_feature("fma")


# --- kinds -----------------------------------------------------------------------------------


def _real(like: Value) -> Any:
    return like.kind.dtype if isinstance(like.kind, types.CPointer) else element_of(like.kind)


def line_like(like: Value) -> Lanes:
    """The type of a kernel's vectors."""
    if isinstance(like.kind, Lanes):
        return like.kind
    return Lanes(_real(like), LINE_BITS // _real(like).bitwidth)


def _index_line(like: Value) -> Lanes:
    line = line_like(like)
    return Lanes(INTEGERS[line.element.bitwidth], line.count)


@staged
def bits_of(like: Any) -> int:
    """32 for float32, 64 for float64."""
    return int(_real(like).bitwidth)


@staged
def is_double(like: Any) -> bool:
    return bits_of(like) == 64


@staged
def lanes_of(like: Any) -> int:
    """How many lanes a kernel's vectors have."""
    return line_like(like).count


# --- making vectors --------------------------------------------------------------------------


@staged
def to_float64(a: Any) -> Any:
    return a.to(types.float64)


@staged
def to_real(like: Any, a: Any) -> Any:
    """float64 rounded to the element type of `like`."""
    return a.to(_real(like))


def _spread(line: Lanes, number: Value) -> Value:
    builder, vector = number.builder, llvm_type(line)
    blank = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(blank, number.llvm, INT32(0))
    zeros = ir.Constant(ir.VectorType(INT32, line.count), [0] * line.count)
    return number.new(builder.shuffle_vector(first, blank, zeros), line)


@staged
def splat(like: Any, number: Number) -> Wide:
    """A number, rounded to the element type, in every lane."""
    if not isinstance(number, Value):
        return like.new(None, line_like(like)).like(number)
    return _spread(line_like(like), number.to(_real(like)))


@staged
def splat_index(like: Any, number: Int) -> Wide:
    """A whole number in every lane of a vector of numbers as wide as the element type."""
    line = _index_line(like)
    if not isinstance(number, Value):
        return like.new(None, line).like(number)
    return _spread(line, number.to(line.element))


def splat_number(like: Any, number: Int) -> Wide:
    """A number of any size as lanes hold it: its low bits, which never are -1."""
    return splat_index(like, number & ((1 << (bits_of(like) - 1)) - 1))


def splat_bool(like: Any, condition: Bool) -> Wide:
    return _spread(Lanes(types.boolean, lanes_of(like)), condition)


@staged
def iota(like: Any) -> Wide:
    """The whole numbers 0, 1, 2... along the lanes."""
    line = _index_line(like)
    return like.new(ir.Constant(llvm_type(line), list(range(line.count))), line)


def index_from(like: Any, value: Wide) -> Wide:
    """Lanes of whole numbers made as wide as the element type."""
    return value.to(_index_line(like).element)


# --- arithmetic ------------------------------------------------------------------------------


@staged
def fma(a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once where the CPU can."""
    b, c = a.like(b), a.like(c)
    if not has_fma():
        return a * b + c
    kind = a.llvm.type
    return a.new(call_llvm(a, f"fma.{llvm_suffix(kind)}", kind, a.llvm, b.llvm, c.llvm))


def absolute(a: Any) -> Any:
    return a.new(call_llvm(a, f"fabs.{llvm_suffix(a.llvm.type)}", a.llvm.type, a.llvm))


@staged
def is_finite(a: Any) -> Bool:
    return absolute(a) < float("inf")


@staged
def select(condition: Bool, yes: Any, no: Any) -> Any:
    """The one or the other; of a vector lane by lane, if the condition is one too."""
    yes, no = (yes, yes.like(no)) if isinstance(yes, Value) else (no.like(yes), no)
    return yes.new(yes.builder.select(condition.llvm, yes.llvm, no.llvm))


def choose(condition: Bool, yes: Callable[[], Value], no: Callable[[], Value]) -> Value:
    """The one or the other, of which only that one is worked out."""
    builder = condition.builder
    with builder.if_else(condition.llvm) as (then, otherwise):
        with then:
            a, a_end = yes(), builder.basic_block
        with otherwise:
            b, b_end = no(), builder.basic_block
    joined = builder.phi(a.llvm.type)
    joined.add_incoming(a.llvm, a_end)
    joined.add_incoming(b.llvm, b_end)
    return a.new(joined)


@staged
def maximum(a: Any, b: Any) -> Any:
    """a > b ? a : b, which is b where either is NaN."""
    return select(a > b, a, b)


@staged
def minimum(a: Any, b: Any) -> Any:
    """a < b ? a : b"""
    return select(a < b, a, b)


@staged
def any_lane(condition: Wide) -> Bool:
    builder, count = condition.builder, condition.kind.count
    mask = builder.bitcast(condition.llvm, ir.IntType(count))
    return condition.new(builder.icmp_unsigned("!=", mask, mask.type(0)), types.boolean)


def to_bits(a: Any) -> Any:
    """The bits of numbers as whole numbers."""
    kind = with_element(a.kind, INTEGERS[element_of(a.kind).bitwidth])
    return a.new(a.builder.bitcast(a.llvm, llvm_type(kind)), kind)


def from_bits(a: Any) -> Any:
    kind = with_element(a.kind, REALS[element_of(a.kind).bitwidth])
    return a.new(a.builder.bitcast(a.llvm, llvm_type(kind)), kind)


def upper_half(a: Any) -> Any:
    """The upper half of the bits of float64."""
    return from_bits(to_bits(a) & UPPER_HALF)


# --- between lanes ---------------------------------------------------------------------------


def _shuffle(a: Wide, b: Wide, lanes: list[int]) -> Wide:
    """Lanes of a, and of b, counted on from those of a."""
    mask = ir.Constant(ir.VectorType(INT32, len(lanes)), lanes)
    kind = Lanes(a.kind.element, len(lanes))
    return a.new(a.builder.shuffle_vector(a.llvm, b.llvm, mask), kind)


def _halves(a: Wide) -> tuple[Wide, Wide]:
    lanes = list(range(a.kind.count))
    half = a.kind.count // 2
    return _shuffle(a, a, lanes[:half]), _shuffle(a, a, lanes[half:])


def _joined(a: Wide, b: Wide) -> Wide:
    return _shuffle(a, b, list(range(a.kind.count + b.kind.count)))


def _seen_as(a: Wide, element: Any) -> Wide:
    """The same bits in lanes of another type."""
    line = Lanes(element, a.kind.count * bits_of(a) // element.bitwidth)
    return a.new(a.builder.bitcast(a.llvm, llvm_type(line)), line)


def first_lane(a: Wide) -> Any:
    return a.new(a.builder.extract_element(a.llvm, INT32(0)), a.kind.element)


def fold_lanes(vectors: tuple[Wide, ...], join: Callable[..., tuple[Wide, ...]]) -> tuple[Any, ...]:
    """All lanes of some vectors joined: their halves, the halves of those, and so on.

    join takes the first halves and the second halves, each as a tuple.
    """
    while vectors[0].kind.count > 1:
        first, second = zip(*map(_halves, vectors), strict=True)
        vectors = join(first, second)
    return tuple(map(first_lane, vectors))


def joined_quarters(quarters: list[Wide]) -> Wide:
    """A vector of four of a fourth of its length."""
    return _joined(_joined(*quarters[:2]), _joined(*quarters[2:]))


def quarters_of(a: Wide) -> list[Wide]:
    return [quarter for half in _halves(a) for quarter in _halves(half)]


def _in_quarters(a: Wide, b: Wide, lanes: list[int]) -> Wide:
    """The same shuffle in each quarter, by lanes of a's quarter and, counted on, of b's."""
    count, quarter = a.kind.count, len(lanes)
    return _shuffle(
        a,
        b,
        [
            first + lane % quarter + count * (lane // quarter)
            for first in range(0, count, quarter)
            for lane in lanes
        ],
    )


def turned(*rows: Wide) -> tuple[Wide, ...]:
    """In each quarter a square, of as many vectors as it has lanes: its rows made columns."""
    if len(rows) == 2:
        first_row, second_row = rows
        even, odd = [0, 2], [1, 3]
        return tuple(_in_quarters(first_row, second_row, lanes) for lanes in (even, odd))
    a, b, c, d = rows
    low, high = (
        (_in_quarters(a, b, lanes), _in_quarters(c, d, lanes))
        for lanes in ([0, 4, 1, 5], [2, 6, 3, 7])
    )
    first, second = [0, 1, 4, 5], [2, 3, 6, 7]
    return tuple(_in_quarters(ab, cd, lanes) for ab, cd in (low, high) for lanes in (first, second))


def picked(vectors: tuple[Wide, ...], places: list[int]) -> Wide:
    """A vector of lanes of one or several vectors, counted on from one to the next."""
    count = vectors[0].kind.count
    result = vectors[0]
    for i, vector in enumerate(vectors):
        # What does not lie in this vector stays where the ones before it have put it.
        lanes = [count + p % count if p // count == i else j for j, p in enumerate(places)]
        result = _shuffle(result, vector, lanes)
    return result


# --- powers of two ---------------------------------------------------------------------------

# Both of a number of steps, so many between one exponent and the next, in the low bits of its sum
# with round_to_integer.


def scale_of(steps: Wide) -> Wide:
    """2^whole steps, where the exponent's bias is part of the steps."""
    bits = bits_of(steps)
    exponent = to_bits(steps) << (MANTISSA_BITS[bits] - POWER_BITS[bits])
    return from_bits(exponent & EXPONENT_MASK[bits])


def two_to(n: Wide) -> Wide:
    """2 to whole numbers of float64, 0 or infinite where that is out of range."""
    exponent = select(n < -1023, 0, select(n > 1024, 2047, n + 1023))
    return from_bits(to_bits(exponent + 2.0**52) << MANTISSA_BITS[64])


def power_of(steps: Wide) -> Wide:
    """The power that is left, from the table."""
    if is_x86() and has_feature("avx512f"):
        return _power_by_avx512(steps)
    if is_x86() and has_feature("avx2"):
        return _power_by_avx2(steps)
    return _power_by_bits(steps)


def _table(like: Wide, count: int) -> Wide:
    """The powers, again and again."""
    line, powers = Lanes(like.kind.element, count), POWERS[bits_of(like)]
    entry = llvm_type(line.element)
    lanes = [ir.Constant(entry, powers[i % len(powers)]) for i in range(count)]
    return like.new(ir.Constant(llvm_type(line), lanes), line)


def _power_by_avx512(steps: Wide) -> Wide:
    table, index = _table(steps, steps.kind.count), to_bits(steps)
    name = f"x86.avx512.permvar.{'sf' if bits_of(steps) == 32 else 'df'}.512"
    return steps.new(call_llvm(steps, name, table.llvm.type, table.llvm, index.llvm))


def _power_by_avx2(steps: Wide) -> Wide:
    """AVX2 looks up 32 bits at a time, in 8 lanes."""
    table, index = _table(steps, 256 // bits_of(steps)), to_bits(steps)
    if bits_of(steps) == 64:
        # The halves of entry j are numbers 2 j and 2 j + 1.
        table, lower = _seen_as(table, types.float32), _seen_as(index << 1, types.int32)
        both = _shuffle(lower, lower, [i - i % 2 for i in range(lower.kind.count)])
        index = both | (iota(both) & 1)
    found = [
        table.new(call_llvm(table, "x86.avx2.permps", table.llvm.type, table.llvm, half.llvm))
        for half in _halves(index)
    ]
    return _seen_as(_joined(*found), steps.kind.element)


def _power_by_bits(steps: Wide) -> Wide:
    index, powers = to_bits(steps), [steps.like(power) for power in POWERS[bits_of(steps)]]
    for bit in range(POWER_BITS[bits_of(steps)]):
        is_set = (index & (1 << bit)) != 0
        pairs = zip(powers[::2], powers[1::2], strict=True)
        powers = [select(is_set, odd, even) for even, odd in pairs]
    return powers[0]
