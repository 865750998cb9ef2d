"""The extension's own functions called with anything at all: they do not trust the package.

An exception, or a result within the arrays given; never a crash, and no reference lost.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fs

from . import hostile
from .hostile import SENTINEL
from .interpreter import blocks_off
from .variants import INSTALLED

if "c" not in INSTALLED:
    pytest.skip("the extension is not built", allow_module_level=True)

_c: Any = importlib.import_module("fastsoftmax._c")
Array = npt.NDArray[Any]
SETTINGS = fs._control.SETTINGS

X = hostile.X[None]
LABELS = hostile.LABELS[None]
ROWS = (1, hostile.M)


def new(shape: tuple[int, ...] = X.shape, dtype: Any = np.float32) -> Array:
    return np.full(shape, SENTINEL, dtype)


WEIGHT, SAMPLES = np.ones(3), np.ones(ROWS)
CALLS: dict[str, Callable[[], list[Any]]] = {
    "softmax": lambda: [X, hostile.WHERE[None], new(), 1],
    "log_softmax": lambda: [X, None, new(), 1],
    "logsumexp": lambda: [X, hostile.WHERE[None], new(ROWS), 1],
    "softmax_backward": lambda: [X, X, new(), 1],
    "log_softmax_backward": lambda: [X, X, new(), 1],
    "check_labels": lambda: [LABELS, 3, -1, WEIGHT, SAMPLES],
    "cross_entropy": lambda: [
        X, LABELS, None, WEIGHT, SAMPLES, -1, 0.1, 4.0, new(ROWS), new(), new((3,), float), True, 1,
    ],
    "grad_hess": lambda: [X, LABELS, None, SAMPLES, "exact", new(), new(), 1],
    "partial_state": lambda: [X, X, new((*ROWS, 8), float), 1],
    "shard_exponentials": lambda: [X, X, np.ones((*ROWS, 5)), new(), 1],
    "use_instruction_set": lambda: [_c.instruction_set()],
    "plain_softmax": lambda: [X[0], -1, None, new(X[0].shape), "c", 1, SETTINGS],
    "plain_log_softmax": lambda: [X[0], -1, None, new(X[0].shape), "c", 1, SETTINGS],
    "plain_logsumexp": lambda: [X[0], -1, False, None, new((4,)), "c", 1, SETTINGS],
    "plain_softmax_backward": lambda: [X[0], X[0], -1, new(X[0].shape), "c", 1, SETTINGS],
    "plain_log_softmax_backward": lambda: [X[0], X[0], -1, new(X[0].shape), "c", 1, SETTINGS],
    **{
        f"plain_{name}": lambda shape=shape: [
            X[0], LABELS[0], -1, None, None, None, 0.0, "mean",
            None if shape is None else new(shape), "c", 1, SETTINGS,
        ]
        for name, shape in {
            "cross_entropy": None,
            "cross_entropy_grad": (4, 3),
            "cross_entropy_mean_grad": (3,),
            "cross_entropy_value_and_grad": (4, 3),
            "cross_entropy_value_and_mean_grad": (3,),
        }.items()
    },
    **{
        f"plain_exchanged_{name}": lambda: [
            X[0], LABELS[0], -1, None, None, None, 0.0, "mean", None, "c", 1, SETTINGS, (),
        ]
        for name in ("cross_entropy", "cross_entropy_value_and_grad")
    },
}  # fmt: skip
"""Arguments that each function takes."""


class _Raising:
    def _raise(self, *arguments: Any) -> Any:
        raise hostile.Nobody

    __index__ = __float__ = __bool__ = __len__ = __getitem__ = __eq__ = __array__ = _raise
    __hash__ = _raise


class _Text(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


GARBAGE: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "number": lambda: 7,
    "minus one": lambda: -1,
    "huge": lambda: 2**70,
    "most": lambda: 2**63 - 1,
    "nan": lambda: float("nan"),
    "text": lambda: "text",
    "a text equal to any": lambda: _Text("mean"),
    "surrogates": lambda: "\udc80",
    "bytes": lambda: b"c",
    "tuple": lambda: (),
    "tuples": lambda: ((), (1, 2, 3)),
    "settings without a variable": lambda: (("backend", 1, {}), ("num_threads", 1, {})),
    "functions that raise": lambda: (_Raising()._raise,),
    "object": object,
    "type": lambda: np.ndarray,
    "raising": _Raising,
    "no dimensions": lambda: np.float32(1),
    "scalar array": lambda: np.array(1.0, np.float32),
    "one dimension": lambda: np.ones(3, np.float32),
    "four dimensions": lambda: np.ones((1, 1, 4, 3), np.float32),
    "most dimensions": lambda: np.ones((1,) * hostile.MOST_AXES, np.float32),
    "empty": lambda: np.ones((0, 4, 3), np.float32),
    "no classes": lambda: np.ones((1, 4, 0), np.float32),
    "longer": lambda: np.ones((1, 5, 3), np.float32),
    "float64": lambda: np.ones((1, 4, 3)),
    "float16": lambda: np.ones((1, 4, 3), np.float16),
    "int16": lambda: np.ones((1, 4, 3), np.int16),
    "complex": lambda: np.ones((1, 4, 3), complex),
    "objects": lambda: np.full((1, 4, 3), None),
    "structured": lambda: np.zeros((1, 4, 3), "f4, f4"),
    "void of two bytes": lambda: np.zeros((1, 4, 3), "V2"),
    "big-endian": lambda: np.ones((1, 4, 3), ">f4"),
    "unaligned": lambda: np.zeros(49, np.uint8)[1:].view(np.float32).reshape(1, 4, 3),
    "read-only": lambda: np.broadcast_to(np.float32(1), (1, 4, 3)),
    "lying": lambda: np.ones((1, 1, 1), np.float32).view(hostile.LYING),
    "labels of int8": lambda: np.zeros(ROWS, np.int8),
    "labels of uint64": lambda: np.zeros(ROWS, np.uint64),
    "labels of int32": lambda: np.zeros(ROWS, np.int32),
    "samples of float32": lambda: np.ones(ROWS, np.float32),
    "classes with steps": lambda: np.ones(6)[::2],
}
every_call = pytest.mark.parametrize("name", list(CALLS))
RAISED = (TypeError, ValueError, OverflowError, MemoryError, hostile.Nobody)


def outputs(arguments: list[Any]) -> list[Array]:
    arrays = [each for each in arguments if type(each) is np.ndarray and each.flags.owndata]
    return [a for a in arrays if a.dtype.kind == "f" and a.size and (a == SENTINEL).all()]


@every_call
def test_anything_in_the_place_of_anything(name: str) -> None:
    function = getattr(_c, name)
    function(*CALLS[name]())
    raised = 0
    for place in range(len(CALLS[name]())):
        for kind, make in GARBAGE.items():
            arguments = CALLS[name]()
            arguments[place] = make()
            outs = outputs(arguments)
            try:
                function(*arguments)
            except hostile.Nobody:
                raised += 1
            except RAISED as error:
                raised += len(str(error)) > 0
            else:
                continue
            assert all((out == SENTINEL).all() for out in outs), (place, kind)
    assert raised or name.startswith("plain_")


@every_call
def test_any_number_of_arguments(name: str) -> None:
    right = len(CALLS[name]())
    for count in range(right + 3):
        arguments = (CALLS[name]() * 2)[:count]
        if count != right:
            with pytest.raises(TypeError, match="argument"):
                getattr(_c, name)(*arguments)
    with pytest.raises(TypeError, match="keyword"):
        getattr(_c, name)(*CALLS[name](), unknown=1)


@pytest.mark.parametrize("name", ["instruction_set", "instruction_sets", "xla_targets"])
def test_functions_without_arguments(name: str) -> None:
    with pytest.raises(TypeError, match="takes no arguments"):
        getattr(_c, name)(1)


def test_no_reference_is_lost() -> None:
    """Neither of arguments nor of what is made of them, whatever is raised; nor any memory."""
    fixed = {kind: make() for kind, make in GARBAGE.items()}

    def work() -> None:
        for name in CALLS:
            function = getattr(_c, name)
            for place in range(len(right[name])):
                for garbage in fixed.values():
                    arguments = list(right[name])
                    arguments[place] = garbage
                    try:
                        function(*arguments)
                    except RAISED:
                        continue

    right = {name: make() for name, make in CALLS.items()}
    watched = [*fixed.values(), *(each for arguments in right.values() for each in arguments)]
    watched += [np.dtype(kind) for kind in ("f2", "f4", "f8", "i4", "i8", "?")]
    for _ in range(2):
        work()
    gc.collect()
    before = [sys.getrefcount(each) for each in watched]
    blocks = sys.getallocatedblocks()
    for _ in range(5):
        work()
    gc.collect()
    off = blocks_off(blocks)
    after = [sys.getrefcount(each) for each in watched]
    # A loss of one reference, or of one object, a call would be of 5 at least.
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 5
    assert off < 50


# --- labels that nobody has checked ----------------------------------------------------------

WILD = [-1, 3, 4, 2**31 - 1, -(2**31), 2**62, -(2**63), 2**63 - 1]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("classes", [3, 64, 40_000])
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_kernels_ignore_labels_that_are_no_class(
    kind: type[np.integer[Any]], classes: int, smoothing: float, dtype: str
) -> None:
    """As if another thread had written them behind the check: as heap reads and writes elsewhere.

    (microsoft/onnxruntime#27568, pytorch/pytorch#194802)
    """
    limits = np.iinfo(kind)
    labels = np.array([value for value in WILD if limits.min <= value <= limits.max], kind)
    labels = np.append(np.where((labels >= 0) & (labels < classes), -5, labels), [1, 2]).astype(
        kind
    )
    x = np.linspace(-2, 2, len(labels) * classes, dtype=dtype).reshape(1, -1, classes)
    weight = np.linspace(1, 2, classes)
    guarded = np.full((3, *x.shape[1:]), SENTINEL, dtype)
    for threads in (1, 2):
        for w in (None, weight):
            grad, mean, losses = guarded[1:2], np.zeros(classes), np.zeros(x.shape[:2], dtype)
            grad[...] = SENTINEL
            rest = w, None, None, smoothing, 1.0, losses, grad, mean, True, threads
            loss = _c.cross_entropy(x, labels[None], None, *rest)
            assert np.isfinite(loss)
            assert not grad[0, :-2].any()
            assert not losses[0, :-2].any()
            expected = [np.zeros_like(each) for each in (losses[:, -2:], grad[:, -2:], mean)]
            _c.cross_entropy(
                x[:, -2:],
                labels[None, -2:],
                None,
                w,
                None,
                None,
                smoothing,
                1.0,
                *expected,
                True,
                1,
            )
            assert losses[:, -2:].tobytes() == expected[0].tobytes()
            assert grad[:, -2:].tobytes() == expected[1].tobytes()
            assert (guarded[::2] == SENTINEL).all()
        for hessian in ("exact", "xgboost", "lightgbm"):
            grad, hess = guarded[1:2], np.empty_like(x)
            _c.grad_hess(x, labels[None], None, None, hessian, grad, hess, threads)
            assert not grad[0, :-2].any()
            assert (guarded[::2] == SENTINEL).all()


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_the_check_reads_no_weight_of_labels_that_are_no_class(kind: type) -> None:
    for value in WILD:
        if not np.iinfo(kind).min <= value <= np.iinfo(kind).max:
            continue
        labels = np.array([[0, 1, value, 2]], kind)
        for ignore, weight in ((None, np.ones(3)), (-7, np.ones(3)), (None, None)):
            assert _c.check_labels(labels, 3, ignore, weight, SAMPLES)[0] == 2
        assert _c.check_labels(labels, 3, value, np.ones(3), SAMPLES) == (-1, 3, 3.0)
