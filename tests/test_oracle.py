"""The reference against known values and against its own vectorised form."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

from fastsoftmax._accuracy import oracle, wide
from fastsoftmax._accuracy.exact import Exact, from_wide, ulp_error
from fastsoftmax._accuracy.oracle import from_mp

from . import cases


def exact_of(*values: float) -> Exact:
    return from_wide(np.array(values))


@pytest.mark.parametrize(
    ("dtype", "spacing_at_one"),
    [("float32", 2.0**-23), ("float64", 2.0**-52), ("float16", 2.0**-10)],
)
def test_ulp_is_the_spacing_of_the_exact_value(dtype: str, spacing_at_one: float) -> None:
    actual = np.array([1 + spacing_at_one, 2 - spacing_at_one, 4, 0.5], dtype)
    exact = exact_of(1.0, 2.0, 4 - 2 * spacing_at_one, 0.5)
    np.testing.assert_array_equal(ulp_error(actual, exact), [1, 0.5, 1, 0])


@pytest.mark.parametrize("dtype", cases.DTYPES)
def test_ulp_at_the_bottom_is_the_smallest_subnormal(dtype: str) -> None:
    smallest = np.finfo(dtype).smallest_subnormal
    with mpmath.workprec(200):
        exact = from_mp([mpmath.mpf(float(smallest)) * 3 / 4, mpmath.exp(-1e308), 0])
    actual = np.array([smallest, smallest, 0], dtype)
    np.testing.assert_array_equal(ulp_error(actual, exact), [0.25, 1, 0])


@pytest.mark.parametrize("dtype", cases.DTYPES)
def test_ulp_beyond_the_largest_number(dtype: str) -> None:
    top = np.finfo(dtype).max
    with mpmath.workprec(200):
        exact = from_mp([mpmath.mpf(float(top)) * 5, -mpmath.mpf(float(top)) * 5, float(top)])
    infinite = np.array([np.inf, -np.inf, np.inf], dtype)
    np.testing.assert_array_equal(ulp_error(infinite, exact), [0, 0, 1])
    np.testing.assert_array_equal(ulp_error(np.array([top, top, top]), exact)[:1], [1])
    assert ulp_error(np.array([top]), exact[1:2])[0] > 1e6


def test_ulp_is_strict_about_infinities_and_nan() -> None:
    inf, nan = np.inf, np.nan
    exact = exact_of(nan, nan, inf, inf, inf, 1.0, 1.0)
    actual = np.array([nan, 1.0, inf, -inf, 1e300, nan, inf])
    error = ulp_error(actual, exact)
    np.testing.assert_array_equal(error[:5], [0, inf, 0, inf, inf])
    assert error[5] == inf
    assert error[6] > 1e300
    with pytest.raises(ValueError, match="shape"):
        ulp_error(actual[:3], exact)


def test_ulp_sees_the_low_part() -> None:
    with mpmath.workprec(300):
        exact = from_mp([1 + mpmath.mpf(2) ** -60])
    assert ulp_error(np.array([1.0]), exact)[0] == 2.0**-8


def test_scale_gives_the_unit() -> None:
    error = ulp_error(np.array([2.0**-52]), exact_of(0.0), scale=exact_of(1.0))
    np.testing.assert_array_equal(error, [1])


@pytest.mark.parametrize("dtype", cases.DTYPES)
def test_known_values(dtype: str) -> None:
    x = np.array([[0, 0], [0, -np.inf]], dtype)
    np.testing.assert_array_equal(oracle.softmax(x).to_float64(), [[0.5, 0.5], [1, 0]])
    logs = oracle.log_softmax(x).to_float64()
    np.testing.assert_array_equal(logs, [[-math.log(2), -math.log(2)], [0, -np.inf]])
    np.testing.assert_array_equal(oracle.logsumexp(x).to_float64(), [math.log(2), 0])
    problem = oracle.cross_entropy(np.array([[30.0, 0, 0, 0]], dtype), np.array([0]))
    loss, grad = float(problem.loss.to_float64()), problem.grad.to_float64()
    small = 3 * math.exp(-30)
    assert loss == pytest.approx(math.log1p(small), rel=1e-15)
    assert grad[0, 0] == pytest.approx(-small / (1 + small), rel=1e-15)


def test_saturation_is_resolved_down_to_the_last_subnormal() -> None:
    grad = oracle.cross_entropy(np.array([[744.0, 0.0]]), np.array([0])).grad.to_float64()
    np.testing.assert_array_equal(grad, [[-1e-323, 1e-323]])


def test_special_rows() -> None:
    nan, inf = np.nan, np.inf
    x = np.array([[1, nan], [1, inf], [-inf, -inf], [1, 1]])
    assert np.isnan(oracle.softmax(x).to_float64()[:3]).all()
    np.testing.assert_array_equal(oracle.logsumexp(x).to_float64()[:3], [nan, inf, -inf])
    where = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], bool)
    kept = oracle.softmax(x, where).to_float64()
    np.testing.assert_array_equal(kept, [[1, 0], [1, 0], [0, 0], [0, 1]])
    np.testing.assert_array_equal(oracle.logsumexp(x, where).to_float64(), [1, 1, -inf, 1])


def test_ignored_and_empty_means() -> None:
    logits = np.array([[1.0, 2.0], [np.nan, 0.0]])
    problem = oracle.cross_entropy(logits, np.array([0, -1]), ignore_index=-1)
    assert problem.loss.to_float64() == pytest.approx(math.log1p(math.e))
    np.testing.assert_array_equal(problem.grad.to_float64()[1], 0)
    nothing = oracle.cross_entropy(logits, np.array([-1, -1]), ignore_index=-1)
    assert np.isnan(nothing.loss.to_float64())
    np.testing.assert_array_equal(nothing.mean_grad.to_float64(), 0)


def distance(left: Exact, right: Exact, dtype: str, scale: Exact | None = None) -> float:
    """Between two references, in ulp of `dtype`."""
    unit = left if scale is None else scale
    size = np.maximum(unit.exponent, np.finfo(dtype).minexp + 1)
    with np.errstate(all="ignore"):
        hi = np.ldexp(left.hi, left.exponent - size) - np.ldexp(right.hi, right.exponent - size)
        lo = np.ldexp(left.lo, left.exponent - size) - np.ldexp(right.lo, right.exponent - size)
    same = (left.hi == right.hi) & (np.isinf(left.hi) | (left.hi == 0))
    gap = np.where(same, 0, np.abs(hi + lo))
    return float(gap.max(initial=0)) * 2.0 ** (np.finfo(dtype).nmant + 1)


WIDE_CASES: list[Any] = [
    *(("random", k, scale) for k in (1, 2, 5, 40, 200) for scale in (1.0, 20.0)),
    *(("saturated", k, 0.0) for k in (2, 4)),
    *((name, 0, 0.0) for name in cases.HOSTILE),
]


@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize(("name", "num_classes", "scale"), WIDE_CASES)
def test_wide_form_agrees_with_the_definition(
    dtype: str, name: str, num_classes: int, scale: float
) -> None:
    if not wide.available(dtype):
        pytest.skip(f"no floating-point type on this platform is wider than {dtype}")
    if name == "random":
        x = cases.random_logits(dtype, num_classes, scale)[:10]
    elif name == "saturated":
        x = cases.saturated_logits(dtype, num_classes)
    else:
        x = cases.hostile_logits(dtype, name)
    near = 2.0**-5
    assert distance(oracle.softmax(x), wide.softmax(x), dtype) < near
    assert distance(oracle.log_softmax(x), wide.log_softmax(x), dtype) < near
    value, scale_of_value = wide.logsumexp(x)
    assert distance(oracle.logsumexp(x), value, dtype, oracle.logsumexp_scale(x)) < near
    assert distance(oracle.logsumexp_scale(x), scale_of_value, dtype) < near
    for targets in (cases.labels_for(x), cases.soft_targets_for(x)):
        soft = targets.shape == x.shape
        exact = oracle.cross_entropy(x, targets)
        approximate = wide.cross_entropy(x, targets)
        each = oracle.cross_entropy(x, targets, reduction="none")
        grad_scale = each.grad_scale if soft else each.grad
        assert distance(each.loss, approximate.losses, dtype) < near
        assert distance(each.grad, approximate.grad, dtype, grad_scale) < near
        assert distance(each.grad_scale, approximate.grad_scale, dtype) < near
        assert distance(exact.loss, approximate.loss, dtype) < near
        mean_scale = exact.mean_grad_scale
        assert distance(exact.mean_grad, approximate.mean_grad, dtype, mean_scale) < near
        assert distance(mean_scale, approximate.mean_grad_scale, dtype) < near
        if not soft:
            _, hess = oracle.grad_hess(x, targets)
            assert distance(hess, approximate.hess, dtype) < near


@pytest.mark.parametrize("dtype", cases.DTYPES)
def test_wide_backward_products_agree_with_the_definition(dtype: str) -> None:
    if not wide.available(dtype):
        pytest.skip(f"no floating-point type on this platform is wider than {dtype}")
    x = cases.random_logits(dtype, 40, 3.0)[:30]
    g = cases.random_logits(dtype, 40, 1.0)[:30]
    output = wide.softmax(x).to_float64().astype(dtype)
    logs = wide.log_softmax(x).to_float64().astype(dtype)
    for exact, approximate in (
        (oracle.softmax_backward(g, output), wide.softmax_backward(g, output)),
        (oracle.log_softmax_backward(g, logs), wide.log_softmax_backward(g, logs)),
    ):
        assert distance(exact[0], approximate[0], dtype, exact[1]) < 2.0**-5
        assert distance(exact[1], approximate[1], dtype) < 2.0**-5
