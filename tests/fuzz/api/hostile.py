"""Arguments of every wrong kind, and right ones laid out in every way."""

from __future__ import annotations

import decimal
import fractions
import functools
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from .source import Source

Array = npt.NDArray[Any]

REAL = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int8", "uint8", "uint64", "bool")
STRANGE = (
    "complex64", "longdouble", ">f4", ">f8", "<i2", ">i8", "object", "U3", "S2", "V4", "M8[s]",
    "m8[s]",
)  # fmt: skip
RECORD = np.dtype([("a", "f4"), ("b", "i4")])

SCALARS: tuple[Any, ...] = (
    None, 0, 1, -1, 2, 3, 255, 2**31, -(2**63), 2**64, 10**30, 10**400, fractions.Fraction(1, 3),
    0.0, 0.5, 1.0, -0.1, 1.5, float("nan"), float("inf"), 1j, True, False, "", "c", "1", b"x",
    "mean", (), [], [1], {}, {1}, object(), np.float32(0.25), np.int8(1), np.array(1),
    np.array([1]), np.array(0.5), np.array("a"), decimal.Decimal("0.5"), slice(1), range(3),
    Ellipsis, np.ma.masked, np.float64, "float32", lambda: 0, np.datetime64(1, "s"),
    np.bool_(True), memoryview(b"abcd"),
)  # fmt: skip


class Subclass(np.ndarray[Any, Any]):
    """An array of another type."""


class Lying:
    """Says of itself what is not so, but for where its memory is."""

    def __init__(self, array: Array, changes: dict[str, Any]) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, **changes}


LIES: tuple[dict[str, Any], ...] = (
    {"shape": (-1, 2)}, {"shape": (2**62, 4)}, {"shape": "x"}, {"shape": None}, {"strides": (1,)},
    {"typestr": "nonsense"}, {"typestr": "<f3"}, {"typestr": "|O"}, {"data": None}, {"version": 2},
    {},
)  # fmt: skip


def dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


@functools.cache
def _numbers(spread: int) -> npt.NDArray[np.float64]:
    """A few hundred numbers, from which arrays are cut."""
    generator = np.random.default_rng(spread)
    values = generator.normal(size=512) * (1, 5, 60)[spread % 3]
    if spread >= 3:
        special = [np.nan, np.inf, -np.inf, -np.inf, 1e38, -1e308, 5e-324, -0.0]
        values[:: 3 * spread] = np.resize(special, len(values[:: 3 * spread]))
    return values


def shape(source: Source) -> tuple[int, ...]:
    """Two axes mostly, none to as many as there may be, some of them empty."""
    kind = source.below(32)
    if kind < 20:
        return (1 + source.below(5), 1 + source.below(6))
    if kind < 27:
        return tuple(source.below(5) for _ in range(source.below(5)))
    if kind < 29:
        return (1,) * source.of((30, 31, 62)) + (2, 3)[: source.below(3)]
    return (source.below(20), source.below(40))


def array(source: Source, of: tuple[int, ...], dtype: str) -> Array:
    """Numbers in C order, of almost any dtype."""
    return np.asarray(_array(source, of, dtype))


def _array(source: Source, of: tuple[int, ...], dtype: str) -> Any:
    size = int(np.prod(of, dtype=object))
    start, spread = source.below(256), source.below(6)
    values = np.resize(_numbers(spread)[start:], size).reshape(of)
    with np.errstate(all="ignore"):
        if dtype == "V4":
            return np.zeros(of, RECORD if start % 2 else "V4")
        if dtype in ("S2", "U3", "object"):
            return np.full(of, "ab" if start % 2 else "1", dtype)
        if np.dtype(dtype_of(dtype)).kind in "iubMm":
            values = np.nan_to_num(
                np.clip(values, 0 if "u" in dtype or "b" in dtype else -100, 100)
            )
            return values.astype("int64").astype(dtype)
        return values.astype(dtype_of(dtype))


def laid_out(source: Source, x: Array) -> Array:
    """The same numbers, or fewer of them again and again, at other places in memory."""
    kind, x = source.below(24), np.asarray(x)
    if kind == 1:
        return x.copy(order="F")
    if kind == 2:
        return np.asarray(np.flip(np.asarray(np.flip(x)).copy())) if x.ndim else x
    if kind == 3 and x.ndim:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
        view = wide[..., 1::2]
        view[...] = x
        return view
    if kind == 4 and x.ndim > 1:
        return np.ascontiguousarray(x.T).T
    if kind == 5:
        memory = np.zeros(x.nbytes + 1, np.uint8)
        if x.dtype.hasobject:
            return x
        view = memory[1:].view(x.dtype).reshape(x.shape) if x.size else x
        view[...] = x
        return view
    if kind == 6 and x.size:
        return np.broadcast_to(x[(0,) * x.ndim], x.shape)
    if kind == 7 and x.ndim and x.shape[0]:
        return np.broadcast_to(x[:1], x.shape)
    if kind == 8 and x.ndim == 2 and x.size:
        shared = np.resize(x.ravel(), x.shape[0] + x.shape[1])
        return as_strided(shared, x.shape, (shared.itemsize, shared.itemsize))
    if kind == 9:
        x.flags.writeable = False
    if kind == 10:
        return x.view(Subclass)
    if kind == 11 and x.ndim == 2:
        return x.view(np.matrix)
    if kind == 12 and x.dtype.kind == "f":
        return np.ma.masked_array(x, np.zeros(x.shape, bool))
    return x


def logits(source: Source, of: tuple[int, ...] | None = None) -> Any:
    """An array that may be one of logits."""
    kind = source.below(32)
    if kind == 31:
        return source.of(SCALARS)
    of = shape(source) if of is None else of
    dtype = (
        source.of(REAL) if kind < 22 else source.of(INTEGERS) if kind < 25 else source.of(STRANGE)
    )
    if kind < 16:
        dtype = REAL[kind % 2]
    x = laid_out(source, array(source, of, dtype))
    if kind == 30:
        return Lying(x, source.of(LIES)) if not x.dtype.hasobject else x
    if kind == 29:
        return x.tolist()
    return x


def output(source: Source, like: Any) -> Any:
    """None mostly; else an array that may be right, in place, too near, or of any wrong kind."""
    kind = source.below(12)
    if kind < 5 or not isinstance(like, np.ndarray):
        return None if kind < 11 else source.of(SCALARS)
    dtype = (
        like.dtype if like.dtype.kind == "f" or like.dtype.name == "bfloat16" else np.dtype("f8")
    )
    if kind < 7:
        return laid_out(source, np.full(like.shape, 7, dtype.newbyteorder("=")))
    if kind == 7:
        return like
    if kind == 8 and like.ndim and like.size:
        memory = np.zeros((like.shape[0] + 1, *like.shape[1:]), like.dtype)
        return memory[1:] if source.below(2) else as_strided(memory, like.shape, (0,) * like.ndim)
    if kind == 9:
        return np.full(shape(source), 7, dtype.newbyteorder("="))
    if kind == 10:
        return np.full(like.shape, 7, source.of(("f8", "f4", "i4", ">f4", "c8", "O", "f2")))
    return source.of(SCALARS)
