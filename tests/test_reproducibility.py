"""The same bits: of a row wherever it stands, and of means and losses for any number of threads."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from . import cases
from .subprocesses import run_python
from .variants import TESTED, VARIANTS, Variant

Array = npt.NDArray[Any]

THREADS = (1, 2, 3, 7, 16)

# small enough to run inline, just above what is worth a second thread, and large
SHAPES = [(5, 3), (700, 10), (20_000, 10), (1_500, 100), (40, 5_000), (2, 128_256)]
# few rows, which threads share
LONG = [(1, 70_001), (2, 32_768), (3, 40_000), (5, 40_000)]


def per_row(x: Array, labels: Array, **options: Any) -> dict[str, Array]:
    """Everything that has one entry or one row for each sample."""
    targets = np.abs(x) / 7
    return {
        "softmax": fsm.softmax(x, **options),
        "log_softmax": fsm.log_softmax(x, **options),
        "logsumexp": fsm.logsumexp(x, **options),
        "masked": fsm.softmax(x, where=x > -1, **options),
        "grad": fsm.cross_entropy_grad(x, labels, reduction="sum", **options),
        "grad of soft": fsm.cross_entropy_grad(x, targets, reduction="sum", **options),
        "losses": fsm.cross_entropy(x, labels, reduction="none", **options),
        "losses of soft": fsm.cross_entropy(x, targets, reduction="none", **options),
        "hess": fsm.cross_entropy_grad_hess(x, labels, **options)[1],
        "softmax_backward": fsm.softmax_backward(targets, x, **options),
        "log_softmax_backward": fsm.log_softmax_backward(targets, -abs(x), **options),
    }


def reduced(x: Array, labels: Array, **options: Any) -> dict[str, Any]:
    """Everything that is summed over the samples."""
    loss, mean_grad = fsm.cross_entropy_value_and_mean_grad(x, labels, **options)
    value, grad = fsm.cross_entropy_value_and_grad(x, labels, **options)
    return {
        "cross_entropy": fsm.cross_entropy(x, labels, **options),
        "mean_grad": fsm.cross_entropy_mean_grad(x, labels, **options),
        "value_and_mean_grad": np.append(mean_grad, loss),
        "value_and_grad": np.append(grad.ravel(), value),
        "soft": fsm.cross_entropy_mean_grad(x, np.abs(x), **options),
    }


def assert_same_bits(actual: dict[str, Any], expected: dict[str, Any], where: Any) -> None:
    for name, value in expected.items():
        a, b = np.asarray(actual[name]), np.asarray(value)
        assert a.tobytes() == b.tobytes(), f"{name}, {where}"


def problem(shape: tuple[int, int], dtype: str) -> tuple[Array, Array]:
    generator = cases.rng("bits", shape)
    x = (generator.standard_normal(shape) * 4).astype(dtype)
    return x, generator.integers(0, shape[1], shape[0])


@pytest.mark.parametrize("shape", SHAPES + LONG)
def test_any_number_of_threads(backend: Variant, dtype: str, shape: tuple[int, int]) -> None:
    x, labels = problem(shape, dtype)
    expected: dict[str, Any] = {}
    for num_threads in THREADS if shape[0] * shape[1] < 210_000 else (1, 2, 5):
        options: dict[str, Any] = {"backend": backend.name, "num_threads": num_threads}
        actual = per_row(x, labels, **options) | reduced(x, labels, **options)
        expected = expected or actual
        assert_same_bits(actual, expected, f"{num_threads} threads")


EVERY = slice(None)
LONG_ROWS: dict[str, tuple[Any, Any, Any]] = {  # rows, classes and what is put there
    "as they are": (0, 0, 0),
    "a NaN": (1, 20_000, np.nan),
    "a part of NaN": (0, slice(16_384, 32_768), np.nan),
    "inf in the last part": (1, -1, np.inf),
    "inf and NaN": (1, [3, 39_000], [np.nan, np.inf]),
    "nothing but -inf": (0, EVERY, -np.inf),
    "-inf but in the last part": (0, slice(33_000), -np.inf),
    "ties across the parts": (EVERY, [5, 17_000, 39_000], 30),
    "ties of large numbers": (EVERY, [17_000, 39_000], 3000),
    "confident": (EVERY, 39_000, 150),
    "huge": (EVERY, slice(0, None, 7), 1e30),
}


def with_options(x: Array, labels: Array, **options: Any) -> dict[str, Any]:
    generator = cases.rng("options", x.shape)
    weights = {"weight": generator.random(x.shape[1]), "sample_weight": generator.random(len(x))}
    results: dict[str, Any] = {}
    for name, more in {"weights": weights, "ignored": {"ignore_index": int(labels[0])}}.items():
        everything = options | more
        results[f"{name}, losses"] = fsm.cross_entropy(x, labels, reduction="none", **everything)
        results[f"{name}, grad"] = fsm.cross_entropy_grad(x, labels, **everything)
        results[f"{name}, mean_grad"] = fsm.cross_entropy_mean_grad(x, labels, **everything)
    for function in (fsm.softmax, fsm.log_softmax):
        out = x.copy()
        results[f"{function.__name__} in place"] = function(out, out=out, **options)
    out = x.copy()
    results["grad in place"] = fsm.cross_entropy_grad(out, labels, out=out, **options)
    return results


@pytest.mark.parametrize("name", LONG_ROWS)
@np.errstate(all="ignore")
def test_any_number_of_threads_on_long_rows(backend: Variant, dtype: str, name: str) -> None:
    """With options, in place, and with what is special in one part of a row and not in others."""
    if backend.name == "numpy":
        pytest.skip("has one thread, and takes a minute for this")
    x, _ = problem((3, 40_000), dtype)
    labels = np.array([39_000, 2, 20_000])
    rows, classes, value = LONG_ROWS[name]
    x[rows, classes] = value
    expected: dict[str, Any] = {}
    for num_threads in (1, 2, 7):
        options: dict[str, Any] = {"backend": backend.name, "num_threads": num_threads}
        actual = per_row(x, labels, **options) | reduced(x, labels, **options)
        actual |= with_options(x, labels, **options)
        actual = {key: np.where(np.isnan(value), np.nan, value) for key, value in actual.items()}
        expected = expected or actual
        assert_same_bits(actual, expected, f"{num_threads} threads")


@pytest.mark.parametrize("shape", [(17, 16_385), (16, 40_000)])
def test_long_columns(backend: Variant, dtype: str, shape: tuple[int, int]) -> None:
    """Of long rows, the bits are the same where samples lie side by side."""
    x, labels = problem(shape, dtype)
    columns = np.asfortranarray(x)
    expected = per_row(x, labels, backend=backend.name)
    assert_same_bits(per_row(columns, labels, backend=backend.name), expected, "columns")


@pytest.mark.parametrize("shape", [(12, 60_000), (20_000, 12)])
def test_any_number_of_threads_along_the_first_axis(
    backend: Variant, dtype: str, shape: tuple[int, int]
) -> None:
    x, labels = problem(shape[::-1], dtype)
    x = np.ascontiguousarray(x.T)
    expected: dict[str, Any] = {}
    for num_threads in (1, 2, 5):
        options: dict[str, Any] = {"axis": 0, "backend": backend.name, "num_threads": num_threads}
        loss, mean_grad = fsm.cross_entropy_value_and_mean_grad(x, labels, **options)
        actual = {
            "softmax": fsm.softmax(x, **options),
            "grad": fsm.cross_entropy_grad(x, labels, **options),
            "losses": fsm.cross_entropy(x, labels, reduction="none", **options),
            "loss": loss,
            "mean_grad": mean_grad,
        }
        expected = expected or actual
        assert_same_bits(actual, expected, f"{num_threads} threads")


@pytest.mark.parametrize("num_classes", [1, 2, 3, 4, 5, 7, 8, 9, 10, 16, 17, 31, 33, 64, 100, 1000])
def test_batch_and_position(backend: Variant, dtype: str, num_classes: int) -> None:
    """A row alone, in batches of any size, first, last or between others."""
    rows = 41 if num_classes < 1000 else 9
    x, labels = problem((rows, num_classes), dtype)
    whole = per_row(x, labels, backend=backend.name)
    starts = range(rows) if rows < 10 else (0, 1, 2, 3, 7, 8, 15, 16, 17, 30, 40)
    for start in starts:
        for length in (1, 2, 3, 5, 8, 13, 16, 24):
            part = slice(start, start + length)
            actual = per_row(x[part], labels[part], backend=backend.name)
            expected = {name: value[part] for name, value in whole.items()}
            assert_same_bits(actual, expected, f"rows {start} to {start + length}")
    single = fsm.softmax(x[0], backend=backend.name)
    assert single.tobytes() == whole["softmax"][0].tobytes()
    blocks = fsm.softmax(x[: rows - 1].reshape(2, -1, num_classes), backend=backend.name)
    assert blocks.tobytes() == whole["softmax"][: rows - 1].tobytes()


@pytest.mark.parametrize("num_classes", [2, 3, 10, 16, 33, 100, 1000])
def test_neighbours(backend: Variant, dtype: str, num_classes: int) -> None:
    """What the other rows hold, however extreme, does not show."""
    x, labels = problem((17, num_classes), dtype)
    expected = per_row(x, labels, backend=backend.name)
    top = np.finfo(dtype).max
    for value in (np.nan, np.inf, -np.inf, top, -top, -150.0, 1e6, 1e-40):
        for step in (2, 5):
            spoilt = x.copy()
            spoilt[::step] = value
            spoilt[::step, -1] = 0
            kept = np.arange(17) % step > 0
            actual = per_row(spoilt, labels, backend=backend.name)
            assert_same_bits(
                {name: result[kept] for name, result in actual.items()},
                {name: result[kept] for name, result in expected.items()},
                f"beside {value}",
            )


def placed(x: Array, offset: int) -> Array:
    """A copy that begins `offset` bytes after a multiple of 64."""
    memory = np.zeros(x.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


@pytest.mark.parametrize("num_classes", [3, 10, 17, 64, 1000])
def test_alignment_and_in_place(backend: Variant, dtype: str, num_classes: int) -> None:
    x, labels = problem((23, num_classes), dtype)
    expected = per_row(x, labels, backend=backend.name) | reduced(x, labels, backend=backend.name)
    for offset in (0, 4, 8, 12, 16, 20, 28, 32, 36, 48, 60):
        if offset % x.itemsize:
            continue
        mine = placed(x, offset)
        results = per_row(mine, labels, backend=backend.name)
        results |= reduced(mine, labels, backend=backend.name)
        assert_same_bits(results, expected, f"offset {offset}")
        for function in (fsm.softmax, fsm.log_softmax):
            out = placed(x, offset)
            function(out, out=out, backend=backend.name)
            assert out.tobytes() == expected[function.__name__].tobytes()
        out = placed(x, (offset + 4 * x.itemsize) % 64)
        fsm.softmax(mine, out=out, backend=backend.name)
        assert out.tobytes() == expected["softmax"].tobytes()
        fsm.cross_entropy_grad(mine, labels, out=mine, reduction="sum", backend=backend.name)
        assert mine.tobytes() == expected["grad"].tobytes()


@pytest.mark.parametrize("num_classes", [3, 10, 16, 100, 1000])
def test_padded_rows(backend: Variant, dtype: str, num_classes: int) -> None:
    """Rows with gaps between them, and backwards."""
    x, labels = problem((19, num_classes), dtype)
    expected = per_row(x, labels, backend=backend.name)
    for padding in (1, 3, 16):
        memory = np.full((19, num_classes + padding), np.nan, dtype)
        view = memory[:, :num_classes]
        view[...] = x
        assert_same_bits(per_row(view, labels, backend=backend.name), expected, "padded")
    backwards = per_row(x[::-1], labels[::-1], backend=backend.name)
    turned = {name: value[::-1] for name, value in expected.items()}
    assert_same_bits(backwards, turned, "backwards")


def test_repeated_calls(backend: Variant, dtype: str) -> None:
    x, labels = problem((5_000, 40), dtype)
    expected = per_row(x, labels, backend=backend.name) | reduced(x, labels, backend=backend.name)
    for _ in range(5):
        results = per_row(x, labels, backend=backend.name)
        results |= reduced(x, labels, backend=backend.name)
        assert_same_bits(results, expected, "again")


def test_value_and_gradient_are_those_of_the_single_functions(backend: Variant, dtype: str) -> None:
    calls: list[Callable[..., Any]] = [
        fsm.cross_entropy_value_and_grad,
        fsm.cross_entropy_value_and_mean_grad,
    ]
    singles: list[Callable[..., Any]] = [fsm.cross_entropy_grad, fsm.cross_entropy_mean_grad]
    for shape in SHAPES[:4]:
        x, labels = problem(shape, dtype)
        for both, single in zip(calls, singles, strict=True):
            loss, gradient = both(x, labels, backend=backend.name)
            alone = single(x, labels, backend=backend.name)
            assert gradient.tobytes() == alone.tobytes()
            assert loss == fsm.cross_entropy(x, labels, backend=backend.name)


def fused_sets() -> list[str]:
    """The instruction sets of this machine that fuse multiply and add."""
    names = [v.instruction_set for v in VARIANTS if v.instruction_set]
    return [name for name in names if name in ("avx512", "avx2", "neon")]


@pytest.mark.skipif(len(fused_sets()) < 2, reason="fewer than two instruction sets that fuse here")
@pytest.mark.parametrize("seed", range(6))
def test_splits_over_machines(dtype: str, seed: int) -> None:
    """Batches split anywhere, each piece on any instruction set, with any number of threads."""
    extension = importlib.import_module("fastsoftmax._c")
    generator = cases.rng("splits", seed)
    num_classes = int(generator.choice([2, 10, 33, 100, 193, 1000]))
    rows = 300_000 // num_classes
    x, labels = problem((rows, num_classes), dtype)
    previous = extension.use_instruction_set(fused_sets()[0])
    try:
        whole = per_row(x, labels, backend="c", num_threads=1)
        sums = reduced(x, labels, backend="c", num_threads=1)
        edges = [0, *np.sort(generator.integers(0, rows, 4)), rows]
        for begin, end in itertools.pairwise(edges):
            extension.use_instruction_set(str(generator.choice(fused_sets())))
            threads = int(generator.integers(1, 5))
            pieces = per_row(x[begin:end], labels[begin:end], backend="c", num_threads=threads)
            expected = {name: value[begin:end] for name, value in whole.items()}
            assert_same_bits(pieces, expected, (begin, end, threads))
        for name in fused_sets():
            extension.use_instruction_set(name)
            assert_same_bits(reduced(x, labels, backend="c", num_threads=3), sums, name)
    finally:
        extension.use_instruction_set(previous)


DIGEST = """
    import hashlib, sys
    import numpy as np
    import fastsoftmax as fsm
    from tests.test_reproducibility import per_row, problem, reduced
    digest = hashlib.sha256()
    for dtype in ("float32", "float64"):
        for shape in ((300, 40), (7, 20_000), (40_000, 3)):
            x, labels = problem(shape, dtype)
            results = per_row(x, labels) | reduced(x, labels)
            for name, result in sorted(results.items()):
                digest.update(np.asarray(result).tobytes())
            layer = np.asarray(x[:5, :3])
            for part in fsm.linear_cross_entropy_value_and_grad(layer, layer, labels[:5] % 5)[1]:
                digest.update(b"" if part is None else part.tobytes())
    print(digest.hexdigest())
"""


@pytest.mark.parametrize("name", TESTED)
def test_other_processes(name: str) -> None:
    """Whatever memory holds when it is new, hashes are, and the number of threads is."""
    runs: list[dict[str, str | None]] = [
        {"PYTHONHASHSEED": "1", "FASTSOFTMAX_NUM_THREADS": "1"},
        {"PYTHONHASHSEED": "2", "MALLOC_PERTURB_": "90", "FASTSOFTMAX_NUM_THREADS": "3"},
        {"MALLOC_PERTURB_": "165", "FASTSOFTMAX_NUM_THREADS": "2"},
    ]
    digests = {
        run_python(DIGEST, environment={"FASTSOFTMAX_BACKEND": name, **run}).stdout for run in runs
    }
    assert len(digests) == 1
