"""What compiled code refuses: types when it is compiled, shapes and values when it runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="numba is not installed"
)

Array = npt.NDArray[Any]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    from numba import njit

    jitted: Callable[..., Any] = njit(function)
    return jitted


# --- types -----------------------------------------------------------------------------------

X = np.zeros((3, 4))
LABELS = np.zeros(3, np.int64)
SOFT = np.full((3, 4), 0.25)

REFUSED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "axis": (lambda x: fsm.softmax(x, axis=0), (X,), "axis must be -1"),
    "axis, by place": (lambda x: fsm.softmax(x, 0), (X,), "axis must be -1"),
    "axis, a variable": (lambda x, a: fsm.softmax(x, a), (X, 1), "axis must be -1"),
    "backend": (lambda x: fsm.softmax(x, backend="c"), (X,), "backend is not supported"),
    "threads": (
        lambda x, t: fsm.cross_entropy(x, t, num_threads=2),
        (X, LABELS),
        "num_threads must be left out or 1",
    ),
    "dtype": (
        fsm_softmax := lambda x: fsm.softmax(x),
        (X.astype(np.int64),),
        "x must hold float32",
    ),
    "complex": (fsm_softmax, (X.astype(complex),), "x must hold float32 or float64"),
    "half": (fsm_softmax, (X.astype(np.float16),), "float32 or float64"),
    "no axis": (fsm_softmax, (np.array(1.0),), "at least one axis"),
    "list": (fsm_softmax, ((1.0, 2.0),), "x must be an array"),
    "out's dtype": (
        lambda x, out: fsm.softmax(x, out=out),
        (X, X.astype(np.float32)),
        "out must be of dtype float64, not float32",
    ),
    "out's axes": (lambda x, out: fsm.softmax(x, out=out), (X, X[0].copy()), "must have 2 axes"),
    "where": (lambda x, w: fsm.softmax(x, where=w), (X, X), "where must hold bool"),
    "keepdims": (lambda x, k: fsm.logsumexp(x, keepdims=k), (X, True), "keepdims must be one of"),
    "reduction": (
        lambda x, t: fsm.cross_entropy(x, t, reduction="avg"),
        (X, LABELS),
        "reduction must be one of 'mean', 'sum', 'none'",
    ),
    "reduction, a variable": (
        lambda x, t, r: fsm.cross_entropy(x, t, reduction=r),
        (X, LABELS, "sum"),
        "written there as a constant",
    ),
    "reduction of mean gradient": (
        lambda x, t: fsm.cross_entropy_value_and_mean_grad(x, t, reduction="none"),
        (X, LABELS),
        "reduction must be one of 'mean', 'sum'",
    ),
    "labels": (
        lambda x, t: fsm.cross_entropy(x, t),
        (X, LABELS.astype(float)),
        "targets that are labels must hold integers",
    ),
    "uint64": (
        lambda x, t: fsm.cross_entropy(x, t),
        (X, LABELS.astype(np.uint64)),
        "use int64",
    ),
    "targets' axes": (lambda x, t: fsm.cross_entropy(x, t), (X[0], X), "with 0 axes"),
    "ignore_index": (
        lambda x, t: fsm.cross_entropy(x, t, ignore_index=1),
        (X, SOFT),
        "no meaning for targets that are probabilities",
    ),
    "smoothing": (
        lambda x, t: fsm.cross_entropy(x, t, label_smoothing="much"),
        (X, LABELS),
        "label_smoothing must be a number",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_types(case: str) -> None:
    from numba.core.errors import TypingError

    function, arguments, message = REFUSED[case]
    with pytest.raises(TypingError, match=message):
        compiled(function)(*arguments)


def test_the_last_axis_by_its_number_and_one_thread_are_fine() -> None:
    function = compiled(lambda x: fsm.softmax(x, axis=1, num_threads=1, backend=None))
    np.testing.assert_array_equal(function(X), fsm.softmax(X))


# --- values ----------------------------------------------------------------------------------


def value_and_grad(x: Any, t: Any, out: Any) -> Any:
    return fsm.cross_entropy_value_and_grad(x, t, out=out)


def ignoring(x: Any, t: Any, ignored: Any) -> Any:
    return fsm.cross_entropy(x, t, ignore_index=ignored)


def weighted(x: Any, t: Any, w: Any) -> Any:
    return fsm.cross_entropy(x, t, weight=w)


def sample_weighted(x: Any, t: Any, s: Any) -> Any:
    return fsm.cross_entropy(x, t, sample_weight=s)


def smoothed(x: Any, t: Any, eps: Any) -> Any:
    return fsm.cross_entropy(x, t, label_smoothing=eps)


def mean_grad(x: Any, t: Any, out: Any) -> Any:
    return fsm.cross_entropy_mean_grad(x, t, out=out)


def masked(x: Any, where: Any) -> Any:
    return fsm.softmax(x, where=where)


BAD: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "label too large": (value_and_grad, (X, np.array([0, 4, 9]), np.ones((3, 4)))),
    "label negative": (value_and_grad, (X, np.array([0, -1, 9], np.int32), np.ones((3, 4)))),
    "label of three axes": (
        value_and_grad,
        (np.zeros((2, 3, 4)), np.array([[0, 1, 2], [3, 9, 0]]), np.ones((2, 3, 4))),
    ),
    "label of one row": (value_and_grad, (X[0], np.array(7), np.ones(4))),
    "label, not ignored": (ignoring, (X, np.array([0, -100, 4]), -100)),
    "one class": (value_and_grad, (np.zeros((3, 1)), np.array([0, 1, 0]), np.ones((3, 1)))),
    "labels' shape": (value_and_grad, (X, np.zeros(4, np.int64), np.ones((3, 4)))),
    "probabilities' shape": (value_and_grad, (X, np.ones((4, 3)), np.ones((3, 4)))),
    "out's shape": (value_and_grad, (X, LABELS, np.ones((4, 3)))),
    "out twice": (value_and_grad, (X, LABELS, np.broadcast_to(np.ones(4), (3, 4)))),
    "mean gradient's out": (mean_grad, (X, LABELS, np.ones(3))),
    "weight's shape": (weighted, (X, LABELS, np.ones(3))),
    "weight negative": (weighted, (X, LABELS, np.array([1.0, 2.0, -3.0, 1.0]))),
    "weight NaN": (weighted, (X, LABELS, np.array([1.0, np.nan, 3.0, 1.0]))),
    "sample weight's shape": (sample_weighted, (X, LABELS, np.ones(4))),
    "sample weight negative": (sample_weighted, (X, SOFT, np.array([1.0, 1.0, -0.5]))),
    "smoothing": (smoothed, (X, LABELS, 1.5)),
    "no classes": (value_and_grad, (np.zeros((3, 0)), LABELS, np.zeros((3, 0)))),
    "where": (masked, (X, np.ones((2, 4), bool))),
}


@pytest.mark.parametrize("case", BAD)
def test_values(case: str) -> None:
    """The same errors as outside, with the same words, and nothing is written."""
    function, arguments = BAD[case]
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    with pytest.raises(ValueError) as expected:  # noqa: PT011 - compared below
        function(*arguments)
    with pytest.raises(ValueError) as actual:  # noqa: PT011
        compiled(function)(*arguments)
    words = str(expected.value).partition(" and dtype ")[0]
    assert str(actual.value) == words
    for argument, copy in zip(arguments, copies, strict=True):
        np.testing.assert_array_equal(argument, copy)


def test_a_read_only_output() -> None:
    out = np.ones((3, 4))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        compiled(value_and_grad)(X, LABELS, out)
    assert (out == 1).all()


def test_a_label_is_found_where_it_is_in_any_layout() -> None:
    labels = np.zeros((2, 3), np.int64)
    labels[1, 0] = 5
    x = np.zeros((3, 2, 4)).transpose(1, 0, 2)
    with pytest.raises(ValueError, match=r"targets\[1, 0\] = 5 is out of range for 4 classes"):
        compiled(value_and_grad)(x, labels, np.zeros((2, 3, 4)))
