"""fastsoftmax.jax against jax.nn and optax, and against the oracle."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fs
from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import ulp_error

from ..variants import INSTALLED
from . import library

jax = library("jax")
optax = library("optax")
import jax.numpy as jnp  # noqa: E402

import fastsoftmax.jax as fsj  # noqa: E402

with_labels = fsj.softmax_cross_entropy_with_integer_labels
optax_with_labels = optax.softmax_cross_entropy_with_integer_labels

# Relative to the largest entry, or to 1: theirs subtract numbers of that size from each other.
TOLERANCES = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 5e-6, "float64": 1e-14}
SHAPES = [((7, 5), -1), ((5, 7), 0), ((3, 5, 4), 1), ((2, 3, 4), (0, 2)), ((6,), 0)]


@pytest.fixture(autouse=True, params=INSTALLED)
def every_backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each backend; the kernels of each instruction set are tested without JAX."""
    with jax.enable_x64(True), fs.use_backend(request.param):
        yield request.param


@pytest.fixture
def only_c(every_backend: str) -> None:
    if every_backend != "c":
        pytest.skip("only the custom calls are in question")


def problem(shape: Any, axis: Any, dtype: str = "float64") -> tuple[Any, Any, Any]:
    """Logits, labels and probabilities."""
    rng = np.random.default_rng(3)
    axes = tuple(a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,)))
    samples = tuple(n for i, n in enumerate(shape) if i not in axes)
    classes = int(np.prod([shape[a] for a in axes]))
    logits = jnp.asarray(rng.normal(scale=3, size=shape)).astype(dtype)
    labels = jnp.asarray(rng.integers(0, classes, samples))
    return logits, labels, jnp.asarray(rng.uniform(size=shape)).astype(dtype)


def close(actual: Any, expected: Any, dtype: str) -> None:
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    a, e = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    scale = np.abs(e[np.isfinite(e)]).max(initial=1.0)  # probabilities and cotangents are about 1
    np.testing.assert_allclose(a, e, rtol=0, atol=TOLERANCES[dtype] * scale)


def same_vjp(ours: Any, theirs: Any, x: Any, dtype: str) -> None:
    """The same value and vector-Jacobian product; those of short dtypes as if made in float32."""
    value, pull = jax.vjp(ours, x)
    by = jnp.linspace(-1, 2, value.size).reshape(value.shape).astype(dtype)
    wide = jnp.promote_types(dtype, "float32")
    expected, expected_pull = jax.vjp(theirs, x.astype(wide))
    assert value.dtype == dtype
    close(value.astype(wide), expected, dtype)
    close(pull(by)[0].astype(wide), expected_pull(by.astype(wide))[0], dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_values_and_gradients_are_theirs(shape: Any, axis: Any, dtype: str) -> None:
    x, labels, soft = problem(shape, axis, dtype)
    for ours, theirs in ((fsj.softmax, jax.nn.softmax), (fsj.log_softmax, jax.nn.log_softmax)):
        for where in (None, soft > 0.2):
            options = {"axis": axis, "where": where}
            same_vjp(partial(ours, **options), partial(theirs, **options), x, dtype)
    options = {"labels": labels, "axis": axis}
    same_vjp(partial(with_labels, **options), partial(optax_with_labels, **options), x, dtype)
    options["labels"] = soft
    same_vjp(
        partial(fsj.softmax_cross_entropy, **options),
        partial(optax.softmax_cross_entropy, **options),
        x,
        dtype,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_within_the_package_s_own_bounds(dtype: str) -> None:
    x, labels, soft = problem((20, 9), -1, dtype)
    x = x.at[:4, 2].set(60.0)  # confident
    labels = labels.at[:4].set(2)
    logits = np.asarray(x)
    assert ulp_error(fsj.softmax(x), oracle.softmax(logits)).max() <= 2
    assert ulp_error(fsj.log_softmax(x), oracle.log_softmax(logits)).max() <= 4
    for function, targets in ((with_labels, labels), (fsj.softmax_cross_entropy, soft)):
        exact = oracle.cross_entropy(logits, np.asarray(targets), reduction="none")
        loss, pull = jax.vjp(lambda x, f=function, t=targets: f(x, t), x)
        (grad,) = pull(jnp.ones_like(loss))
        scale = exact.grad_scale if targets is soft else None
        assert ulp_error(loss, exact.loss).max() <= 4
        assert ulp_error(grad, exact.grad, scale=scale).max() <= 4


def transformed(f: Any, x: Any, t: Any) -> list[Any]:
    return [
        jax.jit(f)(x, t),
        jax.vmap(f, in_axes=(1, 1), out_axes=1)(x, t),
        jax.jit(jax.vmap(jax.vmap(jax.grad(f))))(x, t),
        *jax.jvp(lambda x: f(x, t), (x,), (jnp.sin(x),)),
        jax.hessian(lambda x: f(x, t[0, 0]))(x[0, 0]),
        jax.grad(lambda x: jax.grad(lambda x: f(x, t).sum())(x)[0, 0, 0] ** 2)(x),
        jax.jit(jax.checkpoint(jax.grad(lambda x: f(x, t).mean())))(x),
    ]


def transformed_alike(ours: Any, theirs: Any, x: Any, t: Any) -> None:
    for actual, expected in zip(transformed(ours, x, t), transformed(theirs, x, t), strict=True):
        close(actual, expected, "float64")


def test_transformations() -> None:
    x, labels, soft = problem((4, 3, 5), -1)
    transformed_alike(with_labels, optax_with_labels, x, labels)
    transformed_alike(fsj.softmax_cross_entropy, optax.softmax_cross_entropy, x, soft)
    for ours, theirs in ((fsj.softmax, jax.nn.softmax), (fsj.log_softmax, jax.nn.log_softmax)):
        close(jax.hessian(ours)(x[0, 0]), jax.hessian(theirs)(x[0, 0]), "float64")
        close(jax.vmap(ours, 2, 2)(x), jax.vmap(theirs, 2, 2)(x), "float64")
    both_gradients = [
        jax.grad(lambda t, f=f: (f(x, t) ** 2).sum())(soft)
        for f in (fsj.softmax_cross_entropy, optax.softmax_cross_entropy)
    ]
    close(*both_gradients, "float64")


def test_masks_of_the_losses() -> None:
    x, labels, soft = problem((6, 5), -1)
    classes, samples = soft > 0.3, jnp.arange(6) % 3 > 0
    classes = classes.at[jnp.arange(6), labels].set(True).at[2].set(False)
    for where in (classes, samples):
        for ours, theirs, t in (
            (with_labels, optax_with_labels, labels),
            (fsj.softmax_cross_entropy, optax.softmax_cross_entropy, soft),
        ):
            close(ours(x, t, where=where), theirs(x, t, where=where), "float64")
            grad = jax.grad(lambda x, f=ours, t=t, w=where: f(x, t, where=w).sum())(x)
            assert np.isfinite(grad).all()
            kept = where if where.ndim == 2 else where[:, None]
            assert not np.asarray(jnp.where(kept, 0, grad)).any()
    left_out = classes.at[0, labels[0]].set(False)
    assert with_labels(x, labels, where=left_out)[0] == np.inf


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_labels_out_of_range_and_from_the_end(dtype: str) -> None:
    x = problem((5, 4), -1)[0]
    labels = jnp.array([0, 4, 100, 3, -1 if dtype.startswith("i") else 2]).astype(dtype)
    loss, pull = jax.vjp(jax.jit(lambda x: with_labels(x, labels)), x)
    assert np.isnan(loss).tolist() == [False, True, True, False, False]
    close(loss[-1], with_labels(x[-1], labels[-1].astype("int64") % 4), "float64")
    (grad,) = pull(jnp.ones_like(loss))
    assert np.asarray(grad).any(1).tolist() == [True, False, False, True, True]
    assert np.isfinite(grad).all()


def test_empty_arrays_and_errors() -> None:
    assert fsj.softmax(jnp.zeros((0, 3))).shape == (0, 3)
    empty = jnp.zeros((0, 3))
    assert with_labels(empty, jnp.zeros(0, int)).shape == (0,)
    assert jax.grad(lambda x: with_labels(x, jnp.zeros(0, int)).sum())(empty).shape == (0, 3)
    x, labels, _ = problem((4, 3), -1)
    with pytest.raises(ValueError, match="x has no classes"):
        fsj.softmax(jnp.zeros((3, 0)))
    with pytest.raises(ValueError, match=r"labels must have the shape .*\(4,\), not \(3,\)"):
        with_labels(x, labels[:3])
    with pytest.raises(TypeError, match="labels must be of an integer dtype, not float64"):
        with_labels(x, x[:, 0])
    with pytest.raises(ValueError, match="there is softmax_cross_entropy_with_integer_labels"):
        fsj.softmax_cross_entropy(x, labels)
    with pytest.raises(TypeError, match="x must hold real numbers, not values of dtype complex"):
        fsj.softmax(x * 1j)
    with pytest.raises(np.exceptions.AxisError):
        fsj.softmax(x, 2)


def test_training_on_digits() -> None:
    data = library("sklearn.datasets").load_digits()
    x, y = jnp.asarray(data.data / 16, jnp.float32), jnp.asarray(data.target)

    def trained(loss: Any) -> tuple[Any, list[float]]:
        @jax.jit
        def step(w: Any) -> Any:
            value, g = jax.value_and_grad(lambda w: loss(x @ w, y).mean())(w)
            return w - 0.5 * g, value

        w, history = jnp.zeros((64, 10), jnp.float32), []
        for _ in range(30):
            w, value = step(w)
            history.append(float(value))
        return w, history

    (w, ours), (expected, theirs) = trained(with_labels), trained(optax_with_labels)
    assert ours[-1] < 1 < 2.3 < ours[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    np.testing.assert_allclose(w, expected, atol=1e-4)


def test_subnormals_are_kept(only_c: None) -> None:
    """XLA's own threads flush them to 0, and so would threads of the kernels' that these start."""
    logits = np.tile(np.array([[0, -90, -100, -95]], np.float32), (100_000, 1))
    expected = fs.softmax(logits)
    assert 0 < expected.min() < 1e-42
    for function in (fsj.softmax, jax.jit(fsj.softmax)):
        for rows in (logits[:1], logits):
            assert np.asarray(function(rows)).tobytes() == expected[: len(rows)].tobytes()
    assert fs.softmax(logits, num_threads=3).tobytes() == expected.tobytes()


def test_many_threads_at_once(only_c: None) -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(512, 1000)), jnp.float32)
    labels = jnp.arange(512) % 1000
    with fs.use_num_threads(2):
        step = (
            jax.jit(jax.value_and_grad(lambda x: with_labels(x, labels).mean())).lower(x).compile()
        )
    expected, failures = jax.tree.map(np.asarray, step(x)), []

    def work() -> None:
        for _ in range(20):
            value, grad = map(np.asarray, step(x))
            fs.softmax(np.asarray(x), num_threads=2)
            if value != expected[0] or not np.array_equal(grad, expected[1]):
                failures.append(float(value))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "deadlock"
    assert not failures


def test_bad_custom_calls_are_errors(only_c: None) -> None:
    """Each would be a crash if the handler believed what it is told."""
    fsj.softmax(jnp.zeros(3))
    x = jnp.zeros((4, 3), jnp.float32)
    wrong = [
        ((4, 2), "float32", (x,), {"trailing": 0, "threads": 1}, "result 0 is of the wrong shape"),
        ((4, 3), "float64", (x,), {"trailing": 0, "threads": 1}, "result 0 is of the wrong type"),
        ((4,), "float32", (x,), {"trailing": 0, "threads": 1}, "the wrong number of axes"),
        ((4, 3), "float32", (x,), {"trailing": 2, "threads": 1}, "argument 0 has too few axes"),
        ((4, 3), "float32", (x,), {"threads": 1}, "trailing and threads, both int64"),
        ((4, 3), "float32", (x, x), {"trailing": 0, "threads": 1}, "argument 1 is of the wrong"),
        ((4, 3), "int32", (x.astype(int),), {"trailing": 0, "threads": 1}, "without a kernel"),
        ((4, 3), "float32", (), {"trailing": 0, "threads": 1}, "argument 0 is missing"),
    ]
    for shape, dtype, arguments, attributes, message in wrong:
        call = jax.ffi.ffi_call("fastsoftmax_softmax", jax.ShapeDtypeStruct(shape, dtype))
        options = {name: np.int64(value) for name, value in attributes.items()}
        with pytest.raises(Exception, match=message):
            jax.block_until_ready(call(*arguments, **options))


def test_layouts_are_those_of_jaxlib(only_c: None, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to compile jaxlib's header with")
    here = Path(__file__).parent
    command = [compiler, "-std=c11", "-fsyntax-only", "-I", jax.ffi.include_dir()]
    command += ["-I", str(here.parents[1] / "csrc"), str(here / "xla_layout.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_jax(only_c: None) -> None:
    program = """
import importlib.util as u, sys
found = u.find_spec
u.find_spec = lambda name, package=None: None if name == "jax" else found(name, package)
import fastsoftmax
assert "jax" not in sys.modules
try:
    import fastsoftmax.jax
except ImportError as error:
    assert 'pip install "fastsoftmax[jax]"' in str(error), error
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)
