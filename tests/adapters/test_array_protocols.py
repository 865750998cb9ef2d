"""Arrays of other libraries as arguments: used where they lie, with NumPy arrays coming back.

Memory that CuPy pins on a machine with a GPU is not here to be tested; `Exporter` stands for any
array that offers DLPack alone, from whatever device.
"""

from __future__ import annotations

import array
import ctypes
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fs
from fastsoftmax import sharded
from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import ulp_error
from fastsoftmax._arguments.arrays import as_array

from ..variants import Variant
from . import library

Array = npt.NDArray[Any]

LOGITS = np.random.default_rng(0).normal(scale=4, size=(6, 5))
LABELS = np.array([0, 4, 2, 2, 1, 3])
SOFT = np.random.default_rng(1).dirichlet(np.ones(5), 6)


class Exporter:
    """An array that can be had by DLPack alone: it has no other protocol of arrays or sequences."""

    def __init__(self, values: Any, device: tuple[int, int] | None = None) -> None:
        self.values, self.device = values, device

    def __dlpack__(self, **options: Any) -> object:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self.device or self.values.__dlpack_device__()
        return device


class Unversioned(Exporter):
    """As of before DLPack had versions: `__dlpack__` takes no option of that name."""

    def __dlpack__(self, *, stream: Any = None) -> object:
        return self.values.__dlpack__()


def address(x: Array) -> int:
    return int(x.__array_interface__["data"][0])


def from_array(x: Array) -> tuple[Any, int]:
    values = array.array({"float32": "f", "float64": "d", "int64": "q"}[x.dtype.name], x.ravel())
    return memoryview(values).cast("B").cast(values.typecode, x.shape), values.buffer_info()[0]


def from_ctypes(x: Array) -> tuple[Any, int]:
    kind = {"float32": ctypes.c_float, "float64": ctypes.c_double, "int64": ctypes.c_int64}
    element: Any = kind[x.dtype.name]
    for length in reversed(x.shape):
        element = element * length
    values = element.from_buffer_copy(np.ascontiguousarray(x).tobytes())
    return values, ctypes.addressof(values)


def from_memoryview(x: Array) -> tuple[Any, int]:
    wide = np.zeros((*x.shape, 2), x.dtype)
    wide[..., 1] = x
    return memoryview(wide[..., 1]), address(wide) + x.itemsize  # with strides


def from_torch(x: Array) -> tuple[Any, int]:
    tensor = library("torch").from_numpy(np.asfortranarray(x))
    return tensor, tensor.data_ptr()


def from_torch_with_gradient(x: Array) -> tuple[Any, int]:
    tensor, place = from_torch(x)
    return tensor.requires_grad_() if x.dtype.kind == "f" else tensor, place


def from_jax(x: Array) -> tuple[Any, int]:
    jax = library("jax")
    with jax.enable_x64(True):
        values = jax.numpy.asarray(x)
    return values, values.unsafe_buffer_pointer()


def from_pyarrow(x: Array) -> tuple[Any, int]:
    pyarrow = library("pyarrow")
    if x.ndim == 1:
        values = pyarrow.array(x)
        return values, values.buffers()[1].address
    kept = np.ascontiguousarray(x)
    return pyarrow.Tensor.from_numpy(kept), address(kept)


def from_exporter(x: Array) -> tuple[Any, int]:
    tensor, place = from_torch(x)
    return Exporter(tensor), place


SOURCES: dict[str, Callable[[Array], tuple[Any, int]]] = {
    "array.array": from_array,
    "ctypes": from_ctypes,
    "memoryview": from_memoryview,
    "torch": from_torch,
    "torch requiring a gradient": from_torch_with_gradient,
    "jax": from_jax,
    "pyarrow": from_pyarrow,
    "DLPack alone": from_exporter,
}


@pytest.fixture(params=SOURCES.values(), ids=SOURCES)
def source(request: pytest.FixtureRequest) -> Callable[[Array], tuple[Any, int]]:
    make: Callable[[Array], tuple[Any, int]] = request.param
    return make


def same(actual: Any, expected: Any) -> None:
    """The same bits, in NumPy's types."""
    assert type(actual) is type(expected)
    np.testing.assert_array_equal(actual, expected, strict=True)


@pytest.mark.parametrize("values", [LOGITS, LOGITS.astype(np.float32), LABELS, LABELS * 0.5])
def test_the_memory_is_the_same(source: Any, values: Array) -> None:
    foreign, place = source(values)
    seen = as_array(foreign, "x")
    assert type(seen) is np.ndarray
    assert address(seen) == place
    same(seen, values)


def test_all_arguments_on_every_backend(source: Any, backend: Variant, dtype: str) -> None:
    logits, soft = LOGITS.astype(dtype), SOFT.astype(dtype)
    class_weight, sample_weight = np.arange(1.0, 6.0), np.linspace(0, 2, 6)
    where = LOGITS > -6
    where[:, 0] = True

    def call(take: Callable[[Array], Any]) -> list[Any]:
        x, p, name = take(logits), take(fs.softmax(logits, backend="numpy")), backend.name
        weights = {"weight": take(class_weight), "sample_weight": take(sample_weight)}
        return [
            fs.softmax(x, backend=name),
            fs.log_softmax(x, 0, backend=name),
            fs.logsumexp(x, backend=name),
            fs.softmax_backward(take(soft), p, backend=name),
            fs.log_softmax_backward(take(soft), take(np.log(soft)), backend=name),
            fs.cross_entropy(x, take(LABELS), backend=name),
            fs.cross_entropy_grad(x, take(soft), backend=name, **weights),
            fs.cross_entropy_mean_grad(x, take(LABELS), backend=name, **weights),
            *fs.cross_entropy_value_and_grad(x, take(LABELS), reduction="none", backend=name),
            *fs.cross_entropy_value_and_mean_grad(x, take(soft), backend=name),
            *fs.cross_entropy_grad_hess(
                x, take(LABELS), sample_weight=take(sample_weight), backend=name
            ),
        ]

    foreign = call(lambda values: source(values)[0])
    for actual, expected in zip(foreign, call(lambda values: values), strict=True):
        same(actual, expected)
    error = ulp_error(foreign[0], oracle.softmax(logits))
    assert error.max() <= 2


@pytest.mark.parametrize("make", [from_torch, from_exporter])
def test_masks(make: Any, backend: Variant) -> None:
    mask = LOGITS > -2
    expected = fs.softmax(LOGITS, where=mask, backend=backend.name)
    same(fs.softmax(LOGITS, where=make(mask)[0], backend=backend.name), expected)


@pytest.mark.parametrize("kind", ["torch", "torch requiring a gradient", "jax", "DLPack alone"])
def test_bfloat16(kind: str, backend: Variant) -> None:
    bfloat16 = library("ml_dtypes").bfloat16
    if kind == "jax":
        jnp = library("jax").numpy
        foreign = jnp.asarray(LOGITS, jnp.float32).astype(jnp.bfloat16)
        place = foreign.unsafe_buffer_pointer()
        plain = np.asarray(foreign)
    else:
        torch = library("torch")
        foreign = torch.from_numpy(LOGITS).T.to(torch.bfloat16).T  # not in C order
        place = foreign.data_ptr()
        plain = foreign.float().numpy().astype(bfloat16)
        foreign.requires_grad_(kind == "torch requiring a gradient")
        foreign = Exporter(foreign) if kind == "DLPack alone" else foreign
    seen = as_array(foreign, "x")
    assert seen.dtype == bfloat16
    assert address(seen) == place
    same(seen, plain)
    probabilities = fs.softmax(foreign, backend=backend.name)
    same(probabilities, fs.softmax(plain, backend=backend.name))
    del foreign
    same(seen, plain)  # the memory lives as long as the view


def test_bfloat16_where_dlpack_has_no_versions() -> None:
    torch = library("torch")
    tensor = torch.from_numpy(LOGITS).to(torch.bfloat16)
    seen = as_array(Unversioned(tensor), "x")
    assert address(seen) == tensor.data_ptr()
    assert not seen.flags.writeable
    same(seen, as_array(tensor, "x"))
    assert as_array(torch.zeros((0, 3), dtype=torch.bfloat16), "x").shape == (0, 3)


def test_without_the_dtype_of_bfloat16() -> None:
    library("torch")
    program = """
import sys
sys.modules["ml_dtypes"] = None
import torch, fastsoftmax
tensor = torch.zeros(3, dtype=torch.bfloat16)
for options in ({"x": tensor}, {"x": [0.0] * 3, "out": tensor}):
    try:
        fastsoftmax.softmax(**options)
    except ImportError as error:
        assert "pip install ml_dtypes" in str(error), error
    else:
        raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)


def test_float16() -> None:
    half = LOGITS.astype(np.float16)
    foreign, place = from_torch(half)
    assert address(as_array(foreign, "x")) == place
    same(fs.softmax(foreign), fs.softmax(half))


def test_negated_and_conjugated_views_mean_what_they_say() -> None:
    torch = library("torch")
    negated = torch.complex(torch.zeros(2, 3), torch.arange(6.0).reshape(2, 3)).conj().imag
    assert negated.is_neg()
    same(fs.softmax(negated), fs.softmax(-np.arange(6, dtype=np.float32).reshape(2, 3)))
    with pytest.raises(TypeError, match="x must hold real numbers, not values of dtype complex64"):
        fs.softmax(torch.ones(2, dtype=torch.complex64).conj())


def test_nothing_of_the_size_of_the_input_is_allocated() -> None:
    x = np.zeros((1000, 1000), np.float32)
    labels = np.zeros(1000, np.int64)
    out = np.empty_like(x)
    for make in (from_torch, from_exporter, from_jax):
        foreign, foreign_labels, foreign_out = make(x)[0], make(labels)[0], from_torch(out)[0]
        fs.cross_entropy_value_and_grad(x, labels)  # what is made once is made now
        tracemalloc.start()
        fs.cross_entropy_value_and_grad(foreign, foreign_labels, out=foreign_out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < x.nbytes / 10


@pytest.mark.parametrize("make", [from_array, from_ctypes, from_memoryview, from_torch])
def test_results_go_to_their_memory(make: Any, backend: Variant, dtype: str) -> None:
    x, name = LOGITS.astype(dtype), backend.name
    (out, place), (hess, _) = make(np.zeros_like(x)), make(np.zeros_like(x))
    result = fs.softmax(x, out=out, backend=name)
    assert type(result) is np.ndarray
    assert address(result) == place
    same(as_array(out, "out").copy(), fs.softmax(x, backend=name))

    fs.cross_entropy_grad(x, LABELS, out=out, backend=name)
    same(as_array(out, "out").copy(), fs.cross_entropy_grad(x, LABELS, backend=name))
    fs.cross_entropy_grad_hess(x, LABELS, out=(out, hess), backend=name)
    for written, expected in zip(
        (out, hess), fs.cross_entropy_grad_hess(x, LABELS, backend=name), strict=True
    ):
        same(as_array(written, "out").copy(), expected)
    sums, _ = make(np.zeros(5, dtype))
    fs.cross_entropy_mean_grad(x, LABELS, out=sums, backend=name)
    same(as_array(sums, "out").copy(), fs.cross_entropy_mean_grad(x, LABELS, backend=name))

    logits, _ = make(x)
    fs.log_softmax(logits, out=logits, backend=name)  # in place
    same(as_array(logits, "x").copy(), fs.log_softmax(x, backend=name))


def test_bfloat16_results_go_to_their_memory(backend: Variant) -> None:
    torch = library("torch")
    x = torch.from_numpy(LOGITS).to(torch.bfloat16)
    expected = fs.softmax(x, backend=backend.name)
    out = torch.zeros_like(x)
    fs.softmax(x, out=out, backend=backend.name)
    same(as_array(out, "out"), expected)


def test_outputs_that_cannot_be_written() -> None:
    torch = library("torch")
    x = LOGITS.astype(np.float32)
    jax_out = from_jax(np.zeros_like(x))[0]
    with pytest.raises(ValueError, match="out is read-only"):
        fs.softmax(x, out=jax_out)
    with pytest.raises(ValueError, match="out is read-only"):
        fs.softmax(np.zeros(4, np.uint8), out=memoryview(bytes(32)).cast("d"))
    with pytest.raises(TypeError, match=r"out is a torch\.Tensor that requires a gradient"):
        fs.softmax(x, out=torch.zeros(6, 5, requires_grad=True))
    with pytest.raises(TypeError, match="out is a negated or conjugated view"):
        fs.softmax(x, out=torch.zeros(6, 5, dtype=torch.complex64).conj().imag)
    with pytest.raises(TypeError, match="out must be of dtype float32, not float64"):
        fs.softmax(x, out=torch.zeros(6, 5, dtype=torch.float64))
    with pytest.raises(TypeError, match=r"out must be a numpy\.ndarray, not list, whose memory"):
        fs.softmax(x, out=[[0.0] * 5] * 6)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"out is a tests\.Exporter on CUDA device 1, and only"):
        fs.softmax(x, out=Exporter(x, (2, 1)))  # type: ignore[arg-type]


def test_errors_name_the_argument_and_the_label() -> None:
    torch = library("torch")
    with pytest.raises(ValueError, match=r"targets\[2\] = 7 is out of range for 5 classes"):
        fs.cross_entropy(LOGITS, torch.tensor([0, 1, 7, 2, 3, 4]))
    with pytest.raises(TypeError, match="must be of an integer dtype, not float32"):
        fs.cross_entropy(LOGITS, torch.zeros(6, requires_grad=True))
    with pytest.raises(TypeError, match="must be of an integer dtype, not bool"):
        fs.cross_entropy(LOGITS, torch.zeros(6, dtype=torch.bool))


class OnDevice:
    """An array on a device that this machine lacks."""

    def __init__(self, device: tuple[int, int]) -> None:
        self.device = device

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **options: Any) -> object:
        raise AssertionError("memory that the CPU cannot reach was asked for")

    def __array__(self, *args: Any, **options: Any) -> Array:
        raise AssertionError("a copy from another device was asked for")


class WithCpu(OnDevice):
    def cpu(self) -> Array:
        return LOGITS


class WithGet(OnDevice):
    def get(self) -> Array:
        return LOGITS


@pytest.mark.parametrize(
    ("foreign", "message"),
    [
        (WithCpu((2, 0)), r"logits is a tests.WithCpu on CUDA device 0, .*: pass its cpu\(\)"),
        (WithGet((10, 1)), r"logits is a tests.WithGet on ROCm device 1, .*: pass its get\(\)"),
        (OnDevice((8, 0)), r"logits is a tests.OnDevice on Metal device 0, .*: copy it to the CPU"),
        (OnDevice((99, 3)), "on DLPack device type 99 device 3, and only arrays on the CPU"),
    ],
)
def test_arrays_on_other_devices(foreign: OnDevice, message: str, backend: Variant) -> None:
    with pytest.raises(TypeError, match=message):
        fs.cross_entropy(foreign, LABELS, backend=backend.name)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=message.replace("logits", "targets")):
        fs.cross_entropy(LOGITS, foreign, backend=backend.name)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", [3, 11, 13])
def test_host_memory_that_a_gpu_can_reach(device: int) -> None:
    """By its declared device only: the memory itself is ordinary."""
    pinned = as_array(Exporter(LOGITS, (device, 0)), "x")
    assert address(pinned) == address(LOGITS)


def test_tensors_without_memory() -> None:
    torch = library("torch")
    with pytest.raises(TypeError, match="meta"):
        fs.softmax(torch.ones(3, device="meta"))
    with pytest.raises(TypeError, match="Sparse"):
        fs.softmax(torch.eye(3).to_sparse())


def test_what_cannot_be_shared_is_refused_or_converted() -> None:
    class Unwilling:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

        def __dlpack__(self, **options: Any) -> object:
            raise BufferError("not today")

    with pytest.raises(TypeError, match=r"memory of x, a tests\.Unwilling, cannot be shared: not"):
        fs.softmax(Unwilling())  # type: ignore[arg-type]
    with_null = library("pyarrow").array([1.0, None, 2.0])
    assert np.isnan(fs.softmax(with_null)).all()


def test_arrays_inside_jit_are_refused_by_jax_itself() -> None:
    jax = library("jax")
    with pytest.raises(jax.errors.TracerArrayConversionError):
        jax.jit(lambda x: fs.softmax(x))(np.zeros(3, np.float32))


def test_nothing_is_imported_for_them() -> None:
    program = """
import array, sys
import fastsoftmax as fs
before = set(sys.modules)
fs.softmax(array.array("f", [1, 2, 3]))
fs.softmax(memoryview(array.array("d", [1, 2, 3])), out=array.array("d", [0, 0, 0]))
new = {name.partition(".")[0] for name in set(sys.modules) - before}
assert not new & {"torch", "jax", "ml_dtypes", "pyarrow", "cupy"}, new
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)


def test_weights_of_shards_classes() -> None:
    """How many classes there are is read off the weights, whatever they are an array of."""
    labels, weight = np.array([0, 2]), np.array([1.0, 2.0, 3.0])
    state = sharded.partial_state(np.zeros((2, 3)), labels, weight=Exporter(weight))
    loss = sharded.cross_entropy(state, labels, weight=Exporter(weight))
    assert loss == sharded.cross_entropy(state, labels, weight=weight)
