"""A search for the worst probabilities: where rounding is hardest, and on from the worst found."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax._accuracy import wide
from fastsoftmax._accuracy.exact import ulp_error

from . import cases
from .recorder import judge
from .variants import Variant

Array = npt.NDArray[Any]

BOUND = 2


@pytest.fixture(autouse=True)
def wide_reference(dtype: str) -> None:
    if not wide.available(dtype):
        pytest.skip(f"no floating-point type on this platform is wider than {dtype}")


def check(backend: Variant, x: Array, case: str) -> None:
    actual = fsm.softmax(x, backend=backend.name)
    name = backend.id
    judge(actual, wide.softmax(x), BOUND, function="softmax", backend=name, case=case)


def neighbours(values: Array, count: int) -> Array:
    """Each value and those up to `count` steps of its spacing to both sides."""
    steps = np.arange(-count, count + 1)
    near = values[:, None] + steps * np.spacing(values)[:, None]
    return np.asarray(near.ravel())


def test_random_short_rows(backend: Variant, dtype: str) -> None:
    """Three million rows in float32, of K = 2 to 8, where no error averages out."""
    rows = 450_000 if dtype == "float32" else 30_000
    for num_classes in range(2, 9):
        generator = cases.rng("search", num_classes)
        for scale in (0.5, 2.0, 12.0):
            x = generator.standard_normal((rows // 3, num_classes)) * scale
            check(backend, x.astype(dtype), f"K={num_classes}, scale {scale:g}")


@pytest.mark.parametrize("num_classes", [2, 3, 4, 8, 33])
def test_near_powers_of_two(backend: Variant, dtype: str, num_classes: int) -> None:
    """One probability just above or below 2**-j, where the unit in the last place halves."""
    largest = 148 if dtype == "float32" else 1073
    j = np.arange(1, largest + 1, 1 if dtype == "float32" else 7)
    # p = 1 / (1 + (K - 1) e**a) = 2**-j, and the complement of it
    a = np.where(j < 50, np.log(np.exp2(np.minimum(j, 60)) - 1), j * np.log(2))
    a = (a - np.log(num_classes - 1)).astype(dtype)
    near = neighbours(a, 60)
    x = np.repeat(near[:, None], num_classes, axis=1)
    x[:, 0] = 0
    check(backend, x, f"powers of two, K={num_classes}")
    check(backend, -x, f"powers of two, complement, K={num_classes}")


def test_near_the_ends_of_the_reduced_range(backend: Variant, dtype: str) -> None:
    """Both logits near odd multiples of log(2)/2, where the exponential is split differently."""
    generator = cases.rng("reduction")
    odd = 2 * generator.integers(-60, 61, 4000) + 1
    near = neighbours((odd * (np.log(2) / 2)).astype(dtype), 8)
    for num_classes in (2, 3, 5):
        x = generator.choice(near, (40_000, num_classes))
        check(backend, x, f"multiples of log(2)/2, K={num_classes}")


@pytest.mark.parametrize("num_classes", [2, 3, 5, 8, 33])
def test_near_the_smallest_normal_number(backend: Variant, dtype: str, num_classes: int) -> None:
    """Where what an intermediate result rounds may already be subnormal."""
    generator = cases.rng("smallest normal", num_classes)
    gap = -np.log(float(np.finfo(dtype).tiny))
    rows = 150_000 // num_classes
    for width in (1.5, 8.0):
        x = generator.uniform(-3, 0, (rows, num_classes))
        x[:, 1] = generator.uniform(-gap - width, -gap + width, rows)
        x[:, 0] = 0
        x[:, 2:] *= generator.choice([1, 5, 40], (rows, 1))
        x += generator.choice([0.0, 40.0, -300.0], (rows, 1))
        check(backend, x.astype(dtype), f"smallest normal ± {width:g}, K={num_classes}")


def test_ties_and_near_ties(backend: Variant, dtype: str) -> None:
    generator = cases.rng("near ties")
    for num_classes in (2, 3, 4):
        centre = (generator.standard_normal((20_000, 1)) * 30).astype(dtype)
        steps = generator.integers(-40, 41, (20_000, num_classes))
        x = (centre + steps * np.spacing(centre)).astype(dtype)
        check(backend, x, f"near ties, K={num_classes}")


# logits of one row each, whose smallest probability that counts is just above the smallest normal
FOUND: dict[str, list[list[float]]] = {
    "float32": [
        [
            -88.74048614501953,
            41.678062438964844,
            92.53187561035156,
            5.853207588195801,
            34.62725067138672,
        ],
    ],
    "float64": [
        [
            -298.4615380719143,
            335.29469936374505,
            409.2498132009083,
            370.4019357614829,
            374.86261841385164,
        ],
        [
            113.97418090543786,
            648.9616855742688,
            821.7795413381799,
            582.2923105682222,
            507.5265064927748,
        ],
    ],
}


def test_rows_found_by_longer_searches(backend: Variant, dtype: str) -> None:
    check(backend, np.array(FOUND[dtype], dtype), "found by search")


def test_from_the_worst_rows_onwards(backend: Variant, dtype: str) -> None:
    """Keep the worst rows, move them by a few units in the last place, and keep the worst again."""
    generator = cases.rng("climb")
    worst = 0.0
    for num_classes in (2, 3, 4):
        x = (generator.standard_normal((20_000, num_classes)) * 4).astype(dtype)
        for _ in range(12):
            actual = fsm.softmax(x, backend=backend.name)
            errors = ulp_error(actual, wide.softmax(x)).max(axis=-1)
            worst = max(worst, float(errors.max()))
            check(backend, x, f"climb, K={num_classes}")
            best = x[np.argsort(errors)[-250:]]
            steps = generator.integers(-30, 31, (40, *best.shape))
            moved = (best + steps * np.spacing(best)).astype(dtype).reshape(-1, num_classes)
            x = np.concatenate([best, moved])
    # no rounding is better than half a unit: with less, the search looked in the wrong place
    assert worst > 0.49
