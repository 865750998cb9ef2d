"""No reference and no memory is lost, on any path to a result and on any path to an error.

Over all functions, with everything that test_hostile_arguments.py lets them refuse. The
extension's own functions are in test_hostile_extension.py, failing allocations in
test_out_of_memory.py.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fs

from . import hostile
from .hostile import FUNCTIONS, Function
from .test_hostile_arguments import NUMBERS, REFUSALS
from .variants import INSTALLED

ROUNDS = 24
"""A reference lost in each call would be as many; what comes and goes otherwise is less."""
WINDOWS = 30
"""What the interpreter keeps for itself grows too, but not every time."""


def calls_of(function: Function, backend: str) -> tuple[list[Callable[[], Any]], list[Any]]:
    """Return calls that succeed and calls that do not, and what they are given."""
    given: list[Any] = []
    calls: list[Callable[[], Any]] = []

    def add(changes: dict[str, Any], outs: list[Any], **options: Any) -> None:
        given.extend([*changes.values(), *outs, *options.values()])
        options["backend"] = backend
        calls.append(lambda: function(changes, outs, **options))

    add({}, [])
    add({}, [], num_threads=2)
    add({}, function.outputs())
    for argument, values in function.arrays.items():
        for make in (*hostile.SUBCLASSES.values(), *hostile.PROTOCOLS.values()):
            add({argument: make(values)}, [])
        for make in hostile.BAD.values():
            add({argument: make(values)}, function.outputs())
    for place, shape in enumerate(function.outs):
        for make_out in (*hostile.BAD_OUTS.values(), *hostile.GOOD_OUTS.values()):
            outs: list[Any] = [*function.outputs()]
            outs[place] = make_out(shape)
            add({}, outs)
    for option in (
        "axis",
        "num_threads",
        "ignore_index",
        "label_smoothing",
        "reduction",
        "hessian",
    ):
        for value in NUMBERS.values():
            add({}, function.outputs(), **{option: value})
    if "targets" in function.arrays and "of soft" not in function.arrays:
        for bad in (-1, 3, 2**40, -(2**63)):
            labels = hostile.LABELS.copy()
            labels[2] = bad
            add({"targets": labels}, function.outputs())
            add({"targets": labels.tolist()}, function.outputs(), ignore_index=7)
    return calls, given


FEW = "softmax", "logsumexp", "cross_entropy_value_and_grad", "cross_entropy_grad_hess"
CASES = [
    (backend, name)
    for place, backend in enumerate(INSTALLED)
    for name in FUNCTIONS
    if place == 0 or name in FEW  # above the backends the code is the same
]


def is_error(call: Callable[[], Any]) -> bool:
    try:
        call()
    except REFUSALS:
        return True
    return False


def grows(call: Callable[[], Any]) -> bool:
    """Whether there are more objects after so many calls, again and again."""
    for _ in range(WINDOWS):
        blocks = sys.getallocatedblocks()
        for _ in range(ROUNDS):
            is_error(call)
        if sys.getallocatedblocks() - blocks < ROUNDS // 2:
            return False
        gc.collect()
        if sys.getallocatedblocks() - blocks < ROUNDS // 2:
            return False
    return True


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:numpy")
@pytest.mark.parametrize(("backend", "name"), CASES)
def test_nothing_is_lost(backend: str, name: str) -> None:
    function = FUNCTIONS[name]
    calls, given = calls_of(function, backend)
    process = fs._control._process
    # Of dtypes NumPy's own zeros() and empty() keep references.
    watched = [*given, *function.arrays.values(), None, NotImplemented, fs._control.SETTINGS]
    watched += [process, *process.values(), np.float32, np.float64, np.ndarray, backend]
    errors = sum(is_error(call) for call in calls)
    assert len(calls) // 3 < errors < len(calls)
    gc.collect()
    before = [sys.getrefcount(each) for each in watched]
    gc.freeze()  # what is there before need not be gone through each time
    try:
        growing = [number for number, call in enumerate(calls) if grows(call)]
    finally:
        gc.unfreeze()
    gc.collect()
    after = [sys.getrefcount(each) for each in watched]
    assert not growing
    for thing, count, past in zip(watched, after, before, strict=True):
        assert abs(count - past) < ROUNDS, (thing, count - past)
