"""softmax, log_softmax and logsumexp against the reference, in ulp."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastsoftmax as fsm
from fastsoftmax._accuracy import oracle

from . import cases, reference
from .recorder import judge
from .variants import Variant

# of the exact value; for logsumexp of max(|max x|, log(sum(exp(x - max x))))
BOUNDS = {"softmax": 2, "log_softmax": 4, "logsumexp": 4}
# of the largest summand
BACKWARD_BOUND = 4

every_function = pytest.mark.parametrize("function", list(BOUNDS))


def judge_function(function: str, backend: Variant, x: Any, exact: Any, case: str) -> None:
    actual = getattr(fsm, function)(x, backend=backend.name)
    assert actual.dtype == x.dtype
    value, scale = exact if function == "logsumexp" else (exact, None)
    bound = BOUNDS[function]
    judge(actual, value, bound, function=function, backend=backend.id, case=case, scale=scale)


@every_function
@pytest.mark.parametrize("scale", [1.0, 3.0, 20.0])
def test_random_rows(backend: Variant, dtype: str, function: str, scale: float) -> None:
    for num_classes in cases.SHORT + cases.LONG:
        x = cases.random_logits(dtype, num_classes, scale)
        exact = getattr(reference, function)(x)
        judge_function(function, backend, x, exact, f"K={num_classes}, scale {scale:g}")


@every_function
@pytest.mark.parametrize("scale", [1.0, 3.0, 20.0])
def test_very_long_rows(backend: Variant, dtype: str, function: str, scale: float) -> None:
    """Fewer of them than threads, which share them."""
    x = cases.random_logits(dtype, cases.HUGE, scale)
    exact = getattr(reference, function)(x)
    with fsm.use_num_threads(3):
        judge_function(function, backend, x, exact, f"K={cases.HUGE}, scale {scale:g}")


@every_function
@pytest.mark.parametrize("name", cases.HOSTILE)
def test_hostile_rows(backend: Variant, dtype: str, function: str, name: str) -> None:
    x = reference.logits(dtype, name)
    exact = reference.exact_probabilities(dtype, name)[function]
    judge_function(function, backend, x, exact, name)


@every_function
@pytest.mark.parametrize("num_classes", [2, 3, 4, 9, 17, 40])
def test_saturated_rows(backend: Variant, dtype: str, function: str, num_classes: int) -> None:
    x = reference.logits(dtype, num_classes)
    exact = reference.exact_probabilities(dtype, num_classes)[function]
    judge_function(function, backend, x, exact, f"saturated, K={num_classes}")


def test_subnormal_probabilities_are_rounded_and_not_flushed(backend: Variant, dtype: str) -> None:
    x = reference.logits(dtype, "spread")
    p = fsm.softmax(x, backend=backend.name)
    info = np.finfo(dtype)
    subnormal = (p > 0) & (p < info.tiny)
    assert subnormal.sum() >= 8
    exact = reference.exact_probabilities(dtype, "spread")["softmax"].to_float64()
    assert (p[exact >= float(info.smallest_subnormal)] > 0).all()


@pytest.mark.parametrize("num_classes", [1, 2, 7, 33, 1000])
def test_backward_products(backend: Variant, dtype: str, num_classes: int) -> None:
    generator = cases.rng("backward", num_classes)
    for scale in (1.0, 20.0):
        x = cases.random_logits(dtype, num_classes, scale)
        g = generator.standard_normal(x.shape).astype(dtype)
        for function, output in (
            ("softmax_backward", fsm.softmax(x, backend=backend.name)),
            ("log_softmax_backward", fsm.log_softmax(x, backend=backend.name)),
        ):
            exact, unit = getattr(reference, function)(g, output)
            actual = getattr(fsm, function)(g, output, backend=backend.name)
            assert actual.dtype == np.dtype(dtype)
            case = f"K={num_classes}, scale {scale:g}"
            judge(
                actual,
                exact,
                BACKWARD_BOUND,
                function=function,
                backend=backend.id,
                case=case,
                scale=unit,
            )


def test_masked_rows(backend: Variant, dtype: str) -> None:
    """Dropped classes change nothing, whatever they hold."""
    generator = cases.rng("masked")
    for num_classes in (1, 2, 3, 5, 8, 16, 17, 31, 70, 300):
        x = cases.random_logits(dtype, num_classes, 3.0)[:12].copy()
        keep = generator.random(x.shape) < 0.6
        keep[0], keep[1] = False, True
        hostile = np.array([np.nan, np.inf, -np.inf, 1e30], dtype)
        x[~keep] = np.resize(hostile, int((~keep).sum()))
        case = f"where, K={num_classes}"
        for function in BOUNDS:
            exact = getattr(oracle, function)(x, keep)
            scale = None
            if function == "logsumexp":
                largest = np.where(keep, x, 0)
                scale = oracle.logsumexp_scale(largest)
            actual = getattr(fsm, function)(x, where=keep, backend=backend.name)
            judge(
                actual,
                exact,
                BOUNDS[function],
                function=function,
                backend=backend.id,
                case=case,
                scale=scale,
            )
