"""The functions inside a user's compiled code: the bits they have outside."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from . import cases
from .layouts import layouts

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="numba is not installed"
)

Array = npt.NDArray[Any]

SHAPES = ((7,), (19, 10), (5, 300), (4, 3, 6), (2, 3, 4, 5))
LAYOUTS = ("C order", "Fortran order", "slice", "reversed", "rotated axes", "read-only")
REDUCTIONS = ("mean", "sum", "none")


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    from numba import njit

    jitted: Callable[..., Any] = njit(function)
    return jitted


def logits(shape: tuple[int, ...], dtype: str) -> Array:
    return (cases.rng("jitted", shape).standard_normal(shape) * 4).astype(dtype)


def labels(shape: tuple[int, ...], dtype: str = "int64") -> Array:
    return np.asarray(cases.rng("labels", shape).integers(0, shape[-1], shape[:-1]).astype(dtype))


def soft(shape: tuple[int, ...], dtype: str) -> Array:
    t = cases.rng("soft", shape).random(shape) ** 2
    return np.asarray((t / t.sum(axis=-1, keepdims=True)).astype(dtype))


def laid_out(x: Array, layout: str) -> Array:
    """The array in a layout; itself where it has too few axes for that one."""
    return layouts(x).get(layout, x)


def assert_same(actual: Any, expected: Any) -> None:
    """The same bits, dtypes and shapes; a number comes to Python as a float."""
    if isinstance(expected, tuple):
        for a, b in zip(actual, expected, strict=True):
            assert_same(a, b)
        return
    if not isinstance(expected, np.ndarray):
        assert isinstance(actual, float)
        assert np.asarray(actual, expected.dtype).tobytes() == expected.tobytes()
        return
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert np.ascontiguousarray(actual).tobytes() == np.ascontiguousarray(expected).tobytes()


# --- probabilities ---------------------------------------------------------------------------


def call_softmax(x: Any) -> Any:
    return fsm.softmax(x)


def call_log_softmax(x: Any) -> Any:
    return fsm.log_softmax(x)


def call_logsumexp(x: Any) -> Any:
    return fsm.logsumexp(x)


def call_logsumexp_keepdims(x: Any) -> Any:
    return fsm.logsumexp(x, keepdims=True)


PROBABILITIES = (call_softmax, call_log_softmax, call_logsumexp, call_logsumexp_keepdims)


@pytest.fixture(scope="module", params=PROBABILITIES, ids=lambda f: f.__name__[5:])
def probabilities(request: pytest.FixtureRequest) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A function as it is, and compiled."""
    return request.param, compiled(request.param)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_probabilities(
    probabilities: tuple[Any, Any], shape: tuple[int, ...], layout: str, dtype: str
) -> None:
    plain, jitted = probabilities
    x = laid_out(logits(shape, dtype), layout)
    assert_same(jitted(x), plain(x))


def softmax_out(x: Any, out: Any) -> Any:
    return fsm.softmax(x, out=out)


def log_softmax_masked(x: Any, where: Any, out: Any) -> Any:
    return fsm.log_softmax(x, where=where, out=out)


def softmax_masked(x: Any, where: Any) -> Any:
    return fsm.softmax(x, -1, where)


def logsumexp_out(x: Any, out: Any) -> Any:
    return fsm.logsumexp(x, out=out)


@pytest.mark.parametrize("layout", ["C order", "Fortran order", "rotated axes"])
@pytest.mark.parametrize("shape", [(7,), (19, 10), (4, 3, 6)], ids=str)
def test_out(shape: tuple[int, ...], layout: str) -> None:
    x = logits(shape, "float32")
    out = laid_out(np.zeros_like(x), layout)
    result = compiled(softmax_out)(x, out)
    assert_same(out, fsm.softmax(x))
    assert np.shares_memory(result, out)
    sums = np.zeros(shape[:-1], x.dtype)
    compiled(logsumexp_out)(x, sums)
    assert_same(sums, np.asarray(fsm.logsumexp(x)))


def test_out_may_be_the_input_or_overlap_it() -> None:
    jitted = compiled(softmax_out)
    expected = fsm.softmax(logits((19, 10), "float64"))
    x = logits((19, 10), "float64")
    jitted(x, x)
    assert_same(x, expected)
    memory = np.zeros(200)
    memory[:190] = logits((19, 10), "float64").ravel()
    jitted(memory[:190].reshape(19, 10), memory[7:197].reshape(19, 10))
    assert_same(memory[7:197].reshape(19, 10), expected)


@pytest.mark.parametrize("shape", [(7,), (19, 10), (4, 3, 6)], ids=str)
def test_where(shape: tuple[int, ...], dtype: str) -> None:
    x = logits(shape, dtype)
    full = cases.rng("where", shape).random(shape) < 0.6
    for where in (full, full[..., :1].copy(), full.reshape(-1, shape[-1])[0].copy()):
        assert_same(compiled(softmax_masked)(x, where), fsm.softmax(x, where=where))
        out = np.zeros_like(x)
        compiled(log_softmax_masked)(x, where, out)
        assert_same(out, fsm.log_softmax(x, where=where))


# --- cross-entropy ---------------------------------------------------------------------------


def call_loss(x: Any, t: Any) -> Any:
    return (
        fsm.cross_entropy(x, t),
        fsm.cross_entropy(x, t, reduction="sum"),
        fsm.cross_entropy(x, t, reduction="none"),
    )


def call_value_and_grad(x: Any, t: Any) -> Any:
    return fsm.cross_entropy_value_and_grad(x, t)


def call_value_and_mean_grad(x: Any, t: Any) -> Any:
    return fsm.cross_entropy_value_and_mean_grad(x, t)


def call_gradients(x: Any, t: Any) -> Any:
    return fsm.cross_entropy_grad(x, t), fsm.cross_entropy_mean_grad(x, t, reduction="sum")


CROSS_ENTROPIES = (call_loss, call_value_and_grad, call_value_and_mean_grad, call_gradients)


@pytest.fixture(scope="module", params=CROSS_ENTROPIES, ids=lambda f: f.__name__[5:])
def cross_entropy(request: pytest.FixtureRequest) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return request.param, compiled(request.param)


@pytest.mark.parametrize("targets", ["int64", "soft"])
@pytest.mark.parametrize("layout", ["C order", "rotated axes"])
@pytest.mark.parametrize("shape", [(7,), (19, 10), (4, 3, 6)], ids=str)
def test_cross_entropy(
    cross_entropy: tuple[Any, Any], shape: tuple[int, ...], layout: str, targets: str, dtype: str
) -> None:
    plain, jitted = cross_entropy
    x = laid_out(logits(shape, dtype), layout)
    t = soft(shape, dtype) if targets == "soft" else labels(shape, targets)
    assert_same(jitted(x, t), plain(x, t))


@pytest.mark.parametrize("layout", ["Fortran order", "slice", "reversed", "read-only"])
def test_cross_entropy_of_more_layouts(layout: str) -> None:
    for shape in ((2, 3, 4, 5), (5, 300), (19, 10)):
        x, t = laid_out(logits(shape, "float64"), layout), laid_out(labels(shape, "int32"), layout)
        for plain in (call_value_and_grad, call_value_and_mean_grad):
            assert_same(compiled(plain)(x, t), plain(x, t))


def with_everything(x: Any, t: Any, w: Any, s: Any, ignored: Any, eps: Any, out: Any) -> Any:
    return fsm.cross_entropy_value_and_grad(
        x, t, weight=w, sample_weight=s, ignore_index=ignored, label_smoothing=eps, out=out
    )


def soft_with_everything(x: Any, t: Any, w: Any, s: Any, eps: Any) -> Any:
    return fsm.cross_entropy_value_and_mean_grad(
        x, t, weight=w, sample_weight=s, label_smoothing=eps
    )


@pytest.mark.parametrize("shape", [(7,), (19, 10), (4, 3, 6)], ids=str)
def test_options(shape: tuple[int, ...], dtype: str) -> None:
    x, t, generator = logits(shape, dtype), labels(shape), cases.rng("options", shape)
    w, s = generator.random(shape[-1]), generator.random(shape[:-1])
    s = np.asarray(s)
    jitted = compiled(with_everything)
    for ignored, eps in ((-100, 0.0), (int(t.flat[0]) if t.size > 1 else -1, 0.1)):
        out, expected_out = np.zeros_like(x), np.zeros_like(x)
        arguments = x, t, w.astype(np.float32), s, ignored, eps
        assert_same(jitted(*arguments, out), with_everything(*arguments, expected_out))
        assert_same(out, expected_out)
    arguments = x, soft(shape, "float64"), w, s, 0.2
    assert_same(compiled(soft_with_everything)(*arguments), soft_with_everything(*arguments))


@pytest.mark.parametrize("shape", [(30_000, 10), (3_000, 100), (300, 1000), (40, 16385)], ids=str)
@pytest.mark.parametrize("order", "CF")
def test_many_chunks(shape: tuple[int, ...], order: Any, dtype: str) -> None:
    """The sums over samples are cut up the same way."""
    x, t = np.array(logits(shape, dtype), order=order), labels(shape)
    s = cases.rng("many", shape).random(shape[0])
    assert_same(compiled(call_value_and_mean_grad)(x, t), call_value_and_mean_grad(x, t))
    arguments = x, soft(shape, dtype), np.ones(shape[1]), s, 0.0
    assert_same(compiled(soft_with_everything)(*arguments), soft_with_everything(*arguments))


def test_a_label_may_be_a_number() -> None:
    x = logits((7,), "float64")
    assert_same(compiled(call_value_and_grad)(x, 3), fsm.cross_entropy_value_and_grad(x, 3))
    x, t = logits((19, 10), "float32"), labels((19, 10), "uint8")
    assert_same(compiled(call_value_and_grad)(x, t), call_value_and_grad(x, t))


def test_no_samples_and_nothing_that_counts() -> None:
    x, t = np.empty((0, 4)), np.empty(0, np.int64)
    for plain in (call_loss, call_value_and_grad, call_value_and_mean_grad):
        actual, expected = compiled(plain)(x, t), plain(x, t)
        for a, b in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    x, t = logits((19, 10), "float64"), np.full(19, -1)
    out = np.ones_like(x)
    nothing = compiled(with_everything)(x, t, np.ones(10), np.ones(19), -1, 0.0, out)
    assert np.isnan(nothing[0])
    assert not out.any()


def test_the_loss_has_the_dtype_of_the_logits() -> None:
    def is_float32(x: Any, t: Any) -> Any:
        return np.array([fsm.cross_entropy(x, t), fsm.logsumexp(x[0])])

    result = compiled(is_float32)(logits((19, 10), "float32"), labels((19, 10)))
    assert result.dtype == np.float32
