"""``fastsoftmax accuracy``: who errs by how much, and what follows from it."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fs
from fastsoftmax.__main__ import main
from fastsoftmax._accuracy import peers, reference, rows, survey, wide
from fastsoftmax._accuracy.exact import ulp_error

from .variants import TESTED, VARIANTS, Variant

QUICK = ("accuracy", "--rows", "saturated", "--dtypes", "float32")
ALONE = (*QUICK, "--backends", "numpy", "--peers", "none")

Array = np.ndarray[Any, Any]

# Of each backend the variant with the lowest instruction set.
ONE_EACH = tuple({v.name: v for v in VARIANTS}.values())


def lines_of(text: str) -> list[str]:
    return [re.sub(r" +", " ", line).strip() for line in text.splitlines()]


def test_ours_beside_numpy(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--peers", "numpy", "--functions", "softmax,cross_entropy_grad")
    assert main([*QUICK, *arguments, "--backends", *TESTED]) == 0
    lines = lines_of(capsys.readouterr().out)
    assert "softmax gradient result" in lines
    assert "allowed 2 4" in lines
    present = [v.id.replace("-", ", ") for v in VARIANTS if not v.missing]
    for name in present:
        (own,) = [line for line in lines if re.match(rf"{re.escape(name)} \d", line)]
        softmax, grad, result = own.removeprefix(name).split()
        assert 0.4 < float(softmax) <= 2
        assert 0.4 < float(grad) <= 4
        assert result == "pass"
    # 2**24 ulp: the gradient at the true class is 0 where it should be -3 exp(-g)
    (naive,) = [line for line in lines if line.startswith("NumPy ")]
    assert naive.split()[2] == "1.7e+07"
    assert f"all {2 * len(present)} bounds: pass" in lines


def test_a_broken_bound_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good: Callable[..., Array] = fs.softmax

    def almost(x: Array, **options: Any) -> Array:
        return good(x, **options) * np.float32(1 + 3e-7)

    monkeypatch.setattr(fs, "softmax", almost)
    assert main([*ALONE]) == 1
    lines = lines_of(capsys.readouterr().out)
    assert any(re.match(r"numpy .* FAIL$", line) for line in lines)
    assert any(
        re.match(r"numpy, softmax, float32, saturated .* 2 allowed: FAIL$", li) for li in lines
    )
    assert "1 of 6 bounds: FAIL" in lines
    assert main([*ALONE, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is False
    assert [r["function"] for r in document["results"] if not r["passed"]] == ["softmax"]


def test_nan_breaks_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "logsumexp", lambda x, **_: np.full(x.shape[:-1], np.nan, x.dtype))
    assert main([*ALONE, "--functions", "logsumexp", "--json", "-"]) == 1


def test_others_have_no_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--backends", "numpy", "--peers", "numpy", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [i["name"] for i in document["implementations"]] == ["numpy", "NumPy"]
    own, other = (
        [r for r in document["results"] if r["implementation"] == n] for n in ("numpy", "NumPy")
    )
    assert {r["bound"] for r in own} == {2.0, 4.0}
    assert {(r["bound"], r["passed"]) for r in other} == {(None, None)}
    # all bits of float32 are lost
    assert 2**23 < max(r["largest_error"] for r in other) <= 2**24


def test_a_library_that_is_named_must_be_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec

    def without_jax(name: str, *args: Any) -> Any:
        return None if name == "jax" else found(name, *args)

    monkeypatch.setattr(importlib.util, "find_spec", without_jax)
    assert main([*ALONE[:-1], "jax"]) == 2
    assert capsys.readouterr().err == "fastsoftmax: JAX is not installed; run: pip install jax\n"


def test_a_library_that_is_broken_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("torch", "jax", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: object())
    assert main([*QUICK, "--backends", "numpy", "--functions", "softmax"]) == 0
    shown = capsys.readouterr().out
    assert "Left out: PyTorch cannot be imported: ModuleNotFoundError: " in shown
    assert "\nNumPy " in shown


def test_without_a_wider_type_the_errors_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: float64 is judged by mpmath then, on fewer rows."""
    pytest.importorskip("mpmath", reason="mpmath is not installed")
    (one,) = survey.of_backend("numpy")

    def errors() -> dict[str, float]:
        found = survey.worst_errors(("softmax", "logsumexp"), ("float64",), ("hostile",), [one])
        return {worst.function: worst.ulp for worst in found}

    if not wide.available("float64"):
        pytest.skip("there is no wider type here to compare with")
    expected = errors()
    monkeypatch.setattr(wide, "available", lambda dtype: np.dtype(dtype).itemsize <= 4)
    assert reference.by_definition("float64")
    assert errors() == pytest.approx(expected, abs=0.01)


def test_without_a_reference_there_is_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wide, "available", lambda dtype: np.dtype(dtype).itemsize <= 4)
    monkeypatch.setitem(sys.modules, "mpmath", None)
    assert main(["accuracy", "--dtypes", "float64"]) == 2
    assert 'need mpmath; run: pip install "fastsoftmax[cli]"' in capsys.readouterr().err


def test_rows_hold_what_they_say() -> None:
    for dtype in ("float32", "float64"):
        for kind in survey.KINDS:
            for name, x, labels in survey.problems(dtype, kind):
                assert x.dtype == dtype, name
                assert np.isfinite(x[np.arange(len(x)), labels]).all(), name
    lengths = {x.shape[1] for _, x, _ in survey.problems("float32", "random")}
    assert {2, 1000, rows.HUGE} <= lengths


def test_curves_reach_from_equal_logits_to_underflow(backend: Variant, dtype: str) -> None:
    if backend not in ONE_EACH or not wide.available(dtype):
        pytest.skip("one instruction set is enough, and a wide type is needed")
    one = next(iter(survey.of_backend(backend.name)))
    for curve in survey.curves(("softmax", "cross_entropy_grad"), (dtype,), [one]):
        assert curve.g[0] < 10
        assert curve.g[-1] > rows.UNDERFLOW[dtype]
        assert all(0 <= p.low <= p.median <= p.high <= 4 for p in curve.points)
        assert max(p.high for p in curve.points) > 0.4


@pytest.mark.parametrize("name", peers.PEERS)
def test_peers_return_what_the_functions_do(name: str, dtype: str) -> None:
    peer = peers.PEERS[name]
    if missing := peer.missing():
        pytest.skip(f"{missing} is not installed")
    x = np.array([[1.0, 2.0, 3.0, 0.5], [0.2, -0.4, 1.1, 2.0]], dtype)
    labels = np.array([2, 3])
    assert re.match(r"\d", peer.load())
    for function in peer.functions:
        exact, scale = reference.value(function, x, labels)
        got = peer(function, x, labels)
        assert got.dtype == dtype
        assert ulp_error(got, exact, scale=scale).max() < 20, function
