"""The CPUs that the numba backend's helper threads sleep on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastsoftmax as fsm

pytest.importorskip("numba")

from fastsoftmax._backends.numba_kernels import affinity

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="where a thread waits is set on Linux only"
)


def in_a_thread(function: Callable[[], None]) -> None:
    """What a thread does to itself ends with it."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(function).result()


def test_kept_off_a_cpu_and_back() -> None:
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("there is one CPU, which nothing can keep off")

    def check() -> None:
        affinity.keep_off(min(allowed))
        assert os.sched_getaffinity(0) == allowed - {min(allowed)}
        affinity.come_back()
        assert os.sched_getaffinity(0) == allowed

    in_a_thread(check)


def test_a_thread_that_was_moved_stays() -> None:
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("there is one CPU to be on")

    def check() -> None:
        affinity.keep_off(min(allowed))
        os.sched_setaffinity(0, {min(allowed)})
        affinity.come_back()
        assert os.sched_getaffinity(0) == {min(allowed)}

    in_a_thread(check)


@pytest.mark.parametrize("cpu", ["none", "only"])
def test_nothing_to_keep_off(cpu: str) -> None:
    def check() -> None:
        only = min(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {only})
        affinity.keep_off(-1 if cpu == "none" else only)
        assert os.sched_getaffinity(0) == {only}
        affinity.come_back()
        assert os.sched_getaffinity(0) == {only}

    in_a_thread(check)


def test_the_cpu_is_one_of_the_allowed() -> None:
    assert affinity.this_cpu() in os.sched_getaffinity(0)


def test_the_caller_keeps_its_cpus() -> None:
    before = os.sched_getaffinity(0)
    x = np.zeros((3000, 100))
    fsm.softmax(x, backend="numba", num_threads=2)
    assert os.sched_getaffinity(0) == before
