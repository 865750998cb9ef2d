"""Every combination of targets, weights, ignored labels, smoothing and reduction."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import Exact

from . import cases
from .recorder import judge
from .variants import Variant

BOUND = 4
ROWS, CLASSES = 7, 5
SMOOTHING = (0.0, 0.1, 1.0)
REDUCTIONS = ("mean", "sum", "none")
KINDS = ("labels", "one-hot", "soft")
IGNORED = (None, 2, 100, -1)  # in the range of the classes, beyond it, and negative

LABELS = np.array([0, 2, 4, 2, 3, 1, 0])
WEIGHT = np.array([0.5, 2.0, 1.25, 0.1, 3.0])
SAMPLE_WEIGHT = np.array([1.0, 0.3, 2.0, 0.0, 1.5, 0.7, 4.0])

Array = npt.NDArray[Any]


@functools.cache
def logits(dtype: str) -> Array:
    return (cases.rng("options").standard_normal((ROWS, CLASSES)) * 4).astype(dtype)


@functools.cache
def targets(dtype: str, kind: str, ignore_index: int | None) -> Array:
    if kind == "one-hot":
        return np.asarray(np.eye(CLASSES, dtype=dtype)[LABELS])
    if kind == "soft":
        t = cases.rng("soft options").random((ROWS, CLASSES))
        t[1, 2:] = 0
        return np.asarray((t / t.sum(axis=1, keepdims=True)).astype(dtype))
    labels = LABELS.copy()
    if ignore_index is not None and not 0 <= ignore_index < CLASSES:
        labels[[1, 6]] = ignore_index
    return labels


@functools.cache
def exact(
    dtype: str,
    kind: str,
    weighted: bool,
    sample_weighted: bool,
    ignore_index: int | None,
    label_smoothing: float,
    reduction: str,
) -> oracle.CrossEntropy:
    return oracle.cross_entropy(
        logits(dtype),
        targets(dtype, kind, ignore_index),
        weight=WEIGHT if weighted else None,
        sample_weight=SAMPLE_WEIGHT if sample_weighted else None,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )


@pytest.mark.parametrize("ignore_index", IGNORED)
@pytest.mark.parametrize("sample_weighted", [False, True], ids=["", "sample_weight"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weight"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_combination(
    backend: Variant,
    dtype: str,
    kind: str,
    weighted: bool,
    sample_weighted: bool,
    ignore_index: int | None,
) -> None:
    f, t = logits(dtype), targets(dtype, kind, ignore_index)
    options: dict[str, Any] = {"backend": backend.name, "ignore_index": ignore_index}
    if weighted:
        options["weight"] = WEIGHT
    if sample_weighted:
        options["sample_weight"] = SAMPLE_WEIGHT
    if kind != "labels" and ignore_index is not None:
        assert_no_meaning(f, t, options)
        return

    for smoothing, reduction in itertools.product(SMOOTHING, REDUCTIONS):
        options.update(label_smoothing=smoothing, reduction=reduction)
        reference = exact(
            dtype, kind, weighted, sample_weighted, ignore_index, smoothing, reduction
        )
        case = f"{kind}, " + ", ".join(f"{k}={v}" for k, v in options.items() if k != "backend")

        def check(actual: Any, value: Exact, scale: Exact | None = None, case: str = case) -> None:
            assert np.asarray(actual).dtype == np.dtype(dtype)
            judge(
                actual,
                value,
                BOUND,
                function="cross_entropy*, all options",
                backend=backend.id,
                case=case,
                scale=scale,
            )

        hard = kind != "soft" and smoothing == 0
        grad_scale = None if hard else reference.grad_scale
        check(fsm.cross_entropy(f, t, **options), reference.loss)
        check(fsm.cross_entropy_grad(f, t, **options), reference.grad, grad_scale)
        loss, grad = fsm.cross_entropy_value_and_grad(f, t, **options)
        check(loss, reference.loss)
        check(grad, reference.grad, grad_scale)
        if reduction == "none":
            continue
        scale = reference.mean_grad_scale
        check(fsm.cross_entropy_mean_grad(f, t, **options), reference.mean_grad, scale)
        loss, mean_grad = fsm.cross_entropy_value_and_mean_grad(f, t, **options)
        check(loss, reference.loss)
        check(mean_grad, reference.mean_grad, scale)


def assert_no_meaning(f: Array, t: Array, options: dict[str, Any]) -> None:
    for function in (
        fsm.cross_entropy,
        fsm.cross_entropy_grad,
        fsm.cross_entropy_mean_grad,
        fsm.cross_entropy_value_and_grad,
        fsm.cross_entropy_value_and_mean_grad,
    ):
        with pytest.raises(ValueError, match="ignore_index"):
            function(f, t, **options)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", KINDS)
def test_mean_and_sum_of_nothing(backend: Variant, dtype: str, kind: str, reduction: str) -> None:
    f = np.empty((0, 4), dtype)
    t = np.empty(0, np.int64) if kind == "labels" else np.empty((0, 4), dtype)
    options: dict[str, Any] = {"reduction": reduction, "backend": backend.name}
    loss, grad = fsm.cross_entropy_value_and_grad(f, t, **options)
    np.testing.assert_array_equal(loss, np.nan if reduction == "mean" else 0)
    assert grad.shape == (0, 4)
    assert grad.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(fsm.cross_entropy(f, t, **options), loss)
    mean_grad = fsm.cross_entropy_mean_grad(f, t, **options)
    np.testing.assert_array_equal(mean_grad, np.zeros(4))
    assert mean_grad.dtype == np.dtype(dtype)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_all_ignored(backend: Variant, dtype: str, reduction: str) -> None:
    f = np.array([[np.nan, 1], [1, np.inf], [2, 3]], dtype)
    options: dict[str, Any] = {"ignore_index": 9, "reduction": reduction, "backend": backend.name}
    out = np.full_like(f, 5)
    loss, grad = fsm.cross_entropy_value_and_grad(f, [9, 9, 9], out=out, **options)
    assert grad is out
    np.testing.assert_array_equal(loss, np.nan if reduction == "mean" else 0)
    np.testing.assert_array_equal(grad, np.zeros((3, 2)))
    out = np.full(2, 5, dtype)
    loss, mean_grad = fsm.cross_entropy_value_and_mean_grad(f, [9, 9, 9], out=out, **options)
    assert mean_grad is out
    np.testing.assert_array_equal(loss, np.nan if reduction == "mean" else 0)
    np.testing.assert_array_equal(mean_grad, [0, 0])


def test_weights_that_sum_to_zero_are_a_mean_of_nothing(backend: Variant, dtype: str) -> None:
    f = logits(dtype)
    for options in (
        {"sample_weight": np.zeros(ROWS)},
        {"weight": np.zeros(CLASSES)},
    ):
        loss, grad = fsm.cross_entropy_value_and_grad(f, LABELS, backend=backend.name, **options)
        assert np.isnan(loss)
        np.testing.assert_array_equal(grad, np.zeros((ROWS, CLASSES)))


def test_ignored_samples_do_not_count(backend: Variant, dtype: str) -> None:
    """A mean over the others, and the same as leaving them out."""
    f, t = logits(dtype), targets(dtype, "labels", -1)
    counted = t != -1
    with_ignored = fsm.cross_entropy_value_and_grad(f, t, ignore_index=-1, backend=backend.name)
    without = fsm.cross_entropy_value_and_grad(f[counted], t[counted], backend=backend.name)
    assert with_ignored[0] == without[0]
    np.testing.assert_array_equal(with_ignored[1][counted], without[1])
    np.testing.assert_array_equal(with_ignored[1][~counted], 0)


def test_integer_sample_weight_repeats_the_sample(backend: Variant, dtype: str) -> None:
    f = logits(dtype)
    times = np.array([1, 3, 0, 2, 1, 1, 4])
    weighted = fsm.cross_entropy_value_and_mean_grad(
        f, LABELS, sample_weight=times, backend=backend.name
    )
    repeated = fsm.cross_entropy_value_and_mean_grad(
        np.repeat(f, times, axis=0), np.repeat(LABELS, times), backend=backend.name
    )
    rtol = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(weighted[0], repeated[0], rtol=rtol)
    np.testing.assert_allclose(weighted[1], repeated[1], rtol=rtol, atol=rtol)


@pytest.mark.parametrize("label_smoothing", [0, 1, 0.1, np.float32(0.25), np.float64(1)])
def test_kinds_of_numbers_for_label_smoothing(backend: Variant, label_smoothing: Any) -> None:
    loss = fsm.cross_entropy(
        logits("float64"), LABELS, label_smoothing=label_smoothing, backend=backend.name
    )
    reference = oracle.cross_entropy(
        logits("float64"), LABELS, label_smoothing=float(label_smoothing)
    )
    assert loss == pytest.approx(float(reference.loss.to_float64()), rel=1e-14)


@pytest.mark.parametrize("ignore_index", [2**40, -(2**63), 2**63, 10**30, np.int8(-100)])
def test_ignore_index_of_any_size(backend: Variant, ignore_index: Any) -> None:
    """Where the labels cannot hold it, it ignores nothing."""
    labels = LABELS.astype(np.int32)
    f = logits("float64")
    loss = fsm.cross_entropy(f, labels, ignore_index=ignore_index, backend=backend.name)
    assert loss == fsm.cross_entropy(f, labels, backend=backend.name)
    if -(2**63) <= ignore_index < 2**63:
        wide_labels = LABELS.astype(np.int64)
        wide_labels[0] = ignore_index
        loss = fsm.cross_entropy(f, wide_labels, ignore_index=ignore_index, backend=backend.name)
        assert loss == fsm.cross_entropy(f[1:], labels[1:], backend=backend.name)


def test_soft_targets_need_not_sum_to_one(backend: Variant, dtype: str) -> None:
    f = logits(dtype)
    t = (targets(dtype, "soft", None) * np.array([[0.5], [1], [2], [0], [1], [3], [1]])).astype(
        dtype
    )
    reference = oracle.cross_entropy(f, t)
    loss, grad = fsm.cross_entropy_value_and_grad(f, t, backend=backend.name)
    function = "cross_entropy*, all options"
    case = "soft targets with any sum"
    judge(loss, reference.loss, BOUND, function=function, backend=backend.id, case=case)
    judge(
        grad,
        reference.grad,
        BOUND,
        function=function,
        backend=backend.id,
        case=case,
        scale=reference.grad_scale,
    )
    np.testing.assert_array_equal(grad[3], 0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weight"])
@pytest.mark.parametrize(
    ("kind", "ignore_index"), [("labels", None), ("labels", 2), ("labels", -1), ("soft", None)]
)
def test_same_as_torch(
    backend: Variant, kind: str, weighted: bool, ignore_index: int | None, reduction: str
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    f, t = logits("float64"), targets("float64", kind, ignore_index)
    for smoothing in SMOOTHING:
        tensor = torch.tensor(f, requires_grad=True)
        loss = torch.nn.functional.cross_entropy(
            tensor,
            torch.tensor(t),
            weight=torch.tensor(WEIGHT) if weighted else None,
            reduction=reduction,
            label_smoothing=smoothing,
            ignore_index=-100 if ignore_index is None else ignore_index,
        )
        loss.sum().backward()
        ours = fsm.cross_entropy_value_and_grad(
            f,
            t,
            weight=WEIGHT if weighted else None,
            reduction=reduction,
            label_smoothing=smoothing,
            ignore_index=ignore_index,
            backend=backend.name,
        )
        np.testing.assert_allclose(ours[0], loss.detach().numpy(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(ours[1], tensor.grad.numpy(), rtol=1e-12, atol=1e-14)
