"""The same logits through other libraries: they agree coarsely, and the summary says how finely."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax._accuracy import reference, wide
from fastsoftmax._accuracy.exact import ulp_error
from fastsoftmax._accuracy.peers import PEERS
from fastsoftmax._accuracy.reference import FUNCTIONS as BOUNDS

from . import cases
from .recorder import BESIDE, judge, table
from .variants import Variant

Array = npt.NDArray[Any]

FUNCTIONS = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy_grad")
LENGTHS = (10, 1000, cases.HUGE)
KINDS = ("normal × 3", "normal × 20", "(g, 0, 0, 0)")


def ours(function: str, x: Array, labels: Array, backend: str) -> Any:
    if function in ("softmax", "log_softmax", "logsumexp"):
        return getattr(fsm, function)(x, backend=backend)
    reduction = "none" if function == "cross_entropy" else "sum"
    return getattr(fsm, function)(x, labels, reduction=reduction, backend=backend)


def problems(dtype: str, kind: str) -> list[tuple[str, Array, Array]]:
    """Cases of one kind, each with its name, logits and labels."""
    if not wide.available(dtype):
        pytest.skip(f"no floating-point type on this platform is wider than {dtype}")
    if kind == "(g, 0, 0, 0)":
        x = cases.saturated_logits(dtype, 4)
        return [(kind, x, cases.saturated_labels(x))]
    found = []
    for num_classes in LENGTHS:
        x = cases.random_logits(dtype, num_classes, float(kind.removeprefix("normal × ")))
        found.append((f"K={num_classes}", x, cases.labels_for(x)))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_backends(backend: Variant, dtype: str, function: str, kind: str) -> None:
    for case, x, labels in problems(dtype, kind):
        exact, scale = reference.value(function, x, labels)
        judge(
            ours(function, x, labels, backend.name),
            exact,
            BOUNDS[function],
            function=f"{function}, {kind}",
            backend=backend.id,
            case=case,
            scale=scale,
            title=BESIDE,
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("peer", PEERS)
def test_peers(dtype: str, peer: str, function: str, kind: str) -> None:
    if missing := PEERS[peer].missing():
        pytest.skip(f"{missing} is not installed")
    if function not in PEERS[peer].functions:
        pytest.skip(f"{peer} has no {function}")
    tolerance = 1e-3 if dtype == "float32" else 1e-10
    for case, x, labels in problems(dtype, kind):
        exact, scale = reference.value(function, x, labels)
        actual = PEERS[peer](function, x, labels)
        assert actual.dtype == np.dtype(dtype)
        np.testing.assert_allclose(actual, exact.to_float64(), rtol=tolerance, atol=tolerance)
        worst = float(ulp_error(actual, exact, scale=scale).max())
        bound = BOUNDS[function]
        table(BESIDE).record(f"{function}, {kind}", dtype, peer, worst, case, bound)
