"""Losses, gradients, mean gradients and Hessians against the reference, in ulp."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax._accuracy import oracle, wide

from . import cases, reference
from .recorder import judge
from .variants import Variant

# of the exact value; for soft targets of max(p, t); for mean gradients of the mean of |p - t|, and
# for mean gradients of soft targets of the mean of max(p, t)
BOUND = 4
KINDS = ("labels", "one-hot", "soft")

every_kind = pytest.mark.parametrize("kind", KINDS)


def targets_of(x: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
    if kind == "soft":
        return cases.soft_targets_for(x)
    labels = cases.labels_for(x)
    return np.asarray(np.eye(x.shape[-1], dtype=x.dtype)[labels] if kind == "one-hot" else labels)


def judge_all(
    backend: Variant, x: Any, targets: Any, exact: wide.Gradients, kind: str, case: str
) -> None:
    """Every function that returns losses or gradients."""

    def check(function: str, actual: Any, value: Any, scale: Any = None) -> None:
        assert np.asarray(actual).dtype == x.dtype
        name = f"{function}, soft targets" if kind == "soft" else function
        label = f"{kind}, {case}"
        judge(actual, value, BOUND, function=name, backend=backend.id, case=label, scale=scale)

    name = backend.name
    grad_scale = exact.grad_scale if kind == "soft" else None
    mean_scale = exact.mean_grad_scale
    losses = fsm.cross_entropy(x, targets, reduction="none", backend=name)
    check("cross_entropy", losses, exact.losses)
    # a sum is accumulated in float64, and may overflow there where its mean would not
    sums = np.isfinite(exact.losses.to_float64()).all()
    if sums:
        check("cross_entropy", fsm.cross_entropy(x, targets, backend=name), exact.loss)
    grad = fsm.cross_entropy_grad(x, targets, reduction="sum", backend=name)
    check("cross_entropy_grad", grad, exact.grad, grad_scale)
    mean_grad = fsm.cross_entropy_mean_grad(x, targets, backend=name)
    check("cross_entropy_mean_grad", mean_grad, exact.mean_grad, mean_scale)

    losses, grad = fsm.cross_entropy_value_and_grad(x, targets, reduction="none", backend=name)
    check("cross_entropy_value_and_grad", losses, exact.losses)
    check("cross_entropy_value_and_grad", grad, exact.grad, grad_scale)
    loss, mean_grad = fsm.cross_entropy_value_and_mean_grad(x, targets, backend=name)
    if sums:
        check("cross_entropy_value_and_mean_grad", loss, exact.loss)
    check("cross_entropy_value_and_mean_grad", mean_grad, exact.mean_grad, mean_scale)

    if kind != "soft":
        grad, hess = fsm.cross_entropy_grad_hess(x, targets, backend=name)
        check("cross_entropy_grad_hess", grad, exact.grad)
        check("cross_entropy_grad_hess", hess, exact.hess)


@every_kind
@pytest.mark.parametrize("scale", [1.0, 3.0, 20.0])
def test_random_rows(backend: Variant, dtype: str, kind: str, scale: float) -> None:
    for num_classes in cases.SHORT + cases.LONG:
        x = cases.random_logits(dtype, num_classes, scale)[:60]
        targets = targets_of(x, kind)
        exact = reference.cross_entropy(x, targets)
        judge_all(backend, x, targets, exact, kind, f"K={num_classes}, scale {scale:g}")


@every_kind
def test_very_long_rows(backend: Variant, dtype: str, kind: str) -> None:
    """Fewer of them than threads, which share them."""
    x = cases.random_logits(dtype, cases.HUGE, 3.0)
    labels = cases.labels_for(x)
    if kind == "one-hot":
        targets = np.zeros_like(x)
        targets[np.arange(len(x)), labels] = 1
    else:
        targets = labels if kind == "labels" else cases.soft_targets_for(x)
    exact = reference.cross_entropy(x, targets)
    with fsm.use_num_threads(3):
        judge_all(backend, x, targets, exact, kind, f"K={cases.HUGE}")


@every_kind
@pytest.mark.parametrize("name", cases.HOSTILE)
def test_hostile_rows(backend: Variant, dtype: str, kind: str, name: str) -> None:
    x, targets = reference.logits(dtype, name), reference.targets(dtype, name, kind)
    exact = reference.exact_cross_entropy(dtype, name, kind)
    judge_all(backend, x, targets, exact, kind, name)


@every_kind
@pytest.mark.parametrize("num_classes", [2, 4, 9, 17, 40])
def test_saturated_rows(backend: Variant, dtype: str, kind: str, num_classes: int) -> None:
    x = reference.logits(dtype, num_classes)
    targets = reference.targets(dtype, num_classes, kind)
    exact = reference.exact_cross_entropy(dtype, num_classes, kind)
    judge_all(backend, x, targets, exact, kind, f"saturated, K={num_classes}")


@pytest.mark.parametrize("kind", ["labels", "one-hot"])
def test_sign_of_the_gradient_at_saturation(backend: Variant, dtype: str, kind: str) -> None:
    """Negative at the true class and positive elsewhere, until the exact value underflows."""
    for num_classes in (2, 4, 17):
        x = reference.logits(dtype, num_classes)
        exact = reference.exact_cross_entropy(dtype, num_classes, kind).grad.to_float64()
        targets = reference.targets(dtype, num_classes, kind)
        grad = fsm.cross_entropy_grad(x, targets, reduction="sum", backend=backend.name)
        representable = np.abs(exact) >= float(np.finfo(dtype).smallest_subnormal)
        assert (np.sign(grad) == np.sign(exact))[representable].all()
        assert (grad * np.sign(exact) >= 0).all()
        losses = fsm.cross_entropy(x, targets, reduction="none", backend=backend.name)
        at_target = np.arange(len(x)), cases.saturated_labels(x)
        assert (losses[representable[at_target]] > 0).all()


@pytest.mark.parametrize("rows", [1, 2, 1000, 200_000])
def test_means_over_many_samples(backend: Variant, dtype: str, rows: int) -> None:
    x = (cases.rng("many", rows).standard_normal((rows, 4)) * 4).astype(dtype)
    for kind in ("labels", "soft"):
        targets = targets_of(x, kind)
        exact = reference.cross_entropy(x, targets)
        loss, mean_grad = fsm.cross_entropy_value_and_mean_grad(x, targets, backend=backend.name)
        function, case = "cross_entropy_value_and_mean_grad", f"{kind}, m={rows}, K=4"
        judge(loss, exact.loss, BOUND, function=function, backend=backend.id, case=case)
        judge(
            mean_grad,
            exact.mean_grad,
            BOUND,
            function=function,
            backend=backend.id,
            case=case,
            scale=exact.mean_grad_scale,
        )


def test_mean_gradient_that_cancels(backend: Variant, dtype: str) -> None:
    """Samples in pairs with opposite gradients: the mean is far below its summands."""
    half = (cases.rng("cancel").standard_normal((5000, 1)) * 3).astype(dtype)
    x = np.concatenate([np.hstack([half, 0 * half]), np.hstack([0 * half, half])])
    x = np.concatenate([x, x])
    labels = np.repeat([0, 1], 10000)
    exact = reference.cross_entropy(x, labels)
    actual = fsm.cross_entropy_mean_grad(x, labels, backend=backend.name)
    judge(
        actual,
        exact.mean_grad,
        BOUND,
        function="cross_entropy_mean_grad",
        backend=backend.id,
        case="opposite samples",
        scale=exact.mean_grad_scale,
    )


@pytest.mark.parametrize("hessian", ["exact", "xgboost", "lightgbm"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [2, 5, "infinite", "spread", "enormous", "offsets"])
def test_hessians(
    backend: Variant, dtype: str, hessian: str, weighted: bool, name: str | int
) -> None:
    x = reference.logits(dtype, name)
    labels = reference.targets(dtype, name, "labels")
    options: dict[str, Any] = {"hessian": hessian}
    if weighted:
        options["sample_weight"] = cases.rng("hessian").uniform(0.1, 3, len(x))
    exact_grad, exact_hess = oracle.grad_hess(x, labels, **options)
    grad, hess = fsm.cross_entropy_grad_hess(x, labels, backend=backend.name, **options)
    case = f"{name}, {hessian}, " + ("weighted" if weighted else "unweighted")
    function = "cross_entropy_grad_hess"
    judge(grad, exact_grad, BOUND, function=function, backend=backend.id, case=case)
    judge(hess, exact_hess, BOUND, function=function, backend=backend.id, case=case)


@pytest.mark.parametrize("hessian", ["exact", "xgboost", "lightgbm"])
def test_hessians_of_soft_targets(backend: Variant, dtype: str, hessian: str) -> None:
    x = cases.random_logits(dtype, 7, 3.0)[:20]
    targets = cases.soft_targets_for(x) * np.array(1.5, dtype)
    _, exact = oracle.grad_hess(x, targets, hessian=hessian)
    _, hess = fsm.cross_entropy_grad_hess(x, targets, hessian=hessian, backend=backend.name)
    function = "cross_entropy_grad_hess, soft targets"
    judge(hess, exact, BOUND, function=function, backend=backend.id, case=hessian)
