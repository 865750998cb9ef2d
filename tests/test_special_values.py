"""NaN and infinities, masks, and that no warning and no floating-point flag tells of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import Exact, ulp_error

from .variants import Variant

nan, inf = np.nan, np.inf

ROWS = [
    [1.0, nan, 2.0, 3.0],
    [nan, nan, nan, nan],
    [1.0, inf, 2.0, 3.0],
    [inf, inf, 0.0, 1.0],
    [inf, nan, 0.0, 1.0],
    [inf, -inf, 0.0, 1.0],
    [-inf, nan, -inf, -inf],
    [-inf, -inf, -inf, -inf],
    [-inf, -inf, -inf, 5.0],
    [-inf, 0.0, -inf, 5.0],
    [0.0, 1.0, 2.0, 3.0],
    [-0.0, 0.0, -0.0, 0.0],
]
FUNCTIONS = ("softmax", "log_softmax", "logsumexp")

every_function = pytest.mark.parametrize("function", FUNCTIONS)
every_width = pytest.mark.parametrize("width", [4, 5, 9, 40, 130])


def rows_of(dtype: str, width: int) -> npt.NDArray[Any]:
    """The rows above, filled up to `width` classes without changing what is special about them."""
    short = np.array(ROWS, dtype)
    filler = np.where(np.isneginf(short).sum(axis=1) >= 3, -inf, 0.5)[:, None]
    return np.hstack([short, np.repeat(filler, width - 4, axis=1).astype(dtype)])


def assert_close(actual: npt.NDArray[Any], exact: Exact) -> None:
    errors = ulp_error(actual, exact)
    assert errors.max() <= 4, (actual, exact.to_float64())


@every_function
@every_width
def test_special_rows(backend: Variant, dtype: str, function: str, width: int) -> None:
    x = rows_of(dtype, width)
    exact = getattr(oracle, function)(x)
    assert_close(getattr(fsm, function)(x, backend=backend.name), exact)
    # and with the class axis strided
    actual = getattr(fsm, function)(np.asfortranarray(x), backend=backend.name)
    assert_close(actual, exact)
    assert_close(getattr(fsm, function)(x.T.copy(), axis=0, backend=backend.name).T, exact)


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 9, 16, 17, 33, 70])
def test_a_special_value_is_seen_in_every_place(
    backend: Variant, dtype: str, value: float, width: int
) -> None:
    x = np.zeros((width, width), dtype)
    np.fill_diagonal(x, value)
    p = fsm.softmax(x, backend=backend.name)
    if value == -inf and width > 1:
        expected = np.full((width, width), 1 / (width - 1))
        np.fill_diagonal(expected, 0)
        np.testing.assert_allclose(p, expected, rtol=1e-6)
    else:
        assert np.isnan(p).all()
    lse = fsm.logsumexp(x, backend=backend.name)
    if value == -inf and width > 1:
        np.testing.assert_allclose(lse, np.log(width - 1), rtol=1e-6, atol=1e-7)
    else:
        np.testing.assert_array_equal(lse, np.full(width, value))


def test_special_rows_leave_their_neighbours_alone(backend: Variant, dtype: str) -> None:
    generator = np.random.default_rng(5)
    for width in (3, 10, 33):
        x = generator.standard_normal((24, width)).astype(dtype)
        clean = fsm.softmax(x, backend=backend.name)
        spoilt = x.copy()
        spoilt[::3] = nan
        spoilt[1::6, 0] = inf
        p = fsm.softmax(spoilt, backend=backend.name)
        untouched = np.isfinite(spoilt).all(axis=1)
        np.testing.assert_array_equal(p[untouched], clean[untouched])
        assert np.isnan(p[~untouched]).all()


@every_function
@every_width
def test_special_values_behind_a_mask(
    backend: Variant, dtype: str, function: str, width: int
) -> None:
    x = rows_of(dtype, width)
    masks = [
        np.isfinite(x),
        np.zeros(x.shape, bool),
        np.arange(width) != 1,
        np.arange(width) == 0,
        np.arange(len(x))[:, None] % 2 == 0,
        np.array(True),
        np.array(False),
    ]
    for where in masks:
        exact = getattr(oracle, function)(x, where)
        assert_close(getattr(fsm, function)(x, where=where, backend=backend.name), exact)
        transposed = np.broadcast_to(where, x.shape).T
        actual = getattr(fsm, function)(x.T, axis=0, where=transposed, backend=backend.name)
        assert_close(actual.T if actual.ndim == 2 else actual, exact)


def test_nothing_kept(backend: Variant, dtype: str) -> None:
    x = np.array([[1, nan, inf], [1, 2, 3]], dtype)
    where = np.zeros((2, 3), bool)
    name = backend.name
    np.testing.assert_array_equal(fsm.softmax(x, where=where, backend=name), np.zeros((2, 3)))
    log_p = fsm.log_softmax(x, where=where, backend=name)
    np.testing.assert_array_equal(log_p, np.full((2, 3), -inf))
    np.testing.assert_array_equal(fsm.logsumexp(x, where=where, backend=name), [-inf, -inf])


def test_all_minus_infinity_is_safe_with_a_mask(backend: Variant, dtype: str) -> None:
    x = np.array([[-inf, -inf], [-inf, 1.0]], dtype)
    p = fsm.softmax(x, where=~np.isneginf(x), backend=backend.name)
    np.testing.assert_allclose(p, [[0, 0], [0, 1]], rtol=2 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("kind", ["labels", "soft"])
@every_width
def test_cross_entropy_of_special_rows(backend: Variant, dtype: str, kind: str, width: int) -> None:
    x = rows_of(dtype, width)
    labels = np.full(len(x), 3)
    targets: npt.NDArray[Any] = labels
    if kind == "soft":
        targets = np.eye(width, dtype=dtype)[labels] * np.array(0.75, dtype)
        targets[:, 2] += np.array(0.25, dtype) * np.isfinite(x[:, 2])
    exact = oracle.cross_entropy(x, targets, reduction="none")
    losses = fsm.cross_entropy(x, targets, reduction="none", backend=backend.name)
    assert_close(losses, exact.loss)
    both = fsm.cross_entropy_value_and_grad(x, targets, reduction="none", backend=backend.name)
    assert_close(both[0], exact.loss)
    scale = exact.grad_scale if kind == "soft" else None
    assert ulp_error(both[1], exact.grad, scale=scale).max() <= 4
    mean = oracle.cross_entropy(x[8:], targets[8:])
    mean_grad = fsm.cross_entropy_mean_grad(x[8:], targets[8:], backend=backend.name)
    assert ulp_error(mean_grad, mean.mean_grad, scale=mean.mean_grad_scale).max() <= 4
    spoilt = fsm.cross_entropy_value_and_mean_grad(x, targets, backend=backend.name)
    assert np.isnan(spoilt[0])
    assert np.isnan(spoilt[1]).all()


def test_a_target_of_probability_zero(backend: Variant, dtype: str) -> None:
    """A label at -inf has an infinite loss, and the gradient p - t all the same."""
    x = np.array([[0.0, -inf, 0.0]], dtype)
    losses, grad = fsm.cross_entropy_value_and_grad(x, [1], backend=backend.name)
    assert losses == inf
    np.testing.assert_array_equal(grad, [[0.5, -1, 0.5]])
    soft = np.array([[0.5, 0.0, 0.5]], dtype)
    loss, grad = fsm.cross_entropy_value_and_grad(x, soft, backend=backend.name)
    assert loss == pytest.approx(np.log(2), rel=1e-6)
    np.testing.assert_array_equal(grad, np.zeros((1, 3)))


def test_an_infinite_loss_of_no_weight(backend: Variant, dtype: str) -> None:
    """It is 0, whichever weight is 0: such a sample does not count."""
    x, name = np.array([[0.0, -inf, 0.0], [0.0, 1.0, 2.0]], dtype), backend.name
    for options in ({"sample_weight": [0.0, 1.0]}, {"weight": [1.0, 0.0, 1.0]}):
        losses = fsm.cross_entropy(x, [1, 0], reduction="none", backend=name, **options)
        assert losses[0] == 0
        assert losses[1] > 0
        assert np.isfinite(fsm.cross_entropy(x, [1, 0], backend=name, **options))


def test_ignored_samples_may_hold_anything(backend: Variant, dtype: str) -> None:
    x = rows_of(dtype, 6)
    labels = np.full(len(x), -100)
    labels[10] = 3
    loss, grad = fsm.cross_entropy_value_and_grad(
        x, labels, ignore_index=-100, backend=backend.name
    )
    alone = fsm.cross_entropy_value_and_grad(x[10:11], labels[10:11], backend=backend.name)
    assert loss == alone[0]
    np.testing.assert_array_equal(grad[10], alone[1][0])
    np.testing.assert_array_equal(np.delete(grad, 10, axis=0), 0)
    mean_grad = fsm.cross_entropy_mean_grad(x, labels, ignore_index=-100, backend=backend.name)
    assert np.isfinite(mean_grad).all()


def test_special_hessian_rows(backend: Variant, dtype: str) -> None:
    x = rows_of(dtype, 5)
    labels = np.full(len(x), 3)
    for hessian in ("exact", "xgboost", "lightgbm"):
        exact_grad, exact_hess = oracle.grad_hess(x, labels, hessian=hessian)
        grad, hess = fsm.cross_entropy_grad_hess(x, labels, hessian=hessian, backend=backend.name)
        assert_close(grad, exact_grad)
        assert_close(hess, exact_hess)


def test_special_values_in_backward_products(backend: Variant, dtype: str) -> None:
    output = np.array([[0.25, 0.75], [nan, nan], [0.0, 1.0]], dtype)
    g = np.array([[1.0, nan], [1.0, 2.0], [3.0, 4.0]], dtype)
    product = fsm.softmax_backward(g, output, backend=backend.name)
    assert np.isnan(product[:2]).all()
    np.testing.assert_array_equal(product[2], [0, 0])
    logs = np.array([[-inf, 0.0], [nan, nan]], dtype)
    product = fsm.log_softmax_backward(np.ones((2, 2), dtype), logs, backend=backend.name)
    np.testing.assert_array_equal(product[0], [1, -1])
    assert np.isnan(product[1]).all()


@pytest.mark.parametrize("level", ["raise", "warn"])
def test_floating_point_error_state_is_left_alone(backend: Variant, dtype: str, level: Any) -> None:
    """With every NumPy warning an error, special values pass in silence, and the state stays."""
    x = rows_of(dtype, 6)
    labels = np.full(len(x), 3)
    with np.errstate(all=level):
        before = np.geterr()
        for function in FUNCTIONS:
            getattr(fsm, function)(x, backend=backend.name)
            getattr(fsm, function)(x, where=np.isfinite(x), backend=backend.name)
        fsm.cross_entropy_value_and_grad(x, labels, backend=backend.name)
        fsm.cross_entropy_value_and_mean_grad(x, labels, backend=backend.name)
        fsm.cross_entropy_grad_hess(x, labels, backend=backend.name)
        p = fsm.softmax(x, backend=backend.name)
        fsm.softmax_backward(x, p, backend=backend.name)
        fsm.log_softmax_backward(x, p, backend=backend.name)
        half = x.astype("float16")
        fsm.softmax(half, backend=backend.name)
        fsm.cross_entropy(half, labels, backend=backend.name)
        assert np.geterr() == before
