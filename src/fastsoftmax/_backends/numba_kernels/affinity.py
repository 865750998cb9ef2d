"""On which CPUs a thread may run, in compiled code: as csrc/affinity.c.

Some systems wake a thread on the CPU of the one that wakes it, where it would wait until that one
has done all the work. So helpers keep off their caller's CPU while they sleep.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .compilation import jitted
from .memory import data
from .numba_api import ir, types
from .staging import Int, Value, staged
from .words import call_c

__all__ = ["come_back", "keep_off", "new_place", "this_cpu"]

IS_LINUX = sys.platform.startswith("linux")
WORDS = 16
"""Of 64 bits, a bit for each of the CPUs that the system's sets have."""
BEFORE, SINCE, NOW = 1, 1 + WORDS, 1 + 2 * WORDS
"""Where in a place there are what the thread was allowed, what it was left with, what it is."""
LENGTH = 1 + 3 * WORDS


@jitted
def new_place() -> Any:
    """A thread's own memory of where it may run; its first number says whether it is kept off."""
    return np.zeros(LENGTH, np.int64)


@staged
def this_cpu(like: Any) -> Int:
    """The number of the CPU that the calling thread is on, negative where that is not known."""
    number = call_c(like, "sched_getcpu") if IS_LINUX else ir.Constant(ir.IntType(32), -1)
    return Value(like.builder, types.int32, number).to(types.int64)


def call_for_set(place: Any, name: str, start: int) -> Int:
    """0 if the system has read or written the calling thread's set of CPUs."""
    if not IS_LINUX:
        return place.new(ir.Constant(ir.IntType(64), -1), types.int64)
    at = place.builder.bitcast(data(place).place(start), ir.IntType(8).as_pointer())
    size, thread = ir.Constant(ir.IntType(64), 8 * WORDS), ir.Constant(ir.IntType(32), 0)
    return place.new(call_c(place, name, thread, size, at), types.int32).to(types.int64)


@staged
def read_before(place: Any) -> Int:
    return call_for_set(place, "sched_getaffinity", BEFORE)


@staged
def read_now(place: Any) -> Int:
    return call_for_set(place, "sched_getaffinity", NOW)


@staged
def set_before(place: Any) -> Int:
    return call_for_set(place, "sched_setaffinity", BEFORE)


@staged
def set_since(place: Any) -> Int:
    return call_for_set(place, "sched_setaffinity", SINCE)


@jitted
def are_equal(place: Any, first: int, second: int) -> bool:
    different = 0
    for i in range(WORDS):
        different |= place[first + i] ^ place[second + i]
    return different == 0


@jitted
def is_empty(place: Any, first: int) -> bool:
    any_cpu = 0
    for i in range(WORDS):
        any_cpu |= place[first + i]
    return any_cpu == 0


@jitted
def keep_off(place: Any, cpu: int) -> None:
    """Let the calling thread use all its CPUs but one, until it comes back."""
    if cpu < 0 or cpu >= 64 * WORDS or read_before(place) != 0:
        return
    for i in range(WORDS):
        place[SINCE + i] = place[BEFORE + i]
    place[SINCE + cpu // 64] &= ~(np.int64(1) << (cpu % 64))
    if are_equal(place, SINCE, BEFORE) or is_empty(place, SINCE):
        return
    place[0] = set_since(place) == 0


@jitted
def come_back(place: Any) -> None:
    """Undo `keep_off`, unless somebody else has moved the thread meanwhile: that stays."""
    if not place[0]:
        return
    place[0] = 0
    if read_now(place) == 0 and are_equal(place, NOW, SINCE):
        set_before(place)
