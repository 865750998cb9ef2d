"""The loss of a linear layer: the same as that of its logits, which never exist whole."""

from __future__ import annotations

import functools
import itertools
import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import fastsoftmax as fsm
from fastsoftmax import _linear
from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import ulp_error
from fastsoftmax._linear.tiles import Tiles

from . import cases
from .layouts import layouts
from .test_memory import peak_of
from .variants import TESTED, Variant

Array = npt.NDArray[Any]

SAMPLES, FEATURES, CLASSES = 90, 8, 400
TILES = {
    "whole": None,
    "rows": Tiles(chunk=40, columns=CLASSES, rows=17, classes=150),
    "parts": Tiles(chunk=40, columns=130, rows=40, classes=60),
}
WORST = 4  # ulp, of what the contract bounds


@pytest.fixture(params=TESTED)
def backend(request: pytest.FixtureRequest) -> Variant:
    """A backend; what depends on its instruction set is tested with the kernels."""
    return Variant(request.param)


@pytest.fixture(params=list(TILES))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All samples at once, some at a time, or some at a time and of these part of the classes."""
    if (tiles := TILES[request.param]) is not None:
        monkeypatch.setattr(Tiles, "of", lambda problem, results, workspace_bytes: tiles)
    return str(request.param)


value_and_grad = fsm.linear_cross_entropy_value_and_grad


def dyadic(name: str, *shape: int) -> Array:
    """Numbers whose products and sums of products are exact in float32, and in any order."""
    return np.asarray(cases.rng(name).integers(-12, 13, shape) / 8)


def layer(dtype: str, samples: int = SAMPLES, classes: int = CLASSES) -> tuple[Array, ...]:
    arrays = (
        dyadic("x", samples, FEATURES),
        dyadic("weight", classes, FEATURES),
        dyadic("bias", classes),
    )
    return tuple(array.astype(dtype) for array in arrays)


def labels(samples: int = SAMPLES, classes: int = CLASSES) -> Array:
    return np.asarray(cases.rng("labels").integers(0, classes, samples))


def soft_targets(dtype: str) -> Array:
    t = cases.rng("soft").random((SAMPLES, CLASSES)) ** 20
    return np.asarray((t / t.sum(axis=1, keepdims=True)).astype(dtype))


def assert_close(actual: Array, exact: Array, scale: Array | float, units: float) -> None:
    """Within so many units of roundoff of what adds up to the result."""
    bound = units * np.finfo(actual.dtype).eps * scale + np.finfo(actual.dtype).tiny
    assert (np.abs(actual - exact) <= bound).all()


def check(
    result: tuple[Any, tuple[Any, ...]],
    x: Array,
    w: Array,
    b: Array | None,
    t: Array,
    **options: Any,
) -> None:
    """Compare with the core functions, in float64, on logits that were made without rounding."""
    loss, (dx, dweight, dbias) = result
    exact = x.astype(np.float64), w.astype(np.float64)
    logits = exact[0] @ exact[1].T + (0.0 if b is None else b.astype(np.float64))
    t = t if t.ndim == 1 else t.astype(np.float64)
    options.setdefault("reduction", "mean")
    expected, grad = fsm.cross_entropy_value_and_grad(logits, t, backend="numpy", **options)
    assert_close(np.asarray(loss), expected, np.abs(expected), WORST)
    depth = WORST + w.shape[0]
    assert_close(dx, grad @ exact[1], np.abs(grad) @ np.abs(exact[1]), depth)
    depth = WORST + len(x)
    assert_close(dweight, grad.T @ exact[0], np.abs(grad).T @ np.abs(exact[0]), depth)
    if dbias is not None:
        options["reduction"] = options["reduction"].replace("none", "sum")
        total = fsm.cross_entropy_mean_grad(logits, t, backend="numpy", **options)
        assert_close(dbias, total, np.abs(grad).sum(axis=0), WORST)


@pytest.mark.parametrize("kind", ["labels", "soft"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_every_combination(
    backend: Variant, dtype: str, kind: str, reduction: str, way: str
) -> None:
    x, w, b = layer(dtype)
    t = labels() if kind == "labels" else soft_targets(dtype)
    class_weight = cases.rng("class weight").random(CLASSES)
    sample_weight = cases.rng("sample weight").random(SAMPLES)
    some = [None, class_weight], [None, sample_weight], [0.0, 0.1], [None, int(labels()[3])]
    for class_w, sample_w, smoothing, ignore in itertools.product(*some):
        if ignore is not None and kind == "soft":
            continue
        options: dict[str, Any] = {
            "sample_weight": sample_w,
            "label_smoothing": smoothing,
            "ignore_index": ignore,
            "reduction": reduction,
        }
        for bias in (b, None):
            result = value_and_grad(
                x, w, t, bias, class_weight=class_w, backend=backend.name, **options,
            )  # fmt: skip
            check(result, x, w, bias, t, weight=class_w, **options)
            assert (result[1][2] is None) == (bias is None)


def test_against_the_reference(backend: Variant, dtype: str, way: str) -> None:
    x, w, b = layer(dtype, 5, 7)
    t = labels(5, 7)
    exact = oracle.cross_entropy(x @ w.T + b, t)
    loss, (_, _, dbias) = value_and_grad(x, w, t, b, backend=backend.name)
    assert ulp_error(np.asarray(loss), exact.loss).max() <= WORST
    assert loss == fsm.linear_cross_entropy(x, w, t, b, backend=backend.name)
    assert_close(dbias, exact.mean_grad.to_float64(), 1.0, WORST)


def test_the_confident(backend: Variant, dtype: str, way: str) -> None:
    """No cancellation at the true class, as for logits."""
    w = np.array([[40.0], [0], [0], [0]], dtype)
    loss, (dx, dweight, _) = value_and_grad(np.ones((1, 1), dtype), w, [0], backend=backend.name)
    small = np.exp(-40.0) * 3
    assert_close(np.asarray(loss), np.asarray(small), small, WORST)
    assert_close(dx, np.asarray(-40 * small), 40 * small, WORST)
    assert_close(dweight[0], np.asarray(-small), small, WORST)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_halves_are_summed_in_float32(backend: Variant, half: str, way: str) -> None:
    if half == "bfloat16":
        half = pytest.importorskip("ml_dtypes").bfloat16
    x, w, b = layer("float32")
    t = labels()
    options: dict[str, Any] = {"backend": backend.name}
    loss, gradients = value_and_grad(x.astype(half), w.astype(half), t, b.astype(half), **options)
    exact_loss, exact = value_and_grad(x, w, t, b, **options)
    unit = float(np.finfo(np.float16).eps if half == "float16" else 2.0**-7)
    assert loss.dtype == np.dtype(half)
    assert abs(float(loss) - exact_loss) <= unit * exact_loss
    for gradient, expected in zip(gradients, exact, strict=True):
        assert gradient is not None
        assert gradient.dtype == np.dtype(half)
        error = np.abs(gradient.astype(np.float64) - expected)
        assert (error <= unit * np.abs(expected) + unit * 2.0**-14).all()


@pytest.mark.parametrize(
    ("of_x", "of_weight", "of_result"),
    [
        ("float32", "float64", "float64"),
        ("float16", "float32", "float32"),
        ("int8", "float32", "float64"),
        ("int64", "int64", "float64"),
        (">f4", "float32", "float32"),
    ],
)
def test_dtypes(of_x: str, of_weight: str, of_result: str) -> None:
    x, w, b = (np.rint(array) for array in layer("float64"))
    result = value_and_grad(x.astype(of_x), w.astype(of_weight), labels(), b)
    assert result[0].dtype == of_result
    assert all(g is not None and g.dtype == of_result for g in result[1])
    check(result, x, w, b, labels())


def test_layouts(backend: Variant, dtype: str, way: str) -> None:
    x, w, b = layer(dtype)
    expected = value_and_grad(x, w, labels(), b, backend=backend.name)
    for one, other in itertools.product(layouts(x).items(), layouts(w).items()):
        if "C order" not in (one[0], other[0]) and one[0] != other[0]:
            continue
        result = value_and_grad(one[1], other[1], labels(), b, backend=backend.name)
        check(result, x, w, b, labels())
    assert expected[0] == result[0]


def test_axes_of_samples(backend: Variant, way: str) -> None:
    x, w, b = layer("float64")
    t = labels()
    expected = value_and_grad(x, w, t, b, reduction="none", backend=backend.name)
    cube = np.moveaxis(np.asfortranarray(x.reshape(5, 18, FEATURES)), 0, 1)
    out = np.empty((18, 5, FEATURES))[::-1]
    loss, (dx, dweight, _) = value_and_grad(
        cube, w, t.reshape(5, 18).T, b, reduction="none", out=(out, None, None),
        backend=backend.name,
    )  # fmt: skip
    assert dx is out
    assert loss.shape == (18, 5)
    np.testing.assert_allclose(loss.T.ravel(), expected[0], rtol=1e-15)
    np.testing.assert_allclose(np.moveaxis(out, 0, 1).reshape(x.shape), expected[1][0], rtol=1e-12)
    np.testing.assert_allclose(dweight, expected[1][1], rtol=1e-10, atol=1e-14)
    one, (dx, dweight, _dbias) = value_and_grad(x[0], w, t[0], b, reduction="none")
    assert isinstance(one, np.float64)
    assert one == expected[0][0]
    assert dx is not None
    assert dx.shape == (FEATURES,)


def test_outputs(backend: Variant, dtype: str, way: str) -> None:
    x, w, b = layer(dtype)
    options: dict[str, Any] = {"backend": backend.name}
    expected = value_and_grad(x, w, labels(), b, **options)
    for order in "CF":
        out = tuple(np.full(array.shape, 7, dtype, order=order) for array in (x, w, b))
        loss, gradients = value_and_grad(x, w, labels(), b, out=out, **options)
        assert loss == expected[0]
        for gradient, place in zip(gradients, out, strict=True):
            assert gradient is place
        check((loss, gradients), x, w, b, labels())
    in_place = x.copy(), w.copy(), b.copy()
    value_and_grad(in_place[0], in_place[1], labels(), in_place[2], out=in_place, **options)
    for gradient, place in zip(expected[1], in_place, strict=True):
        np.testing.assert_array_equal(gradient, place)
    memory = np.zeros(x.size + 3, dtype)
    memory[3:] = x.ravel()
    out_x = memory[:-3].reshape(x.shape)
    value_and_grad(memory[3:].reshape(x.shape), w, labels(), b, out=(out_x, None, None), **options)
    np.testing.assert_array_equal(out_x, expected[1][0])


@pytest.mark.parametrize("names", [("x",), ("weight",), ("bias",), ("bias", "x"), (), "weight"])
def test_some_of_the_gradients(backend: Variant, names: Any, way: str) -> None:
    x, w, _ = layer("float32")
    wanted = (names,) if isinstance(names, str) else names
    every = value_and_grad(x, w, labels(), wrt=("x", "weight", "bias"), backend=backend.name)
    loss, gradients = value_and_grad(x, w, labels(), wrt=names, backend=backend.name)
    assert loss == every[0]
    for name, some, expected in zip(("x", "weight", "bias"), gradients, every[1], strict=True):
        assert (some is not None) == (name in wanted)
        if some is not None:
            np.testing.assert_array_equal(some, expected)


def test_nothing_to_average(backend: Variant, dtype: str, way: str) -> None:
    x, w, b = layer(dtype)
    for rows, t, ignore in ((x[:0], labels()[:0], None), (x, np.full(SAMPLES, -1), -1)):
        loss, gradients = value_and_grad(
            rows, w, t, b, ignore_index=ignore, backend=backend.name,
            out=tuple(np.full(shape, 7, dtype) for shape in (rows.shape, w.shape, b.shape)),
        )  # fmt: skip
        assert np.isnan(loss)
        assert all(g is not None and not g.any() for g in gradients)
        total = fsm.linear_cross_entropy(
            rows, w, t, b, ignore_index=ignore, reduction="sum", backend=backend.name
        )
        assert total == 0
    loss, (dx, _dweight, _) = value_and_grad(x[:, :0], w[:, :0], labels(), backend=backend.name)
    np.testing.assert_allclose(loss, np.log(CLASSES), rtol=1e-6)
    assert dx is not None
    assert dx.shape == (SAMPLES, 0)


def test_values_that_are_not_finite(backend: Variant, dtype: str, way: str) -> None:
    """One sample's row and what is summed are NaN, without a warning; nothing else is."""
    x, w, b = layer(dtype)
    x[5, 2] = np.nan
    losses, (dx, _, _) = value_and_grad(x, w, labels(), b, reduction="none", backend=backend.name)
    others = np.arange(SAMPLES) != 5
    assert np.isnan(losses[5])
    assert np.isfinite(losses[others]).all()
    assert np.isnan(dx[5]).all()
    assert np.isfinite(dx[others]).all()
    huge = np.full((2, FEATURES), np.finfo(dtype).max, dtype)
    assert np.isnan(fsm.linear_cross_entropy(huge, w, [0, 1], backend=backend.name))


SLACK = 64 << 10  # for Python's own objects


@pytest.mark.parametrize(("samples", "classes"), [(6_000, 2_000), (50_000, 300), (300, 30_000)])
@pytest.mark.parametrize("of_targets", ["labels", "float64"])
def test_memory_is_bounded(samples: int, classes: int, of_targets: str) -> None:
    """Whatever the size of the logits, also where targets of another dtype must be converted."""
    if of_targets != "labels" and samples * classes > 9_000_000:
        samples //= 10
    x, w, b = layer("float32", samples, classes)
    t: Array = labels(samples, classes)
    if of_targets != "labels":
        t = np.full((samples, classes), 1 / classes)
    out = np.empty_like(x), np.empty_like(w), np.empty_like(b)
    for workspace in (2 << 20, 8 << 20):
        call = functools.partial(value_and_grad, x, w, t, b, out=out, workspace_bytes=workspace)
        assert peak_of(call) <= workspace + SLACK
    halves = x.astype("f2"), w.astype("f2"), t, b.astype("f2")
    call = functools.partial(fsm.linear_cross_entropy, *halves, workspace_bytes=8 << 20)
    assert peak_of(call) <= (8 << 20) + SLACK


def test_more_classes_than_the_memory_is_for(dtype: str) -> None:
    """Parts of the classes by themselves, with no more memory; the same results."""
    x, w, _ = layer(dtype, 70, 40_000)
    t = labels(70, 40_000)
    expected = value_and_grad(x, w, t, workspace_bytes=1 << 30)
    call = functools.partial(value_and_grad, x, w, t, workspace_bytes=4 << 20)
    loss, (dx, dweight, _) = call()
    assert peak_of(call) <= (4 << 20) + x.nbytes + w.nbytes + SLACK
    assert_close(np.asarray(loss), np.asarray(expected[0]), 1.0, 2 * WORST)
    for one, other, depth in ((dx, expected[1][0], 40_000), (dweight, expected[1][1], 70)):
        assert one is not None
        assert other is not None
        assert_close(one, other.astype(np.float64), np.abs(other).max(), depth**0.5)


def blas_threads() -> list[int]:
    return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]


def large() -> tuple[Array, Array, Array]:
    rng = cases.rng("large")
    return rng.random((2000, 50)), rng.random((60, 50)), rng.integers(0, 60, 2000)


def test_blas_has_no_more_threads_than_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    before = blas_threads()
    if not before:
        pytest.skip("this NumPy has a BLAS of its own, without threads")
    during = []
    evaluate = _linear.evaluate_rows

    def record(*arguments: Any) -> float:
        during.append(blas_threads())
        return evaluate(*arguments)

    monkeypatch.setattr(_linear, "evaluate_rows", record)
    for threads in (1, max(before), max(before) + 1):
        fsm.linear_cross_entropy(*large(), num_threads=threads)
        assert during.pop() == [min(threads, n) for n in before]
        assert blas_threads() == before
    with threadpool_limits(1, user_api="blas"):
        fsm.linear_cross_entropy(*large(), num_threads=max(before) + 1)
        assert set(during.pop()) == {1}, "what the user has limited stays so"

    def fail(*arguments: Any) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(_linear, "evaluate_rows", fail)
    with pytest.raises(KeyboardInterrupt):
        fsm.linear_cross_entropy(*large(), num_threads=1)
    assert blas_threads() == before


def test_calls_at_once_leave_blas_as_it_was() -> None:
    before = blas_threads()
    expected = fsm.linear_cross_entropy(*large())
    results: list[Any] = []

    def call(threads: int) -> None:
        results.extend(fsm.linear_cross_entropy(*large(), num_threads=threads) for _ in range(20))

    threads = [threading.Thread(target=call, args=(1 + i % 3,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(results, expected, rtol=1e-14)
    assert len(results) == 120
    assert blas_threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*JAX is multithreaded:RuntimeWarning")
def test_a_fork_within_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child, in which the call never ends, has its threads of BLAS again."""
    before = blas_threads()
    evaluate = _linear.evaluate_rows

    def fork(*arguments: Any) -> float:
        child = os.fork()
        if child == 0:
            right = blas_threads() == before and np.isfinite(evaluate(*arguments))
            os._exit(0 if right else 1)
        assert os.waitpid(child, 0)[1] == 0
        return evaluate(*arguments)

    monkeypatch.setattr(_linear, "evaluate_rows", fork)
    assert np.isfinite(fsm.linear_cross_entropy(*large(), num_threads=1))


X, W, T = np.zeros((4, 3)), np.zeros((5, 3)), np.array([0, 1, 4, 2])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (X, W[:, :2], T),
            ValueError,
            r"weight of shape \(5, 2\) is for 2 features, but x of .* 3",
        ),
        ((X, W[0], T), ValueError, r"weight must have two axes, classes by features, .*\(3,\)"),
        ((1.0, W, T), ValueError, "x must have an axis of features, its last, but it is a scalar"),
        ((X, W[:0], T), ValueError, r"weight has no classes: of its shape \(0, 3\), axis 0"),
        ((X + 1j, W, T), TypeError, "x must hold real numbers, not values of dtype complex128"),
        ((X, W.astype(str), T), TypeError, "weight must hold real numbers"),
        (
            (X, W, T, W[0]),
            ValueError,
            r"bias must have one entry for each of the 5 classes.*\(3,\)",
        ),
        ((X, W, T, W[:, 0] + 1j), TypeError, "bias must hold real numbers"),
        ((X, W, [0, 1, 5, 2]), ValueError, r"targets\[2\] = 5 is out of range for 5 classes"),
        ((X, W, X), ValueError, r"labels of shape \(4,\) or probabilities of shape \(4, 5\)"),
    ],
)
def test_layers_that_do_not_fit(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        fsm.linear_cross_entropy(*arguments)
    out = np.full((4, 3), 7.0), np.full((5, 3), 7.0), np.full(5, 7.0)
    with pytest.raises(error, match=message):
        value_and_grad(*arguments, wrt=("x", "weight", "bias"), out=out)
    assert all((array == 7).all() for array in out)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"wrt": ("x", "w")}, ValueError, "wrt must name some of 'x', 'weight', 'bias', not 'w'"),
        ({"out": X}, TypeError, "out must be a tuple of three, .* not a ndarray"),
        ({"out": (X, W)}, TypeError, "out must be a tuple of three, .* not a tuple of 2"),
        ({"out": (W, None, None)}, ValueError, r"out\[0\] must be of shape \(4, 3\), not \(5, 3\)"),
        ({"out": (None, W.astype("f4"), None)}, TypeError, r"out\[1\] must be of dtype float64"),
        (
            {"out": (None, None, np.zeros(5))},
            ValueError,
            r"out\[2\] .* bias, which is not asked for",
        ),
        ({"out": (W[:4], W, None)}, ValueError, r"out\[1\] and out\[0\] share memory"),
        ({"workspace_bytes": 1000}, ValueError, "workspace_bytes must be at least 65536, not 1000"),
        ({"workspace_bytes": 1e6}, TypeError, "workspace_bytes must be an integer, not 1000000.0"),
        ({"workspace_bytes": True}, TypeError, "workspace_bytes must be an integer, not True"),
        ({"reduction": "avg"}, ValueError, "reduction must be one of"),
        (
            {"class_weight": [1, 2]},
            ValueError,
            "class_weight must have one entry for each of the 5",
        ),
        ({"class_weight": [1, 2, -1, 0, 0]}, ValueError, r"class_weight\[2\] = -1.0 is negative"),
        ({"sample_weight": [1, 2]}, ValueError, "sample_weight must have one entry for each"),
    ],
)
def test_options_that_do_not_fit(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        value_and_grad(X, W, T, **options)
