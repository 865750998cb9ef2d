"""The same logits through other libraries: they agree coarsely, and the summary says how finely."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from . import cases, reference, wide
from .exact import Exact, ulp_error
from .recorder import BESIDE, judge, table
from .variants import Variant

Array = npt.NDArray[Any]

FUNCTIONS = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy_grad")
BOUNDS = {"softmax": 2.0}  # the others 4
LENGTHS = (10, 1000, cases.HUGE)
KINDS = ("normal × 3", "normal × 20", "(g, 0, 0, 0)")


def load(name: str) -> Any:
    """A library, or a skip; what it warns of when it is imported is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} is not installed")


def plain_numpy(function: str, x: Array, labels: Array) -> Any:
    shifted = x - x.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=-1, keepdims=True)
    at = np.arange(len(x)), labels
    if function == "softmax":
        return exponentials / sums
    if function == "log_softmax":
        return shifted - np.log(sums)
    if function == "logsumexp":
        return (x.max(axis=-1, keepdims=True) + np.log(sums))[:, 0]
    if function == "cross_entropy":
        return (np.log(sums) - shifted[at][:, None])[:, 0]
    grad = exponentials / sums
    grad[at] -= 1
    return grad


def scipy(function: str, x: Array, labels: Array) -> Any:
    load("scipy")
    special = importlib.import_module("scipy.special")
    if function in ("softmax", "log_softmax", "logsumexp"):
        return getattr(special, function)(x, axis=-1)
    pytest.skip("SciPy has no cross-entropy")


def torch(function: str, x: Array, labels: Array) -> Any:
    torch = load("torch")
    f = torch.tensor(x, requires_grad=function == "cross_entropy_grad")
    if function in ("softmax", "log_softmax", "logsumexp"):
        return getattr(torch, function)(f, dim=-1).numpy()
    loss = torch.nn.functional.cross_entropy(f, torch.tensor(labels), reduction="none")
    if function == "cross_entropy":
        return loss.numpy()
    loss.sum().backward()
    return f.grad.numpy()


def jax(function: str, x: Array, labels: Array) -> Any:
    jax = load("jax")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", True)
        try:
            if function in ("softmax", "log_softmax", "logsumexp"):
                return np.asarray(getattr(jax.nn, function)(x, axis=-1))

            def losses(f: Any) -> Any:
                return -jax.nn.log_softmax(f)[np.arange(len(x)), labels]

            if function == "cross_entropy":
                return np.asarray(losses(x))
            return np.asarray(jax.grad(lambda f: losses(f).sum())(x))
        finally:
            jax.config.update("jax_enable_x64", before)


PEERS: dict[str, Callable[[str, Array, Array], Any]] = {
    "NumPy": plain_numpy,
    "SciPy": scipy,
    "PyTorch": torch,
    "JAX": jax,
}


def exact_of(function: str, x: Array, labels: Array) -> tuple[Exact, Exact | None]:
    if function == "logsumexp":
        return reference.logsumexp(x)
    if function in ("softmax", "log_softmax"):
        exact: Exact = getattr(reference, function)(x)
        return exact, None
    gradients = reference.cross_entropy(x, labels)
    return gradients.losses if function == "cross_entropy" else gradients.grad, None


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
        exact, scale = exact_of(function, x, labels)
        judge(
            ours(function, x, labels, backend.name),
            exact,
            BOUNDS.get(function, 4),
            function=f"{function}, {kind}",
            backend=backend.id,
            case=case,
            scale=scale,
            title=BESIDE,
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("peer", list(PEERS))
def test_peers(dtype: str, peer: str, function: str, kind: str) -> None:
    tolerance = 1e-3 if dtype == "float32" else 1e-10
    for case, x, labels in problems(dtype, kind):
        exact, scale = exact_of(function, x, labels)
        actual = np.asarray(PEERS[peer](function, x, labels))
        assert actual.dtype == np.dtype(dtype)
        np.testing.assert_allclose(actual, exact.to_float64(), rtol=tolerance, atol=tolerance)
        worst = float(ulp_error(actual, exact, scale=scale).max())
        bound = BOUNDS.get(function, 4)
        table(BESIDE).record(f"{function}, {kind}", dtype, peer, worst, case, bound)
