"""Outputs too large for the caches are written past them, and must not differ by a bit for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from .test_reproducibility import assert_same_bits, per_row
from .variants import Variant

Array = npt.NDArray[Any]

# So many elements that the C kernels do so, for each way that rows may go through them; no row is
# a multiple of a cache line, and no number of rows one of a block.
SHAPES = [(1100, 4099), (45_007, 100), (1_500_001, 3)]
A_FEW = slice(500, 507)


@pytest.fixture(params=SHAPES, ids=lambda shape: f"{shape[1]}-classes")
def shape(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Return the samples and classes of a large array."""
    return request.param  # type: ignore[no-any-return]


def logits_and_labels(shape: tuple[int, int], dtype: str) -> tuple[Array, Array]:
    rng = np.random.default_rng(7)
    x = rng.standard_normal(shape, dtype=dtype)
    x *= 5
    return x, rng.integers(0, shape[1], shape[0])


def behind_a_line(shape: tuple[int, ...], dtype: str, elements: int) -> Array:
    """Return an array that starts so many elements behind the start of a cache line."""
    line = 64 // np.dtype(dtype).itemsize
    memory = np.full(int(np.prod(shape)) + 2 * line, np.nan, dtype)
    start = -memory.ctypes.data % 64 // memory.itemsize + elements
    return memory[start : start + int(np.prod(shape))].reshape(shape)


def test_rows_of_a_large_array(backend: Variant, shape: tuple[int, int], dtype: str) -> None:
    """Every operation gives a row the bits that it has in a small batch."""
    x, labels = logits_and_labels(shape, dtype)
    options = {"backend": backend.name, "num_threads": 2}
    few = per_row(x[A_FEW], labels[A_FEW], **options)
    many = {name: value[A_FEW] for name, value in per_row(x, labels, **options).items()}
    assert_same_bits(many, few, "a large array")


@pytest.mark.parametrize("elements", [0, 1, 5, 7])
def test_any_alignment(backend: Variant, shape: tuple[int, int], dtype: str, elements: int) -> None:
    """Wherever an output starts, all of it is written and nothing beside it."""
    x, labels = logits_and_labels(shape, dtype)
    options: dict[str, Any] = {"backend": backend.name, "num_threads": 2}
    few = {
        "softmax": fsm.softmax(x[A_FEW], **options),
        "log_softmax": fsm.log_softmax(x[A_FEW], **options),
        "grad": fsm.cross_entropy_grad(x[A_FEW], labels[A_FEW], reduction="sum", **options),
    }
    out = behind_a_line(x.shape, dtype, elements)
    beside = out.base
    for name, call in {
        "softmax": lambda: fsm.softmax(x, out=out, **options),
        "log_softmax": lambda: fsm.log_softmax(x, out=out, **options),
        "grad": lambda: fsm.cross_entropy_grad(x, labels, reduction="sum", out=out, **options),
    }.items():
        out[...] = np.nan
        call()
        assert not np.isnan(out).any(), name
        assert_same_bits({name: out[A_FEW]}, {name: few[name]}, f"{elements} behind a line")
        assert beside is not None
        assert np.isnan(beside).sum() == beside.size - out.size, name


def test_in_place(backend: Variant, shape: tuple[int, int], dtype: str) -> None:
    """Also where the output is the input."""
    x, labels = logits_and_labels(shape, dtype)
    options: dict[str, Any] = {"backend": backend.name, "num_threads": 2}
    expected = {
        "softmax": fsm.softmax(x, **options),
        "log_softmax": fsm.log_softmax(x, **options),
        "grad": fsm.cross_entropy_grad(x, labels, **options),
    }
    a, b, c = x.copy(), x.copy(), x.copy()
    actual = {
        "softmax": fsm.softmax(a, out=a, **options),
        "log_softmax": fsm.log_softmax(b, out=b, **options),
        "grad": fsm.cross_entropy_grad(c, labels, out=c, **options),
    }
    assert_same_bits(actual, expected, "in place")


def test_few_long_rows(backend: Variant, dtype: str) -> None:
    """Threads that share rows do not write past the caches, where one thread does."""
    rng = np.random.default_rng(9)
    x = rng.standard_normal((3, 1_400_001), dtype=dtype)
    labels = rng.integers(0, x.shape[1], 3)
    results = []
    for num_threads in (1, 2):
        options: dict[str, Any] = {"backend": backend.name, "num_threads": num_threads}
        loss, grad = fsm.cross_entropy_value_and_grad(x, labels, **options)
        softmax, log_softmax = fsm.softmax(x, **options), fsm.log_softmax(x, **options)
        results.append({"softmax": softmax, "log": log_softmax, "grad": grad, "loss": loss})
    assert_same_bits(results[1], results[0], "shared rows")


@pytest.mark.parametrize("columns", [4096, 4099])
def test_columns_of_a_large_array(backend: Variant, dtype: str, columns: int) -> None:
    """With the classes along axis 0, in whole cache lines and not."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal((1030, columns), dtype=dtype)
    labels = rng.integers(0, 1030, columns)
    options: dict[str, Any] = {"backend": backend.name, "num_threads": 2}
    expected = {
        "softmax": fsm.softmax(np.ascontiguousarray(x[:, A_FEW].T), **options),
        "log_softmax": fsm.log_softmax(np.ascontiguousarray(x[:, A_FEW].T), **options),
        "grad": fsm.cross_entropy_grad(
            np.ascontiguousarray(x[:, A_FEW].T), labels[A_FEW], reduction="sum", **options
        ),
    }
    out = behind_a_line(x.shape, dtype, 0)
    for name, call in {
        "softmax": lambda: fsm.softmax(x, axis=0, out=out, **options),
        "log_softmax": lambda: fsm.log_softmax(x, axis=0, out=out, **options),
        "grad": lambda: fsm.cross_entropy_grad(
            x, labels, axis=0, reduction="sum", out=out, **options
        ),
    }.items():
        out[...] = np.nan
        call()
        assert not np.isnan(out).any(), name
        assert_same_bits(
            {name: np.ascontiguousarray(out[:, A_FEW].T)}, {name: expected[name]}, "columns"
        )
