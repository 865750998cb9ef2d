"""Logits, targets and options for the tests of Dask arrays, and how results are judged."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsoftmax._accuracy import oracle
from fastsoftmax._accuracy.exact import Exact, ulp_error
from tests import cases

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
