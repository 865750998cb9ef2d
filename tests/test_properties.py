"""What holds for any logits, searched for with hypothesis."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import numpy.typing as npt
from hypothesis import assume, given
from hypothesis import strategies as st

import fastsoftmax as fsm
from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import from_wide, ulp_error

from .variants import Variant

Array = npt.NDArray[Any]

dtypes = st.sampled_from(["float32", "float64"])


@st.composite
def rows(draw: st.DrawFn, scale: float = 60.0, min_classes: int = 1) -> Array:
    """A few rows of finite logits, often with ties and often far apart."""
    dtype = np.dtype(draw(dtypes))
    shape = (draw(st.integers(1, 4)), draw(st.integers(min_classes, 40)))
    width = 8 * dtype.itemsize
    elements = st.one_of(
        st.floats(-scale, scale, width=width),
        st.integers(-5, 5).map(float),
        st.sampled_from([0.0, -0.0, scale, -scale, *map(float, np.float32([1e-30, np.log(2)]))]),
    )
    return np.asarray(draw(hnp.arrays(dtype, shape, elements=elements)))


@st.composite
def anything(draw: st.DrawFn) -> Array:
    """Logits with infinities, NaN and numbers of every size."""
    dtype = np.dtype(draw(dtypes))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=9))
    return np.asarray(draw(hnp.arrays(dtype, shape)))


@given(x=anything())
def test_any_logits_at_all(backend: Variant, x: Array) -> None:
    errors = ulp_error(fsm.softmax(x, backend=backend.name), oracle.softmax(x))
    assert errors.max() <= 2
    errors = ulp_error(fsm.log_softmax(x, backend=backend.name), oracle.log_softmax(x))
    assert errors.max() <= 4
    labels = np.zeros(x.shape[:-1], int)
    losses, grad = fsm.cross_entropy_value_and_grad(
        x, labels, reduction="none", backend=backend.name
    )
    exact = oracle.cross_entropy(x, labels, reduction="none")
    assert ulp_error(losses, exact.loss).max() <= 4
    assert ulp_error(grad, exact.grad).max() <= 4


@given(x=rows())
def test_probabilities_sum_to_one(backend: Variant, x: Array) -> None:
    p = fsm.softmax(x, backend=backend.name)
    assert (p >= 0).all()
    assert (p <= 1).all()
    total = p.astype(np.longdouble).sum(axis=-1)
    assert np.abs(total - 1).max() <= 2 * np.finfo(x.dtype).eps


@given(x=rows(), numerator=st.integers(-(2**10), 2**10))
def test_shift_invariance(backend: Variant, x: Array, numerator: int) -> None:
    """A constant that can be added without rounding changes nothing but the rounding of results."""
    x = (np.round(x * 64) / 64).astype(x.dtype)
    shifted = x + x.dtype.type(numerator / 8)
    assume((shifted - x.dtype.type(numerator / 8) == x).all())
    p, q = fsm.softmax(x, backend=backend.name), fsm.softmax(shifted, backend=backend.name)
    assert ulp_error(q, from_wide(p)).max() <= 4
    labels = x.argmin(axis=-1)
    losses = fsm.cross_entropy(x, labels, reduction="none", backend=backend.name)
    moved = fsm.cross_entropy(shifted, labels, reduction="none", backend=backend.name)
    assert ulp_error(moved, from_wide(losses)).max() <= 8


@given(x=rows(), data=st.data())
def test_permutation_of_classes(backend: Variant, x: Array, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(x.shape[1]))))
    p = fsm.softmax(x, backend=backend.name)
    q = fsm.softmax(x[:, order], backend=backend.name)
    assert ulp_error(q, from_wide(p[:, order])).max() <= 4


@given(x=rows(), data=st.data())
def test_permutation_of_samples(backend: Variant, x: Array, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(x.shape[0]))))
    p = fsm.softmax(x, backend=backend.name)
    np.testing.assert_array_equal(fsm.softmax(x[order], backend=backend.name), p[order])


@given(x=rows(min_classes=2), data=st.data())
def test_signs_and_sum_of_the_gradient(backend: Variant, x: Array, data: st.DataObject) -> None:
    labels = np.array(
        data.draw(st.lists(st.integers(0, x.shape[1] - 1), min_size=len(x), max_size=len(x)))
    )
    grad = fsm.cross_entropy_grad(x, labels, reduction="sum", backend=backend.name)
    at = np.arange(len(x)), labels
    others = np.ones(x.shape, bool)
    others[at] = False
    # a spread of at most 120 underflows float32 only
    negligible = x.max(axis=-1) - x.min(axis=-1) > 80
    assert (grad[at][~negligible] < 0).all()
    assert (grad[others].reshape(len(x), -1)[~negligible] > 0).all()
    assert (grad[at] <= 0).all()
    assert (grad[others] >= 0).all()
    wide = grad.astype(np.longdouble)
    size = np.abs(wide).sum(axis=-1)
    bound = 4 * np.finfo(x.dtype).eps * size + x.shape[1] * np.finfo(x.dtype).smallest_subnormal
    assert (np.abs(wide.sum(axis=-1)) <= bound).all()


@given(x=rows(), data=st.data())
def test_loss_is_the_negative_log_probability(
    backend: Variant, x: Array, data: st.DataObject
) -> None:
    labels = np.array(
        data.draw(st.lists(st.integers(0, x.shape[1] - 1), min_size=len(x), max_size=len(x)))
    )
    losses = fsm.cross_entropy(x, labels, reduction="none", backend=backend.name)
    assert (losses >= 0).all()
    log_p = fsm.log_softmax(x, backend=backend.name)[np.arange(len(x)), labels]
    assert ulp_error(losses, from_wide(-log_p)).max() <= 8
    mean = fsm.cross_entropy(x, labels, backend=backend.name)
    expected = from_wide(losses.astype(np.longdouble).mean())
    assert ulp_error(mean, expected).max() <= 8


@given(x=rows(min_classes=2))
def test_hessian_is_positive_and_at_most_a_quarter(backend: Variant, x: Array) -> None:
    labels = np.zeros(len(x), int)
    _, hess = fsm.cross_entropy_grad_hess(x, labels, backend=backend.name)
    assert (hess >= 0).all()
    assert (hess <= 0.25 * (1 + 4 * np.finfo(x.dtype).eps)).all()
    assert ulp_error(hess[:, 0], oracle.grad_hess(x, labels)[1][:, 0]).max() <= 4


@given(x=rows(), data=st.data())
def test_mask_is_the_same_as_leaving_out(backend: Variant, x: Array, data: st.DataObject) -> None:
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=x.shape[1], max_size=x.shape[1])))
    p = fsm.softmax(x, where=keep, backend=backend.name)
    assert (p[:, ~keep] == 0).all()
    if keep.any():
        alone = fsm.softmax(x[:, keep], backend=backend.name)
        assert ulp_error(p[:, keep], from_wide(alone)).max() <= 4


@given(x=rows(scale=8.0), data=st.data())
def test_backward_is_the_derivative(backend: Variant, x: Array, data: st.DataObject) -> None:
    """Of a linear function of the probabilities, by the directional derivative in float64."""
    x = x.astype(np.float64)
    elements = st.floats(-2, 2)
    g = data.draw(hnp.arrays(np.float64, x.shape, elements=elements))
    v = data.draw(hnp.arrays(np.float64, x.shape, elements=elements))
    step = 1e-5
    for forward, backward in (
        (fsm.softmax, fsm.softmax_backward),
        (fsm.log_softmax, fsm.log_softmax_backward),
    ):
        product = backward(g, forward(x, backend=backend.name), backend=backend.name)
        above = (g * forward(x + step * v, backend=backend.name)).sum()
        below = (g * forward(x - step * v, backend=backend.name)).sum()
        size = np.abs(g).sum() * (1 + np.abs(x).max())
        assert abs((product * v).sum() - (above - below) / (2 * step)) <= 1e-8 * (1 + size)
