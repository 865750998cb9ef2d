"""The numba backend gives the C backend's bits.

Those of the instruction sets that fuse multiply and add, for a CPU that has one of these; on others
neither backend fuses, and all are compared.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax import sharded

from . import cases
from .layouts import layouts
from .variants import INSTALLED, VARIANTS

Array = npt.NDArray[Any]

_PRESENT = tuple(v.instruction_set for v in VARIANTS if v.instruction_set)
_FUSED = tuple(name for name in _PRESENT if name in ("avx512", "avx2", "neon"))

pytestmark = pytest.mark.skipif(
    not {"c", "numba"} <= set(INSTALLED), reason="one of c and numba is not installed"
)


@pytest.fixture(scope="module", params=_FUSED or _PRESENT)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """An instruction set of the C backend, in use for as long as the test runs."""
    extension = importlib.import_module("fastsoftmax._c")
    previous = extension.use_instruction_set(request.param)
    yield request.param
    extension.use_instruction_set(previous)


def everything(x: Array, backend: str) -> dict[str, Any]:
    """The result of every operation on some logits and what is made from them."""
    num_classes = x.shape[1]
    finite = np.where(np.isfinite(x.astype(np.float64)), x, -1).astype(np.float64)
    labels, soft = cases.labels_for(finite), cases.soft_targets_for(finite)
    soft = soft.astype(x.dtype)
    generator = cases.rng("weights", x.shape)
    weight, sample_weight = generator.random(num_classes), generator.random(len(x))
    weights: dict[str, Any] = {"weight": weight, "sample_weight": sample_weight}
    ignoring: dict[str, Any] = {"ignore_index": int(labels[0])}
    on: dict[str, Any] = {"backend": backend}
    smoothed: dict[str, Any] = {"label_smoothing": 0.1, "num_classes": num_classes}
    state = sharded.partial_state(x, labels, **on)
    soft_state = sharded.partial_state(x, soft, **on)
    return {
        "state": state,
        "state of soft": soft_state,
        "state of smoothed": sharded.partial_state(x, labels, **smoothed, **on),
        "sharded softmax": sharded.softmax(x, state, **on),
        "sharded labels": sharded.cross_entropy_grad(x, labels, state, **on),
        "sharded soft": sharded.cross_entropy_grad(x, soft, soft_state, **on),
        "softmax": fsm.softmax(x, **on),
        "masked softmax": fsm.softmax(x, where=generator.random(x.shape) < 0.7, **on),
        "log_softmax": fsm.log_softmax(x, **on),
        "masked log_softmax": fsm.log_softmax(x, where=generator.random(x.shape) < 0.7, **on),
        "logsumexp": fsm.logsumexp(x, **on),
        "softmax_backward": fsm.softmax_backward(x, soft, **on),
        "log_softmax_backward": fsm.log_softmax_backward(soft, -abs(x), **on),
        "losses": fsm.cross_entropy(x, labels, reduction="none", **on),
        "losses of soft": fsm.cross_entropy(x, soft, reduction="none", **on),
        "labels": fsm.cross_entropy_value_and_grad(x, labels, **on),
        "weights": fsm.cross_entropy_value_and_grad(x, labels, **weights, **on),
        "smoothing": fsm.cross_entropy_value_and_grad(x, labels, label_smoothing=0.1, **on),
        "ignored": fsm.cross_entropy_value_and_grad(x, labels, reduction="sum", **ignoring, **on),
        "soft": fsm.cross_entropy_value_and_grad(x, soft, **weights, **on),
        "mean": fsm.cross_entropy_value_and_mean_grad(x, labels, **weights, **on),
        "mean of soft": fsm.cross_entropy_value_and_mean_grad(x, soft, label_smoothing=0.1, **on),
        "hessian": fsm.cross_entropy_grad_hess(x, labels, **on),
        "hessian of soft": fsm.cross_entropy_grad_hess(x, soft, hessian="xgboost", **on),
    }


def without_signs_of_nan(result: Any) -> bytes:
    """All bits of an array, or a number, but those of NaN, which say nothing."""
    array = np.array(result)
    array[np.isnan(array.astype(np.float64))] = np.nan
    return bytes(array.tobytes())


@np.errstate(all="ignore")
def check(x: Array) -> None:
    expected, actual = everything(x, "c"), everything(x, "numba")
    for name, value in expected.items():
        pairs = zip(actual[name], value, strict=True)
        for a, b in pairs if isinstance(value, tuple) else [(actual[name], value)]:
            assert np.asarray(a).dtype == np.asarray(b).dtype, name
            assert without_signs_of_nan(a) == without_signs_of_nan(b), name


@pytest.mark.parametrize("num_classes", [*range(1, 71), 100, 127, 128, 129, 255, 256, 257])
def test_short_rows(instruction_set: str, dtype: str, num_classes: int) -> None:
    for scale in (0.1, 3, 100):
        check(
            (cases.rng(num_classes, scale).standard_normal((19, num_classes)) * scale).astype(dtype)
        )


@pytest.mark.parametrize("num_classes", [511, 512, 513, 1000, 1025, 4099])
def test_long_rows(instruction_set: str, dtype: str, num_classes: int) -> None:
    """On either side of a segment's end, where sums of exponentials begin anew."""
    check(cases.random_logits(dtype, num_classes, 3.0)[:18])
    check(cases.saturated_logits(dtype, num_classes)[::7])


@pytest.mark.parametrize("num_classes", [16384, 16385, 32768, 49159])
def test_very_long_rows(instruction_set: str, dtype: str, num_classes: int) -> None:
    """On either side of a part's end."""
    x = (cases.rng("very long", num_classes).standard_normal((17, num_classes)) * 3).astype(dtype)
    check(x[:1])
    check(x[:5])
    check(np.asfortranarray(x))
    check(cases.saturated_logits(dtype, num_classes)[::33])


@pytest.mark.parametrize("name", cases.HOSTILE)
def test_hostile_rows(instruction_set: str, dtype: str, name: str) -> None:
    check(cases.hostile_logits(dtype, name))


@pytest.mark.parametrize("num_classes", [3, 40, 300])
def test_not_finite(instruction_set: str, dtype: str, num_classes: int) -> None:
    generator = cases.rng("not finite", num_classes)
    x = generator.standard_normal((40, num_classes)).astype(dtype)
    for value in (np.nan, np.inf, -np.inf):
        x[generator.random(x.shape) < 1 / num_classes] = value
    check(x)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision(instruction_set: str, half: str) -> None:
    if half == "bfloat16":
        pytest.importorskip("ml_dtypes")
    check(cases.random_logits("float32", 33, 3.0).astype(half))


def test_layouts(instruction_set: str, dtype: str) -> None:
    for x in layouts(cases.random_logits(dtype, 37, 3.0)[:21]).values():
        check(x)


def test_many_chunks(instruction_set: str, dtype: str) -> None:
    for shape in ((30_000, 10), (3_000, 100), (300, 1000)):
        check((cases.rng("chunks", shape).standard_normal(shape) * 3).astype(dtype))
