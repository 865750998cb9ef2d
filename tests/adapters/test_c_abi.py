"""The C functions: from C, C++, Cython and SciPy, bit for bit what Python gets."""

from __future__ import annotations

import ctypes
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fs

from . import c_structs as c
from . import library

if "c" not in fs.available_backends():
    pytest.skip("the extension is not built", allow_module_level=True)

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "softmax_regression.c"
INCLUDE = fs.get_include()
LIB = c.load()
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
DTYPES = ["float32", "float64", "float16", "bfloat16"]


def compiler(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def build(name: str, source: Path, target: Path, *flags: str) -> None:
    """Compile as docs/trainers/c.md says."""
    config = [sys.executable, "-m", "fastsoftmax", "config", "--cflags", "--libs"]
    options = shlex.split(subprocess.check_output(config, text=True))
    subprocess.run([compiler(name), *flags, source, "-o", target, *options], check=True)


def dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(library("ml_dtypes").bfloat16 if name == "bfloat16" else name)


def arrange(array: Any, layout: str) -> Any:
    """A copy with other strides: of logits or outputs (A, B, K), or of what has no class axis."""
    if layout == "C":
        return array.copy()
    if layout == "classes first":
        return np.moveaxis(np.moveaxis(array, -1, 0).copy(), 0, -1)
    twice = np.empty([2 * n for n in array.shape], array.dtype)
    twice[...] = np.asarray(99).astype(array.dtype)
    seen = twice[tuple(slice(None, None, -2) for _ in array.shape)]
    seen[...] = array
    return seen


LAYOUTS = ["C", "classes first", "every other, backwards"]


def make(dtype: str, layout: str) -> Any:
    rng = np.random.default_rng(5)
    x = (3 * rng.normal(size=(3, 37, 11))).astype(dtype_of(dtype))
    return arrange(x, layout)


def same(ours: Any, theirs: Any) -> None:
    theirs = np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [0, 1, 3])
def test_probabilities(dtype: str, layout: str, threads: int) -> None:
    x = make(dtype, layout)
    where = np.random.default_rng(1).random(x.shape) < 0.7
    for name, masked in itertools.product(["softmax", "log_softmax", "logsumexp"], [False, True]):
        shape = x.shape[:2] if name == "logsumexp" else x.shape
        out = arrange(np.zeros(shape, x.dtype), layout)
        options = {"num_threads": threads, **({"where": where} if masked else {})}
        assert c.call(getattr(LIB, f"fastsoftmax_{name}"), x, x, out, **options) == c.OK
        same(out, getattr(fs, name)(x, backend="c", **({"where": where} if masked else {})))
        if name != "logsumexp":
            in_place = make(dtype, layout)
            function = getattr(LIB, f"fastsoftmax_{name}")
            assert c.call(function, x, in_place, in_place, **options) == c.OK
            same(in_place, out)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_backward(dtype: str, layout: str) -> None:
    x = make(dtype, layout)
    for name in ["softmax", "log_softmax"]:
        output = getattr(fs, name)(x, backend="c")
        out = arrange(np.zeros(x.shape, x.dtype), layout)
        assert c.call(getattr(LIB, f"fastsoftmax_{name}_backward"), x, x, output, out) == c.OK
        same(out, getattr(fs, f"{name}_backward")(x, output, backend="c"))


TARGETS = ["int32", "int64", "ignored", "probabilities"]


def make_targets(kind: str, x: Any) -> Any:
    rng = np.random.default_rng(2)
    if kind == "probabilities":
        return fs.softmax(rng.normal(size=x.shape)).astype(x.dtype)
    labels = rng.integers(0, x.shape[2], x.shape[:2])
    if kind == "ignored":
        labels[:, ::5] = -100
    return labels.astype("int32" if kind == "int32" else "int64")


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy(dtype: str, layout: str, kind: str) -> None:
    x = make(dtype, layout)
    t = make_targets(kind, x)
    rng = np.random.default_rng(3)
    weight, sample_weight = rng.random(x.shape[2]), rng.random(x.shape[:2])
    for weighted, smoothing, reduction in itertools.product(
        [False, True], [0.0, 0.1], ["mean", "sum"]
    ):
        theirs: dict[str, Any] = {"label_smoothing": smoothing, "reduction": reduction}
        ours: dict[str, Any] = {
            "label_smoothing": smoothing,
            "reduction": int(reduction == "sum"),
        }
        if weighted:
            theirs |= {"weight": weight, "sample_weight": sample_weight}
            ours |= {"class_weight": weight, "sample_weight": sample_weight}
        if kind == "ignored":
            theirs |= {"ignore_index": -100}
            ours |= {"ignore_index": -100, "has_ignore_index": 1}
        loss = ctypes.c_double()
        losses = arrange(np.zeros(x.shape[:2], x.dtype), layout)
        grad = arrange(np.zeros(x.shape, x.dtype), layout)
        mean_grad = np.zeros(x.shape[2], x.dtype)
        function = LIB.fastsoftmax_cross_entropy
        pointer = ctypes.byref(loss)
        targets = c.targets(t)
        for outputs in [
            (pointer, losses, grad, mean_grad),
            (pointer, None, None, None),
            (None, losses, None, None),
            (None, None, grad, None),
            (None, None, None, mean_grad),
        ]:
            for array in (losses, grad, mean_grad):
                array[...] = 0
            loss.value = 0
            assert c.call(function, x, x, targets, *outputs, **ours) == c.OK
            if outputs[0] is not None:
                expected = fs.cross_entropy(x, t, backend="c", **theirs)
                same(np.asarray(loss.value).astype(x.dtype), expected)
            if outputs[1] is not None:
                none = theirs | {"reduction": "none"}
                same(losses, fs.cross_entropy(x, t, backend="c", **none))
            if outputs[2] is not None:
                same(grad, fs.cross_entropy_grad(x, t, backend="c", **theirs))
            if outputs[3] is not None:
                same(mean_grad, fs.cross_entropy_mean_grad(x, t, backend="c", **theirs))


@pytest.mark.parametrize("kind", ["int32", "int64", "probabilities"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_grad_hess(dtype: str, kind: str) -> None:
    x = make(dtype, "C")
    t = make_targets(kind, x)
    weight = np.random.default_rng(3).random(x.shape[:2])
    for number, hessian in enumerate(["exact", "xgboost", "lightgbm"]):
        grad, hess = np.empty_like(x), np.empty_like(x)
        status = c.call(LIB.fastsoftmax_grad_hess, x, x, c.targets(t), grad, hess,
                        hessian=number, sample_weight=weight)  # fmt: skip
        assert status == c.OK
        expected = fs.cross_entropy_grad_hess(
            x, t, sample_weight=weight, hessian=hessian, backend="c"
        )
        same(grad, expected[0])
        same(hess, expected[1])


def test_nothing() -> None:
    loss = ctypes.c_double()
    mean_grad = np.ones(4)
    x, t = np.empty((1, 0, 4)), np.empty((1, 0), np.int64)
    for reduction in (0, 1):
        mean_grad[...] = 1
        status = c.call(LIB.fastsoftmax_cross_entropy, x, x, c.targets(t), ctypes.byref(loss),
                        None, None, mean_grad, reduction=reduction)  # fmt: skip
        assert status == c.OK
        assert np.isnan(loss.value) if reduction == 0 else loss.value == 0
        assert not mean_grad.any()
    x, t = np.ones((1, 2, 4)), np.full((1, 2), -1)
    grad, losses = np.ones_like(x), np.ones((1, 2))
    status = c.call(LIB.fastsoftmax_cross_entropy, x, x, c.targets(t), ctypes.byref(loss),
                    losses, grad, mean_grad, has_ignore_index=1, ignore_index=-1)  # fmt: skip
    assert status == c.OK
    assert np.isnan(loss.value)
    assert not grad.any()
    assert not losses.any()


def refusals() -> list[Any]:
    x, t = np.zeros((2, 3, 4)), np.zeros((2, 3), np.int64)
    bad_label, bad_weight = t.copy(), np.ones((2, 3))
    bad_label[1, 1] = 4
    bad_weight[1, 2] = -1
    nan_weight = np.array([1.0, np.nan, 1.0, 1.0])
    unaligned = np.zeros(8 * x.size + 1, np.uint8)[1:].view(np.float64).reshape(x.shape)
    shared = np.broadcast_to(np.zeros(4), x.shape)
    memory = np.zeros(x.size + 1)
    first, second = memory[:-1].reshape(x.shape), memory[1:].reshape(x.shape)
    return [
        ("out missing", (x, None), {}, c.NULL, "out", -1),
        ("no classes", (np.zeros((2, 3, 0)), x), {}, c.CLASSES, "shape", -1),
        ("int64", (x.astype(np.int64), x), {}, c.DTYPE, "dtype", -1),
        ("unaligned", (x, unaligned), {}, c.ALIGNMENT, "out", -1),
        ("out on itself", (x, shared), {}, c.OVERLAP, "out", -1),
        ("overlap", (first, second), {}, c.OVERLAP, "out", -1),
        ("smoothing of softmax", (x, x.copy()), {"label_smoothing": 0.1}, c.OPTION,
         "label_smoothing", -1),
        ("label", (x, bad_label), {}, c.LABEL, "targets", 4),
        ("smoothing", (x, t), {"label_smoothing": 1.5}, c.OPTION, "label_smoothing", -1),
        ("reduction", (x, t), {"reduction": 2}, c.OPTION, "reduction", -1),
        ("sample weight", (x, t), {"sample_weight": bad_weight}, c.WEIGHT, "sample_weight", 5),
        ("class weight", (x, t), {"class_weight": nan_weight}, c.WEIGHT, "class_weight", 1),
        ("size", (x, t), {"size": 8}, c.OPTION, "size", -1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arrays", "values", "status", "argument", "index"),
    [case[1:] for case in refusals()],
    ids=[case[0] for case in refusals()],
)
def test_errors(arrays: Any, values: Any, status: int, argument: str, index: int) -> None:
    error = c.Error(b"", -7)
    x, other = arrays
    if values.get("size"):
        values = values | {"size": 8}
    LIB.fastsoftmax_status_message.restype = ctypes.c_char_p
    if other is not None and other.ndim == 2:
        grad, loss = np.full_like(x, 7), ctypes.c_double(7)
        got = c.call(LIB.fastsoftmax_cross_entropy, x, x, c.targets(other), ctypes.byref(loss),
                     None, grad, None, error=error, **values)  # fmt: skip
        assert (grad == 7).all()
        assert loss.value == 7
    else:
        before = None if other is None else other.copy()
        got = c.call(LIB.fastsoftmax_softmax, x, x, other, error=error, **values)
        assert before is None or (other == before).all()
    assert got == status
    assert len(LIB.fastsoftmax_status_message(got)) > 10
    if argument != "size":
        assert (error.argument.decode(), error.index) == (argument, index)


def test_class_weights_without_samples() -> None:
    """They are checked all the same, and not written over by a gradient of nothing."""
    x, t = np.zeros((2, 0, 3)), np.zeros((2, 0), np.int32)
    off = np.ones(4 * 8, np.uint8)[1:25].view(np.float64)
    for name, weights, status, argument in [
        ("misaligned", off, c.ALIGNMENT, "class_weight"),
        ("shared", np.ones(3), c.OVERLAP, "mean_grad"),
    ]:
        for grad in (None, np.zeros_like(x)):
            error = c.Error(b"", -7)
            mean = weights if name == "shared" else np.ones(3)
            got = c.call(LIB.fastsoftmax_cross_entropy, x, x, c.targets(t), None, None, grad,
                         mean, error=error, class_weight=weights)  # fmt: skip
            assert (got, error.argument.decode(), error.index) == (status, argument, -1)
            assert (mean == 1).all()


def test_results_too_large_for_memory() -> None:
    """A mean gradient of more classes than addresses is refused, not written, without samples."""
    x, t, mean = np.zeros((0, 1, 2**58), np.float32), np.zeros((0, 1), np.int32), np.ones(1)
    error = c.Error(b"", -7)
    got = c.call(LIB.fastsoftmax_cross_entropy, x, x, c.targets(t), None, None, None, mean,
                 error=error)  # fmt: skip
    assert (got, error.argument.decode(), mean[0]) == (c.SIZE, "mean_grad", 1)


def test_interleaved_arrays_do_not_overlap() -> None:
    both = np.zeros((3, 4, 10))
    both[..., :5] = np.random.default_rng(0).normal(size=(3, 4, 5))
    assert c.call(LIB.fastsoftmax_softmax, both[..., :5], both[..., :5], both[..., 5:]) == c.OK
    same(both[..., 5:].copy(), fs.softmax(both[..., :5], backend="c"))


def test_number_of_threads() -> None:
    LIB.fastsoftmax_num_threads.restype = ctypes.c_size_t
    script = "import fastsoftmax as f; f.set_num_threads(None); print(f.get_num_threads())"
    python = int(subprocess.check_output([sys.executable, "-c", script]))
    assert LIB.fastsoftmax_num_threads() == python


@pytest.mark.parametrize("language", ["gcc -std=c11", "g++ -std=c++11 -x c++"])
def test_c_program(language: str, tmp_path: Path) -> None:
    name, *flags = language.split()
    program, data = tmp_path / "program", tmp_path / "data"
    libraries = [f"-L{fs.get_library_dir()}", f"-Wl,-rpath,{fs.get_library_dir()}"]
    command = [compiler(name), *flags, *STRICT, "-D_POSIX_C_SOURCE=200809L", f"-I{INCLUDE}",
               str(HERE / "c_program.c"), "-x", "none", *libraries, "-lfastsoftmax", "-lpthread",
               "-o", str(program)]  # fmt: skip
    subprocess.run(command, check=True)
    rng = np.random.default_rng(0)
    x, t = 3 * rng.normal(size=(40, 9)), rng.integers(0, 9, 40)
    data.write_bytes(x.tobytes() + t.tobytes())
    lowest = fs._c.instruction_sets()[-1]
    environment = {"FASTSOFTMAX_NUM_THREADS": "3", "FASTSOFTMAX_ISA": lowest}
    run = subprocess.run([program, data, "40", "9"], capture_output=True, text=True, check=True,
                         env=environment)  # fmt: skip
    assert run.stderr == f"3 threads, {lowest}\n"
    run = subprocess.run([program, data, "40", "9"], capture_output=True, text=True, check=True)
    lines = [[float.fromhex(n) for n in line.split()] for line in run.stdout.splitlines()]
    assert len(lines) == 4 * 16
    for start in range(0, len(lines), 16):
        for single, values in ((0, x), (1, x.astype(np.float32))):
            part = [np.array(line, values.dtype) for line in lines[start : start + 16]]
            p, log_p = fs.softmax(values), fs.log_softmax(values)
            loss, grad = fs.cross_entropy_value_and_grad(values, t)
            expected = [p, log_p, fs.logsumexp(values), fs.softmax_backward(values, p),
                        fs.log_softmax_backward(values, log_p), grad,
                        fs.cross_entropy_mean_grad(values, t)]  # fmt: skip
            for number, array in enumerate(expected):
                same(part[2 * number + single], array.ravel())
            same(part[14 + single], np.array([loss]))


@pytest.mark.parametrize("variable", ["FASTSOFTMAX_NUM_THREADS", "FASTSOFTMAX_ISA"])
def test_bad_environment(variable: str, tmp_path: Path) -> None:
    build("gcc", EXAMPLE, tmp_path / "program", "-std=c11", "-O2")
    run = subprocess.run([tmp_path / "program"], env={variable: "nonsense"}, capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert run.returncode == 1
    assert variable in run.stderr


def test_example_trains(tmp_path: Path) -> None:
    digits = library("sklearn.datasets").load_digits()
    file = tmp_path / "digits.txt"
    rows = np.column_stack([digits.target, digits.data / 16])
    np.savetxt(file, rows, fmt=["%d"] + ["%.4f"] * 64)
    build("gcc", EXAMPLE, tmp_path / "program", "-std=c11", "-O2", *STRICT)
    for arguments in ([], [file, "64", "10"]):
        output = subprocess.check_output([tmp_path / "program", *arguments], text=True)
        found = re.findall(r"loss (\S+)  accuracy (\S+)", output)
        losses = [float(loss) for loss, _ in found]
        assert losses == sorted(losses, reverse=True)
        assert abs(losses[0] - np.log(10 if arguments else 5)) < 1e-5
        assert float(found[-1][1]) > 0.95


def test_cython(tmp_path: Path) -> None:
    library("Cython")
    shutil.copy(HERE / "cython_module.pyx", tmp_path)
    root = Path(fs.__file__).parents[1]
    subprocess.run([sys.executable, "-m", "cython", "-3", f"-I{root}", "cython_module.pyx"],
                   cwd=tmp_path, check=True)  # fmt: skip
    include = sysconfig.get_paths()["include"]
    command = [compiler("gcc"), "-shared", "-fPIC", "-O1", f"-I{include}", f"-I{INCLUDE}",
               "cython_module.c", "-o", "cython_module.so"]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True)
    script = """
import sys; sys.path.insert(0, sys.argv[1])
import numpy as np, fastsoftmax as fs, cython_module as m
x = np.random.default_rng(0).normal(size=(7, 5)); out = np.empty_like(x)
m.softmax(x, out)
assert (out == fs.softmax(x, backend="c")).all()
f = np.asfortranarray(x.astype(np.float32)); g = np.empty_like(f); t = np.arange(7) % 5
loss = m.loss_and_grad(f, t, g, 0.1)
options = {"label_smoothing": 0.1, "reduction": "sum", "backend": "c"}
expected, grad = fs.cross_entropy_value_and_grad(f, t, **options)
assert np.float32(loss) == expected and (g == grad).all()
try:
    m.loss_and_grad(f, t + 1, g, 0.1)
except ValueError as error:
    assert "label" in str(error)
else:
    raise AssertionError("a label out of range was taken")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


def test_pxd_has_every_function() -> None:
    import fastsoftmax.c_api as c_api

    header = (Path(INCLUDE) / "fastsoftmax.h").read_text()
    declared = set(re.findall(r"^FASTSOFTMAX_API [^(]*?fastsoftmax_(\w+)\(", header, re.M))
    pxd = Path(c_api.__file__).with_suffix(".pxd").read_text()
    offered = set(re.findall(r"^cdef .*?(\w+)\(", pxd, re.M))
    assert len(declared) > 20
    assert declared <= offered
    assert offered == set(c_api.__pyx_capi__)


def test_capsule() -> None:
    import fastsoftmax.c_api as c_api

    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = pointer(c_api.C_API, b"fastsoftmax.c_api.C_API")
    table = ctypes.cast(address, ctypes.POINTER(ctypes.c_size_t))
    assert table[0] % ctypes.sizeof(ctypes.c_void_p) == 0
    assert ctypes.CFUNCTYPE(ctypes.c_int)(table[1])() == LIB.fastsoftmax_abi_version()


def test_scipy() -> None:
    scipy = library("scipy")
    ndimage, integrate = library("scipy.ndimage"), library("scipy.integrate")
    import fastsoftmax.c_api as c_api

    def low(name: str, *user_data: Any) -> Any:
        return scipy.LowLevelCallable.from_cython(c_api, name, *user_data)

    x = np.random.default_rng(0).normal(size=(6, 8))
    for name in ("softmax", "log_softmax"):
        filtered = ndimage.generic_filter1d(x, low(f"filter1d_{name}"), 1, axis=0)
        same(filtered, getattr(fs, name)(x, 0, backend="c").copy())
    window = ndimage.generic_filter(x, low("filter_logsumexp"), 3)
    assert window[2, 3] == fs.logsumexp(x[1:4, 2:5].ravel())
    line = ndimage.generic_filter1d(x, low("filter1d_logsumexp"), 3, axis=1)
    assert line[1, 4] == fs.logsumexp(x[1, 3:6])
    label = ctypes.c_int64(1)
    pointer = ctypes.cast(ctypes.pointer(label), ctypes.c_void_p)
    for callable_, value in (
        (low("vector_logsumexp"), lambda z: fs.logsumexp([z, 0.5])),
        (low("vector_cross_entropy", pointer), lambda z: fs.cross_entropy([z, 0.5], 1)),
    ):
        got = integrate.quad(callable_, 0, 1, args=(0.5,))[0]
        assert got == integrate.quad(value, 0, 1)[0]
