"""Who is called in a case of each line; every answer is checked before it is timed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.cases import Case, Layout, problem_and_answer, reduced
from bench.peers import PEERS
from fastsoftmax import cross_entropy_value_and_grad, softmax
from fastsoftmax._cli.problems import Array, Call, Problem, make_problem, verify

from .judging import OURS
from .loops import loop
from .memory import copies, reads

__all__ = [
    "HALVES",
    "LAYOUTS",
    "LOOP",
    "ONE_THREAD",
    "OPTIONS",
    "TEXTBOOK",
    "Calls",
    "against_copies",
    "against_peers",
    "against_reads",
    "fresh_outputs",
    "halves",
    "jitted",
    "jitted_beside_numpy",
    "layouts",
    "options",
    "thread_counts",
    "with_textbook",
]

#: From a case and the backend in question to the calls by name.
Calls = Callable[[Case, str], dict[str, Call]]

#: Names of calls beside `OURS` and the peers'.
TEXTBOOK = "textbook"
ONE_THREAD = "one thread"
LOOP = "loop"
HALVES = ("float16", "bfloat16")
LAYOUTS = {"axis=0": Layout("C", 0), "Fortran order": Layout("F", -1)}
OPTIONS = ("soft targets", "class weights", "label smoothing", "ignore_index")

_IGNORED = -100


def against_peers(*names: str) -> Calls:
    """Return ours beside those of the named peers that are installed and can take the case."""

    def calls(case: Case, ours: str) -> dict[str, Call]:
        able = [name for name in names if PEERS[name].missing() is None]
        able = [name for name in able if PEERS[name].takes(case)]
        return {
            OURS: _checked(ours, case, case.threads),
            **{name: _checked(name, case, case.threads) for name in able},
        }

    return calls


def with_textbook(case: Case, ours: str) -> dict[str, Call]:
    """Return ours beside NumPy's and scikit-learn's, and the formula as one would write it."""
    problem, want = _problem_and_answer(case)
    calls = against_peers("numpy", "sklearn")(case, ours)
    x, index = problem.logits, problem.at_labels

    def textbook() -> tuple[Array, Array]:
        p = np.exp(x - x.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        grad, hess = p.copy(), p * (1 - p)
        grad[index] -= 1
        return grad, hess

    verify(problem, textbook(), want)
    return {**calls, TEXTBOOK: textbook}


def against_copies(case: Case, ours: str) -> dict[str, Call]:
    """Return ours beside copies of the logits."""
    problem, _ = _problem_and_answer(case)
    return {OURS: _checked(ours, case, case.threads), **copies(problem.logits, case.threads)}


def against_reads(case: Case, ours: str) -> dict[str, Call]:
    """Return ours beside reads of the logits."""
    problem, _ = _problem_and_answer(case)
    return {OURS: _checked(ours, case, case.threads), **reads(problem.logits, case.threads)}


def jitted(case: Case, ours: str) -> dict[str, Call]:
    """Return the backend numba beside c, whichever is ours."""
    return {name: _checked(name, case, case.threads) for name in ("numba", "c")}


def jitted_beside_numpy(case: Case, ours: str) -> dict[str, Call]:
    """Return the backend numba beside NumPy and, on one thread, a loop that Numba compiles."""
    calls = {name: _checked(name, case, case.threads) for name in ("numba", "numpy")}
    problem, want = _problem_and_answer(case)
    plain = loop(problem) if case.threads == 1 else None
    if plain is not None:
        verify(problem, plain(), want)
        calls[LOOP] = plain
    return calls


def layouts(case: Case, ours: str) -> dict[str, Call]:
    """Return ours on contiguous rows, and on each of the other layouts."""
    others = {
        name: _checked(ours, replace(case, layout=layout), case.threads)
        for name, layout in LAYOUTS.items()
    }
    return {OURS: _checked(ours, case, case.threads), **others}


def halves(case: Case, ours: str) -> dict[str, Call]:
    """Return ours in the dtype of the case, and in each of half the size."""
    problem, want = _problem_and_answer(case)
    calls = {OURS: _checked(ours, case, case.threads)}
    for name in HALVES:
        if name == "bfloat16" and importlib.util.find_spec("ml_dtypes") is None:
            continue
        half = replace(problem, logits=problem.logits.astype(_dtype(name)))
        call = PEERS[ours].prepare(half, case.threads)
        verify(half, call(), want)
        calls[name] = call
    return calls


def thread_counts(case: Case, ours: str) -> dict[str, Call]:
    """Return ours on the threads of the case and on one, beside moving its arrays."""
    problem, _ = _problem_and_answer(case)
    reading = case.operation == "value_and_mean_grad"
    outputs = 2 if case.operation == "grad_hess" else 1
    moving = reads if reading else lambda x, n: copies(x, n, outputs)
    return {
        OURS: _checked(ours, case, case.threads),
        ONE_THREAD: _checked(ours, case, 1),
        **moving(problem.logits, case.threads),
    }


def fresh_outputs(case: Case, ours: str) -> dict[str, Call]:
    """Return ours into new outputs and into the same ones, and NumPy's copies likewise."""
    problem, _ = _problem_and_answer(case)

    def copy_anew() -> Array:
        out = np.empty_like(problem.logits)
        np.copyto(out, problem.logits)
        return out

    return {
        OURS: _checked(ours, replace(case, outputs="fresh"), case.threads),
        "reused": _checked(ours, case, case.threads),
        "empty and copyto": copy_anew,
        "copyto": copies(problem.logits, 1)["copyto"],
    }


def options(case: Case, ours: str) -> dict[str, Call]:
    """Return ours without options and with each; those are checked on fewer samples."""
    _check_options(case, ours)
    problem, _ = _problem_and_answer(case)
    return {
        OURS: _checked(ours, case, case.threads),
        **{name: _option(name, problem, ours, case.threads) for name in OPTIONS},
    }


def _check_options(case: Case, ours: str) -> None:
    small = make_problem(case.operation, reduced(case.shape), case.dtype)
    for name in OPTIONS:
        loss, grad = _option(name, small, ours, case.threads)()
        right_loss, right = _option(name, small, "numpy", 1)()
        tolerance = 1e3 * float(np.finfo(case.dtype).eps)
        np.testing.assert_allclose(loss, right_loss, rtol=tolerance, err_msg=name)
        np.testing.assert_allclose(grad, right, atol=tolerance * abs(right).max(), err_msg=name)


def _option(name: str, problem: Problem, backend: str, threads: int) -> Call:
    """Return a call of loss and gradient with one option on."""
    rng = np.random.default_rng(1)
    dtype, k = problem.logits.dtype, problem.num_classes
    targets: Array = problem.labels
    given: dict[str, Any] = {}
    if name == "soft targets":
        targets = softmax(np.ascontiguousarray(rng.permutation(problem.logits, axis=1)))
    elif name == "class weights":
        given["weight"] = rng.uniform(0.5, 1.5, k).astype(dtype)
    elif name == "label smoothing":
        given["label_smoothing"] = 0.1
    else:  # one label in ten does not count
        targets = np.where(rng.random(problem.num_samples) < 0.1, _IGNORED, targets)
        given["ignore_index"] = _IGNORED
    given |= {"out": problem.output(), "backend": backend, "num_threads": threads}
    return lambda: cross_entropy_value_and_grad(problem.logits, targets, **given)


def _checked(name: str, case: Case, threads: int) -> Call:
    """Return an implementation's call, which has given the right answer."""
    problem, want = _problem_and_answer(case)
    peer = PEERS[name]
    call = peer.prepare(problem, threads)
    verify(problem, peer.to_numpy(call()), want)
    return call


def _problem_and_answer(case: Case) -> tuple[Problem, tuple[Array, ...]]:
    return problem_and_answer(case.operation, case.shape, case.dtype, case.layout, case.reuse)


def _dtype(name: str) -> Any:
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
