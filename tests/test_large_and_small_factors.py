"""Weights and gradients near the ends of a dtype's range, where the result is still inside it."""

from __future__ import annotations

import functools
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

Array = npt.NDArray[Any]

BOUND = 4
LARGE = {"float32": (1e30, 1e37, 3e38), "float64": (1e265, 1e300, 1e307)}
SMALL = {"float32": (1e-30, 1e-37, 1e-42), "float64": (1e-250, 1e-300, 1e-307)}
EACH = [(dtype, value) for sizes in (LARGE, SMALL) for dtype in sizes for value in sizes[dtype]]
EACH_LARGE = [(dtype, value) for dtype in LARGE for value in LARGE[dtype]]
SHAPES = [(1, 3), (33, 3), (9, 40), (5, 1000)]

every_size = pytest.mark.parametrize(("dtype", "size"), EACH)
every_large_size = pytest.mark.parametrize(("dtype", "size"), EACH_LARGE)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
KINDS = ("weight", "sample_weight")


def logits_and_labels(dtype: str, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Labels are among the less likely classes, so that their gradients are near the weight."""
    if shape == (1, 3):
        return np.array([[0, 1, 2]], dtype), np.array([0])
    x = cases.rng("factors", shape).standard_normal(shape) * 3
    return x.astype(dtype), np.argsort(x, axis=-1)[:, shape[1] // 3]


def weights_of(dtype: str, size: float | None, shape: tuple[int, int], kind: str) -> Array:
    """Weights of one size, or of large, small and usual ones in turn where none is given."""
    count = shape[1] if kind == "weight" else shape[0]
    if size is not None:
        return np.full(count, size)
    sizes = [1.0, LARGE[dtype][0], SMALL[dtype][0], LARGE[dtype][1], SMALL[dtype][1], 0.3]
    return np.resize(sizes, count)


@functools.cache
def exact_of(
    dtype: str, size: float | None, shape: tuple[int, int], kind: str
) -> oracle.CrossEntropy:
    x, labels = logits_and_labels(dtype, shape)
    weights: dict[str, Any] = {kind: weights_of(dtype, size, shape, kind)}
    return oracle.cross_entropy(x, labels, reduction="sum", **weights)


def in_range(exact: Exact, dtype: str) -> bool:
    """Whether no value overflows."""
    return bool((abs(exact.to_float64()) <= np.finfo(dtype).max).all())


def judge_gradients(
    backend: Variant, dtype: str, size: float | None, shape: tuple[int, int], kind: str
) -> None:
    x, labels = logits_and_labels(dtype, shape)
    exact = exact_of(dtype, size, shape, kind)
    weights: dict[str, Any] = {kind: weights_of(dtype, size, shape, kind)}
    options: dict[str, Any] = {"reduction": "sum", "backend": backend.name, **weights}
    where, case = backend.id, f"{kind} {size or 'of all sizes'}, {shape}"
    grad = fsm.cross_entropy_grad(x, labels, **options)
    judge(grad, exact.grad, BOUND, function="cross_entropy_grad", backend=where, case=case)
    if not in_range(exact.mean_grad_scale, dtype):
        return
    mean_grad = fsm.cross_entropy_mean_grad(x, labels, **options)
    name, scale = "cross_entropy_mean_grad", exact.mean_grad_scale
    judge(mean_grad, exact.mean_grad, BOUND, function=name, backend=where, case=case, scale=scale)


@pytest.mark.parametrize("kind", KINDS)
@every_shape
@every_size
def test_gradients(
    backend: Variant, dtype: str, size: float, shape: tuple[int, int], kind: str
) -> None:
    judge_gradients(backend, dtype, size, shape, kind)


@pytest.mark.parametrize("kind", KINDS)
@every_shape
def test_gradients_of_weights_of_all_sizes(
    backend: Variant, dtype: str, shape: tuple[int, int], kind: str
) -> None:
    judge_gradients(backend, dtype, None, shape, kind)


@functools.cache
def exact_grad_hess(
    dtype: str, size: float | None, shape: tuple[int, int], hessian: str
) -> tuple[Exact, Exact]:
    x, labels = logits_and_labels(dtype, shape)
    weights = weights_of(dtype, size, shape, "sample_weight")
    return oracle.grad_hess(x, labels, sample_weight=weights, hessian=hessian)


def judge_grad_hess(
    backend: Variant, dtype: str, size: float | None, shape: tuple[int, int], hessian: str
) -> None:
    x, labels = logits_and_labels(dtype, shape)
    exact_grad, exact_hess = exact_grad_hess(dtype, size, shape, hessian)
    grad, hess = fsm.cross_entropy_grad_hess(
        x,
        labels,
        hessian=hessian,
        sample_weight=weights_of(dtype, size, shape, "sample_weight"),
        backend=backend.name,
    )
    case = f"{hessian}, sample_weight {size or 'of all sizes'}, {shape}"
    for actual, exact in ((hess, exact_hess), (grad, exact_grad)):
        name = "cross_entropy_grad_hess"
        judge(actual, exact, BOUND, function=name, backend=backend.id, case=case)


@pytest.mark.parametrize("hessian", ["exact", "xgboost"])
@every_shape
@every_size
def test_hessian(
    backend: Variant, dtype: str, size: float, shape: tuple[int, int], hessian: str
) -> None:
    judge_grad_hess(backend, dtype, size, shape, hessian)


@every_shape
def test_hessian_of_weights_of_all_sizes(
    backend: Variant, dtype: str, shape: tuple[int, int]
) -> None:
    judge_grad_hess(backend, dtype, None, shape, "exact")


def gradient_and_output(
    dtype: str, size: float, shape: tuple[int, int]
) -> tuple[Array, Array, Array]:
    """A gradient with one entry a row, probabilities, and their logarithms."""
    rows, num_classes = shape
    g = np.zeros(shape, dtype)
    g[np.arange(rows), np.arange(rows) % num_classes] = size
    if shape == (1, 3):
        p = np.array([[0.25, 0.25, 0.5]])
    else:
        p = np.exp(cases.rng("factors", shape).standard_normal(shape) * 3)
        p /= p.sum(axis=-1, keepdims=True)
    return g, p.astype(dtype), np.log(p).astype(dtype)


@functools.cache
def exact_backward(
    dtype: str, size: float, shape: tuple[int, int]
) -> dict[str, tuple[Exact, Exact]]:
    """And the scales."""
    g, p, log_p = gradient_and_output(dtype, size, shape)
    return {
        "softmax_backward": oracle.softmax_backward(g, p),
        "log_softmax_backward": oracle.log_softmax_backward(g, log_p),
    }


@every_shape
@every_large_size
def test_backward(backend: Variant, dtype: str, size: float, shape: tuple[int, int]) -> None:
    g, p, log_p = gradient_and_output(dtype, size, shape)
    results = {
        "softmax_backward": fsm.softmax_backward(g, p, backend=backend.name),
        "log_softmax_backward": fsm.log_softmax_backward(g, log_p, backend=backend.name),
    }
    for name, actual in results.items():
        exact, scale = exact_backward(dtype, size, shape)[name]
        case = f"gradient {size}, {shape}"
        judge(actual, exact, BOUND, function=name, backend=backend.id, case=case, scale=scale)


@every_large_size
def test_backward_of_gradients_of_all_sizes(backend: Variant, dtype: str, size: float) -> None:
    """Rows of one block, of large, usual and small gradients, each with a sum of its own."""
    shape = (33, 3)
    g, _, log_p = gradient_and_output(dtype, 1.0, shape)
    g *= np.resize([1, size, 1 / size], (len(g), 1)).astype(dtype)
    exact, scale = oracle.log_softmax_backward(g, log_p)
    actual = fsm.log_softmax_backward(g, log_p, backend=backend.name)
    name, case = "log_softmax_backward", f"gradients of sizes about {size}"
    judge(actual, exact, BOUND, function=name, backend=backend.id, case=case, scale=scale)


# Such that no entry of the effective targets is subnormal, which would have lost digits by itself.
SMALL_TARGETS = {"float32": (1e-30, 1e-33), "float64": (1e-250, 1e-290, 1e-300, 1e-303)}


@functools.cache
def exact_of_small_targets(
    dtype: str, size: float, shape: tuple[int, int], reduction: str
) -> oracle.CrossEntropy:
    x, labels = logits_and_labels(dtype, shape)
    weight = np.full(shape[1], size, dtype).astype(float)
    return oracle.cross_entropy(x, labels, weight=weight, label_smoothing=0.25, reduction=reduction)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@every_shape
@pytest.mark.parametrize(
    ("dtype", "size"), [(dtype, size) for dtype in SMALL_TARGETS for size in SMALL_TARGETS[dtype]]
)
def test_losses_of_small_targets(
    backend: Variant, dtype: str, size: float, shape: tuple[int, int], reduction: str
) -> None:
    """Class weights, with smoothing: every product of a target and a distance is small."""
    x, labels = logits_and_labels(dtype, shape)
    exact = exact_of_small_targets(dtype, size, shape, reduction)
    value, grad = fsm.cross_entropy_value_and_grad(
        x,
        labels,
        weight=np.full(shape[1], size, dtype).astype(float),
        label_smoothing=0.25,
        reduction=reduction,
        backend=backend.name,
    )
    where, case = backend.id, f"all weights {size}, smoothed, {shape}, {reduction}"
    judge(value, exact.loss, BOUND, function="cross_entropy", backend=where, case=case)
    name, scale = "cross_entropy_grad, soft targets", exact.grad_scale
    judge(grad, exact.grad, BOUND, function=name, backend=where, case=case, scale=scale)


def test_small_targets_beside_usual_ones(backend: Variant) -> None:
    """Rows of one block, some with targets that are small and some without, and far from even."""
    x, _ = logits_and_labels("float64", (33, 3))
    x = x * np.resize([1, 1e100, 1e307, 1], (33, 1))
    targets = np.full((33, 3), 0.25) * np.resize([1e-305, 1, 1e-300, 1e-250, 3], (33, 1))
    exact = oracle.cross_entropy(x, targets, reduction="none")
    losses = fsm.cross_entropy(x, targets, reduction="none", backend=backend.name)
    name, case = "cross_entropy, soft targets", "small targets beside usual ones"
    judge(losses, exact.loss, BOUND, function=name, backend=backend.id, case=case)
