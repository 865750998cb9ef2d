"""Dask arrays: threads, what is not computed, what no task is given, unknown sizes, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastsoftmax as fs
from tests.subprocesses import run_python

from . import library
from .dask_problems import Array, logits, problem, same_bits

dask = library("dask")

import dask.array as da  # noqa: E402 (after the check)
from dask.callbacks import Callback  # noqa: E402

import fastsoftmax.dask as fsd  # noqa: E402


@pytest.fixture(autouse=True)
def synchronous() -> Any:
    """One task after another, which is quick for small arrays and raises errors as they are."""
    with dask.config.set(scheduler="synchronous"):
        yield


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


def test_what_to_do_without_dask() -> None:
    script = "import sys; sys.modules['dask'] = None; import fastsoftmax.dask"
    done = run_python(script, check=False)
    assert "ImportError: fastsoftmax.dask needs dask" in done.stderr
    assert 'pip install "fastsoftmax[dask]"' in done.stderr
