"""The numba backend's helper threads: who joins a call, and what they leave behind."""

from __future__ import annotations

import concurrent.futures
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from .subprocesses import run_python
from .variants import INSTALLED

if "numba" not in INSTALLED:
    pytest.skip("numba is not installed", allow_module_level=True)

from fastsoftmax._backends.numba_kernels import parallel, pool, run
from fastsoftmax._backends.numba_kernels.numba_api import njit, types
from fastsoftmax._backends.numba_kernels.pool import GENERATION, JOINED, LOOKING, WANTED

Array = npt.NDArray[Any]

PATIENCE = 30.0
"""Seconds until a test that waits for another thread gives up."""


def wait_until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


# Each call of it counts itself, waits for as many as are expected, and says how many there were.
@njit(nogil=True)
def meet(present: Any, expected: int, looks: int, shared: Any) -> None:
    pool.add_in_order(present, 0, 1)
    for _ in range(looks):
        if pool.read_in_order(present, 0) >= expected:
            return
        pool.yield_thread(expected)


@njit(nogil=True)
def meeting(present: Any, expected: int, looks: int, shared: Any) -> None:
    pool.with_helpers(meet, (present, expected, looks, shared), shared)


@pytest.fixture
def own_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A pool without helpers yet, in place of the process's."""
    made = parallel._Pool()
    monkeypatch.setattr(parallel, "_pool", made)
    yield made
    made.end()
    assert not any(helper.is_alive() for helper in made._helpers)


def attend(expected: int, threads: int, looks: int = 1 << 22) -> int:
    present = np.zeros(1, np.int64)
    parallel.run_in_threads(meeting, (present, expected, looks), threads)
    return int(present[0])


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_as_many_threads_as_are_asked_for(own_pool: Any, threads: int) -> None:
    for _ in range(3):
        assert attend(threads, threads) == threads


def test_no_more_helpers_than_a_call_wants(own_pool: Any) -> None:
    """Others look for work at the same moment."""
    assert attend(4, 4) == 4
    assert own_pool.looking() <= 3
    for _ in range(20):
        assert attend(2, 2) == 2
        assert attend(3, 2, looks=1000) <= 2


@pytest.mark.parametrize("asleep", [False, True])
def test_helpers_join_without_python(own_pool: Any, asleep: bool) -> None:
    """Awake or asleep: nobody else has the GIL from the start of the call to its end."""
    assert attend(2, 2) == 2
    if asleep:
        assert wait_until(lambda: own_pool.looking() == 0)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(PATIENCE)
    try:
        for _ in range(20):
            assert attend(2, 2) == 2
    finally:
        sys.setswitchinterval(interval)


def test_what_is_left_behind(own_pool: Any) -> None:
    shared = own_pool._shared
    for _ in range(10):
        attend(3, 3)
        assert shared[GENERATION] % 2 == 0
        assert shared[JOINED] == 0
    assert wait_until(lambda: int(shared[LOOKING]) == 0)


def test_a_helper_does_not_join_a_call_twice(own_pool: Any) -> None:
    """Even where more are wanted than there are."""
    assert attend(2, 2) == 2
    present = np.zeros(1, np.int64)
    own_pool._shared[WANTED] = 5
    meeting(present, 3, 1 << 14, own_pool._shared)
    assert present[0] == 2


def test_a_call_meanwhile_works_alone(own_pool: Any) -> None:
    inside, outside = threading.Event(), threading.Event()
    alone: list[int] = []

    def first(present: Array, shared: Array) -> None:
        inside.set()
        assert outside.wait(PATIENCE)

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        future = executor.submit(own_pool.run, first, (np.zeros(1),), 1)
        assert inside.wait(PATIENCE)
        alone.append(attend(2, 2, looks=100))
        outside.set()
        future.result(PATIENCE)
    assert alone == [1]
    assert attend(2, 2) == 2


@njit([types.void(types.int64[::1])], nogil=True)
def fail(shared: Any) -> None:
    raise MemoryError


@njit(nogil=True)
def failing(shared: Any) -> None:
    pool.with_helpers(fail, (shared,), shared)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_call_without_memory(own_pool: Any, threads: int) -> None:
    """The pool is in order afterwards, also where helpers have come."""
    with pytest.raises(MemoryError):
        parallel.run_in_threads(failing, (), threads)
    assert own_pool._shared[JOINED] == 0
    assert attend(2, 2) == 2


def test_threads_that_pay(own_pool: Any) -> None:
    """Small calls take none, others those that are awake, large ones wake them."""
    assert run.threads_that_pay(run.WORTH_A_THREAD - 1, 2) == 1
    assert run.threads_that_pay(run.WORTH_WAKING, 1) == 1
    assert run.threads_that_pay(run.WORTH_WAKING, 3) == 3
    assert run.threads_that_pay(run.WORTH_A_THREAD, 2) == 1
    own_pool._shared[LOOKING] = 1
    assert run.threads_that_pay(run.WORTH_A_THREAD, 2) == 2
    own_pool._shared[LOOKING] = 0
    parallel.note_end()
    near = run.threads_that_pay(run.WORTH_A_THREAD, 2)
    late = time.monotonic_ns() - own_pool.last_end > parallel.JUST_BEFORE
    assert near == 2 or late


def test_results_do_not_depend_on_who_helps(own_pool: Any) -> None:
    generator = np.random.default_rng(11)
    x = generator.standard_normal((300, 1000), np.float32)
    labels = generator.integers(0, 1000, 300)
    alone = fsm.cross_entropy_value_and_grad(x, labels, backend="numba", num_threads=1)
    for threads in (2, 3, 2, 5, 2):
        loss, grad = fsm.cross_entropy_value_and_grad(
            x, labels, backend="numba", num_threads=threads
        )
        assert loss == alone[0]
        assert grad.tobytes() == alone[1].tobytes()


def test_no_threads_to_be_had(own_pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert attend(2, 2, looks=100) == 1
    monkeypatch.undo()
    monkeypatch.setattr(parallel, "_pool", own_pool)
    assert attend(2, 2) == 2


def test_calls_after_the_end_work_alone(own_pool: Any) -> None:
    assert attend(3, 3) == 3
    own_pool.end()
    assert not any(helper.is_alive() for helper in own_pool._helpers)
    assert attend(2, 2, looks=100) == 1


@pytest.mark.parametrize("when", ["awake", "asleep"])
def test_the_process_ends_with_helpers(when: str) -> None:
    """And calls in exit handlers on either side of the pool's own give the right result."""
    script = f"""
        import atexit, time, numpy as np
        x = np.random.default_rng(0).standard_normal((600, 1000))
        def late(when):
            right = fsm.softmax(x, backend="numba", num_threads=2) == expected
            print(when, bool(right.all()))
        atexit.register(late, "after the pool")
        import fastsoftmax as fsm
        expected = fsm.softmax(x, backend="numba", num_threads=2)
        atexit.register(late, "before the pool")
        time.sleep({0.05 if when == "asleep" else 0})
    """
    lines = run_python(script).stdout.split("\n")
    assert lines[:2] == ["before the pool True", "after the pool True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_a_pool_of_its_own() -> None:
    """While a helper of the parent looks for work, which the child does not have."""
    script = """
        import os, numpy as np, fastsoftmax as fsm
        x = np.random.default_rng(0).standard_normal((600, 1000))
        expected = fsm.softmax(x, backend="numba", num_threads=2)
        for _ in range(20):
            fsm.softmax(x, backend="numba", num_threads=2)
            child = os.fork()
            if child == 0:
                right = fsm.softmax(x, backend="numba", num_threads=2) == expected
                os._exit(0 if right.all() else 1)
            assert os.waitpid(child, 0)[1] == 0
        print("right")
    """
    assert run_python(script).stdout.strip() == "right"
