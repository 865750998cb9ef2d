"""Shards of the classes, merged, against the reference of all classes: in ulp, in every backend."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax import sharded
from fastsoftmax._accuracy import oracle

from . import cases, reference
from .recorder import judge
from .variants import INSTALLED, Variant

Array = npt.NDArray[Any]

PROBABILITY, BOUND = 2, 4
KINDS = ("labels", "one-hot", "soft")


def cuts(num_classes: int, shards: int, name: object = "") -> list[tuple[int, int]]:
    """The classes of so many shards, by chance, but no shard without any."""
    inner = cases.rng("cuts", num_classes, shards, name).choice(
        np.arange(1, num_classes), size=min(shards, num_classes) - 1, replace=False
    )
    return list(pairwise([0, *sorted(int(at) for at in inner), num_classes]))


class Workers:
    """As many workers as there are shards, each with its part of the arrays."""

    def __init__(
        self, x: Array, targets: Array | None, parts: list[tuple[int, int]], **options: Any
    ) -> None:
        self.parts, self.options = parts, options
        self.logits = [np.ascontiguousarray(x[..., a:b]) for a, b in parts]
        self.targets: list[Any] = [targets] * len(parts)
        if targets is not None and targets.shape == x.shape:
            self.targets = [targets[..., a:b] for a, b in parts]
        self.place = [{"first_class": a, "num_classes": x.shape[-1]} for a, _ in parts]
        self.states = [
            sharded.partial_state(logits, t, **place, **options)
            for logits, t, place in zip(self.logits, self.targets, self.place, strict=True)
        ]
        self.state = sharded.merge_states(self.states)

    def softmax(self, **on: Any) -> Array:
        return self.joined(sharded.softmax(logits, self.state, **on) for logits in self.logits)

    def log_softmax(self) -> Array:
        return self.joined(sharded.log_softmax(logits, self.state) for logits in self.logits)

    def grad(self, **more: Any) -> Array:
        return self.joined(
            sharded.cross_entropy_grad(logits, t, self.state, **place, **self.options, **more)
            for logits, t, place in zip(self.logits, self.targets, self.place, strict=True)
        )

    @staticmethod
    def joined(parts: Any) -> Array:
        return np.concatenate(list(parts), axis=-1)


def labels_of(targets: Array, x: Array) -> Array | None:
    return None if targets.shape == x.shape else targets


def judge_all(
    backend: Variant, x: Array, targets: Array, exact: Any, kind: str, case: str, shards: int
) -> None:
    workers = Workers(x, targets, cuts(x.shape[-1], shards, case), backend=backend.name)
    scale = exact.grad_scale if kind == "soft" else None
    soft = ", soft targets" if kind == "soft" else ""
    case = f"{kind}, {case}, {shards} shards"
    losses = sharded.cross_entropy(
        workers.state, labels_of(targets, x), reduction="none", dtype=x.dtype
    )
    on: dict[str, Any] = {"backend": backend.id, "case": case}
    judge(losses, exact.losses, BOUND, function=f"sharded.cross_entropy{soft}", **on)
    grad = workers.grad(reduction="sum")
    assert grad.dtype == x.dtype
    name = f"sharded.cross_entropy_grad{soft}"
    judge(grad, exact.grad, BOUND, function=name, scale=scale, **on)


def judge_probabilities(
    backend: Variant, x: Array, exact: dict[str, Any], case: str, shards: int
) -> None:
    workers = Workers(x, None, cuts(x.shape[-1], shards, case), backend=backend.name)
    on: dict[str, Any] = {"backend": backend.id, "case": f"{case}, {shards} shards"}
    p = workers.softmax(backend=backend.name)
    judge(p, exact["softmax"], PROBABILITY, function="sharded.softmax", **on)
    logs = workers.log_softmax()
    judge(logs, exact["log_softmax"], BOUND, function="sharded.log_softmax", **on)
    total = sharded.logsumexp(workers.state, dtype=x.dtype)
    value, scale = exact["logsumexp"]
    judge(total, value, BOUND, function="sharded.logsumexp", scale=scale, **on)
    assert (p.dtype, logs.dtype, total.dtype) == (x.dtype,) * 3


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
@pytest.mark.parametrize("name", cases.HOSTILE)
def test_hostile_rows(backend: Variant, dtype: str, name: str, shards: int) -> None:
    x = reference.logits(dtype, name)
    judge_probabilities(backend, x, reference.exact_probabilities(dtype, name), name, shards)
    for kind in KINDS:
        targets = reference.targets(dtype, name, kind)
        exact = reference.exact_cross_entropy(dtype, name, kind)
        judge_all(backend, x, targets, exact, kind, name, shards)


@pytest.mark.parametrize("num_classes", [2, 4, 9, 17])
def test_saturated_rows(backend: Variant, dtype: str, num_classes: int) -> None:
    """The loss and the label's gradient do not vanish, in whichever shard the label is."""
    x = reference.logits(dtype, num_classes)
    for kind in ("labels", "one-hot"):
        targets = reference.targets(dtype, num_classes, kind)
        exact = reference.exact_cross_entropy(dtype, num_classes, kind)
        for shards in (2, 7):
            judge_all(backend, x, targets, exact, kind, f"saturated, K={num_classes}", shards)
    workers = Workers(x, cases.saturated_labels(x), cuts(num_classes, 2), backend=backend.name)
    grad = workers.grad(reduction="sum")
    at_label = grad[np.arange(len(x)), cases.saturated_labels(x)]
    exact_grad = exact.grad.to_float64()[np.arange(len(x)), cases.saturated_labels(x)]
    seen = np.abs(exact_grad) >= float(np.finfo(dtype).smallest_subnormal)
    assert seen.sum() > 50
    assert (at_label[seen] < 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_classes", [1, 2, 5, 16, 33, 70, 257, 1025])
def test_random_rows(backend: Variant, dtype: str, kind: str, num_classes: int) -> None:
    for spread in (1.0, 20.0):
        x = cases.random_logits(dtype, num_classes, spread)[:40]
        targets = reference_targets(x, kind)
        exact = reference.cross_entropy(x, targets)
        for shards in (1, 3, 6):
            judge_all(backend, x, targets, exact, kind, f"K={num_classes}", shards)


def reference_targets(x: Array, kind: str) -> Array:
    if kind == "soft":
        return cases.soft_targets_for(x)
    labels = cases.labels_for(x)
    return labels if kind == "labels" else np.eye(x.shape[-1], dtype=x.dtype)[labels]


def test_very_long_shards(backend: Variant, dtype: str) -> None:
    """On either side of a part's end, with fewer rows than threads."""
    x = cases.random_logits(dtype, 40000, 3.0)[:2]
    labels = cases.labels_for(x)
    exact = reference.cross_entropy(x, labels)
    parts = [(0, 16384), (16384, 32769), (32769, 40000)]
    with fsm.use_num_threads(3):
        workers = Workers(x, labels, parts, backend=backend.name)
        grad = workers.grad(reduction="sum")
    on: dict[str, Any] = {"backend": backend.id, "case": "K=40000"}
    judge(grad, exact.grad, BOUND, function="sharded.cross_entropy_grad", **on)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"weight": True},
    {"label_smoothing": 0.1},
    {"label_smoothing": 1.0},
    {"weight": True, "label_smoothing": 0.3},
]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "+".join(o) or "plain")
@pytest.mark.parametrize("kind", ["labels", "soft"])
@pytest.mark.parametrize("weighs_samples", [False, True])
def test_options(
    backend: Variant,
    dtype: str,
    kind: str,
    options: dict[str, Any],
    reduction: str,
    weighs_samples: bool,
) -> None:
    """Against mpmath; a target is rounded to the dtype as everywhere, hence the scale."""
    generator = cases.rng("sharded options", kind)
    x = (generator.standard_normal((12, 9)) * 4).astype(dtype)
    x[0, 3] = x[1, 8] = 60
    given: dict[str, Any] = dict(options)
    if options.get("weight"):
        given["weight"] = generator.random(9)
    targets = reference_targets(x, kind)
    if kind == "labels":
        targets[:2] = 3, 8
        targets[5] = -100
        given["ignore_index"] = -100
    sw = {"sample_weight": generator.random(12)} if weighs_samples else {}
    exact = oracle.cross_entropy(x, targets, reduction=reduction, **given, **sw)
    workers = Workers(x, targets, cuts(9, 3), backend=backend.name, **given)
    of_loss = {name: given[name] for name in ("weight", "ignore_index") if name in given}
    if kind == "soft":
        of_loss = {}
    loss = sharded.cross_entropy(
        workers.state, labels_of(targets, x), reduction=reduction, dtype=dtype, **of_loss, **sw
    )
    on: dict[str, Any] = {"backend": backend.id, "case": f"{kind}, {sorted(given)}, {reduction}"}
    judge(loss, exact.loss, BOUND, function="sharded.cross_entropy, options", **on)
    scale = exact.grad_scale if kind == "soft" or options.get("label_smoothing") else None
    grad = workers.grad(reduction=reduction, **sw)
    name = "sharded.cross_entropy_grad, options"
    judge(grad, exact.grad, BOUND, function=name, scale=scale, **on)


@pytest.mark.parametrize("weight", [1e-300, 1e300])
def test_weights_that_bring_a_small_rest_back(backend: Variant, weight: float) -> None:
    """e^-740 alone is subnormal."""
    x = np.zeros((4, 6))
    x[np.arange(4), [0, 1, 4, 5]] = [740.0, 700.0, 300.0, 5.0]
    labels = x.argmax(axis=1)
    sw = np.full(4, weight)
    exact = oracle.cross_entropy(x, labels, sample_weight=sw, reduction="none")
    workers = Workers(x, labels, cuts(6, 4), backend=backend.name)
    on: dict[str, Any] = {"backend": backend.id, "case": f"weight {weight}"}
    losses = sharded.cross_entropy(workers.state, labels, sample_weight=sw, reduction="none")
    judge(losses, exact.loss, BOUND, function="sharded.cross_entropy", **on)
    grad = workers.grad(sample_weight=sw, reduction="sum")
    at_label = np.arange(4), labels
    name = "sharded.cross_entropy_grad"
    judge(grad[at_label], exact.grad[at_label], BOUND, function=name, **on)


SPECIAL = [
    [0.0, 1.0, np.nan, 2.0],
    [np.nan, 0.0, 1.0, 2.0],
    [np.nan] * 4,
    [0.0, np.inf, 1.0, 2.0],
    [np.inf, 0.0, np.inf, -np.inf],
    [np.inf, 0.0, np.nan, -np.inf],
    [-np.inf, np.inf, np.nan, np.nan],
    [-np.inf] * 4,
    [-np.inf, -np.inf, np.nan, -np.inf],
    [-np.inf, -np.inf, 1.0, 2.0],
    [-np.inf, 3.0, -np.inf, -np.inf],
    [1.0, -np.inf, -np.inf, -np.inf],
    [7.0, 7.0, 7.0, 7.0],
    [-0.0, 0.0, -0.0, 0.0],
]


@pytest.mark.parametrize("parts", [[(0, 4)], [(0, 2), (2, 4)], [(0, 1), (1, 2), (2, 3), (3, 4)]])
def test_special_values(backend: Variant, dtype: str, parts: list[tuple[int, int]]) -> None:
    """As all classes at once have them, whichever shard they are in."""
    x = np.repeat(np.array(SPECIAL, dtype), 4, axis=0)
    labels = np.tile(np.arange(4), len(SPECIAL))
    name = backend.name
    workers = Workers(x, labels, parts, backend=name)
    close = {"rtol": 8 * np.finfo(dtype).eps, "equal_nan": True}
    np.testing.assert_allclose(workers.softmax(), fsm.softmax(x, backend=name), **close)
    logs = fsm.log_softmax(x, backend=name)
    np.testing.assert_allclose(workers.log_softmax(), logs, **close)
    total = sharded.logsumexp(workers.state)
    np.testing.assert_allclose(total, fsm.logsumexp(x, backend=name), **close)
    for targets in (labels, np.eye(4, dtype=dtype)[labels]):
        workers = Workers(x, targets, parts, backend=name)
        losses = sharded.cross_entropy(workers.state, labels_of(targets, x), reduction="none")
        expected = fsm.cross_entropy(x, targets, reduction="none", backend=name)
        np.testing.assert_allclose(losses, expected, **close)
        grad = fsm.cross_entropy_grad(x, targets, reduction="sum", backend=name)
        np.testing.assert_allclose(workers.grad(reduction="sum"), grad, **close)


def test_ignored_samples_show_nothing_of_their_logits(backend: Variant, dtype: str) -> None:
    x = np.array([[np.nan, 1.0, 2.0], [np.inf, 0.0, 1.0], [0.0, 1.0, 2.0]], dtype)
    labels = np.array([-1, 7, 2])
    for ignore, others in ((-1, [2]), (7, [2])):
        kept = np.where(labels == ignore, labels, others[0])
        workers = Workers(x, kept, [(0, 1), (1, 3)], backend=backend.name, ignore_index=ignore)
        ignored = kept == ignore
        losses = sharded.cross_entropy(
            workers.state, kept, ignore_index=ignore, reduction="none", dtype=dtype
        )
        assert losses[ignored].tolist() == [0.0]
        assert (workers.grad()[ignored] == 0).all()
        assert np.isnan(workers.grad()[:2][~ignored[:2]]).all()
    everything = np.full(3, -1)
    workers = Workers(x, everything, [(0, 1), (1, 3)], backend=backend.name, ignore_index=-1)
    assert (workers.grad() == 0).all()
    assert np.isnan(sharded.cross_entropy(workers.state, everything, ignore_index=-1))


# --- merges ------------------------------------------------------------------------------------


def test_a_long_chain_of_merges_loses_nothing(dtype: str) -> None:
    """One class at a time, and in halves of halves: as good as all at once."""
    x = (cases.rng("chain").standard_normal((20, 64)) * 10).astype(dtype)
    x[:4] = np.sort(x[:4], axis=1)  # each merge has a new maximum
    x[4:8] += np.array(1e4, dtype)
    labels = cases.labels_for(x)
    exact = reference.cross_entropy(x, labels)
    workers = Workers(x, labels, [(k, k + 1) for k in range(64)])
    chain = tree = workers.states
    while len(chain) > 1:
        chain = [sharded.merge_states(chain[:2]), *chain[2:]]
    while len(tree) > 1:
        tree = [sharded.merge_states(tree[i : i + 2]) for i in range(0, len(tree), 2)]
    merged = {"chain": chain[0], "tree": tree[0], "at once": workers.state}
    for case, state in merged.items():
        workers.state = state
        on: dict[str, Any] = {"backend": "merge", "case": case}
        p = workers.softmax()
        judge(p, reference.softmax(x), PROBABILITY, function="sharded.softmax", **on)
        losses = sharded.cross_entropy(state, labels, reduction="none", dtype=dtype)
        judge(losses, exact.losses, BOUND, function="sharded.cross_entropy", **on)
        grad = workers.grad(reduction="sum")
        judge(grad, exact.grad, BOUND, function="sharded.cross_entropy_grad", **on)


def test_a_merge_is_exact_far_beyond_float64() -> None:
    """The rest of 64 shards of a class each, to 2^-60, by mpmath."""
    import mpmath

    x = np.sort(cases.rng("rest").standard_normal((8, 64)) * 30, axis=1)
    x[0] = 1e4 + np.arange(64) * 2.0**-30
    states = [sharded.partial_state(x[:, k : k + 1]) for k in range(64)]
    state = states[0]
    for other in states[1:]:
        state = sharded.merge_states([state, other])
    with mpmath.workprec(400):
        for row, numbers in zip(x, state, strict=True):
            rest = mpmath.fsum(mpmath.exp(mpmath.mpf(v) - mpmath.mpf(row.max())) for v in row) - 1
            hi, lo = (mpmath.mpf(v) / mpmath.mpf(2) ** 256 for v in numbers[1:3])
            assert abs((hi + lo) / rest - 1) < mpmath.mpf(2) ** -60


def test_the_state_of_no_classes_changes_nothing() -> None:
    x = cases.random_logits("float64", 10, 3.0)[:5]
    state = sharded.partial_state(x, cases.labels_for(x))
    nothing = np.zeros_like(state)
    nothing[:, 0] = -np.inf
    for states in ([nothing, state], [state, nothing], [nothing, state, nothing]):
        np.testing.assert_array_equal(sharded.merge_states(states), state)
    np.testing.assert_array_equal(sharded.merge_states([nothing, nothing]), nothing)


def test_stacked_states_and_lists_of_them_are_the_same() -> None:
    x = cases.random_logits("float32", 9, 3.0)[:6].reshape(2, 3, 9)
    workers = Workers(x, x.argmax(axis=-1), cuts(9, 4))
    stacked = np.stack(workers.states)
    assert stacked.shape == (4, 2, 3, sharded.STATE_SIZE)
    np.testing.assert_array_equal(sharded.merge_states(stacked), workers.state)
    np.testing.assert_array_equal(sharded.merge_states(tuple(workers.states)), workers.state)


def test_merges_by_pairs_in_any_order(dtype: str) -> None:
    """As a reduction with an operation of one's own makes them: other bits at most in lo."""
    x = (cases.rng("pairs").standard_normal((30, 24)) * 8).astype(dtype)
    x[:10, 20] = x[:10, 3] = 40  # ties in two shards
    labels = cases.labels_for(x)
    exact = reference.cross_entropy(x, labels)
    workers = Workers(x, labels, cuts(24, 6))
    on: dict[str, Any] = {"backend": "merge", "case": "any order"}
    for seed in range(5):
        states = [workers.states[i] for i in cases.rng("order", seed).permutation(6)]
        while len(states) > 1:
            states = [*states[2:], sharded.merge_states(states[:2])]
        workers.state = states[0]
        losses = sharded.cross_entropy(workers.state, labels, reduction="none", dtype=dtype)
        judge(losses, exact.losses, BOUND, function="sharded.cross_entropy", **on)
        grad = workers.grad(reduction="sum")
        judge(grad, exact.grad, BOUND, function="sharded.cross_entropy_grad", **on)


# --- layouts, dtypes, threads --------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 33), (4, 5, 12), (2, 3, 4, 6), (40, 20)])
def test_axes_and_strides(backend: Variant, dtype: str, shape: tuple[int, ...]) -> None:
    """Every axis, and arrays in other orders, give what the last axis gives, to the bit."""
    generator = cases.rng("axes", shape)
    last = (generator.standard_normal(shape) * 3).astype(dtype)
    labels = generator.integers(0, shape[-1] + 3, shape[:-1])
    soft = generator.random(shape).astype(dtype)
    first, on = 1, {"backend": backend.name}
    place: dict[str, Any] = {"first_class": first, "num_classes": shape[-1] + 3}
    for targets in (labels, soft, None):
        state = sharded.partial_state(last, targets, **place, **on)
        p = sharded.softmax(last, state, **on)
        for axis in range(len(shape)):
            x = np.moveaxis(last, -1, axis)
            t = np.moveaxis(soft, -1, axis) if targets is soft else targets
            for array in (x, np.ascontiguousarray(x), np.asfortranarray(x)):
                own = sharded.partial_state(array, t, axis, **place, **on)
                np.testing.assert_array_equal(own, state)
                moved = np.moveaxis(sharded.softmax(array, own, axis, **on), axis, -1)
                np.testing.assert_array_equal(moved, p)
                if t is None:
                    continue
                grad = sharded.cross_entropy_grad(array, t, own, axis, **place, **on)
                expected = sharded.cross_entropy_grad(last, targets, state, **place, **on)
                np.testing.assert_array_equal(np.moveaxis(grad, axis, -1), expected)


def test_a_single_sample_without_axes(backend: Variant, dtype: str) -> None:
    x = np.array([1.0, 2.0, 0.5], dtype)
    state = sharded.partial_state(x, 1, backend=backend.name)
    assert state.shape == (sharded.STATE_SIZE,)
    loss = sharded.cross_entropy(state, 1, dtype=dtype)
    assert loss == pytest.approx(fsm.cross_entropy(x, 1, backend=backend.name), rel=1e-6)
    assert type(loss) is np.dtype(dtype).type
    grad = sharded.cross_entropy_grad(x, 1, state, backend=backend.name)
    np.testing.assert_allclose(grad, fsm.cross_entropy_grad(x, 1), rtol=1e-6)


def test_no_samples(backend: Variant, dtype: str) -> None:
    x = np.empty((0, 4), dtype)
    labels = np.empty(0, int)
    state = sharded.partial_state(x, labels, backend=backend.name)
    assert state.shape == (0, sharded.STATE_SIZE)
    assert sharded.merge_states([state, state]).shape == state.shape
    assert sharded.softmax(x, state, backend=backend.name).shape == (0, 4)
    assert sharded.cross_entropy_grad(x, labels, state, backend=backend.name).shape == (0, 4)
    assert np.isnan(sharded.cross_entropy(state, labels))
    assert sharded.cross_entropy(state, labels, reduction="sum") == 0


def test_two_classes_with_the_maximum(backend: Variant, dtype: str) -> None:
    """Whichever way rounding goes where the rest is 1, both have the gradient of p = 1/2."""
    rng = cases.rng("two maxima")
    value = rng.standard_normal(20_000) * rng.choice([1e-3, 1, 10, 1e3], 20_000)
    x = np.stack([value, value], axis=1).astype(dtype)
    y = rng.random(x.shape).astype(dtype)
    state = sharded.partial_state(x, y, backend=backend.name)
    grad = sharded.cross_entropy_grad(x, y, state, reduction="sum", backend=backend.name)
    exact = (y.astype(np.float64) - y[:, ::-1]) / -2
    assert np.abs(grad - exact).max() <= np.finfo(dtype).eps


def test_many_samples_are_merged_as_each_of_them() -> None:
    x = cases.rng("many states").standard_normal((2, 9000, 3)) * 5
    states = [sharded.partial_state(part, backend="numpy") for part in x]
    merged = sharded.merge_states(states)
    np.testing.assert_array_equal(merged[-7:], sharded.merge_states([s[-7:] for s in states]))
    np.testing.assert_array_equal(
        merged.reshape(3, 3000, -1), sharded.merge_states([s.reshape(3, 3000, -1) for s in states])
    )
    assert sharded.merge_states(np.zeros((2, 0, sharded.STATE_SIZE))).shape == (0, 8)


@pytest.mark.parametrize("kind", ["labels", "soft", "smoothed"])
def test_outputs(backend: Variant, dtype: str, kind: str) -> None:
    """In place, and where they overlap the input otherwise."""
    x = cases.random_logits(dtype, 40, 3.0)[:30]
    targets = reference_targets(x, "soft" if kind == "soft" else "labels")
    options = {"label_smoothing": 0.1, "num_classes": 40} if kind == "smoothed" else {}
    on: dict[str, Any] = {"backend": backend.name}
    state = sharded.partial_state(x, targets, **options, **on)
    calls = {
        "softmax": lambda a, out: sharded.softmax(a, state, out=out, **on),
        "log_softmax": lambda a, out: sharded.log_softmax(a, state, out=out, **on),
        "grad": lambda a, out: sharded.cross_entropy_grad(
            a, targets, state, out=out, **options, **on
        ),
    }
    for name, call in calls.items():
        expected = call(x, None)
        own = x.copy()
        assert call(own, own) is own, name
        np.testing.assert_array_equal(own, expected)
        room = np.empty((31, 40), dtype)
        room[:30] = x
        np.testing.assert_array_equal(call(room[:30], room[1:]), expected)
        reverse = x.copy()
        np.testing.assert_array_equal(call(reverse, reverse[::-1]), expected)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_halves(backend: Variant, half: str) -> None:
    """They compute in float32, and their results are rounded once."""
    wanted = np.dtype(half) if half == "float16" else pytest.importorskip("ml_dtypes").bfloat16
    x = (cases.rng("halves").standard_normal((40, 50)) * 3).astype(wanted)
    wide, labels = x.astype(np.float32), cases.labels_for(x.astype(np.float32))
    soft = cases.soft_targets_for(wide).astype(wanted)
    parts, on = cuts(50, 3), {"backend": backend.name}
    for options in ({}, {"label_smoothing": 0.1}, {"weight": np.linspace(0, 1, 50)}):
        for targets in (labels, soft):
            ours = Workers(x, targets, parts, **options, **on)
            as_wide = targets if targets is labels else soft.astype(np.float32)
            theirs = Workers(wide, as_wide, parts, **options, **on)
            np.testing.assert_array_equal(ours.state, theirs.state)
            for name in ("softmax", "log_softmax", "grad"):
                actual, expected = getattr(ours, name)(), getattr(theirs, name)()
                assert actual.dtype == wanted
                np.testing.assert_array_equal(actual, expected.astype(wanted), err_msg=name)


def test_any_number_of_threads_gives_the_same_bits(backend: Variant, dtype: str) -> None:
    x = cases.random_logits(dtype, 1024, 3.0)[:3].repeat(100, axis=0)
    labels, soft = cases.labels_for(x), cases.soft_targets_for(x)
    for targets in (labels, soft):
        results = []
        for threads in (1, 2, 5):
            on: dict[str, Any] = {"backend": backend.name, "num_threads": threads}
            state = sharded.partial_state(x, targets, **on)
            grad = sharded.cross_entropy_grad(x, targets, state, **on)
            results.append((state, grad, sharded.softmax(x, state, **on)))
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(a, b)


def test_outputs_past_the_caches(backend: Variant, dtype: str) -> None:
    """Large ones in memory that is not new; to the bit what a few of the rows give."""
    x = cases.rng("streamed").standard_normal((4200, 1001), np.float32).astype(dtype)
    labels, on = cases.labels_for(x), {"backend": backend.name}
    soft = x * x / 8
    out = np.zeros_like(x)
    few = slice(2000, 2016)
    for targets in (labels, soft):
        state = sharded.partial_state(x, targets, **on)
        grad = sharded.cross_entropy_grad(x, targets, state, reduction="sum", out=out, **on)
        expected = sharded.cross_entropy_grad(
            x[few], targets[few], state[few], reduction="sum", **on
        )
        np.testing.assert_array_equal(grad[few], expected)
        np.testing.assert_array_equal(sharded.partial_state(x[few], targets[few], **on), state[few])


def test_lists_and_integers(backend: Variant) -> None:
    state = sharded.partial_state([[1, 2], [3, 4]], [0, 1], backend=backend.name)
    grad = sharded.cross_entropy_grad([[1, 2], [3, 4]], [0, 1], state, backend=backend.name)
    assert grad.dtype == np.float64
    expected = fsm.cross_entropy_grad([[1, 2], [3, 4]], [0, 1])
    np.testing.assert_allclose(grad, expected, rtol=1e-15)
    assert sharded.merge_states([state.tolist(), state.tolist()]).shape == state.shape


# --- shards of the samples ----------------------------------------------------------------------


SAMPLE_OPTIONS: list[dict[str, Any]] = [
    {},
    {"weight": np.linspace(0.1, 2, 10)},
    {"label_smoothing": 0.2},
    {"ignore_index": 3},
    {"weight": np.linspace(0.1, 2, 10), "ignore_index": -7, "label_smoothing": 0.1},
]


@pytest.mark.parametrize("options", SAMPLE_OPTIONS, ids=lambda o: "+".join(o) or "plain")
@pytest.mark.parametrize("weighs_samples", [False, True])
@pytest.mark.parametrize("kind", ["labels", "soft"])
def test_shards_of_the_samples(
    backend: Variant, dtype: str, kind: str, options: dict[str, Any], weighs_samples: bool
) -> None:
    if kind == "soft" and "ignore_index" in options:
        options = {name: value for name, value in options.items() if name != "ignore_index"}
    x = cases.random_logits(dtype, 10, 4.0)[:30]
    targets = reference_targets(x, kind)
    if options.get("ignore_index") == -7:
        targets[10:15] = -7
    sw = cases.rng("sample weights").random(30) if weighs_samples else None
    exact = oracle.cross_entropy(x, targets, sample_weight=sw, **options)
    parts = [(0, 12), (12, 13), (13, 13), (13, 30)]

    def own(begin: int, end: int) -> dict[str, Any]:
        return options if sw is None else {**options, "sample_weight": sw[begin:end]}

    on: dict[str, Any] = {"backend": backend.name}
    sums = [
        sharded.loss_sums(x[a:b], targets[a:b], mean_grad=True, **own(a, b), **on) for a, b in parts
    ]
    total = sharded.merge_sums(sums)
    case: dict[str, Any] = {"backend": backend.id, "case": f"{kind}, {sorted(options)}"}
    loss = sharded.mean_loss(total, dtype=dtype)
    judge(loss, exact.loss, BOUND, function="sharded.mean_loss", **case)
    mean = sharded.mean_grad(total, dtype=dtype)
    scale = exact.mean_grad_scale
    judge(mean, exact.mean_grad, BOUND, function="sharded.mean_grad", scale=scale, **case)

    divisor = float(total[2] + total[3])
    if kind == "labels":
        counted = {name: value for name, value in options.items() if name != "label_smoothing"}
        weights = [
            sharded.total_weight(
                targets[a:b],
                num_classes=10,
                **counted,
                sample_weight=None if sw is None else sw[a:b],
            )
            for a, b in parts
        ]
        assert sum(weights) == pytest.approx(divisor, rel=1e-15)
    both = [
        sharded.loss_sums_and_grad(x[a:b], targets[a:b], divisor=divisor, **own(a, b), **on)
        for a, b in parts
    ]
    merged = sharded.merge_sums(np.stack([each for each, _ in both]))
    assert merged[0] + merged[1] == pytest.approx(total[0] + total[1], rel=1e-15)
    np.testing.assert_array_equal(merged[2:], total[2:4])
    grad = np.concatenate([each for _, each in both])
    softness = kind == "soft" or "label_smoothing" in options
    judge(
        grad, exact.grad, BOUND, function="sharded.loss_sums_and_grad",
        scale=exact.grad_scale if softness else None, **case,
    )  # fmt: skip


def test_shards_of_both(backend: Variant, dtype: str) -> None:
    """Two groups of workers for the samples, each of three for the classes."""
    x = cases.random_logits(dtype, 40, 4.0)[:50]
    labels = cases.labels_for(x)
    weight = cases.rng("both").random(40)
    exact = oracle.cross_entropy(x, labels, weight=weight)
    groups = [slice(0, 17), slice(17, 50)]
    on: dict[str, Any] = {"backend": backend.name, "weight": weight}
    divisor = sum(sharded.total_weight(labels[group], weight=weight) for group in groups)
    loss, grads = 0.0, []
    for group in groups:
        workers = Workers(x[group], labels[group], cuts(40, 3), **on)
        loss += sharded.cross_entropy(
            workers.state, labels[group], weight=weight, reduction="sum", divisor=divisor
        )
        grads.append(workers.grad(divisor=divisor))
    case: dict[str, Any] = {"backend": backend.id, "case": "shards of both"}
    value = np.asarray(loss, dtype)
    judge(value, exact.loss, BOUND, function="sharded.cross_entropy", **case)
    grad = np.concatenate(grads)
    judge(grad, exact.grad, BOUND, function="sharded.cross_entropy_grad", **case)


def test_nothing_to_take_a_mean_of(backend: Variant, dtype: str) -> None:
    x, labels = cases.random_logits(dtype, 5, 1.0)[:3], np.full(3, -1)
    on: dict[str, Any] = {"backend": backend.name, "ignore_index": -1}
    sums = sharded.loss_sums(x, labels, mean_grad=True, **on)
    assert np.isnan(sharded.mean_loss(sums))
    assert sharded.mean_grad(sums).tolist() == [0.0] * 5
    assert sharded.total_weight(labels, ignore_index=-1) == 0.0
    own, grad = sharded.loss_sums_and_grad(x, labels, divisor=0.0, **on)
    assert own.tolist() == [0.0] * 4
    assert (grad == 0).all()


# --- errors --------------------------------------------------------------------------------------


X = np.zeros((3, 4), np.float32)
STATE = np.zeros((3, 8))
BAD_CALLS: dict[str, tuple[Any, type[Exception], str]] = {
    "label": (
        lambda: sharded.partial_state(X, [0, 9, 1], first_class=2, num_classes=9),
        ValueError,
        r"targets\[1\] = 9 is out of range for 9 classes",
    ),
    "label beyond a shard taken as the last": (
        lambda: sharded.partial_state(X, [0, 1, 4]),
        ValueError,
        r"targets\[2\] = 4 is out of range for 4 classes",
    ),
    "negative label of a gradient": (
        lambda: sharded.cross_entropy_grad(X, [0, -1, 1], STATE),
        ValueError,
        r"targets\[1\] = -1 is out of range",
    ),
    "label of a loss": (
        lambda: sharded.cross_entropy(STATE, [0, 5, 1], num_classes=5),
        ValueError,
        r"targets\[1\] = 5 is out of range for 5 classes",
    ),
    "too few classes": (
        lambda: sharded.partial_state(X, first_class=3, num_classes=6),
        ValueError,
        "classes 3 to 6, but num_classes says that there are 6",
    ),
    "more classes than labels can tell": (
        lambda: sharded.partial_state(X, [0, 1, 2], num_classes=2**63),
        ValueError,
        r"num_classes must be less than 2\*\*63",
    ),
    "a first class that labels cannot tell": (
        lambda: sharded.partial_state(X, [0, 1, 2], first_class=2**63 - 4),
        ValueError,
        r"first_class must be less than 2\*\*63",
    ),
    "first class": (
        lambda: sharded.partial_state(X, first_class=-1),
        ValueError,
        "first_class must be at least 0, not -1",
    ),
    "kind of first class": (
        lambda: sharded.partial_state(X, first_class=1.5),
        TypeError,
        r"first_class must be an integer, not 1.5 \(float\)",
    ),
    "smoothing over unknown classes": (
        lambda: sharded.partial_state(X, [0, 1, 2], label_smoothing=0.1),
        ValueError,
        "say with num_classes how many",
    ),
    "weights of a shard alone": (
        lambda: sharded.partial_state(X, [0, 1, 2], first_class=4, weight=np.ones(4)),
        ValueError,
        "classes 4 to 7, but weight says that there are 4",
    ),
    "shape of targets": (
        lambda: sharded.partial_state(X, np.zeros((3, 5))),
        ValueError,
        r"labels of shape \(3,\) or probabilities of shape \(3, 4\)",
    ),
    "state of other samples": (
        lambda: sharded.softmax(X, np.zeros((4, 8))),
        ValueError,
        r"state must be of shape \(3, 8\)",
    ),
    "no state": (
        lambda: sharded.logsumexp(X.astype(np.float64)),
        ValueError,
        "state must have 8 numbers a sample",
    ),
    "dtype of a state": (
        lambda: sharded.merge_states([STATE, STATE.astype(np.float32)]),
        TypeError,
        r"states\[1\] must be of dtype float64, not float32",
    ),
    "states of other samples": (
        lambda: sharded.merge_states([STATE, np.zeros((4, 8))]),
        ValueError,
        r"states\[1\] is of shape \(4, 8\), and states\[0\] of \(3, 8\)",
    ),
    "no states": (lambda: sharded.merge_states([]), ValueError, "several states"),
    "one state": (lambda: sharded.merge_states(np.zeros(8)), ValueError, "several states"),
    "divisor": (
        lambda: sharded.cross_entropy_grad(X, [0, 1, 2], STATE, divisor=-1.0),
        ValueError,
        "divisor must be a finite number of at least 0, not -1.0",
    ),
    "kind of divisor": (
        lambda: sharded.loss_sums_and_grad(X, [0, 1, 2], divisor=None),  # type: ignore[arg-type]
        TypeError,
        "divisor must be a number",
    ),
    "probabilities for a loss": (
        lambda: sharded.cross_entropy(STATE, np.zeros((3, 4))),
        ValueError,
        "probabilities are not needed here",
    ),
    "weights without labels": (
        lambda: sharded.cross_entropy(STATE, weight=np.ones(4)),
        ValueError,
        "weight belongs to labels",
    ),
    "dtype of a result": (
        lambda: sharded.logsumexp(STATE, dtype=np.complex64),
        TypeError,
        "must hold real numbers",
    ),
    "reduction": (
        lambda: sharded.cross_entropy(STATE, [0, 1, 2], reduction="median"),
        ValueError,
        "reduction must be one of",
    ),
    "sums of other classes": (
        lambda: sharded.merge_sums([np.zeros(4), np.zeros(7)]),
        ValueError,
        r"sums\[1\] has 7 numbers, and sums\[0\] 4",
    ),
    "no sums": (lambda: sharded.merge_sums([]), ValueError, "no sums to merge"),
    "no gradient in sums": (
        lambda: sharded.mean_grad(np.zeros(4)),
        ValueError,
        "mean_grad=True",
    ),
    "kind of labels": (
        lambda: sharded.total_weight([0.5, 1.0]),
        TypeError,
        "integer dtype",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_errors(name: str) -> None:
    call, error, message = BAD_CALLS[name]
    with pytest.raises(error, match=message):
        call()


def test_nothing_is_written_before_everything_is_checked(backend: Variant) -> None:
    out = np.full((3, 4), 7.0, np.float32)
    for call in (
        lambda: sharded.cross_entropy_grad(X, [0, 1, 4], STATE, out=out, backend=backend.name),
        lambda: sharded.softmax(X, np.zeros((3, 7)), out=out, backend=backend.name),
        lambda: sharded.loss_sums_and_grad(X, [0, 1, 4], divisor=1, out=out, backend=backend.name),
    ):
        with pytest.raises(ValueError, match=r"out of range|numbers a sample"):
            call()
    assert (out == 7.0).all()


def test_backends_are_what_is_asked_for() -> None:
    assert set(INSTALLED) <= set(fsm.available_backends())
    with pytest.raises(ValueError, match="unknown backend"):
        sharded.partial_state(X, backend="cuda")
