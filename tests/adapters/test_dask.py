"""Dask arrays on the schedulers of one machine: against the core on whole arrays, and mpmath."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fs
from tests import cases, oracle
from tests.exact import Exact, ulp_error

from . import library

dask = library("dask")

import dask.array as da  # noqa: E402 (after the check)
from dask.callbacks import Callback  # noqa: E402

import fastsoftmax.dask as fsd  # noqa: E402

Array = np.ndarray[Any, Any]

PROBABILITIES = ("softmax", "log_softmax", "logsumexp")
REDUCTIONS = ("mean", "sum", "none")
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weight": {"weight": True},
    "sample_weight": {"sample_weight": True},
    "ignore": {"ignore_index": 2},
    "smooth": {"label_smoothing": 0.1},
    "all": {"weight": True, "sample_weight": True, "ignore_index": 2, "label_smoothing": 0.1},
}


@pytest.fixture(autouse=True)
def synchronous() -> Any:
    """One task after another, which is quick for small arrays and raises errors as they are."""
    with dask.config.set(scheduler="synchronous"):
        yield


def logits(shape: tuple[int, ...], dtype: str, scale: float = 4.0) -> Array:
    x = cases.rng("dask", shape, scale).standard_normal(shape) * scale
    return np.asarray(x.astype(dtype))


def problem(
    shape: tuple[int, int], dtype: str, kind: str, name: str
) -> tuple[Array, Array, dict[str, Any]]:
    """Logits, targets and options, of which probabilities have no label to ignore."""
    x = logits(shape, dtype)
    rng = cases.rng("dask targets", shape, kind)
    labels = rng.integers(0, shape[1], shape[0])
    labels[:3] = 2  # a whole block of what may be ignored
    options = dict(OPTIONS[name])
    if options.get("weight"):
        options["weight"] = rng.random(shape[1]) + 0.1
    if options.get("sample_weight"):
        options["sample_weight"] = rng.random(shape[0])
    if kind == "labels":
        return x, labels, options
    options.pop("ignore_index", None)
    soft = rng.random(shape) ** 4
    soft /= soft.sum(axis=1, keepdims=True)
    return x, soft.astype(dtype), options


def cut(length: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Cut a length into pieces at random."""
    places = np.flatnonzero(rng.random(length - 1) < 0.25) + 1
    return tuple(np.diff([0, *places, length]).tolist())


def same_bits(ours: Any, theirs: Any) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def within(ulp: float, actual: Any, exact: Exact, scale: Exact | None = None) -> None:
    assert float(np.max(ulp_error(actual, exact, scale=scale), initial=0)) <= ulp


def judge(loss: Any, grad: Any, exact: oracle.CrossEntropy, of: str) -> None:
    """Hold results to the contract's 4 ulp."""
    within(4, loss, exact.loss)
    if of == "grad":
        within(4, grad, exact.grad, exact.grad_scale)
    else:
        within(4, grad, exact.mean_grad, exact.mean_grad_scale)


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


# Schedulers and graphs.


def everything(chunks: tuple[int, int]) -> list[da.Array]:
    x, labels, options = problem((60, 40), "float32", "labels", "all")
    array = da.from_array(x, chunks=chunks)
    return [
        fsd.softmax(array),
        fsd.logsumexp(array),
        fsd.cross_entropy(array, labels, **options),
        *fsd.cross_entropy_value_and_grad(array, labels, **options),
        *fsd.cross_entropy_value_and_mean_grad(array, labels, **options),
    ]


@pytest.mark.parametrize("chunks", [(3, -1), (7, 9), (-1, 1)])
def test_the_same_bits_in_one_thread_and_in_many(chunks: tuple[int, int]) -> None:
    alone = dask.compute(*everything(chunks))
    for threads in (1, 4):
        with dask.config.set(scheduler="threads", num_workers=threads, split_every=2):
            for ours, theirs in zip(dask.compute(*everything(chunks)), alone, strict=True):
                same_bits(ours, theirs)


def test_names_are_the_same_for_the_same_arguments() -> None:
    first, second = everything((7, 9)), everything((7, 9))
    assert [array.name for array in first] == [array.name for array in second]
    others = everything((7, 10))
    assert not {array.name for array in first} & {array.name for array in others}


def fail(block: Array) -> Array:
    raise AssertionError("computed")


@pytest.mark.parametrize("chunks", [(3, -1), (3, 2)])
def test_nothing_is_computed_before_it_is_asked_for(chunks: tuple[int, int]) -> None:
    def lazy(shape: tuple[int, ...], chunk: Any, dtype: Any) -> da.Array:
        return da.zeros(shape, chunks=chunk, dtype=dtype).map_blocks(fail, dtype=dtype, meta=meta)

    meta = np.empty((0, 0))
    x = lazy((9, 6), chunks, "float32")
    meta = np.empty(0)
    labels, weights = lazy((9,), 2, "int64"), lazy((9,), 2, "float64")
    class_weights = lazy((6,), 2, "float64")
    options = {"weight": class_weights, "sample_weight": weights}
    results = [
        fsd.softmax(x),
        fsd.log_softmax(x),
        fsd.logsumexp(x),
        fsd.cross_entropy(x, labels, **options),
        *fsd.cross_entropy_value_and_grad(x, labels, **options),
        *fsd.cross_entropy_value_and_mean_grad(x, labels, **options),
    ]
    for result in results:
        assert isinstance(result, da.Array)
        assert result.dtype == np.float32
        with pytest.raises(AssertionError, match="computed"):
            result.compute()


class Watch(Callback):  # type: ignore[misc]
    """Notes the largest result of a task and how many blocks of the logits a task was given."""

    def __init__(self, name: str) -> None:
        super().__init__(posttask=self._note)
        self.name, self.largest, self.blocks = name, 0, 0

    def _note(self, key: Any, result: Any, graph: Any, state: Any, worker: Any) -> None:
        parts = result if isinstance(result, tuple) else (result,)
        self.largest = max(self.largest, sum(np.size(part) for part in parts))
        taken = state["dependencies"][key]
        self.blocks = max(self.blocks, sum(isinstance(k, tuple) and k[0] == self.name
                                           for k in taken))  # fmt: skip


def test_no_task_has_more_than_a_block_of_the_logits() -> None:
    rows, classes, across = 4, 50, 40
    x = da.from_array(logits((rows, classes * across), "float32"), chunks=(rows, classes))
    x = x.map_blocks(np.negative)  # blocks that are made, and have a name
    labels = np.arange(rows)
    results = [
        fsd.softmax(x),
        fsd.log_softmax(x),
        fsd.logsumexp(x),
        fsd.cross_entropy(x, labels),
        *fsd.cross_entropy_value_and_grad(x, labels),
        *fsd.cross_entropy_value_and_mean_grad(x, labels),
    ]
    results = [result.sum() for result in results]  # none of them is put together
    watch = Watch(x.name)
    with watch, dask.config.set({"optimization.fuse.active": False}):
        dask.compute(*results)
    assert watch.blocks == 1
    # States of a few blocks at a time, 8 numbers each, and the gradient beside the loss.
    assert watch.largest <= rows * max(classes + 2, 16 * 8)
    assert watch.largest < rows * classes * across


# Unknown sizes, and errors.


def of_unknown_size(array: Array, chunk: int) -> da.Array:
    """Of which Dask knows the number of chunks along the first axis, not their sizes."""
    kept = np.arange(len(array)) % 3 > 0
    whole = da.from_array(array, chunks=(chunk, *[4] * (array.ndim - 1)))
    return whole[da.from_array(kept, chunks=chunk)]


@pytest.mark.parametrize("name", ["plain", "all"])
@pytest.mark.parametrize("kind", ["labels", "soft"])
def test_chunks_of_unknown_sizes_along_the_samples(kind: str, name: str) -> None:
    x, targets, options = problem((20, 9), "float64", kind, name)
    kept = np.arange(20) % 3 > 0
    lazy, given = dict(options), dict(options)
    if "sample_weight" in options:
        lazy["sample_weight"] = of_unknown_size(options["sample_weight"], 6)
        given["sample_weight"] = options["sample_weight"][kept]
    array, target = of_unknown_size(x, 6), of_unknown_size(targets, 6)
    assert np.isnan(array.shape[0])
    loss, grad = dask.compute(*fsd.cross_entropy_value_and_grad(array, target, **lazy))
    whole = fs.cross_entropy_value_and_grad(x[kept], targets[kept], **given)
    np.testing.assert_allclose(loss, whole[0], rtol=1e-14)
    np.testing.assert_allclose(grad, whole[1], rtol=1e-13)
    np.testing.assert_allclose(fsd.softmax(array).compute(), fs.softmax(x[kept]), rtol=1e-14)


def test_errors_about_unknown_sizes() -> None:
    x = logits((20, 9), "float64")
    array = of_unknown_size(x, 6)
    with pytest.raises(ValueError, match=r"targets must be a Dask array with the same chunks"):
        fsd.cross_entropy(array, np.zeros(13, int))
    with pytest.raises(ValueError, match=r"sample_weight must be a Dask array"):
        fsd.cross_entropy(array, of_unknown_size(np.zeros(20, int), 6), sample_weight=np.ones(13))
    with pytest.raises(ValueError, match=r"where must be a Dask array"):
        fsd.softmax(array, where=np.ones((13, 9), bool))
    with pytest.raises(ValueError, match=r"targets has 2 chunks along axis 0 where logits has 4"):
        fsd.cross_entropy(array, of_unknown_size(np.zeros(20, int), 10))
    with pytest.raises(ValueError, match=r"unknown sizes along axis 0, that of the classes"):
        fsd.softmax(array, 0)
    labels = np.zeros(20, int)
    labels[8] = 9
    with pytest.raises(ValueError, match=r"targets\[1\] = 9 .*, counted within its block"):
        fsd.cross_entropy(array, of_unknown_size(labels, 6)).compute()


X = da.zeros((6, 4), chunks=(2, 2))
LABELS = np.zeros(6, int)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "of its shape", lambda: fsd.softmax(da.zeros((3, 0), chunks=2))),
        (np.exceptions.AxisError, "axis 2", lambda: fsd.softmax(X, 2)),
        (TypeError, "axis must be an integer", lambda: fsd.softmax(X, 1.0)),
        (TypeError, "x must hold real numbers", lambda: fsd.softmax(X.astype(complex))),
        (TypeError, "where must be of dtype bool", lambda: fsd.softmax(X, where=np.ones(4))),
        (TypeError, "where must be of dtype bool", lambda: fsd.softmax(X, where=X)),
        (ValueError, "cannot be broadcast", lambda: fsd.softmax(X, where=np.ones(3, bool))),
        (ValueError, "unknown backend", lambda: fsd.softmax(X, backend="fortran")),
        (ValueError, "num_threads must be at least 1", lambda: fsd.softmax(X, num_threads=0)),
        (ValueError, "targets must be labels", lambda: fsd.cross_entropy(X, LABELS[:5])),
        (ValueError, "targets must be labels", lambda: fsd.cross_entropy(X, X[:5])),
        (TypeError, "integer dtype", lambda: fsd.cross_entropy(X, LABELS * 1.0)),
        (TypeError, "integer dtype", lambda: fsd.cross_entropy(X, X[:, 0])),
        (ValueError, "no meaning", lambda: fsd.cross_entropy(X, X, ignore_index=1)),
        (ValueError, "one entry for each of the 4", lambda: fsd.cross_entropy(
            X, LABELS, weight=np.ones(5))),
        (ValueError, "one entry for each of the 4", lambda: fsd.cross_entropy(
            X, LABELS, weight=X[:, 0])),
        (ValueError, r"weight\[1\] = -1.0 is negative", lambda: fsd.cross_entropy(
            X, LABELS, weight=[1, -1, 1, 1])),
        (ValueError, "one entry for each sample", lambda: fsd.cross_entropy(
            X, LABELS, sample_weight=np.ones(5))),
        (ValueError, "one entry for each sample", lambda: fsd.cross_entropy(
            X, LABELS, sample_weight=X)),
        (ValueError, "reduction must be one of", lambda: fsd.cross_entropy(
            X, LABELS, reduction="median")),
        (ValueError, "no meaning for the mean gradient", lambda:
            fsd.cross_entropy_value_and_mean_grad(X, LABELS, reduction="none")),
        (ValueError, r"label_smoothing must be in \[0, 1\]", lambda: fsd.cross_entropy(
            X, LABELS, label_smoothing=2)),
        (TypeError, "ignore_index must be an integer", lambda: fsd.cross_entropy(
            X, LABELS, ignore_index=0.5)),
    ],
)  # fmt: skip
def test_errors_when_called(error: type[Exception], match: str, call: Any) -> None:
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("chunks", [(4, -1), (4, 3)])
def test_errors_when_computed(chunks: tuple[int, int]) -> None:
    x = da.from_array(logits((10, 7), "float32"), chunks=chunks)
    labels = np.arange(10) % 7
    labels[9] = 12
    message = r"targets\[9\] = 12 is out of range for 7 classes$"
    for given in (labels, da.from_array(labels, chunks=3), labels.astype("uint64")):
        results = [
            fsd.cross_entropy(x, given),
            fsd.cross_entropy(x, given, sample_weight=np.ones(10)),
            *fsd.cross_entropy_value_and_grad(x, given, weight=np.ones(7)),
            *fsd.cross_entropy_value_and_mean_grad(x, given),
        ]
        for result in results:
            with pytest.raises(ValueError, match=message) as caught:
                result.compute()
            assert isinstance(caught.value, IndexError)
    bad = da.from_array(np.array([1.0] * 9 + [np.nan]), chunks=5)
    with pytest.raises(ValueError, match="is not a number"):
        fsd.cross_entropy(x, np.arange(10) % 7, sample_weight=bad).compute()


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
