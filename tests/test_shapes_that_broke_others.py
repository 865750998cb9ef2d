"""Shapes and places in memory at which other libraries read the wrong elements, or none of theirs.

Strides of axes of length 1, and empty arrays in general, are in test_layout.py; results with more
than 2^31 elements are in test_huge.py.
"""

from __future__ import annotations

import ctypes
import mmap
import pickle
import sys
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fs
from fastsoftmax import sharded
from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import ulp_error

from . import cases
from .hostile import Broken
from .variants import Variant

Array = npt.NDArray[Any]

as_strided = np.lib.stride_tricks.as_strided

FUNCTIONS: dict[str, Any] = {
    "softmax": lambda x, t, **o: fs.softmax(x, **o),
    "log_softmax": lambda x, t, **o: fs.log_softmax(x, **o),
    "logsumexp": lambda x, t, **o: fs.logsumexp(x, **o),
    "softmax_backward": lambda x, t, **o: fs.softmax_backward(x, x, **o),
    "log_softmax_backward": lambda x, t, **o: fs.log_softmax_backward(x, x, **o),
    "cross_entropy": fs.cross_entropy,
    "losses": lambda x, t, **o: fs.cross_entropy(x, t, reduction="none", **o),
    "cross_entropy_value_and_grad": fs.cross_entropy_value_and_grad,
    "cross_entropy_value_and_mean_grad": fs.cross_entropy_value_and_mean_grad,
    "cross_entropy_grad_hess": fs.cross_entropy_grad_hess,
    "cross_entropy of soft": lambda x, t, **o: fs.cross_entropy_value_and_grad(x, abs(x), **o),
    "partial_state": sharded.partial_state,
}
every_function = pytest.mark.parametrize("name", list(FUNCTIONS))


def bits(result: Any) -> list[bytes]:
    results = result if isinstance(result, tuple) else (result,)
    return [np.asarray(each).tobytes() for each in results]


@every_function
def test_one_sample_or_one_class_with_any_stride(backend: Variant, dtype: str, name: str) -> None:
    """A step along an axis of length 1 may be any number, and says nothing of the layout.

    Bottleneck returned wrong numbers for such arrays (pydata/bottleneck#381), which is how they
    came to xarray's users (pydata/xarray#5424).
    """
    function = FUNCTIONS[name]
    wild = (0, 1, -1, 7, 4096, -(2**62), 2**62, 2**63 - 1, -(2**63))
    for rows, classes in ((1, 37), (37, 1), (1, 1)):
        x = cases.rng("strides").standard_normal((rows, classes)).astype(dtype)
        labels = np.arange(rows) % classes
        expected = bits(function(x, labels, backend=backend.name))
        for step in wild:
            strides = (step if rows == 1 else x.strides[0], step if classes == 1 else x.strides[1])
            y = as_strided(x, x.shape, strides)
            t = as_strided(labels, labels.shape, (step,)) if rows == 1 else labels
            assert bits(function(y, t, backend=backend.name)) == expected, (rows, classes, step)


def misaligned(kind: str, shape: tuple[int, ...]) -> Array:
    """An empty array whose address is odd, as one in the middle of a pickle's bytes has."""
    memory = bytearray(64)
    array = np.frombuffer(memory, np.dtype(kind), 0, offset=1).reshape(shape)
    assert array.__array_interface__["data"][0] % 2 == 1
    return array


@every_function
def test_empty_arrays_at_odd_addresses(backend: Variant, dtype: str, name: str) -> None:
    """An array without elements may be anywhere, and unpickled ones are.

    Code that demands an aligned address of them fails on their arrival (PyO3/rust-numpy#525).
    """
    function = FUNCTIONS[name]
    for shape, axis in (((0, 3), -1), ((3, 0), 0), ((2, 0, 3), -1)):
        samples = tuple(n for place, n in enumerate(shape) if place != axis % len(shape))
        x, labels = misaligned(dtype, shape), misaligned("int64", samples)
        expected = function(np.empty(shape, dtype), np.empty(samples, int), axis=axis)
        actual = function(x, labels, axis=axis, backend=backend.name)
        assert bits(actual) == bits(expected)
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            copies = pickle.loads(pickle.dumps((b"x" * protocol, x, labels), protocol))[1:]
            assert bits(function(*copies, axis=axis, backend=backend.name)) == bits(expected)
    out = misaligned(dtype, (0, 3))
    assert fs.softmax(misaligned(dtype, (0, 3)), out=out, backend=backend.name) is out


def test_empty_arrays_without_an_address(backend: Variant, dtype: str) -> None:
    """Their address may be one that nothing lies at (PyO3/rust-numpy#525)."""

    x = np.asarray(Broken({"shape": (0, 3), "typestr": np.dtype(dtype).str, "data": (1, False)}))
    assert fs.softmax(x, backend=backend.name).shape == (0, 3)
    assert np.isnan(fs.cross_entropy(x, [], backend=backend.name))
    assert fs.cross_entropy_mean_grad(x, [], backend=backend.name).tolist() == [0, 0, 0]


class Fenced:
    """Memory whose last byte is the last before a page that nobody may touch."""

    def __init__(self, size: int) -> None:
        page = mmap.PAGESIZE
        self.pages = -(-size // page) * page
        self.map = mmap.mmap(-1, self.pages + page)
        self.size = size
        self._protect(0)

    def _protect(self, access: int) -> None:
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.map)) + self.pages
        libc = ctypes.CDLL(None, use_errno=True)
        place = ctypes.c_void_p(address)
        assert libc.mprotect(place, ctypes.c_size_t(mmap.PAGESIZE), access) == 0

    def array(self, dtype: str, shape: tuple[int, ...]) -> Array:
        offset = self.pages - self.size
        return np.frombuffer(self.map, dtype, int(np.prod(shape)), offset).reshape(shape)


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect by its numbers on Linux")
@every_function
def test_tails_and_rows_shorter_than_a_vector(backend: Variant, dtype: str, name: str) -> None:
    """What is left of a row behind its last whole vector, with nothing behind it to read.

    A load of a whole vector there reads beyond the array, as PyTorch's did (pytorch/pytorch#36485).
    Here the next byte is on a page without access, and a read of it ends the process.
    """
    function = FUNCTIONS[name]
    for rows, classes in [(1, k) for k in range(1, 36)] + [
        (5, 1),
        (3, 2),
        (7, 3),
        (17, 5),
        (2, 67),
    ]:
        x = cases.rng("tails", classes).standard_normal((rows, classes)).astype(dtype)
        labels = np.arange(rows) % classes
        fenced_x = Fenced(x.nbytes).array(dtype, x.shape)
        fenced_labels = Fenced(labels.nbytes).array("int64", labels.shape)
        fenced_x[...], fenced_labels[...] = x, labels
        expected = bits(function(x, labels, backend=backend.name))
        assert bits(function(fenced_x, fenced_labels, backend=backend.name)) == expected
        columns = Fenced(x.nbytes).array(dtype, x.shape[::-1])
        columns[...] = x.T
        assert bits(function(columns, fenced_labels, axis=0, backend=backend.name)) == bits(
            function(x.T.copy(), labels, axis=0, backend=backend.name)
        )
        if name in ("softmax", "log_softmax"):
            out = Fenced(x.nbytes).array(dtype, x.shape)
            assert bits(function(fenced_x, None, out=out, backend=backend.name)) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="files with holes, as Linux has them")
@pytest.mark.parametrize("axis", [0, 1])
def test_steps_beyond_2_to_the_31_bytes(backend: Variant, dtype: str, axis: int) -> None:
    """A few elements, each more than 2^31 bytes and elements behind the one before.

    Products of an index and a step, and their sums, overflow 32 bits: so they did in PyTorch
    (pytorch/pytorch#84144) and in oneDNN for tensors of 1x1x65536x65536. The elements are in a file
    of holes, of which there is only what is written.
    """
    count, step = 3, 2**34 + 4096
    values = cases.rng("far").standard_normal((count, count)).astype(dtype)
    item = values.itemsize
    with tempfile.TemporaryFile() as file:
        file.truncate(count * step)
        with mmap.mmap(file.fileno(), count * step) as mapped:
            memory = np.frombuffer(mapped, dtype, (count * step) // item)
            strides = (step, item) if axis == 1 else (item, step)
            for direction in (1, -1):
                far = as_strided(memory, (count, count), strides)[::direction, ::direction]
                far[...] = values
                labels = np.array([2, 0, 1])
                options: dict[str, Any] = {"axis": axis, "backend": backend.name}
                near = np.ascontiguousarray(values) if axis == 1 else np.asfortranarray(values)
                rows = np.moveaxis(values, axis, -1)
                p = fs.softmax(far, **options)
                exact = oracle.softmax(rows)
                assert ulp_error(np.moveaxis(p, axis, -1), exact).max() <= 2
                expected = fs.cross_entropy_value_and_grad(near, labels, **options)
                assert bits(fs.cross_entropy_value_and_grad(far, labels, **options)) == bits(
                    expected
                )
                assert bits(fs.log_softmax(far, out=far, **options)) == bits(
                    fs.log_softmax(near, **options)
                )
            del far, memory


@pytest.mark.skipif(sys.platform != "linux", reason="files with holes, as Linux has them")
def test_labels_and_weights_beyond_2_to_the_31_bytes(backend: Variant) -> None:
    """As above, for what has one entry a sample (onnxruntime and PyTorch read labels elsewhere)."""
    step = 2**33 + 8
    x = cases.rng("far labels").standard_normal((3, 4)).astype(np.float32)
    with tempfile.TemporaryFile() as file:
        file.truncate(3 * step)
        with mmap.mmap(file.fileno(), 3 * step) as mapped:
            labels = as_strided(np.frombuffer(mapped, np.int64, 1), (3,), (step,), writeable=True)
            labels[...] = [3, 0, 2]
            actual = fs.cross_entropy_value_and_grad(x, labels, backend=backend.name)
            expected = fs.cross_entropy_value_and_grad(x, [3, 0, 2], backend=backend.name)
            assert bits(actual) == bits(expected)
            labels[2] = 4
            with pytest.raises(IndexError, match=r"targets\[2\] = 4 is out of range"):
                fs.cross_entropy(x, labels, backend=backend.name)
            del labels


@every_function
def test_many_elements_in_one_place(backend: Variant, name: str) -> None:
    """More than 2^31 elements of a row would take long: of samples there are 2^40, and none."""
    x = np.broadcast_to(np.float32(0), (2**20, 0, 2**20, 3))
    labels = np.broadcast_to(np.int64(0), (2**20, 0, 2**20))
    if name == "partial_state":
        assert sharded.partial_state(x, labels, backend=backend.name).size == 0
        return
    result = FUNCTIONS[name](x, labels, backend=backend.name)
    results = result if isinstance(result, tuple) else (result,)
    assert all(np.asarray(each).size == 0 or np.asarray(each).ndim <= 1 for each in results)
