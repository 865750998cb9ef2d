"""Functions that write machine instructions when the kernels are compiled.

A kernel's loops and branches are Numba's. What has neither, arithmetic above all, is written in
staged functions: plain Python that runs while code is generated, on values that note down one
instruction for each operation. Compiled functions call them by name. They see vectors, which Numba
does not know, and an `if` on the kind of a number is settled before there is any code:

    @staged
    def square_plus(x, c):            # numbers, or vectors, of float32 or float64
        return fma(x, x, c)

Numba itself would take some 60 ms to compile each such function, and there are many.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from .numba_api import (
    PrimitiveModel,
    Type,
    cpu_target,
    default_manager,
    ir,
    lower_builtin,
    register_model,
    signature,
    type_callable,
    types,
)

__all__ = [
    "Bool",
    "Int",
    "Lanes",
    "Number",
    "Pointer",
    "Value",
    "Wide",
    "element_of",
    "llvm_type",
    "staged",
    "with_element",
]

# For the annotations of staged and compiled functions; when a staged one runs, all are Values.
Number: TypeAlias = Any
"""A float32 or float64."""
Wide: TypeAlias = Any
"""A vector: as many lanes as 64 bytes of the kernel's element type have."""
Pointer: TypeAlias = Any
"""A pointer to elements; p[i] reads and writes."""
Int: TypeAlias = Any
Bool: TypeAlias = Any

Function = TypeVar("Function", bound=Callable[..., Any])


class Lanes(Type):
    """The Numba type of a vector."""

    def __init__(self, element: Any, count: int) -> None:
        self.element = element
        self.count = count
        super().__init__(name=f"Lanes({element}, {count})")


class LanesModel(PrimitiveModel):
    """A vector is an LLVM vector."""

    def __init__(self, manager: Any, lanes: Any) -> None:
        element = manager.lookup(lanes.element).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.count))


register_model(Lanes)(LanesModel)


def llvm_type(kind: Any) -> Any:
    return default_manager.lookup(kind).get_value_type()


def element_of(kind: Any) -> Any:
    """The type of a vector's elements, or of a number itself."""
    return kind.element if isinstance(kind, Lanes) else kind


def with_element(kind: Any, element: Any) -> Any:
    """The type of a vector or a number like another, but of other elements."""
    return Lanes(element, kind.count) if isinstance(kind, Lanes) else element


class Value:
    """What an instruction gives: a number, a vector or a pointer, with its Numba type."""

    __slots__ = ("builder", "kind", "llvm")

    def __init__(self, builder: Any, kind: Any, llvm: Any) -> None:
        self.builder = builder
        self.kind = kind
        self.llvm = llvm

    def new(self, llvm: Any, kind: Any = None) -> Value:
        return Value(self.builder, self.kind if kind is None else kind, llvm)

    def like(self, number: Any) -> Value:
        """The same kind of value from a number known now, or a value itself if it is one."""
        if isinstance(number, Value):
            return number
        constant = ir.Constant(llvm_type(element_of(self.kind)), number)
        if isinstance(self.kind, Lanes):
            constant = ir.Constant(llvm_type(self.kind), [constant] * self.kind.count)
        return self.new(constant)

    def to(self, element: Any) -> Value:
        """The same with elements of another type, rounded to it if it holds less."""
        source, wanted = element_of(self.kind), with_element(self.kind, element)
        if source == element:
            return self
        from_float, to_float = isinstance(source, types.Float), isinstance(element, types.Float)
        if from_float and to_float:
            change = "fpext" if element.bitwidth > source.bitwidth else "fptrunc"
        elif from_float or to_float:
            change = "fptosi" if from_float else "sitofp"
        else:
            change = "sext" if element.bitwidth > source.bitwidth else "trunc"
        return self.new(getattr(self.builder, change)(self.llvm, llvm_type(wanted)), wanted)

    @property
    def is_float(self) -> bool:
        return isinstance(element_of(self.kind), types.Float)

    def _binary(self, other: Any, float_name: str, int_name: str) -> Value:
        name = float_name if self.is_float else int_name
        return self.new(getattr(self.builder, name)(self.llvm, self.like(other).llvm))

    def __add__(self, other: Any) -> Value:
        return self._binary(other, "fadd", "add")

    def __radd__(self, other: Any) -> Value:
        return self.like(other) + self

    def __sub__(self, other: Any) -> Value:
        return self._binary(other, "fsub", "sub")

    def __rsub__(self, other: Any) -> Value:
        return self.like(other) - self

    def __mul__(self, other: Any) -> Value:
        return self._binary(other, "fmul", "mul")

    def __rmul__(self, other: Any) -> Value:
        return self.like(other) * self

    def __truediv__(self, other: Any) -> Value:
        return self._binary(other, "fdiv", "")

    def __floordiv__(self, other: Any) -> Value:
        """The quotient of whole numbers that are not negative."""
        return self._binary(other, "", "sdiv")

    def __mod__(self, other: Any) -> Value:
        return self._binary(other, "", "srem")

    def __lshift__(self, other: Any) -> Value:
        return self._binary(other, "", "shl")

    def __rshift__(self, other: Any) -> Value:
        """With zeros from the left."""
        return self._binary(other, "", "lshr")

    def __and__(self, other: Any) -> Value:
        return self._binary(other, "", "and_")

    def __or__(self, other: Any) -> Value:
        return self._binary(other, "", "or_")

    def __invert__(self) -> Value:
        return self.new(self.builder.not_(self.llvm))

    def __neg__(self) -> Value:
        return self.new(self.builder.fneg(self.llvm)) if self.is_float else 0 - self

    def _compare(self, sign: str, other: Any) -> Value:
        """The result for each lane; NaN differs from all and is on no side of anything."""
        name = "icmp_signed"
        if self.is_float:
            name = "fcmp_unordered" if sign == "!=" else "fcmp_ordered"
        result = getattr(self.builder, name)(sign, self.llvm, self.like(other).llvm)
        return self.new(result, with_element(self.kind, types.boolean))

    def __lt__(self, other: Any) -> Value:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Value:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Value:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Value:
        return self._compare(">=", other)

    def __eq__(self, other: Any) -> Any:
        return self._compare("==", other)

    def __ne__(self, other: Any) -> Any:
        return self._compare("!=", other)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError("a staged function cannot branch on what is not known before it runs")

    def place(self, index: Any) -> Any:
        """The address of an element of a pointer."""
        if not isinstance(index, Value):
            index = self.new(None, types.intp).like(index)
        return self.builder.gep(self.llvm, [index.llvm])

    def __getitem__(self, index: Any) -> Value:
        return self.new(self.builder.load(self.place(index)), self.kind.dtype)

    def __setitem__(self, index: Any, number: Any) -> None:
        element = self.new(None, self.kind.dtype).like(number).to(self.kind.dtype)
        self.builder.store(element.llvm, self.place(index))


# --- between Numba and staged functions ------------------------------------------------------

# Types of results, by function and types of arguments.
_known_results: dict[tuple[Any, ...], Any] = {}


def staged(function: Function) -> Function:
    """Let compiled functions call a staged one. It stays a plain function for staged ones."""

    def typer(context: Any) -> Callable[..., Any]:
        def of(*kinds: Any) -> Any:
            kinds = tuple(map(types.unliteral, kinds))
            key = (function, *kinds)
            if key not in _known_results:
                _known_results[key] = _result_type(function, kinds)
            return signature(_known_results[key], *kinds)

        of.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return of

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given = [_wrap(builder, *pair) for pair in zip(signature.args, args, strict=True)]
        return _unwrap(context, builder, function(*given))[1]

    type_callable(function)(typer)
    lower_builtin(function, types.VarArg(types.Any))(generate)
    return function


def _result_type(function: Callable[..., Any], kinds: tuple[Any, ...]) -> Any:
    """Run a staged function for its result's type alone; the instructions go nowhere."""
    scratch = ir.FunctionType(ir.VoidType(), map(llvm_type, kinds))
    body = ir.Function(ir.Module(), scratch, "scratch")
    builder = ir.IRBuilder(body.append_basic_block())
    given = [_wrap(builder, *pair) for pair in zip(kinds, body.args, strict=True)]
    return _unwrap(cpu_target.target_context, builder, function(*given))[0]


def _wrap(builder: Any, kind: Any, llvm: Any) -> Any:
    """A value, or a tuple of them, as a staged function takes it."""
    if not isinstance(kind, types.BaseTuple):
        return Value(builder, kind, llvm)
    items = [_wrap(builder, each, builder.extract_value(llvm, i)) for i, each in enumerate(kind)]
    is_named = isinstance(kind, types.BaseNamedTuple)
    return kind.instance_class(*items) if is_named else tuple(items)


def _unwrap(context: Any, builder: Any, result: Any) -> tuple[Any, Any]:
    """The type and the LLVM value of what a staged function returns."""
    if isinstance(result, Value):
        return result.kind, result.llvm
    if result is None:
        return types.none, context.get_dummy_value()
    if isinstance(result, tuple):
        kinds, items = zip(*(_unwrap(context, builder, item) for item in result), strict=True)
        is_named = hasattr(result, "_fields")
        kind = types.BaseTuple.from_types(kinds, *([type(result)] if is_named else []))
        return kind, context.make_tuple(builder, kind, items)
    kind = {bool: types.boolean, int: types.intp, float: types.float64}[type(result)]
    return kind, context.get_constant(kind, result)
