"""Dask arrays in chunks of all kinds: against the core on whole arrays, and against mpmath."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fs
from fastsoftmax._accuracy import oracle
from tests import cases

from . import library
from .dask_problems import (
    OPTIONS,
    PROBABILITIES,
    REDUCTIONS,
    cut,
    judge,
    logits,
    problem,
    same_bits,
    within,
)

dask = library("dask")

import dask.array as da  # noqa: E402 (after the check)

import fastsoftmax.dask as fsd  # noqa: E402


@pytest.fixture(autouse=True)
def synchronous() -> Any:
    """One task after another, which is quick for small arrays and raises errors as they are."""
    with dask.config.set(scheduler="synchronous"):
        yield


# Along the samples alone.


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "bool"])
@pytest.mark.parametrize("name", PROBABILITIES)
def test_probabilities_have_the_bits_of_the_whole(name: str, dtype: str) -> None:
    x = logits((50, 9), dtype)
    result = getattr(fsd, name)(da.from_array(x, chunks=(13, -1)))
    whole = getattr(fs, name)(x)
    assert result.dtype == whole.dtype
    assert result.shape == whole.shape
    assert result.chunks[0] == (13, 13, 13, 11)
    same_bits(result.compute(), whole)


def test_bfloat16() -> None:
    bfloat16 = library("ml_dtypes").bfloat16
    x = logits((20, 9), "float32").astype(bfloat16)
    array = da.from_array(x, chunks=(7, -1))
    same_bits(fsd.softmax(array).compute(), fs.softmax(x))
    labels = np.arange(20) % 9
    loss, grad = dask.compute(*fsd.cross_entropy_value_and_grad(array, labels))
    whole = fs.cross_entropy_value_and_grad(x, labels)
    same_bits(grad, whole[1])
    same_bits(loss, whole[0])


@pytest.mark.parametrize("axis", [0, 1, -1, -3])
@pytest.mark.parametrize("name", PROBABILITIES)
def test_axes(name: str, axis: int) -> None:
    x = logits((8, 9, 10), "float32")
    chunks = [3, 4, 5]
    chunks[axis] = -1
    array = da.from_array(x, chunks=tuple(chunks))
    same_bits(getattr(fsd, name)(array, axis).compute(), getattr(fs, name)(x, axis))
    labels = cases.rng("axes").integers(0, x.shape[axis], np.delete(x.shape, axis))
    loss, grad = dask.compute(*fsd.cross_entropy_value_and_grad(array, labels, axis))
    whole = fs.cross_entropy_value_and_grad(x, labels, axis)
    same_bits(loss, whole[0])
    same_bits(grad, whole[1])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_logsumexp_keepdims(axis: int, keepdims: bool) -> None:
    x = logits((8, 9), "float64")
    result = fsd.logsumexp(da.from_array(x, chunks=(3, 4)), axis, keepdims=keepdims)
    whole = fs.logsumexp(x, axis, keepdims=keepdims)
    assert result.shape == whole.shape
    computed = result.compute()
    assert computed.shape == whole.shape
    np.testing.assert_allclose(computed, whole, rtol=1e-15)


@pytest.mark.parametrize("backend", fs.available_backends())
def test_backends(backend: str) -> None:
    x, labels, _ = problem((20, 9), "float32", "labels", "plain")
    array = da.from_array(x, chunks=(6, -1))
    with fs.use_backend(backend):
        lazy = fsd.cross_entropy_value_and_grad(array, labels)
        whole = fs.cross_entropy_value_and_grad(x, labels)
    # The backend is the one that was in effect when the graph was made.
    for ours, theirs in zip(dask.compute(*lazy), whole, strict=True):
        same_bits(ours, theirs)
    for ours, theirs in zip(
        dask.compute(*fsd.cross_entropy_value_and_grad(array, labels, backend=backend)),
        whole,
        strict=True,
    ):
        same_bits(ours, theirs)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("kind", ["labels", "soft"])
def test_cross_entropy_by_samples(kind: str, name: str, reduction: str) -> None:
    x, targets, options = problem((40, 9), "float32", kind, name)
    array = da.from_array(x, chunks=((3, 20, 17), -1))
    options["reduction"] = reduction
    alone = fsd.cross_entropy(array, targets, **options)
    loss, grad = dask.compute(*fsd.cross_entropy_value_and_grad(array, targets, **options))
    whole = fs.cross_entropy_value_and_grad(x, targets, **options)
    assert alone.dtype == loss.dtype
    assert alone.shape == np.shape(whole[0])
    # The sum of losses in float64 rounds to the same float32, but for a freak of chance.
    same_bits(alone.compute(), whole[0])
    same_bits(loss, whole[0])
    same_bits(grad, whole[1])
    if reduction != "none":
        value, mean_grad = fsd.cross_entropy_value_and_mean_grad(array, targets, **options)
        assert mean_grad.chunks == ((9,),)
        exact = oracle.cross_entropy(x, targets, **options)
        judge(*dask.compute(value, mean_grad), exact, "mean_grad")


# Along the classes, or along both.


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_in_any_chunks(dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = logits((6, 37), dtype, float(rng.choice([0.1, 4, 50])))
    array = da.from_array(x, chunks=(cut(6, rng), cut(37, rng)))
    within(2, fsd.softmax(array).compute(), oracle.softmax(x))
    within(4, fsd.log_softmax(array).compute(), oracle.log_softmax(x))
    within(4, fsd.logsumexp(array).compute(), oracle.logsumexp(x), oracle.logsumexp_scale(x))


@pytest.mark.parametrize("dtype", ["float16", "int32"])
@pytest.mark.parametrize("name", PROBABILITIES)
def test_other_dtypes_in_class_chunks(name: str, dtype: str) -> None:
    x = logits((5, 20), dtype)
    result = getattr(fsd, name)(da.from_array(x, chunks=(3, 7)))
    whole = getattr(fs, name)(x)
    assert result.dtype == whole.dtype
    computed = result.compute()
    assert computed.dtype == whole.dtype
    # float16 is rounded once from float32, which is far more exact.
    rtol = 1e-3 if dtype == "float16" else 1e-15
    np.testing.assert_allclose(computed, whole, rtol=rtol)


@pytest.mark.parametrize("chunks", [(4, -1), (-1, 5), (4, 5), (1, 1)])
@pytest.mark.parametrize("name", PROBABILITIES)
def test_where(name: str, chunks: tuple[int, int]) -> None:
    x = logits((9, 12), "float64")
    x[4, 3] = -np.inf
    rng = np.random.default_rng(1)
    masks = [rng.random((9, 12)) < 0.6, rng.random(12) < 0.6, rng.random((9, 1)) < 0.6]
    masks[0][2] = False  # a sample with no class left
    for mask in masks:
        whole = getattr(fs, name)(x, where=mask)
        for given in (mask, da.from_array(mask, chunks=2)):
            result = getattr(fsd, name)(da.from_array(x, chunks=chunks), where=given)
            np.testing.assert_allclose(result.compute(), whole, rtol=1e-14)


@pytest.mark.parametrize("name", PROBABILITIES)
@pytest.mark.parametrize("case", ["infinite", "enormous", "ties", "spread"])
def test_hostile_logits(case: str, name: str, dtype: str) -> None:
    x = cases.hostile_logits(dtype, case)[:20]
    array = da.from_array(x, chunks=(7, 2))
    exact = getattr(oracle, name)(x)
    scale = oracle.logsumexp_scale(x) if name == "logsumexp" else None
    within(2 if name == "softmax" else 4, getattr(fsd, name)(array).compute(), exact, scale)


@pytest.mark.parametrize("name", PROBABILITIES)
def test_special_values(name: str) -> None:
    x = np.zeros((5, 6))
    x[0, 4], x[1, 1], x[2, :], x[3, 2:] = np.nan, np.inf, -np.inf, -np.inf
    result = getattr(fsd, name)(da.from_array(x, chunks=(2, 2))).compute()
    np.testing.assert_allclose(result, getattr(fs, name)(x), rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("kind", ["labels", "soft"])
def test_cross_entropy_in_any_chunks(kind: str, name: str, dtype: str) -> None:
    rng = cases.rng("chunks", kind, name, dtype)
    for reduction in REDUCTIONS:
        x, targets, options = problem((12, 17), dtype, kind, name)
        options["reduction"] = reduction
        exact = oracle.cross_entropy(x, targets, **options)
        array = da.from_array(x, chunks=(cut(12, rng), cut(17, rng)))
        within(4, fsd.cross_entropy(array, targets, **options).compute(), exact.loss)
        judge(*dask.compute(*fsd.cross_entropy_value_and_grad(array, targets, **options)),
              exact, "grad")  # fmt: skip
        if reduction != "none":
            both = fsd.cross_entropy_value_and_mean_grad(array, targets, **options)
            assert both[1].chunks == (array.chunks[1],)
            judge(*dask.compute(*both), exact, "mean_grad")


def test_saturated_samples_keep_their_gradient(dtype: str) -> None:
    x = cases.saturated_logits(dtype, 6)
    labels = cases.saturated_labels(x)
    exact = oracle.cross_entropy(x, labels, reduction="none")
    array = da.from_array(x, chunks=(30, 2))
    lazy = fsd.cross_entropy_value_and_grad(array, labels, reduction="none")
    judge(*dask.compute(*lazy), exact, "grad")


@pytest.mark.parametrize("chunks", [(4, 3), (4, -1)])
def test_arrays_of_either_kind_in_other_chunks(chunks: tuple[int, int]) -> None:
    x, labels, options = problem((10, 7), "float64", "labels", "all")
    soft = fs.softmax(logits((10, 7), "float64", 1))
    array = da.from_array(x, chunks=chunks)
    for targets in (labels, soft):
        given = {k: v for k, v in options.items() if targets is labels or k != "ignore_index"}
        first = fsd.cross_entropy_value_and_grad(array, targets, **given)
        for name in ("weight", "sample_weight"):
            given[name] = da.from_array(given[name], chunks=3)
        second = fsd.cross_entropy_value_and_grad(array, da.from_array(targets, chunks=2), **given)
        for a, b in zip(dask.compute(*first), dask.compute(*second), strict=True):
            same_bits(a, b)


def test_array_likes() -> None:
    x = [[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    result = fsd.softmax(x)
    assert isinstance(result, da.Array)
    same_bits(result.compute(), fs.softmax(x))
    same_bits(fsd.cross_entropy(x, [0, 2]).compute(), fs.cross_entropy(x, [0, 2]))


@pytest.mark.parametrize("chunk", [-1, 2])
def test_one_sample_without_an_axis(chunk: int) -> None:
    x = logits((7,), "float64")
    array = da.from_array(x, chunks=chunk)
    for reduction, name in itertools.product(REDUCTIONS, ("plain", "smooth")):
        options = {**OPTIONS[name], "reduction": reduction}
        whole = fs.cross_entropy_value_and_grad(x, 3, **options)
        loss, grad = fsd.cross_entropy_value_and_grad(array, 3, **options)
        assert loss.shape == ()
        for ours, theirs in zip(dask.compute(loss, grad), whole, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-14)
    np.testing.assert_allclose(fsd.logsumexp(array).compute(), fs.logsumexp(x), rtol=1e-15)
    value, mean_grad = fsd.cross_entropy_value_and_mean_grad(array, 3)
    whole = fs.cross_entropy_value_and_mean_grad(x, 3)
    np.testing.assert_allclose(value.compute(), whole[0], rtol=1e-14)
    np.testing.assert_allclose(mean_grad.compute(), whole[1], rtol=1e-14)


@pytest.mark.parametrize("chunk", [-1, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_nothing(reduction: str, chunk: int) -> None:
    """No samples at all, or none that counts: as the core has it."""
    empty = (np.empty((0, 5)), np.empty(0, int), {})
    ignored = (np.ones((4, 5)), np.full(4, 2), {"ignore_index": 2})
    weightless = (np.ones((4, 5)), np.full(4, 2), {"sample_weight": np.zeros(4)})
    for x, labels, options in (empty, ignored, weightless):
        array = da.from_array(x, chunks=(2, chunk))
        options = {**options, "reduction": reduction}
        whole = fs.cross_entropy_value_and_grad(x, labels, **options)
        both = dask.compute(*fsd.cross_entropy_value_and_grad(array, labels, **options))
        same_bits(both[0], whole[0])
        same_bits(both[1], whole[1])
        whole = fs.cross_entropy_value_and_mean_grad(x, labels, **options)
        both = dask.compute(*fsd.cross_entropy_value_and_mean_grad(array, labels, **options))
        same_bits(both[0], whole[0])
        same_bits(both[1], whole[1])


def test_several_axes_of_samples() -> None:
    x = logits((5, 7, 6), "float64")
    labels = cases.rng("places").integers(0, 7, (5, 6))
    array = da.from_array(x, chunks=(2, 3, 4))
    whole = fs.cross_entropy_value_and_grad(x, labels, 1)
    loss, grad = dask.compute(*fsd.cross_entropy_value_and_grad(array, labels, 1))
    np.testing.assert_allclose(loss, whole[0], rtol=1e-15)
    np.testing.assert_allclose(grad, whole[1], rtol=1e-13)
    value, mean_grad = fsd.cross_entropy_value_and_mean_grad(array, labels, 1)
    np.testing.assert_allclose(mean_grad.compute(), whole[1].sum(axis=(0, 2)), atol=1e-16)
    np.testing.assert_allclose(value.compute(), whole[0], rtol=1e-15)
    labels[4, 5] = -1
    with pytest.raises(ValueError, match=r"targets\[4, 5\] = -1"):
        fsd.cross_entropy(array, labels, 1).compute()
