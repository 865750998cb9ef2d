"""Which reference judges which array, and its results kept where they are slow to make."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastsoftmax._accuracy import oracle, reference, wide
from fastsoftmax._accuracy.exact import Exact

from . import cases

Array = npt.NDArray[Any]


def small_or_wide(x: Array) -> bool:
    """Whether `wide` judges `x`; skips the test where neither it nor mpmath can, for its size."""
    if wide.available(x.dtype):
        return True
    if x.size > 2000:
        pytest.skip(f"no floating-point type on this platform is wider than {x.dtype}")
    return False


def softmax(x: Array) -> Exact:
    small_or_wide(x)
    return reference.softmax(x)


def log_softmax(x: Array) -> Exact:
    small_or_wide(x)
    return reference.log_softmax(x)


def logsumexp(x: Array) -> tuple[Exact, Exact]:
    """And the scale of its error."""
    small_or_wide(x)
    return reference.logsumexp(x)


def cross_entropy(x: Array, targets: Array) -> wide.Gradients:
    small_or_wide(x)
    return reference.cross_entropy(x, targets)


def softmax_backward(grad_output: Array, output: Array) -> tuple[Exact, Exact]:
    judge = wide if small_or_wide(output) else oracle
    return judge.softmax_backward(grad_output, output)


def log_softmax_backward(grad_output: Array, output: Array) -> tuple[Exact, Exact]:
    judge = wide if small_or_wide(output) else oracle
    return judge.log_softmax_backward(grad_output, output)


def logits(dtype: str, name: str | int) -> Array:
    """A hostile case by name, or saturated rows of so many classes."""
    if isinstance(name, int):
        return cases.saturated_logits(dtype, name)
    return cases.hostile_logits(dtype, name)


def targets(dtype: str, name: str | int, kind: str) -> Array:
    x = logits(dtype, name)
    if kind == "soft":
        return cases.soft_targets_for(x)
    labels = cases.saturated_labels(x) if isinstance(name, int) else cases.labels_for(x)
    return np.asarray(np.eye(x.shape[-1], dtype=dtype)[labels] if kind == "one-hot" else labels)


@functools.cache
def exact_probabilities(dtype: str, name: str | int) -> dict[str, Any]:
    """By definition, for the arrays of `logits`."""
    x = logits(dtype, name)
    return {
        "softmax": oracle.softmax(x),
        "log_softmax": oracle.log_softmax(x),
        "logsumexp": (oracle.logsumexp(x), oracle.logsumexp_scale(x)),
    }


@functools.cache
def exact_cross_entropy(dtype: str, name: str | int, kind: str) -> wide.Gradients:
    """By definition, for the arrays of `logits` and `targets`."""
    same = "labels" if kind == "one-hot" else kind
    if same != kind:
        return exact_cross_entropy(dtype, name, same)
    return reference.gradients_by_definition(logits(dtype, name), targets(dtype, name, kind))
