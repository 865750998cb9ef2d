"""All backends, instruction sets, layouts and numbers of threads agree, on drawn problems.

To the bit where that is promised: of a row wherever its elements lie and however many threads work,
of everything between the C backend's instruction sets that fuse multiplication and addition and
numba, and of sums for any number of threads. The others are as near to the reference backend as its
own accuracy and theirs allow.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastsoftmax as fsm
from fastsoftmax import sharded

from .layouts import layouts
from .test_same_bits import without_signs_of_nan
from .variants import VARIANTS, Variant

Array = npt.NDArray[Any]

PRESENT = tuple(v for v in VARIANTS if not v.missing)
FUSED = tuple(v for v in PRESENT if v.instruction_set in ("avx512", "avx2", "neon"))
REFERENCE = Variant("numpy")
DTYPES = ("float32", "float64", "float16", "bfloat16")
EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52, "float16": 2.0**-10, "bfloat16": 2.0**-7}
SMALLEST = {"float32": 2.0**-149, "float64": 5e-324, "float16": 2.0**-24, "bfloat16": 2.0**-133}
THREADS = (1, 2, 3, 7)


@contextlib.contextmanager
def in_use(variant: Variant) -> Iterator[dict[str, Any]]:
    """The options that choose a backend, with its instruction set for as long."""
    if variant.instruction_set is None:
        yield {"backend": variant.name}
        return
    extension = importlib.import_module("fastsoftmax._c")
    previous = extension.use_instruction_set(variant.instruction_set)
    try:
        yield {"backend": variant.name}
    finally:
        extension.use_instruction_set(previous)


@dataclass(frozen=True)
class Problem:
    """Logits (m, K), and everything that a function may take beside them."""

    x: Array
    labels: Array
    soft: Array
    where: Array
    weight: Array
    sample_weight: Array
    smoothing: float
    ignore: int | None
    reduction: str
    hessian: str

    @property
    def losses(self) -> dict[str, Any]:
        """The options of losses of labels."""
        return {
            "weight": self.weight,
            "sample_weight": self.sample_weight,
            "label_smoothing": self.smoothing,
            "ignore_index": self.ignore,
            "reduction": self.reduction,
        }


def _dtype(name: str) -> np.dtype[Any]:
    if name != "bfloat16":
        return np.dtype(name)
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)


@st.composite
def problems(draw: Any, shapes: st.SearchStrategy[tuple[int, int]], dtypes: Any) -> Problem:
    m, k = draw(shapes)
    dtype = draw(st.sampled_from(dtypes))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    spread = draw(st.sampled_from([0.1, 1.0, 4.0, 30.0, 300.0]))
    x = generator.standard_normal((m, k)) * spread + draw(st.sampled_from([0.0, 0.0, 1e3, -1e4]))
    for value in draw(st.lists(st.sampled_from([-np.inf, np.nan, np.inf, 0.0, 60.0]), max_size=3)):
        x[generator.random(x.shape) < 0.5 / k] = value
    if draw(st.booleans()):
        x[:, generator.integers(0, k)] += spread * 8
    soft = generator.random((m, k)) ** 3
    soft[generator.random((m, k)) < draw(st.sampled_from([0.0, 0.5, 0.95]))] = 0
    weights = generator.random((2, max(m, k)))
    weights[generator.random(weights.shape) < draw(st.sampled_from([0.0, 0.3]))] = 0
    with np.errstate(all="ignore"):
        logits, targets = x.astype(_dtype(dtype)), soft.astype(_dtype(dtype))
    return Problem(
        x=logits,
        labels=generator.integers(0, k, m),
        soft=targets,
        where=generator.random((m, k)) < draw(st.sampled_from([0.2, 0.9])),
        weight=weights[0, :k],
        sample_weight=weights[1, :m],
        smoothing=draw(st.sampled_from([0.0, 0.1, 1.0])),
        ignore=draw(st.sampled_from([None, 0, -100])),
        reduction=draw(st.sampled_from(["mean", "sum"])),
        hessian=draw(st.sampled_from(["exact", "xgboost", "lightgbm"] if k > 1 else ["exact"])),
    )


def per_row(p: Problem, **on: Any) -> dict[str, Any]:
    """What has one entry or row for each sample."""
    x, losses = p.x, p.losses | {"reduction": "none"}
    soft = losses | {"ignore_index": None}
    grad, hess = fsm.cross_entropy_grad_hess(
        x, p.labels, sample_weight=p.sample_weight, hessian=p.hessian, **on
    )
    state = sharded.partial_state(x, p.labels, **on)
    g = np.where(np.isfinite(x), x, x.dtype.type(0))  # which of infinite sums is NaN is not said
    return {
        "softmax": fsm.softmax(x, **on),
        "log_softmax": fsm.log_softmax(x, **on),
        "logsumexp": fsm.logsumexp(x, **on),
        "masked softmax": fsm.softmax(x, where=p.where, **on),
        "masked log_softmax": fsm.log_softmax(x, where=p.where, **on),
        "masked logsumexp": fsm.logsumexp(x, where=p.where, **on),
        "softmax_backward": fsm.softmax_backward(g, p.soft, **on),
        "log_softmax_backward": fsm.log_softmax_backward(g, -p.soft, **on),
        "losses": fsm.cross_entropy(x, p.labels, **losses, **on),
        "losses of soft": fsm.cross_entropy(x, p.soft, **soft, **on),
        "grad": fsm.cross_entropy_grad(x, p.labels, **losses, **on),
        "grad of soft": fsm.cross_entropy_grad(x, p.soft, **soft, **on),
        "grad of grad_hess": grad,
        "hess": hess,
        "sharded softmax": sharded.softmax(x, state, **on),
    }


def reduced(p: Problem, **on: Any) -> dict[str, Any]:
    """What is summed over the samples."""
    soft = p.losses | {"ignore_index": None}
    value, mean = fsm.cross_entropy_value_and_mean_grad(p.x, p.labels, **p.losses, **on)
    of_soft, mean_of_soft = fsm.cross_entropy_value_and_mean_grad(p.x, p.soft, **soft, **on)
    return {"loss": value, "mean": mean, "loss of soft": of_soft, "mean of soft": mean_of_soft}


@np.errstate(all="ignore")
def results(variant: Variant, p: Problem, **on: Any) -> dict[str, Any]:
    with in_use(variant) as backend:
        return per_row(p, **backend, **on) | reduced(p, **backend, **on)


def assert_same_bits(actual: dict[str, Any], expected: dict[str, Any], where: str) -> None:
    for name, value in expected.items():
        assert np.asarray(actual[name]).dtype == np.asarray(value).dtype, f"{name}, {where}"
        same = without_signs_of_nan(actual[name]) == without_signs_of_nan(value)
        assert same, f"{name}, {where}: {actual[name]!r}, not {value!r}"


small = st.tuples(st.integers(1, 40), st.integers(1, 70))
wide = st.tuples(st.integers(1, 9), st.integers(71, 1100))
shared = st.sampled_from([(1, 70_001), (3, 33_000), (700, 110), (7000, 11), (140, 1000)])


@pytest.mark.skipif(len(FUSED) == 0, reason="no instruction set here fuses")
@settings(max_examples=8)
@given(p=problems(st.one_of(small, wide), DTYPES))
def test_bits_of_all_that_fuse(p: Problem) -> None:
    """Of every instruction set that fuses, and of numba on a CPU that has one."""
    expected = results(FUSED[0], p)
    for variant in (*FUSED[1:], *(v for v in PRESENT if v.name == "numba")):
        assert_same_bits(results(variant, p), expected, variant.id)


@settings(max_examples=20)
@given(p=problems(st.one_of(small, wide), DTYPES), which=st.integers(0, 20), data=st.data())
@np.errstate(all="ignore")
def test_bits_of_all_layouts(p: Problem, which: int, data: st.DataObject) -> None:
    """Of what is of one row: each array laid out in a way of its own."""
    variant = PRESENT[which % len(PRESENT)]
    changed = {}
    for name in ("x", "labels", "soft", "where", "sample_weight", "weight"):
        ways = layouts(getattr(p, name))
        changed[name] = ways[data.draw(st.sampled_from(sorted(ways)), label=name)]
    with in_use(variant) as on:
        expected = per_row(p, **on)
        other = Problem(**(vars(p) | changed))
        assert_same_bits(per_row(other, **on), expected, variant.id)


@settings(max_examples=4)
@given(p=problems(shared, DTYPES[:2]), columns=st.booleans())
@np.errstate(all="ignore")
def test_bits_of_any_number_of_threads(p: Problem, columns: bool) -> None:
    if columns:
        p = Problem(**(vars(p) | {"x": np.asfortranarray(p.x)}))
    for variant in PRESENT:
        if variant.name == "numpy":
            continue  # has one thread
        expected = results(variant, p, num_threads=THREADS[0])
        for threads in THREADS[1:3]:
            assert_same_bits(results(variant, p, num_threads=threads), expected, variant.id)


@np.errstate(all="ignore")
def _close(name: str, p: Problem, got: Any, want: Any, sizes: dict[str, Any]) -> Any:
    """Within a few units in the last place of the size of what is subtracted."""
    dtype = p.x.dtype.name
    a, b = np.asarray(got).astype(np.float64), np.asarray(want).astype(np.float64)
    scale = np.maximum(np.abs(a), np.abs(b)) if name not in sizes else sizes[name]
    bound = 9 * EPSILON[dtype] * np.nan_to_num(scale) + 20 * SMALLEST[dtype]
    return (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= bound)


@np.errstate(all="ignore")
def _sizes(p: Problem) -> dict[str, Any]:
    """What the errors of results that cancel are measured by."""
    x, soft = p.x.astype(np.float64), p.soft.astype(np.float64)
    probabilities = np.nan_to_num(fsm.softmax(x, backend="numpy"))
    hot = np.eye(x.shape[1])[p.labels]

    def largest(y: Array) -> Array:
        y = p.weight * ((1 - p.smoothing) * y + p.smoothing / x.shape[1])
        return np.maximum(y.sum(axis=1, keepdims=True) * probabilities, y)

    weights = p.sample_weight[:, None]
    g = np.abs(np.where(np.isfinite(x), x, 0))
    of_labels, of_soft = largest(hot) * weights, largest(soft) * weights
    mean_of_soft = p.reduction == "mean"
    kept = np.ones(len(x), bool) if p.ignore is None else p.labels != p.ignore
    total = (p.weight[p.labels] * p.sample_weight)[kept].sum() if mean_of_soft else 1
    soft_total = p.sample_weight.sum() if mean_of_soft else 1
    top = np.abs(np.nan_to_num(x.max(axis=1), posinf=0, neginf=0))
    return {
        "logsumexp": np.maximum(top, np.log(x.shape[1])),
        "masked logsumexp": np.abs(np.nan_to_num(x, posinf=0, neginf=0)).max(axis=1) + 7,
        "softmax_backward": soft * (g + (g * soft).sum(axis=1, keepdims=True)),
        "log_softmax_backward": g + np.exp(-soft) * g.sum(axis=1, keepdims=True),
        "grad": of_labels,
        "grad of soft": of_soft,
        "mean": of_labels[kept].sum(axis=0) / (total or 1),
        "mean of soft": of_soft.sum(axis=0) / (soft_total or 1),
    }


@settings(max_examples=20)
@given(p=problems(st.one_of(small, wide), DTYPES))
def test_nearness_of_all(p: Problem) -> None:
    """Every backend and instruction set beside the reference backend, a row as it is by itself."""
    expected, sizes = results(REFERENCE, p), _sizes(p)
    for variant in PRESENT:
        if variant == REFERENCE:
            continue
        for name, value in results(variant, p).items():
            near = _close(name, p, value, expected[name], sizes)
            assert near.all(), (
                f"{name}, {variant.id}: {np.asarray(value)[~near]}, "
                f"not {np.asarray(expected[name])[~near]}"
            )


@settings(max_examples=8)
@given(p=problems(small, DTYPES[:2]), depth=st.integers(1, 9), workspace=st.integers(0, 3))
@np.errstate(all="ignore")
def test_linear_layers(p: Problem, depth: int, workspace: int) -> None:
    """The loss of a linear layer beside that of its logits, on each backend."""
    generator = np.random.default_rng(depth)
    x = generator.standard_normal((len(p.x), depth)).astype(p.x.dtype)
    weight = generator.standard_normal((p.x.shape[1], depth)).astype(p.x.dtype)
    options = p.losses
    options["class_weight"] = options.pop("weight")
    logits = x.astype(np.float64) @ weight.T.astype(np.float64)
    want = float(fsm.cross_entropy(logits, p.labels, **p.losses, backend="numpy"))
    for name in dict.fromkeys(v.name for v in PRESENT):
        on: dict[str, Any] = {"backend": name, "workspace_bytes": 2**16 << 4 * workspace}
        loss = fsm.linear_cross_entropy(x, weight, p.labels, **options, **on)
        both = fsm.linear_cross_entropy_value_and_grad(x, weight, p.labels, **options, **on)
        assert without_signs_of_nan(loss) == without_signs_of_nan(both[0])
        near = abs(float(loss) - want) <= 2e4 * EPSILON[p.x.dtype.name] * max(1.0, abs(want))
        assert near or (np.isnan(loss) and np.isnan(want))
