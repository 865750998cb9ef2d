"""DLPack tensors as no library makes them: taken for what they hold, or refused.

What cannot be told from the tensor, such as an address at which there is less than its shape says,
is believed, here as by NumPy.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fs
from fastsoftmax._arguments.exports import _DLTensor, _Versioned

from . import hostile
from .hostile import SENTINEL
from .variants import INSTALLED, Variant

Array = npt.NDArray[Any]

DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


class _Unversioned(ctypes.Structure):
    _fields_ = (
        ("tensor", _DLTensor),
        ("manager_context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class Tensor:
    """An array by DLPack alone, with any field of its tensor another one."""

    # Whoever imports a tensor may delete it at any later time, without the GIL also elsewhere.
    _exported: ClassVar[list[Tensor]] = []

    def __init__(self, values: Array, versioned: bool = True, **fields: Any) -> None:
        if versioned and np.lib.NumpyVersion(np.__version__) < "2.1.0":
            pytest.skip("NumPy knows tensors with a version from 2.1 on")
        self.values, self.fields, self.versioned = values, fields, versioned
        self.device: Any = fields.pop("device", (1, 0))
        self.name: bytes | None = fields.pop("name", None)
        self.deleted = 0
        self._delete = DELETER(self._count)
        self._exported.append(self)

    def _count(self, _: int) -> None:
        self.deleted += 1

    def __dlpack_device__(self) -> Any:
        return self.device

    def __dlpack__(self, **options: Any) -> object:
        values, fields = self.values, self.fields
        managed: Any = _Versioned() if self.versioned else _Unversioned()
        if self.versioned:
            managed.major, managed.minor = fields.get("version", (1, 0))
            managed.flags = fields.get("flags", 0)
        if fields.get("deleter", True):
            managed.deleter = ctypes.cast(self._delete, ctypes.c_void_p)
        shape = fields.get("shape", values.shape)
        strides = fields.get("strides", [step // values.itemsize for step in values.strides])
        self.shape = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        tensor = managed.tensor
        tensor.data = fields.get("data", values.ctypes.data)
        tensor.device_type = fields.get("device_type", 1)
        tensor.ndim = fields.get("ndim", len(shape))
        tensor.code = fields.get("code", CODES[values.dtype.kind])
        tensor.bits = fields.get("bits", 8 * values.itemsize)
        tensor.lanes = fields.get("lanes", 1)
        tensor.shape = self.shape
        if strides is not None:
            self.strides = (ctypes.c_int64 * max(len(strides), 1))(*strides)
            tensor.strides = self.strides
        tensor.byte_offset = fields.get("byte_offset", 0)
        self.managed = managed
        name = self.name or (b"dltensor_versioned" if self.versioned else b"dltensor")
        self.kept = name  # a capsule does not copy its name
        return _new_capsule(ctypes.addressof(managed), name, None)


class Exports:
    """What `__dlpack__` returns or does is anything."""

    def __init__(self, result: Any, device: Any = (1, 0)) -> None:
        self.result, self.device = result, device

    def __dlpack__(self, **options: Any) -> Any:
        if isinstance(self.result, type):
            raise self.result("no tensor")
        return self.result

    def __dlpack_device__(self) -> Any:
        return self.device


X = hostile.X


def odd(values: Array) -> Tensor:
    memory = np.zeros(values.nbytes + 3, np.uint8)
    memory[3:] = values.view(np.uint8).ravel()
    return Tensor(memory, shape=values.shape, strides=None, code=2, bits=32, byte_offset=3)


GOOD: dict[str, Any] = {
    "as it should be": Tensor,
    "without a version": lambda values: Tensor(values, versioned=False),
    "without strides": lambda values: Tensor(values, strides=None),
    "with an odd offset": odd,
    "without a deleter": lambda values: Tensor(values, deleter=False),
    "backwards": lambda values: Tensor(np.flip(np.flip(values).copy())),
    "read-only": lambda values: Tensor(values, flags=1),
    "of host memory of a GPU": lambda values: Tensor(values, device=(3, 0), device_type=3),
    "on a device that is none": lambda values: Tensor(values, device="cpu"),
    "on a device of objects": lambda values: Tensor(values, device=([], {})),
}

BAD: dict[str, Any] = {
    "two lanes": lambda values: Tensor(values, lanes=2),
    "no lanes": lambda values: Tensor(values, lanes=0),
    "no bits": lambda values: Tensor(values, bits=0),
    "three bits": lambda values: Tensor(values, bits=3),
    "opaque": lambda values: Tensor(values, code=3),
    "unknown code": lambda values: Tensor(values, code=200),
    "complex": lambda values: Tensor(values, code=5, bits=64),
    "at NULL": lambda values: Tensor(values, data=None),
    "bfloat16 at NULL": lambda values: Tensor(values, data=None, code=4, bits=16),
    "negative number of axes": lambda values: Tensor(values, ndim=-1),
    "65 axes": lambda values: Tensor(values, shape=(1,) * 65, strides=None),
    "a number of axes beyond memory": lambda values: Tensor(values, ndim=2**31 - 1),
    "bfloat16 of as many": lambda values: Tensor(values, ndim=2**31 - 1, code=4, bits=16),
    "bfloat16 of negative axes": lambda values: Tensor(values, ndim=-5, code=4, bits=16),
    "negative length": lambda values: Tensor(values, shape=(-4, 3)),
    "lengths beyond memory": lambda values: Tensor(values, shape=(2**40, 2**40)),
    "bfloat16 beyond memory": lambda values: Tensor(
        values, shape=(2**40, 2**40), code=4, bits=16, strides=None
    ),
    "next major version": lambda values: Tensor(values, version=(2, 0)),
    "on another device": lambda values: Tensor(values, device=(2, 0), device_type=2),
    "on another device than it says": lambda values: Tensor(values, device_type=2),
    "on an unknown device": lambda values: Tensor(values, device=(99, 0), device_type=99),
    "used": lambda values: Tensor(values, name=b"used_dltensor_versioned"),
    "of another name": lambda values: Tensor(values, name=b"tensor"),
    "no capsule": lambda values: Exports(7),
    "None": lambda values: Exports(None),
    "itself an array": lambda values: Exports(values),
    "raising": lambda values: Exports(hostile.Nobody),
    "raising what NumPy raises": lambda values: Exports(BufferError),
    "raising about memory": lambda values: Exports(MemoryError),
}
REFUSALS = (TypeError, ValueError, BufferError, MemoryError)


@pytest.mark.parametrize("kind", list(GOOD))
def test_unusual_tensors(any_backend: Variant, kind: str) -> None:
    tensor = GOOD[kind](X)
    expected = fs.softmax(X, backend=any_backend.name)
    for _ in range(3):
        assert fs.softmax(tensor, backend=any_backend.name).tobytes() == expected.tobytes()
    targets = fs.cross_entropy(X, GOOD[kind](abs(X)), backend=any_backend.name)
    assert targets == fs.cross_entropy(X, abs(X), backend=any_backend.name)
    gc.collect()
    if isinstance(tensor, Tensor) and tensor.fields.get("deleter", True):
        assert tensor.deleted == 3


@pytest.mark.parametrize("kind", list(BAD))
def test_tensors_that_are_refused(any_backend: Variant, kind: str) -> None:
    out = np.full(X.shape, SENTINEL, np.float32)
    if "bfloat16" in kind:
        pytest.importorskip("ml_dtypes", reason="NumPy's dtype of bfloat16 is not installed")
    for call in (
        lambda bad: fs.softmax(bad, out=out, backend=any_backend.name),
        lambda bad: fs.cross_entropy_grad(X, bad, out=out, backend=any_backend.name),
        lambda bad: fs.cross_entropy_grad(X, [0, 1, 2, 0], weight=bad, backend=any_backend.name),
        lambda bad: fs.softmax(X, out=bad, backend=any_backend.name),
    ):
        with pytest.raises(REFUSALS) as error:
            call(BAD[kind](X))
        assert len(str(error.value)) > 5
        assert (out == SENTINEL).all()


def test_outputs_that_may_not_be_written(any_backend: Variant) -> None:
    values = np.full(X.shape, SENTINEL, np.float32)
    with pytest.raises(ValueError, match="read-only"):
        fs.softmax(X, out=Tensor(values, flags=1), backend=any_backend.name)
    assert (values == SENTINEL).all()


needs_the_extension = pytest.mark.skipif("c" not in INSTALLED, reason="it is not built")
EXPORT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(ctypes.c_void_p))


class _Table(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("older", ctypes.c_void_p),
        ("allocate", ctypes.c_void_p),
        ("export", EXPORT),
        ("to_object", ctypes.c_void_p),
    )


def exchanged(values: Array, then: Any = None, **fields: Any) -> Any:
    """An object of a type with DLPack's table of C functions; by `__array__` it is zeros."""
    tensor = Tensor(values, **fields)
    table = _Table()
    table.major, table.minor = fields.get("table_version", (1, 3))

    def export(_: object, place: Any) -> int:
        foreign.asked += 1
        tensor.__dlpack__()
        place[0] = ctypes.addressof(tensor.managed)
        if then is not None:
            then()
        return int(fields.get("status", 0))

    table.export = EXPORT(export)

    class Foreign:
        __dlpack_c_exchange_api__ = _new_capsule(
            ctypes.addressof(table), b"dlpack_exchange_api", None
        )
        kept = table, tensor, table.export
        asked = 0

        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            return np.zeros_like(values)

        def is_neg(self) -> Any:
            return fields.get("is_negated", False)

    foreign = Foreign()
    return foreign


NOT_PLAIN: dict[str, dict[str, Any]] = {
    "9 axes": {"shape": (1,) * 9, "strides": None},
    "negative number of axes": {"ndim": -1},
    "no axes": {"ndim": 0},
    "negative length": {"shape": (-4, -3), "strides": None},
    "lengths that multiply to 0": {"shape": (2**32, 2**32), "strides": None},
    "lengths beyond memory": {"shape": (2**61, 1), "strides": None},
    "an empty length among such": {"shape": (0, 2**62), "strides": None},
    "other strides": {"strides": (1, 4)},
    "at NULL": {"data": None},
    "an odd offset": {"byte_offset": 2},
    "two lanes": {"lanes": 2},
    "float16": {"bits": 16},
    "opaque": {"code": 3},
    "another device": {"device_type": 2},
    "a failure": {"status": -1},
    "a table of the future": {"table_version": (2, 0)},
    "a negated view": {"is_negated": True},
}


@needs_the_extension
@pytest.mark.parametrize("kind", list(NOT_PLAIN))
def test_tables_whose_tensors_are_not_plain(kind: str) -> None:
    """The call goes the full way then, and sees the object as any other."""
    zeros = fs.softmax(np.zeros_like(X), backend="numpy")
    foreign = exchanged(X, **NOT_PLAIN[kind])
    for _ in range(3):
        assert fs.softmax(foreign, backend="c").tobytes() == zeros.tobytes()
    assert foreign.asked == (0 if "future" in kind else 3)
    deleted = 0 if kind in ("a failure", "a table of the future") else 3
    assert foreign.kept[1].deleted == deleted


@needs_the_extension
@pytest.mark.parametrize("deleter", [True, False])
def test_tables_whose_tensors_are_plain(deleter: bool) -> None:
    foreign = exchanged(X, deleter=deleter)
    assert fs.softmax(foreign, backend="c").tobytes() == fs.softmax(X, backend="c").tobytes()
    assert foreign.kept[1].deleted == deleter
    labels = exchanged(hostile.LABELS, deleter=deleter)
    expected = fs.cross_entropy(X, hostile.LABELS, backend="c")
    assert fs.cross_entropy(X, labels, backend="c") == expected
    # With a label out of range the full way is to say so, which sees other labels here.
    labels = exchanged(np.array([0, 1, 3, 0]), deleter=deleter)
    assert fs.cross_entropy(X, labels, backend="c") == fs.cross_entropy(X, [0] * 4, backend="c")
    assert labels.kept[1].deleted == deleter


@needs_the_extension
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of setting a shape, in newer NumPy
def test_an_export_that_changes_the_array_before() -> None:
    """The logits get another shape, in place, while the labels are exported."""
    x = X.copy()

    def change() -> None:
        x.shape = (6, 2)
        x.shape = (12, 1)

    labels = exchanged(hostile.LABELS, then=change)
    expected = fs.cross_entropy_value_and_grad(X, hostile.LABELS, backend="c")
    loss, grad = fs.cross_entropy_value_and_grad(x, labels, backend="c")
    assert loss == expected[0]
    assert grad.tobytes() == expected[1].tobytes()
    assert x.shape == (12, 1)


def test_labels_without_axes(any_backend: Variant) -> None:
    label = Tensor(np.array(2))
    assert fs.cross_entropy(X[0], label, backend=any_backend.name) == fs.cross_entropy(X[0], 2)
    with pytest.raises(IndexError, match=r"targets = 3 is out of range for 3 classes"):
        fs.cross_entropy(X[0], Tensor(np.array(3)), backend=any_backend.name)
