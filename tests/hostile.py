"""The public functions by their arguments, and objects to put in the arguments' places.

An object stands for values: it either is taken for them or is refused. `LIES` say things about
themselves that are not so, or do things while they are asked.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import fastsoftmax as fs
from fastsoftmax import sharded

Array = npt.NDArray[Any]

M, K, D = 4, 3, 2
SENTINEL = -77.0
MOST_AXES = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32
X = (np.arange(12, dtype=np.float32).reshape(M, K) - 5) / 4
LABELS = np.array([0, 1, 2, 0])
SOFT = np.full((M, K), 1 / 3, np.float32)
CLASS_WEIGHT, SAMPLE_WEIGHT = np.array([1.0, 0.5, 2.0]), np.array([1.0, 2.0, 0.5, 1.0])
WHERE = np.array([[True, True, False]] * M)
ROWS = np.linspace(-1, 1, M * D, dtype=np.float32).reshape(M, D)
MATRIX = np.linspace(-2, 1, K * D, dtype=np.float32).reshape(K, D)
STATE = sharded.partial_state(X, LABELS)


@dataclass(frozen=True)
class Function:
    """A public function, its arrays by name, and the shapes of what `out` takes."""

    call: Callable[..., Any]
    arrays: dict[str, Array]
    outs: tuple[tuple[int, ...], ...] = ()
    pair: bool = False  # out is a tuple

    def outputs(self) -> list[Array]:
        return [np.full(shape, SENTINEL, np.float32) for shape in self.outs]

    def __call__(self, changes: dict[str, Any], outs: list[Any], **options: Any) -> Any:
        arguments = {**self.arrays, **changes}
        if outs:
            options["out"] = tuple(outs) if self.pair else outs[0]
        return self.call(**arguments, **options)


_WEIGHTS = {"weight": CLASS_WEIGHT, "sample_weight": SAMPLE_WEIGHT}
_TARGETS = {"logits": X, "targets": LABELS}
_LINEAR = {
    "x": ROWS, "weight": MATRIX, "targets": LABELS, "bias": np.zeros(K, np.float32),
    "class_weight": CLASS_WEIGHT, "sample_weight": SAMPLE_WEIGHT,
}  # fmt: skip
_SHARD: dict[str, Any] = {**_TARGETS, "state": STATE, **_WEIGHTS}

FUNCTIONS = {
    "softmax": Function(fs.softmax, {"x": X}, ((M, K),)),
    "softmax of some": Function(fs.softmax, {"x": X, "where": WHERE}, ((M, K),)),
    "log_softmax": Function(fs.log_softmax, {"x": X, "where": WHERE}, ((M, K),)),
    "logsumexp": Function(fs.logsumexp, {"x": X, "where": WHERE}, ((M,),)),
    "softmax_backward": Function(
        fs.softmax_backward, {"grad_output": X, "output": SOFT}, ((M, K),)
    ),
    "log_softmax_backward": Function(
        fs.log_softmax_backward, {"grad_output": X, "output": X}, ((M, K),)
    ),
    "cross_entropy": Function(fs.cross_entropy, {**_TARGETS, **_WEIGHTS}),
    "cross_entropy, plain": Function(fs.cross_entropy, _TARGETS),
    "cross_entropy of soft": Function(fs.cross_entropy, {"logits": X, "targets": SOFT}),
    "cross_entropy_grad": Function(fs.cross_entropy_grad, {**_TARGETS, **_WEIGHTS}, ((M, K),)),
    "cross_entropy_grad, plain": Function(fs.cross_entropy_grad, _TARGETS, ((M, K),)),
    "cross_entropy_mean_grad": Function(fs.cross_entropy_mean_grad, _TARGETS, ((K,),)),
    "cross_entropy_value_and_grad": Function(
        fs.cross_entropy_value_and_grad, {"logits": X, "targets": SOFT, **_WEIGHTS}, ((M, K),)
    ),
    "cross_entropy_value_and_mean_grad": Function(
        fs.cross_entropy_value_and_mean_grad, {**_TARGETS, **_WEIGHTS}, ((K,),)
    ),
    "cross_entropy_grad_hess": Function(
        fs.cross_entropy_grad_hess,
        {**_TARGETS, "sample_weight": SAMPLE_WEIGHT},
        ((M, K), (M, K)),
        pair=True,
    ),
    "linear_cross_entropy": Function(fs.linear_cross_entropy, _LINEAR),
    "linear_cross_entropy_value_and_grad": Function(
        fs.linear_cross_entropy_value_and_grad, _LINEAR, ((M, D), (K, D), (K,)), pair=True
    ),
    "sharded.partial_state": Function(sharded.partial_state, {**_TARGETS, "weight": CLASS_WEIGHT}),
    "sharded.softmax": Function(sharded.softmax, {"logits": X, "state": STATE}, ((M, K),)),
    "sharded.log_softmax": Function(sharded.log_softmax, {"logits": X, "state": STATE}, ((M, K),)),
    "sharded.cross_entropy_grad": Function(sharded.cross_entropy_grad, _SHARD, ((M, K),)),
    "sharded.loss_sums": Function(sharded.loss_sums, {**_TARGETS, **_WEIGHTS}),
}
"""Every public function that computes from arrays, with all of its arrays given."""


# --- subclasses ------------------------------------------------------------------------------


class Nobody(Exception):
    """What hostile methods raise: the caller's own error, which passes through."""


class _Lying(np.ndarray):
    """Claims to be another array than it is, by all that Python can override."""

    shape = property(lambda self: (M, K))  # type: ignore[assignment]
    ndim = property(lambda self: 2)  # type: ignore[assignment]
    size = property(lambda self: M * K)  # type: ignore[assignment]
    strides = property(lambda self: (4 * K, 4))  # type: ignore[assignment]
    dtype = property(lambda self: np.dtype(np.float32))  # type: ignore[assignment]
    flags = property(lambda self: X.copy().flags)  # type: ignore[assignment]
    __array_interface__ = property(lambda self: X.__array_interface__)  # type: ignore[assignment]

    def view(self, *arguments: Any, **options: Any) -> Any:
        return self

    reshape = transpose = astype = copy = view  # type: ignore[assignment]


class _Raising(np.ndarray):
    """Raises from whatever NumPy's protocols and Python's operators call."""

    __array_ufunc__ = None

    def _raise(self, *arguments: Any, **options: Any) -> Any:
        raise Nobody

    __array_function__ = __len__ = __getitem__ = __iter__ = __bool__ = _raise
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __sub__ = __mul__ = _raise
    min = max = any = all = copy = astype = reshape = ravel = transpose = view = _raise


class _Finalizing(np.ndarray):
    """Cannot be viewed as its own type."""

    def __array_finalize__(self, made_from: Any) -> None:
        if made_from is not None and type(made_from) is type(self):
            raise Nobody


def _as(kind: type, values: Array) -> Any:
    return values.copy().view(kind)


def _big_endian(values: Array) -> Any:
    return values.astype(values.dtype.newbyteorder(">"))


def _unaligned(values: Array) -> Any:
    memory = np.zeros(values.nbytes + 1, np.uint8)
    place = memory[1:].view(values.dtype).reshape(values.shape)
    place[...] = values
    return place


def _read_only(values: Array) -> Any:
    copy = values.copy()
    copy.flags.writeable = False
    return copy


def _backwards(values: Array) -> Any:
    return np.flip(np.flip(values).copy())


def _of_matrix(values: Array) -> Any:
    return _as(np.matrix, values) if values.ndim == 2 else np.flip(np.flip(values).copy())


SUBCLASSES: dict[str, Callable[[Array], Any]] = {
    "raising": lambda values: _as(_Raising, values),
    "finalizing": lambda values: _as(_Finalizing, values),
    "masked without a mask": lambda values: np.ma.masked_array(values.copy()),
    "memmap": lambda values: _as(np.memmap, values),
    "recarray": lambda values: _as(np.recarray, values),
    "big-endian": _big_endian,
    "unaligned": _unaligned,
    "read-only": _read_only,
    "backwards": _backwards,
}
"""Right inputs, all of them."""


# --- protocols -------------------------------------------------------------------------------


class Interface:
    """An object with nothing but an `__array_interface__`."""

    def __init__(self, values: Array, **changes: Any) -> None:
        self.kept = values
        # NumPy (2.4) loses a reference to None where the strides are that.
        interface = {**values.__array_interface__, **changes}
        self.__array_interface__ = {k: v for k, v in interface.items() if v is not None}


class Changing:
    """Another interface each time it is asked for."""

    def __init__(self, *values: Array) -> None:
        self.values, self.asked = values, -1

    @property
    def __array_interface__(self) -> Any:
        self.asked += 1
        return self.values[self.asked % len(self.values)].__array_interface__


class AsArray:
    """An object with nothing but an `__array__`."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.make()


def _raise() -> Any:
    raise Nobody


class _Float:
    def __float__(self) -> float:
        raise Nobody

    __index__ = __bool__ = __float__  # type: ignore[assignment]


PROTOCOLS: dict[str, Callable[[Array], Any]] = {
    "interface": lambda values: Interface(values.copy()),
    "interface, read-only": lambda values: Interface(_read_only(values)),
    "interface, strided": lambda values: Interface(_backwards(values)),
    "__array__": lambda values: AsArray(values.copy),
    "__array__ of a subclass": lambda values: AsArray(lambda: _as(_Finalizing, values)),
    "memoryview": lambda values: memoryview(values.copy()),
}
"""Right inputs, all of them."""

BAD: dict[str, Callable[[Array], Any]] = {
    "masked": lambda values: np.ma.masked_array(values.copy(), mask=True),
    "structured": lambda values: np.zeros(values.shape, [("a", "f4"), ("b", "f4")]),
    "void": lambda values: np.zeros(values.shape, "V4"),
    "complex": lambda values: values.astype(complex),
    "complex of long doubles": lambda values: values.astype(np.clongdouble),
    "datetime": lambda values: np.zeros(values.shape, "M8[s]"),
    "timedelta": lambda values: np.zeros(values.shape, "m8[s]"),
    "str": lambda values: values.astype(str),
    "bytes": lambda values: values.astype("S"),
    "objects": lambda values: np.full(values.shape, None),
    "objects that raise": lambda values: np.array([_Float()] * values.size, object),
    "object": lambda values: object(),
    "a type": lambda values: np.ndarray,
    "a set": lambda values: {1.0, 2.0},
    "a generator": lambda values: (value for value in values.ravel()),
    "another shape": lambda values: np.ones((*values.shape, 2), values.dtype),
    "another length": lambda values: np.ones((values.shape[0] + 1, 7, *values.shape[1:])),
    "as many axes as there can be": lambda values: np.ones((1,) * MOST_AXES),
    "__array__ raises": lambda values: AsArray(_raise),
    "__array__ of None": lambda values: AsArray(lambda: None),
    "__array__ of a list": lambda values: AsArray(values.tolist),
    "interface is no dict": lambda values: Broken(7),
    "interface is empty": lambda values: Broken({}),
    "interface of NULL": lambda values: Interface(values, data=(0, False)),
    "interface without an address": lambda values: Broken({"shape": (4,), "typestr": "<f4"}),
    "interface of a negative length": lambda values: Interface(values, shape=(-1, *values.shape)),
    "interface beyond memory": lambda values: Interface(values, shape=(2**62, *values.shape)),
    "interface of a product that overflows": lambda values: Interface(
        values, shape=(2**32, 2**32, *values.shape), strides=(0,) * (values.ndim + 2)
    ),
    "interface with strides for other axes": lambda values: Interface(
        values, strides=(4,) * (values.ndim + 1)
    ),
    "interface of an unknown type": lambda values: Interface(values, typestr="<f9"),
    "interface of objects": lambda values: Interface(values, typestr="|O"),
    "interface with too many axes": lambda values: Interface(values, shape=(1,) * 65),
    "interface of a shape that is none": lambda values: Interface(values, shape=("a",)),
}
"""To be refused in every array argument of every function."""


class Broken:
    """An `__array_interface__` that is none."""

    def __init__(self, interface: Any) -> None:
        self.__array_interface__ = interface


# --- outputs ---------------------------------------------------------------------------------


def _lying_out(shape: tuple[int, ...]) -> Any:
    """A single element that claims to be a whole array, in the middle of others."""
    return np.full(64, SENTINEL, np.float32)[32:33].reshape(1, 1).view(_Lying)


def _overlapping(shape: tuple[int, ...]) -> Any:
    memory = np.full(64, SENTINEL, np.float32)
    return np.lib.stride_tricks.as_strided(memory, shape, (4,) * len(shape))


BAD_OUTS: dict[str, Callable[[tuple[int, ...]], Any]] = {
    "lying": _lying_out,
    "read-only": lambda shape: _read_only(np.full(shape, SENTINEL, np.float32)),
    "of one number": lambda shape: np.broadcast_to(np.float32(SENTINEL), shape),
    "big-endian": lambda shape: np.full(shape, SENTINEL, ">f4"),
    "float64": lambda shape: np.full(shape, SENTINEL),
    "int32": lambda shape: np.full(shape, SENTINEL, np.int32),
    "objects": lambda shape: np.full(shape, SENTINEL, object),
    "structured": lambda shape: np.zeros(shape, [("a", "f4")]),
    "one axis more": lambda shape: np.full((*shape, 1), SENTINEL, np.float32),
    "larger": lambda shape: np.full([n + 1 for n in shape], SENTINEL, np.float32),
    "smaller": lambda shape: np.full([n - 1 for n in shape], SENTINEL, np.float32),
    "empty": lambda shape: np.empty((0, *shape), np.float32),
    "masked": lambda shape: np.ma.masked_array(np.full(shape, SENTINEL, np.float32)),
    "a list": lambda shape: np.full(shape, SENTINEL).tolist(),
    "a number": lambda shape: 1.0,
    "bytes": lambda shape: bytes(4 * int(np.prod(shape))),
    "bytearray": lambda shape: bytearray(4 * int(np.prod(shape))),
    "read-only memory": lambda shape: memoryview(bytes(64)),
    "ctypes of another type": lambda shape: (ctypes.c_int * int(np.prod(shape)))(),
    "interface": lambda shape: Interface(np.full(shape, SENTINEL, np.float32)),
    "__array__": lambda shape: AsArray(lambda: np.full(shape, SENTINEL, np.float32)),
}
"""To be refused as the output of every function, by its shape."""

GOOD_OUTS: dict[str, Callable[[tuple[int, ...]], Any]] = {
    "raising": lambda shape: _as(_Raising, np.full(shape, SENTINEL, np.float32)),
    "finalizing": lambda shape: _as(_Finalizing, np.full(shape, SENTINEL, np.float32)),
    "recarray": lambda shape: _as(np.recarray, np.full(shape, SENTINEL, np.float32)),
    "memmap": lambda shape: _as(np.memmap, np.full(shape, SENTINEL, np.float32)),
    "unaligned": lambda shape: _unaligned(np.full(shape, SENTINEL, np.float32)),
    "backwards": lambda shape: _backwards(np.full(shape, SENTINEL, np.float32)),
}
"""Outputs that take the result, and are what is returned."""

OVERLAPPING = _overlapping
LYING = _Lying
