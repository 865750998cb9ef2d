"""More than 2^31 and 2^32 elements, samples and classes: no size or index is cut to 32 bits.

Left out unless asked for, since they need an address space without limits, a system that gives
untouched memory for nothing (Linux), and a minute:

    python -m pytest -m huge tests/test_huge.py

A distinctive value lies behind the 2^31st or the 2^32nd element. An index cut to 32 bits would miss
it, or find it where there are zeros.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fs

from .huge import Ring, available_memory, zeros
from .test_reproducibility import assert_same_bits
from .variants import VARIANTS, Variant

Array = npt.NDArray[Any]

pytestmark = [
    pytest.mark.slow,  # some 10^11 exponentials
    pytest.mark.huge,
    pytest.mark.skipif(sys.platform != "linux", reason="memory for nothing, as Linux gives it"),
    pytest.mark.skipif(sys.maxsize < 2**32, reason="the address space is too small"),
]

COMPILED = [variant for variant in VARIANTS if variant.name != "numpy" and not variant.missing]
BEST = {variant.name: variant for variant in reversed(COMPILED)}
"""One of each: the best instruction set; the reference would take hours."""


@pytest.fixture(params=list(BEST.values()), ids=lambda variant: variant.id)
def best(request: pytest.FixtureRequest) -> Variant:
    """A compiled backend."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def num_threads(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def planted(rows: int, classes: int, dtype: str, beyond: int) -> tuple[Array, Array]:
    """Zeros (rows, classes), but for the last row and the first behind element `beyond`."""
    assert rows * classes > beyond
    x = zeros((rows, classes), dtype)
    row = np.linspace(-2, 3, classes).astype(dtype)
    where = np.array([beyond // classes + 1, rows - 1])
    for number, scale in zip(where, (1, -2), strict=True):
        x[number] = row * scale
    return x, where


# The first go across the lanes, the second along them; neither is a power of two.
SHAPES = {"across": 21, "along": 1021}


@pytest.mark.parametrize("classes", SHAPES.values(), ids=SHAPES)
def test_every_function_beyond_2_to_the_31_elements(best: Variant, classes: int) -> None:
    rows = 2**31 // classes + 70
    x, where = planted(rows, classes, "float32", 2**31)
    labels = np.zeros(rows, np.int32)
    labels[where] = classes - 1
    some = np.r_[where, rows - 3]
    few, few_labels = x[some], labels[some]
    options: dict[str, Any] = {"backend": best.name, "num_threads": 2}
    small = {**options, "num_threads": 1}
    with Ring(x.shape, "float32") as out, Ring(x.shape, "float32") as other:

        def check(name: str, expected: Array, actual: Array) -> None:
            assert_same_bits({name: actual[some]}, {name: expected}, name)

        check("softmax", fs.softmax(few, **small), fs.softmax(x, out=out, **options))
        check("log", fs.log_softmax(few, **small), fs.log_softmax(x, out=out, **options))
        check("logsumexp", fs.logsumexp(few, **small), fs.logsumexp(x, **options))
        check(
            "softmax_backward",
            fs.softmax_backward(few, few, **small),
            fs.softmax_backward(x, x, out=out, **options),
        )
        check(
            "log_softmax_backward",
            fs.log_softmax_backward(few, few, **small),
            fs.log_softmax_backward(x, x, out=out, **options),
        )
        check(
            "losses",
            fs.cross_entropy(few, few_labels, reduction="none", **small),
            fs.cross_entropy(x, labels, reduction="none", **options),
        )
        grad = fs.cross_entropy_grad(few, few_labels, reduction="sum", **small)
        check("grad", grad, fs.cross_entropy_grad(x, labels, reduction="sum", out=out, **options))
        loss, actual = fs.cross_entropy_value_and_grad(
            x, labels, reduction="sum", out=out, **options
        )
        check("value and grad", grad, actual)
        check(
            "grad of soft targets",
            fs.cross_entropy_grad(few, few, reduction="sum", **small),
            fs.cross_entropy_grad(x, x, reduction="sum", out=out, **options),
        )
        g, h = fs.cross_entropy_grad_hess(few, few_labels, **small)
        big_g, big_h = fs.cross_entropy_grad_hess(x, labels, out=(out, other), **options)
        check("grad of grad_hess", g, big_g)
        check("hess", h, big_h)
    again, mean = fs.cross_entropy_value_and_mean_grad(x, labels, reduction="sum", **options)
    assert again == loss

    # What all the rows of zeros and the two others add up to, in float64.
    two = x[where].astype(np.float64)
    log_sums = np.log(np.exp(two).sum(axis=1))
    total = (rows - 2) * math.log(classes) + (log_sums - two[:, -1]).sum()
    assert math.isclose(loss, total, rel_tol=1e-6)
    p = np.exp(two - log_sums[:, None])
    sums = (rows - 2) / classes + p.sum(axis=0)
    sums[0] -= rows - 2
    sums[-1] -= 2
    np.testing.assert_allclose(mean, sums, rtol=1e-6)
    assert np.array_equal(mean, fs.cross_entropy_mean_grad(x, labels, reduction="sum", **options))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_beyond_2_to_the_32_elements(best: Variant, dtype: str, num_threads: int) -> None:
    """Reading alone, in every storage."""
    x, where = planted(2**32 // 1021 + 70, 1021, dtype, 2**32)
    labels = np.zeros(len(x), np.int64)
    labels[where] = 1020
    options: dict[str, Any] = {"backend": best.name, "num_threads": num_threads}
    sums = fs.logsumexp(x, **options)
    losses = fs.cross_entropy(x, labels, reduction="none", **options)
    assert_same_bits({"sums": sums[where]}, {"sums": fs.logsumexp(x[where], **options)}, dtype)
    few = fs.cross_entropy(x[where], labels[where], reduction="none", **options)
    assert_same_bits({"losses": losses[where]}, {"losses": few}, dtype)
    loss, mean = fs.cross_entropy_value_and_mean_grad(x, labels, **options)
    others = math.log(1021) * (len(x) - 2)
    assert math.isclose(loss, (others + few.sum(dtype=float)) / len(x), rel_tol=1e-3)
    assert math.isclose(mean[0], 1 / 1021 - 1, rel_tol=1e-3)
    assert math.isclose(mean[5], 1 / 1021, rel_tol=1e-3)


@pytest.mark.parametrize("label", [np.int32, np.int64])
def test_more_than_2_to_the_31_samples(best: Variant, label: type) -> None:
    """All with the same two logits, in one place; of the labels three behind the 2^31st are 1."""
    samples = 2**31 + 1009
    x = np.broadcast_to(np.array([1, 0], np.float32), (samples, 2))
    labels = zeros((samples,), np.dtype(label).name)
    labels[[-1, -5, 2**31 + 2]] = 1
    options: dict[str, Any] = {"backend": best.name, "num_threads": 2}
    loss, mean = fs.cross_entropy_value_and_mean_grad(x, labels, reduction="sum", **options)
    p = 1 / (1 + math.e)
    # In float32 three of so many would not show: what is left is by far the larger part.
    assert math.isclose(loss, -samples * math.log1p(-p) + 3, rel_tol=1e-7)
    np.testing.assert_allclose(mean, np.array([-p, p]) * samples + [3, -3], rtol=1e-7)

    weight = np.array([0, 1], np.float64)  # only the three count
    loss, mean = fs.cross_entropy_value_and_mean_grad(x, labels, weight=weight, **options)
    assert math.isclose(loss, 1 - math.log1p(-p), rel_tol=1e-6)
    np.testing.assert_allclose(mean, [1 - p, p - 1], rtol=1e-6)

    loss = fs.cross_entropy(x, labels, ignore_index=0, **options)
    assert math.isclose(loss, 1 - math.log1p(-p), rel_tol=1e-6)

    labels[2**31 + 4] = 7
    with pytest.raises(ValueError, match=r"targets\[2147483652\] = 7 is out of range"):
        fs.cross_entropy(x, labels, **options)


@pytest.mark.parametrize("power", [31, 32])
def test_a_row_of_more_classes(best: Variant, num_threads: int, power: int) -> None:
    """One row along the lanes: the class that is the largest, the label, and a single target."""
    classes = 2**power + 19
    x = zeros((classes,), "float32")
    at = 2**power + 5
    x[at] = 30
    others = (classes - 1) * math.exp(-30)
    options: dict[str, Any] = {"backend": best.name, "num_threads": num_threads}
    assert math.isclose(fs.logsumexp(x, **options), 30 + math.log1p(others), rel_tol=1e-6)
    assert math.isclose(fs.cross_entropy(x, at, **options), math.log1p(others), rel_tol=1e-6)
    loss = fs.cross_entropy(x, at, label_smoothing=0.0, ignore_index=5, **options)
    assert math.isclose(loss, math.log1p(others), rel_tol=1e-6)
    assert math.isclose(fs.cross_entropy(x, 0, **options), 30 + math.log1p(others), rel_tol=1e-6)
    targets = zeros((classes,), "float32")
    targets[at] = 0.5
    loss = fs.cross_entropy(x, targets, **options)
    assert math.isclose(loss, math.log1p(others) / 2, rel_tol=1e-6)
    with Ring((classes,), "float32") as out:
        log_p = fs.log_softmax(x, out=out, **options)
        assert math.isclose(log_p[at], -math.log1p(others), rel_tol=1e-6)
        assert math.isclose(log_p[-1], -30 - math.log1p(others), rel_tol=1e-6)


def test_a_row_of_more_classes_written_out(best: Variant, num_threads: int) -> None:
    """What is written first is read again: the output has to be there, 8.6 GB of it."""
    if available_memory() < 12 << 30:
        pytest.skip("there are less than 12 GiB of memory to be had")
    classes, at = 2**31 + 19, 2**31 + 5
    x = zeros((classes,), "float32")
    x[at] = 30
    others = (classes - 1) * math.exp(-30)
    options: dict[str, Any] = {"backend": best.name, "num_threads": num_threads}
    out = np.empty_like(x)
    p = fs.softmax(x, out=out, **options)
    assert math.isclose(p[at], 1 / (1 + others), rel_tol=1e-6)
    assert math.isclose(p[at + 1], math.exp(-30) / (1 + others), rel_tol=1e-6)
    assert p[0] == p[at - 1] == p[-1] == p[at + 1]
    grad = fs.cross_entropy_grad(x, at, out=out, **options)
    assert math.isclose(grad[at], -others / (1 + others), rel_tol=1e-6)
    assert math.isclose(grad[at - 1], math.exp(-30) / (1 + others), rel_tol=1e-6)
    assert grad[0] == grad[-1] == grad[at - 1]


def test_columns_beyond_2_to_the_31_elements(best: Variant) -> None:
    """With the classes along axis 0, each step to the next more than 2^31 bytes."""
    classes, samples = 3, 2**31 // 3 + 1009
    x = zeros((classes, samples), "float32")
    where = np.array([-1, -700])
    x[2, where] = [4, 5]
    labels = zeros((samples,), "int64")
    labels[where] = 2
    options: dict[str, Any] = {"backend": best.name, "num_threads": 2, "axis": 0}
    loss, mean = fs.cross_entropy_value_and_mean_grad(x, labels, reduction="sum", **options)
    few = x[:, where].astype(np.float64)
    p = np.exp(few) / np.exp(few).sum(axis=0)
    assert math.isclose(loss, (samples - 2) * math.log(3) - np.log(p[2]).sum(), rel_tol=1e-6)
    sums = (samples - 2) / 3 + p.sum(axis=1) - [samples - 2, 0, 2]
    np.testing.assert_allclose(mean, sums, rtol=1e-6)
    assert_same_bits(
        {"sums": fs.logsumexp(x, **options)[where]},
        {"sums": fs.logsumexp(x[:, where], **options)},
        "columns",
    )


def test_in_the_users_own_compiled_code() -> None:
    numba = pytest.importorskip("numba")

    @numba.njit
    def losses_and_mean(x: Array, labels: Array) -> Any:
        return fs.cross_entropy_value_and_mean_grad(x, labels)

    x, where = planted(2**31 // 1021 + 70, 1021, "float32", 2**31)
    labels = np.zeros(len(x), np.int64)
    labels[where] = 1020
    loss, mean = losses_and_mean(x, labels)
    expected, gradient = fs.cross_entropy_value_and_mean_grad(x, labels, backend="numba")
    assert loss == expected
    assert np.array_equal(mean, gradient)


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    import fastsoftmax.torch as ft

    x, where = planted(2**31 // 1021 + 70, 1021, "float32", 2**31)
    labels = np.zeros(len(x), np.int64)
    labels[where] = 1020
    losses = ft.cross_entropy(
        torch.from_numpy(x), torch.from_numpy(labels), reduction="none"
    ).numpy()
    few = fs.cross_entropy(x[where], labels[where], reduction="none")
    assert_same_bits({"losses": losses[where]}, {"losses": few}, "tensors")
