"""Memory layouts of the input: any strides, any axis, read-only, unaligned, byte-swapped, empty."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import ulp_error

from . import cases
from .layouts import array, layouts
from .variants import Variant

Array = npt.NDArray[Any]


def check_probabilities(backend: Variant, x: Array, axis: int, out: Array | None = None) -> None:
    """All three functions along an axis, against the reference."""
    rows = np.moveaxis(x, axis, -1)
    options: dict[str, Any] = {"axis": axis, "backend": backend.name}
    before = x.copy()
    p = fsm.softmax(x, **options)
    assert p.shape == x.shape
    assert ulp_error(np.moveaxis(p, axis, -1), oracle.softmax(rows)).max(initial=0) <= 2
    log_p = fsm.log_softmax(x, **options)
    assert ulp_error(np.moveaxis(log_p, axis, -1), oracle.log_softmax(rows)).max(initial=0) <= 4
    lse = fsm.logsumexp(x, **options)
    assert lse.shape == rows.shape[:-1]
    scale = oracle.logsumexp_scale(rows)
    assert ulp_error(lse, oracle.logsumexp(rows), scale=scale).max(initial=0) <= 4
    if out is not None:
        assert fsm.softmax(x, out=out, **options) is out
        np.testing.assert_array_equal(out, p)
    np.testing.assert_array_equal(x, before)


def check_gradients(backend: Variant, f: Array, axis: int, kind: str = "labels") -> None:
    """Loss, gradient and mean gradient along an axis, against the reference."""
    rows = np.moveaxis(f, axis, -1)
    generator = cases.rng("layout", f.shape, axis)
    if kind == "labels":
        t = generator.integers(0, f.shape[axis], rows.shape[:-1])
        row_targets: Array = t
    else:
        t = generator.random(f.shape).astype(f.dtype)
        row_targets = np.moveaxis(t, axis, -1)
    sample_weight = generator.random(rows.shape[:-1])
    options: dict[str, Any] = {"axis": axis, "backend": backend.name}
    options["sample_weight"] = sample_weight
    exact = oracle.cross_entropy(rows, row_targets, sample_weight=sample_weight)
    loss, grad = fsm.cross_entropy_value_and_grad(f, t, **options)
    assert ulp_error(loss, exact.loss) <= 4
    scale = exact.grad_scale if kind == "soft" else None
    moved = np.moveaxis(grad, axis, -1)
    assert ulp_error(moved, exact.grad, scale=scale).max(initial=0) <= 4
    loss, mean_grad = fsm.cross_entropy_value_and_mean_grad(f, t, **options)
    assert ulp_error(loss, exact.loss) <= 4
    scale = exact.mean_grad_scale
    assert ulp_error(mean_grad, exact.mean_grad, scale=scale).max(initial=0) <= 4
    each = oracle.cross_entropy(rows, row_targets, sample_weight=sample_weight, reduction="none")
    losses = fsm.cross_entropy(f, t, reduction="none", **options)
    assert losses.shape == rows.shape[:-1]
    assert ulp_error(losses, each.loss).max(initial=0) <= 4


SHAPES = [(7,), (1,), (5, 6), (1, 9), (9, 1), (3, 4, 5), (2, 1, 6), (2, 3, 4, 5), (3, 1, 2, 17)]
AXES = [(shape, axis) for shape in SHAPES for axis in range(len(shape))]


@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_every_layout_and_axis(
    backend: Variant, dtype: str, shape: tuple[int, ...], axis: int
) -> None:
    x = array(shape, dtype)
    expected = fsm.softmax(x, axis, backend=backend.name)
    rows = np.moveaxis(x, axis, -1)
    assert ulp_error(np.moveaxis(expected, axis, -1), oracle.softmax(rows)).max() <= 2
    for name, view in layouts(x).items():
        p = fsm.softmax(view, axis, backend=backend.name)
        assert p.dtype == np.dtype(dtype), name
        assert p.dtype.isnative, name
        check_probabilities(backend, view, axis)
        negative = fsm.softmax(view, axis - len(shape), backend=backend.name)
        np.testing.assert_array_equal(negative, p)


@pytest.mark.parametrize("kind", ["labels", "soft"])
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_gradients_in_every_layout_and_axis(
    backend: Variant, dtype: str, shape: tuple[int, ...], axis: int, kind: str
) -> None:
    for view in layouts(array(shape, dtype)).values():
        check_gradients(backend, view, axis, kind)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
@pytest.mark.parametrize("axis", [0, 2, 3])
def test_sample_axes_that_cannot_be_merged(
    backend: Variant, dtype: str, order: tuple[int, ...], axis: int
) -> None:
    """More than two steps through memory remain, for the input, the output or both."""
    shape = (3, 4, 2, 5)
    memory = np.zeros(tuple(2 * n for n in np.array(shape)[list(order)]), dtype)
    view = memory.transpose(np.argsort(order))[::2, ::2, ::2, ::2]
    view[...] = array(shape, dtype)
    check_probabilities(
        backend,
        view,
        axis,
        out=np.zeros_like(memory)[::2, ::2, ::2, ::2].transpose(np.argsort(order)),
    )
    check_probabilities(backend, view, axis, out=np.zeros(shape, dtype, order="F"))
    check_gradients(backend, view, axis)
    check_gradients(backend, view, axis, "soft")


def test_many_axes(backend: Variant, dtype: str) -> None:
    shape = (1, 2, 1, 1, 3, 1, 2, 1, 2)
    x = array(shape, dtype)
    for axis in range(len(shape)):
        check_probabilities(backend, x, axis)
        check_probabilities(backend, x.transpose(), axis)
    x = array((1,) * 30 + (3, 4), dtype)
    check_probabilities(backend, x, -1)
    check_probabilities(backend, x, 30)


def test_broadcast_views(backend: Variant, dtype: str) -> None:
    row = array((9,), dtype)
    same_rows = np.broadcast_to(row, (5, 4, 9))
    check_probabilities(backend, same_rows, -1)
    check_gradients(backend, same_rows, -1)
    same_classes = np.broadcast_to(array((6, 1), dtype), (6, 8))
    check_probabilities(backend, same_classes, -1)
    check_probabilities(backend, same_classes, 0)
    check_gradients(backend, same_classes, 0)
    p = fsm.softmax(same_rows, backend=backend.name)
    assert p.flags.writeable
    p[0, 0, 0] = 5
    assert p[1, 0, 0] != 5


def test_axes_of_length_one_with_any_stride(backend: Variant, dtype: str) -> None:
    memory = array((4, 6), dtype)
    for stride in (0, 1, 3, -8, 1 << 40):
        x = np.lib.stride_tricks.as_strided(
            memory, (1, 4, 1, 6, 1), (stride, memory.strides[0], stride, memory.strides[1], stride)
        )
        np.testing.assert_array_equal(
            fsm.softmax(x, 3, backend=backend.name).reshape(4, 6),
            fsm.softmax(memory, backend=backend.name),
        )
        p = fsm.softmax(x, 0, backend=backend.name)
        np.testing.assert_allclose(p, np.ones(x.shape), rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0, 2), (0, 0, 4), (2, 3, 0)])
def test_no_samples(backend: Variant, dtype: str, shape: tuple[int, ...]) -> None:
    axis = max(range(len(shape)), key=lambda a: shape[a])
    x = np.empty(shape, dtype)
    options: dict[str, Any] = {"axis": axis, "backend": backend.name}
    samples = shape[:axis] + shape[axis + 1 :]
    for function in (fsm.softmax, fsm.log_softmax):
        result = function(x, **options)
        assert result.shape == shape
        assert result.dtype == np.dtype(dtype)
        out = np.empty(shape, dtype)
        assert function(x, out=out, **options) is out
    lse = fsm.logsumexp(x, **options)
    assert lse.shape == samples
    for product in (fsm.softmax_backward, fsm.log_softmax_backward):
        assert product(x, x, **options).shape == shape
    for t in (np.empty(samples, np.int64), x):
        losses = fsm.cross_entropy(x, t, reduction="none", **options)
        assert losses.shape == samples
        assert fsm.cross_entropy_grad(x, t, **options).shape == shape
        np.testing.assert_array_equal(
            fsm.cross_entropy_mean_grad(x, t, **options), np.zeros(shape[axis])
        )
        grad, hess = fsm.cross_entropy_grad_hess(x, t, **options)
        assert grad.shape == hess.shape == shape


def test_zero_dimensional_targets_and_results(backend: Variant, dtype: str) -> None:
    """One row of logits: scalars come back where no axis is left."""
    f = np.array([1.0, 2.0, 0.5], dtype)
    scalar = np.dtype(dtype).type
    for result in (
        fsm.logsumexp(f, backend=backend.name),
        fsm.cross_entropy(f, 1, backend=backend.name),
        fsm.cross_entropy(f, np.array(1), reduction="none", backend=backend.name),
        fsm.cross_entropy(f[None], [1], reduction="sum", backend=backend.name),
    ):
        assert type(result) is scalar
    out = np.empty((), dtype)
    assert fsm.logsumexp(f, out=out, backend=backend.name) is out
    kept = fsm.logsumexp(f, keepdims=True, backend=backend.name)
    assert kept.shape == (1,)
    assert kept[0] == out


def test_keepdims(backend: Variant, dtype: str) -> None:
    x = array((2, 3, 4), dtype)
    for axis in (0, 1, 2, -2):
        flat = fsm.logsumexp(x, axis, backend=backend.name)
        kept = fsm.logsumexp(x, axis, keepdims=True, backend=backend.name)
        np.testing.assert_array_equal(kept, np.expand_dims(flat, axis))
        out = np.empty_like(kept)
        result = fsm.logsumexp(x, axis, keepdims=True, out=out, backend=backend.name)
        assert result is out
        np.testing.assert_array_equal(out, kept)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_where_is_broadcast(backend: Variant, dtype: str, axis: int) -> None:
    x = array((4, 5, 6), dtype)
    generator = cases.rng("where")
    for shape in ((4, 5, 6), (5, 6), (6,), (5, 1), (4, 1, 1), (1, 1, 6), ()):
        where = generator.random(shape) < 0.6
        full = np.broadcast_to(where, x.shape)
        exact = oracle.softmax(np.moveaxis(x, axis, -1), np.moveaxis(full, axis, -1))
        for mask in (where, where.copy(order="F"), where.tolist()):
            p = fsm.softmax(x, axis, where=mask, backend=backend.name)
            assert ulp_error(np.moveaxis(p, axis, -1), exact).max() <= 2
