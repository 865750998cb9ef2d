"""Half precision, integers, bools and long doubles: what they compute in and come back as."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import Exact, ulp_error

from . import cases
from .variants import Variant

Array = npt.NDArray[Any]

# computed in float32 to 4 ulp and rounded once: half a unit and a little
ONCE = 0.5 + 4 * 2.0**-12


def half_dtype(name: str) -> np.dtype[Any]:
    if name == "float16":
        return np.dtype(np.float16)
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    return np.dtype(ml_dtypes.bfloat16)


every_half = pytest.mark.parametrize("half", ["float16", "bfloat16"])
every_width = pytest.mark.parametrize("width", [1, 2, 5, 16, 33, 200])


def half_logits(half: str, width: int, scale: float = 3.0) -> Array:
    rows = max(2, 300 // width)
    noise = cases.rng("half", width).standard_normal((rows, width)) * scale
    return noise.astype(np.float32).astype(half_dtype(half))


def within_one_rounding(actual: Any, exact: Exact, x: Array, scale: Exact | None = None) -> None:
    actual = np.asarray(actual)
    assert actual.dtype == x.dtype
    assert ulp_error(actual, exact, scale=scale).max() <= ONCE


@every_half
@every_width
def test_half_precision_probabilities(backend: Variant, half: str, width: int) -> None:
    for scale in (1.0, 8.0):
        x = half_logits(half, width, scale)
        within_one_rounding(fsm.softmax(x, backend=backend.name), oracle.softmax(x), x)
        within_one_rounding(fsm.log_softmax(x, backend=backend.name), oracle.log_softmax(x), x)
        lse, size = fsm.logsumexp(x, backend=backend.name), oracle.logsumexp_scale(x)
        assert lse.dtype == x.dtype
        # the result may be in the binade above that of its scale
        assert ulp_error(lse, oracle.logsumexp(x), scale=size).max() <= 1.01
        out = np.zeros_like(x)
        assert fsm.softmax(x, out=out, backend=backend.name) is out
        np.testing.assert_array_equal(out, fsm.softmax(x, backend=backend.name))
        in_place = x.copy()
        fsm.softmax(in_place, out=in_place, backend=backend.name)
        np.testing.assert_array_equal(in_place, out)


@every_half
@every_width
@pytest.mark.parametrize("kind", ["labels", "one-hot"])
def test_half_precision_cross_entropy(backend: Variant, half: str, width: int, kind: str) -> None:
    x = half_logits(half, width)
    labels = cases.labels_for(x.astype(np.float32))
    targets = np.eye(width, dtype=x.dtype)[labels] if kind == "one-hot" else labels
    each = oracle.cross_entropy(x, targets, reduction="none")
    mean = oracle.cross_entropy(x, targets)
    name = backend.name
    losses, grad = fsm.cross_entropy_value_and_grad(x, targets, reduction="none", backend=name)
    within_one_rounding(losses, each.loss, x)
    within_one_rounding(grad, each.grad, x)
    loss = fsm.cross_entropy(x, targets, backend=name)
    assert type(loss) is x.dtype.type
    within_one_rounding(loss, mean.loss, x)
    within_one_rounding(fsm.cross_entropy_grad(x, targets, backend=name), mean.grad, x)
    loss, mean_grad = fsm.cross_entropy_value_and_mean_grad(x, targets, backend=name)
    within_one_rounding(loss, mean.loss, x)
    within_one_rounding(mean_grad, mean.mean_grad, x, scale=mean.mean_grad_scale)
    grad, hess = fsm.cross_entropy_grad_hess(x, targets, backend=name)
    within_one_rounding(grad, each.grad, x)
    within_one_rounding(hess, oracle.grad_hess(x, targets)[1], x)


@every_half
def test_half_precision_backward(backend: Variant, half: str) -> None:
    x, g = half_logits(half, 20), half_logits(half, 20, 1.0)
    p = fsm.softmax(x, backend=backend.name)
    exact, scale = oracle.softmax_backward(g, p)
    product = fsm.softmax_backward(g, p, backend=backend.name)
    within_one_rounding(product, exact, x, scale=scale)
    log_p = fsm.log_softmax(x, backend=backend.name)
    exact, scale = oracle.log_softmax_backward(g, log_p)
    product = fsm.log_softmax_backward(g, log_p, backend=backend.name)
    within_one_rounding(product, exact, x, scale=scale)


@every_half
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_precision_at_any_strides(backend: Variant, half: str, axis: int) -> None:
    x = half_logits(half, 5)[:36].reshape(6, 6, 5)
    rows = np.moveaxis(x, axis, -1)
    exact = oracle.softmax(rows)
    memory = np.zeros((12, 12, 10), x.dtype)
    memory[::-2, ::2, ::2] = x
    for view in (x, x.copy(order="F"), memory[::-2, ::2, ::2]):
        p = fsm.softmax(view, axis, backend=backend.name)
        within_one_rounding(np.moveaxis(p, axis, -1), exact, x)
        out = np.zeros((6, 6, 10), x.dtype)[:, :, ::2]
        fsm.softmax(view, axis, out=out, backend=backend.name)
        np.testing.assert_array_equal(out, p)


@every_half
def test_half_precision_extremes(backend: Variant, half: str) -> None:
    """Subnormal results, the largest logits, infinities and NaN."""
    dtype = half_dtype(half)
    top = 65504.0 if half == "float16" else 3.3895313892515355e38
    rows = [
        [0, -16, -16.6, -17, -18],
        [0, -87, -88, -90, -92],
        [top, -top, 0, 1, 2],
        [top, top, top, top, top],
        [-top, -top, -top, -top, 0],
        [np.nan, 0, 0, 0, 0],
        [np.inf, 0, 0, 0, 0],
        [-np.inf, 0, 0, 0, 0],
        [-np.inf] * 5,
    ]
    x = np.array(rows, np.float64).astype(dtype)
    within_one_rounding(fsm.softmax(x, backend=backend.name), oracle.softmax(x), x)
    log_p, exact = fsm.log_softmax(x, backend=backend.name), oracle.log_softmax(x)
    within_one_rounding(log_p, exact, x)
    labels = np.zeros(len(x), int)
    reference = oracle.cross_entropy(x, labels, reduction="none")
    losses, grad = fsm.cross_entropy_value_and_grad(
        x, labels, reduction="none", backend=backend.name
    )
    within_one_rounding(losses, reference.loss, x)
    within_one_rounding(grad, reference.grad, x)


@pytest.mark.parametrize("dtype", ["?", "b", "B", "h", "H", "i", "I", "q", "Q", ">i4", "<i2"])
def test_integers_and_bools_compute_in_float64(backend: Variant, dtype: str) -> None:
    x = (np.arange(24).reshape(4, 6) * 5 % 7).astype(dtype)
    expected = x.astype(np.float64)
    labels = np.array([0, 3, 5, 1])
    for function, others in (
        (fsm.softmax, ()),
        (fsm.log_softmax, ()),
        (fsm.logsumexp, ()),
        (fsm.cross_entropy, (labels,)),
        (fsm.cross_entropy_grad, (labels,)),
        (fsm.cross_entropy_mean_grad, (labels,)),
    ):
        actual = function(x, *others, backend=backend.name)
        assert actual.dtype == np.float64
        np.testing.assert_array_equal(actual, function(expected, *others, backend=backend.name))
    out = np.zeros((4, 6))
    assert fsm.softmax(x, out=out, backend=backend.name) is out
    np.testing.assert_array_equal(out, fsm.softmax(expected, backend=backend.name))


def test_long_doubles_compute_in_float64(backend: Variant) -> None:
    x = np.array([[0.1, 0.2, 5.0], [1e5, -np.inf, 3]], np.longdouble)
    p = fsm.softmax(x, backend=backend.name)
    assert p.dtype == np.float64
    np.testing.assert_array_equal(p, fsm.softmax(x.astype(np.float64), backend=backend.name))
    if np.finfo(np.longdouble).maxexp > 1024:
        assert np.isnan(
            fsm.softmax(np.array([np.longdouble(10) ** 400, 0]), backend=backend.name)
        ).all()


@pytest.mark.parametrize(
    "x",
    [
        [[0.0, 1.0], [2.0, 3.0]],
        ((0.0, 1.0), (2.0, 3.0)),
        [np.array([0.0, 1.0]), np.array([2.0, 3.0])],
        [[0, 1], [2, 3]],
        [[False, 1], [2, 3.0]],
    ],
    ids=["lists", "tuples", "list of arrays", "integers", "mixed"],
)
def test_sequences(backend: Variant, x: Any) -> None:
    expected = fsm.softmax(np.array([[0.0, 1.0], [2.0, 3.0]]), backend=backend.name)
    actual = fsm.softmax(x, backend=backend.name)
    assert actual.dtype == np.float64
    np.testing.assert_array_equal(actual, expected)


def test_array_protocols(backend: Variant) -> None:
    data = np.array([[0.5, 1.5]], np.float32)

    class Array1:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            return data

    class Array2:
        __array_interface__ = data.__array_interface__

    expected = fsm.softmax(data, backend=backend.name)
    for x in (Array1(), Array2(), memoryview(data)):
        actual = fsm.softmax(x, backend=backend.name)
        assert actual.dtype == np.float32
        np.testing.assert_array_equal(actual, expected)


def test_python_integers_beyond_64_bits_are_refused(backend: Variant) -> None:
    with pytest.raises(TypeError, match=r"must hold real numbers, not .*object"):
        fsm.softmax([10**30, 1], backend=backend.name)


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ("float32", "float64", "float64"),
        ("float64", "float32", "float64"),
        ("float16", "float32", "float32"),
        ("int64", "float32", "float64"),
    ],
)
def test_backward_of_two_dtypes(backend: Variant, first: str, second: str, result: str) -> None:
    g = np.array([[1, 2, 4]], first)
    p = np.array([[0.25, 0.25, 0.5]], second)
    product = fsm.softmax_backward(g, p, backend=backend.name)
    assert product.dtype == np.dtype(result)
    np.testing.assert_array_equal(product, [[-0.4375, -0.1875, 0.625]])


@pytest.mark.parametrize("logits_dtype", ["float32", "float64"])
@pytest.mark.parametrize("weight_dtype", ["float16", "float32", "float64", "int8", "bool", ">f8"])
def test_weights_of_every_dtype(backend: Variant, logits_dtype: str, weight_dtype: str) -> None:
    f = cases.random_logits(logits_dtype, 3, 1.0)[:4]
    weight, sample_weight = np.array([1, 0, 1]), np.array([1, 1, 0, 1])
    options: dict[str, Any] = {"backend": backend.name}
    expected = fsm.cross_entropy_value_and_grad(
        f, [0, 1, 2, 2], weight=weight * 1.0, sample_weight=sample_weight * 1.0, **options
    )
    actual = fsm.cross_entropy_value_and_grad(
        f,
        [0, 1, 2, 2],
        weight=weight.astype(weight_dtype),
        sample_weight=sample_weight.astype(weight_dtype),
        **options,
    )
    assert actual[0] == expected[0]
    np.testing.assert_array_equal(actual[1], expected[1])
