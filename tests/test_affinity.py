"""The CPUs that the numba backend's helper threads sleep on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fsm

pytest.importorskip("numba")

from fastsoftmax._backends.numba_kernels import affinity
from fastsoftmax._backends.numba_kernels.numba_api import njit

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="where a thread waits is set on Linux only"
)


@njit
def new_place() -> Any:
    return affinity.new_place()


@njit
def keep_off(place: Any, cpu: int) -> None:
    affinity.keep_off(place, cpu)


@njit
def come_back(place: Any) -> None:
    affinity.come_back(place)


@njit
def this_cpu(place: Any) -> Any:
    return affinity.this_cpu(place)


def in_a_thread(function: Callable[[], None]) -> None:
    """What a thread does to itself ends with it."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(function).result()


def test_kept_off_a_cpu_and_back() -> None:
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("there is one CPU, which nothing can keep off")

    def check() -> None:
        place = new_place()
        keep_off(place, min(allowed))
        assert os.sched_getaffinity(0) == allowed - {min(allowed)}
        come_back(place)
        assert os.sched_getaffinity(0) == allowed

    in_a_thread(check)


def test_a_thread_that_was_moved_stays() -> None:
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("there is one CPU to be on")

    def check() -> None:
        place = new_place()
        keep_off(place, min(allowed))
        os.sched_setaffinity(0, {min(allowed)})
        come_back(place)
        assert os.sched_getaffinity(0) == {min(allowed)}

    in_a_thread(check)


@pytest.mark.parametrize("cpu", ["none", "only"])
def test_nothing_to_keep_off(cpu: str) -> None:
    def check() -> None:
        place = new_place()
        only = min(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {only})
        keep_off(place, -1 if cpu == "none" else only)
        assert os.sched_getaffinity(0) == {only}
        come_back(place)
        assert os.sched_getaffinity(0) == {only}

    in_a_thread(check)


def test_the_cpu_is_one_of_the_allowed() -> None:
    assert this_cpu(new_place()) in os.sched_getaffinity(0)


def test_the_caller_keeps_its_cpus() -> None:
    before = os.sched_getaffinity(0)
    x = np.zeros((3000, 100))
    fsm.softmax(x, backend="numba", num_threads=2)
    assert os.sched_getaffinity(0) == before
