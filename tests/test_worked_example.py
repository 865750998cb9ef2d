"""The example of the derivation: four classes, one sample of class 3, then samples of 4, 3, 3."""

from __future__ import annotations

import numpy as np
import pytest

import fastsoftmax as fsm
from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import ulp_error

from .variants import Variant

# classes are counted from 1 in the derivation and from 0 here
LOGITS = np.array([[1.0, -0.5, 2.0, 0.25], [0.5, 1.5, -1.0, 0.0], [-2.0, 0.0, 1.0, 3.0]])
LABELS = np.array([4, 3, 3]) - 1
SINGLE_LABEL = 3 - 1


def test_one_sample_of_class_3(backend: Variant, dtype: str) -> None:
    f = LOGITS[0].astype(dtype)
    exponentials = np.exp(LOGITS[0])
    p = fsm.softmax(f, backend=backend.name)
    np.testing.assert_allclose(p, exponentials / exponentials.sum(), rtol=1e-6)
    loss = fsm.cross_entropy(f, SINGLE_LABEL, backend=backend.name)
    assert loss == pytest.approx(-np.log(exponentials[2] / exponentials.sum()), rel=1e-6)
    grad = fsm.cross_entropy_grad(f, SINGLE_LABEL, backend=backend.name)
    t = np.array([0, 0, 1, 0])
    np.testing.assert_allclose(grad, p - t, rtol=1e-6)
    np.testing.assert_array_equal(np.sign(grad), [1, 1, -1, 1])
    assert abs(float(grad.astype(float).sum())) < 1e-6


def test_one_hot_target_is_the_label(backend: Variant, dtype: str) -> None:
    f = LOGITS[0].astype(dtype)
    t = np.array([0, 0, 1, 0], dtype)
    by_label = fsm.cross_entropy_value_and_grad(f, SINGLE_LABEL, backend=backend.name)
    by_vector = fsm.cross_entropy_value_and_grad(f, t, backend=backend.name)
    assert by_label[0] == by_vector[0]
    np.testing.assert_array_equal(by_label[1], by_vector[1])


def test_three_samples(backend: Variant, dtype: str) -> None:
    f = LOGITS.astype(dtype)
    exact = oracle.cross_entropy(f, LABELS)
    loss, grad = fsm.cross_entropy_value_and_grad(f, LABELS, backend=backend.name)
    assert ulp_error(loss, exact.loss) <= 4
    assert ulp_error(grad, exact.grad).max() <= 4
    expected_signs = np.ones((3, 4))
    expected_signs[np.arange(3), LABELS] = -1
    np.testing.assert_array_equal(np.sign(grad), expected_signs)

    same_loss, mean_grad = fsm.cross_entropy_value_and_mean_grad(f, LABELS, backend=backend.name)
    assert same_loss == loss
    assert mean_grad.shape == (4,)
    assert ulp_error(mean_grad, exact.mean_grad, scale=exact.mean_grad_scale).max() <= 4
    p, t = np.exp(LOGITS), np.eye(4)[LABELS]
    p /= p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mean_grad, (p - t).mean(axis=0), rtol=1e-5)


def test_gradient_is_that_of_central_differences(backend: Variant) -> None:
    step = 1e-5
    grad = fsm.cross_entropy_grad(LOGITS, LABELS, backend=backend.name)
    mean_grad = fsm.cross_entropy_mean_grad(LOGITS, LABELS, backend=backend.name)
    slopes = np.empty_like(LOGITS)
    for place in np.ndindex(*LOGITS.shape):
        up, down = LOGITS.copy(), LOGITS.copy()
        up[place] += step
        down[place] -= step
        rise = fsm.cross_entropy(up, LABELS, backend=backend.name)
        fall = fsm.cross_entropy(down, LABELS, backend=backend.name)
        slopes[place] = (rise - fall) / (2 * step)
    np.testing.assert_allclose(grad, slopes, rtol=0, atol=1e-10)
    # moving one class's logit in all samples at once moves the loss by the mean gradient
    np.testing.assert_allclose(mean_grad, slopes.sum(axis=0), rtol=0, atol=1e-10)


def test_hessian_is_that_of_central_differences(backend: Variant) -> None:
    step = 1e-5
    grad, hess = fsm.cross_entropy_grad_hess(LOGITS, LABELS, backend=backend.name)
    for k in range(4):
        shift = step * np.eye(4)[k]
        above, _ = fsm.cross_entropy_grad_hess(LOGITS + shift, LABELS, backend=backend.name)
        below, _ = fsm.cross_entropy_grad_hess(LOGITS - shift, LABELS, backend=backend.name)
        slope = (above[:, k] - below[:, k]) / (2 * step)
        np.testing.assert_allclose(hess[:, k], slope, rtol=0, atol=1e-10)
    expected = fsm.cross_entropy_grad(LOGITS, LABELS, reduction="none", backend=backend.name)
    np.testing.assert_array_equal(grad, expected)
