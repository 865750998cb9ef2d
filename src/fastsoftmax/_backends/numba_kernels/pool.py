"""What a call and its helper threads share, in compiled code: no one needs Python to join a call.

They meet in an array of int64, as those of csrc/threads.c meet in its `pool`. A call leaves there
which function is to be called with what, and opens; helpers that look for work join it, and it
returns when the last of them has left. A call that works alone has an array of its counters only.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any, NamedTuple

import numpy as np

from ..._typing import Array
from .affinity import come_back, keep_off, new_place, this_cpu
from .compilation import Kernel, jitted
from .memory import data
from .numba_api import cgutils, intrinsic, ir, signature, types
from .staging import Int, Value, llvm_type, staged
from .words import call_c, call_llvm, is_x86, yield_thread

__all__ = [
    "HAS_THREADS",
    "LOOKING",
    "SERVE",
    "WANTED",
    "counters",
    "empty_pool",
    "end_pool",
    "new_pool",
    "with_helpers",
]

COUNTERS = 2
"""The next chunk, and the one whose mean gradient is to be added: all that a lone call has."""
GENERATION = 8
"""Counts how often a call was opened or closed: odd while it may be joined."""
JOINED = 16
"""Helpers in the call now."""
LOOKING = 24
"""Helpers awake without work."""
WANTED = 32
"""Helpers that may still join."""
TASK, CONTEXT = 33, 34
"""What is to be done: see `Task`."""
CALLER_CPU = 35
ENDING = 36
"""Whether helpers are to return."""
MUTEX, CONDITION = 40, 56
"""Room for a lock of the system and for what its sleepers wait on: of 40 to 64 bytes."""
LENGTH = 72

LOOKING_TIME = 200_000
"""Nanoseconds: a helper looks for work for so long before it sleeps, since waking it takes long."""
BETWEEN = 64
"""Looks to one at the clock."""
HAS_THREADS = os.name == "posix"
"""Whether the system's threads are those known here; elsewhere there are no helpers."""

INT32, INT64 = ir.IntType(32), ir.IntType(64)

_system: Any = ctypes.CDLL(None) if HAS_THREADS else None


def counters() -> Array:
    """Return what a call needs that works alone."""
    return np.zeros(COUNTERS, np.int64)


def new_pool() -> Array:
    pool = np.empty(LENGTH, np.int64)
    empty_pool(pool)
    return pool


def empty_pool(pool: Array) -> None:
    """Make it one without helpers, whatever a forked process has copied of it."""
    pool[:] = 0
    if HAS_THREADS:
        _system.pthread_mutex_init(_address(pool, MUTEX), None)
        _system.pthread_cond_init(_address(pool, CONDITION), None)


def end_pool(pool: Array) -> None:
    """Have all helpers return."""
    _system.pthread_mutex_lock(_address(pool, MUTEX))
    pool[ENDING] = 1
    _system.pthread_cond_broadcast(_address(pool, CONDITION))
    _system.pthread_mutex_unlock(_address(pool, MUTEX))


def _address(pool: Array, index: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(pool[index:].ctypes.data)


# --- instructions ----------------------------------------------------------------------------


@staged
def read_in_order(pool: Any, index: Int) -> Int:
    """A place of the pool; with `add_in_order`, in one order for all threads."""
    return pool.new(pool.builder.load_atomic(data(pool).place(index), "seq_cst", 8), types.int64)


@staged
def add_in_order(pool: Any, index: Int, number: Int) -> Int:
    """Add to a place of the pool; its value before."""
    place, number = data(pool).place(index), number.to(types.int64).llvm
    return pool.new(pool.builder.atomic_rmw("add", place, number, "seq_cst"), types.int64)


@staged
def pause_briefly(pool: Any) -> None:
    """Leave the CPU's resources to others for a few cycles."""
    if is_x86():
        call_llvm(pool, "x86.sse2.pause", ir.VoidType())


def call_threads(pool: Value, name: str, *places: int) -> None:
    """Call a function of the system's threads."""
    if HAS_THREADS:
        byte = ir.IntType(8).as_pointer()
        at = (pool.builder.bitcast(data(pool).place(place), byte) for place in places)
        call_c(pool, name, *at)


@staged
def lock(pool: Any) -> None:
    call_threads(pool, "pthread_mutex_lock", MUTEX)


@staged
def unlock(pool: Any) -> None:
    call_threads(pool, "pthread_mutex_unlock", MUTEX)


@staged
def wake_one(pool: Any) -> None:
    call_threads(pool, "pthread_cond_signal", CONDITION)


@staged
def wait_to_be_woken(pool: Any) -> None:
    """With the lock, which others have meanwhile."""
    call_threads(pool, "pthread_cond_wait", CONDITION, MUTEX)


@staged
def nanoseconds(pool: Any) -> Int:
    """The time of a clock that only goes forward."""
    if not HAS_THREADS:
        return pool.new(INT64(0), types.int64)
    builder, kind = pool.builder, ir.ArrayType(INT64, 2)
    moment = cgutils.alloca_once(builder, kind)
    call_c(pool, "clock_gettime", INT32(time.CLOCK_MONOTONIC), moment)
    seconds, rest = (builder.extract_value(builder.load(moment), i) for i in range(2))
    return pool.new(builder.add(builder.mul(seconds, INT64(10**9)), rest), types.int64)


# --- a task: a compiled function and its arguments, as addresses -----------------------------


class Task(NamedTuple):
    """The address of a function, and of what it is called with."""

    function: Int
    context: Int


@intrinsic
def task_of(typingcontext: Any, work: Any, args: Any) -> Any:
    """The task to call work(*args). The arguments stay in the calling function's frame."""
    inner = typingcontext.resolve_function_type(work, tuple(args), {})

    def generate(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        frame = cgutils.alloca_once_value(builder, values[1])
        function = _task(context, builder, work.dispatcher.overloads[inner.args], inner, frame.type)
        task = [builder.ptrtoint(address, INT64) for address in (function, frame)]
        return context.make_tuple(builder, sig.return_type, task)

    return signature(types.NamedUniTuple(types.int64, 2, Task), work, args), generate


def _task(context: Any, builder: Any, compiled: Any, inner: Any, frame_type: Any) -> Any:
    """A function of the arguments' address that calls a compiled one; not 0 if that failed.

    It is the only place that does, so that there is one machine code of it.
    """
    context.active_code_library.add_linking_library(compiled.library)
    kind = ir.FunctionType(INT32, [ir.IntType(8).as_pointer()])
    name = f"task.{compiled.fndesc.llvm_func_name}"
    task = cgutils.get_or_insert_function(builder.module, kind, name)
    task.linkage = "internal"
    task.attributes.add("noinline")
    body = ir.IRBuilder(task.append_basic_block())
    given = body.load(body.bitcast(task.args[0], frame_type))
    values = [body.extract_value(given, i) for i in range(len(inner.args))]
    status, _ = context.call_internal_no_propagate(body, compiled.fndesc, inner, values)
    body.ret(body.zext(status.is_error, INT32))
    return task


@staged
def do_task(task: Any) -> Any:
    """Whether it could not be done, for want of memory."""
    builder, argument = task.function.builder, ir.IntType(8).as_pointer()
    kind = ir.FunctionType(INT32, [argument]).as_pointer()
    function = builder.inttoptr(task.function.llvm, kind)
    failed = builder.call(function, [builder.inttoptr(task.context.llvm, argument)])
    return task.function.new(builder.trunc(failed, llvm_type(types.boolean)), types.boolean)


# --- the call --------------------------------------------------------------------------------


@jitted
def open_call(pool: Any, task: Any) -> None:
    """Let helpers join, of whom those that sleep are woken, as many as are wanted."""
    lock(pool)
    for i in range(COUNTERS):
        pool[i] = 0
    pool[TASK], pool[CONTEXT] = task
    pool[CALLER_CPU] = this_cpu(pool)
    asleep = pool[WANTED] - read_in_order(pool, LOOKING)
    add_in_order(pool, GENERATION, 1)
    unlock(pool)
    for _ in range(asleep):
        wake_one(pool)


@jitted
def close_call(pool: Any) -> None:
    """Let no more helpers join, and wait for those who have."""
    add_in_order(pool, GENERATION, 1)
    looks = 0
    while read_in_order(pool, JOINED) != 0:
        looks += 1
        if looks % BETWEEN:
            pause_briefly(pool)
        else:
            yield_thread(looks)


@jitted
def with_helpers(work: Any, args: Any, pool: Any) -> None:
    """Call work(*args) here, and in as many helpers as are wanted and found.

    The calls share their work by the pool's counters. All have returned when this returns.
    """
    task = task_of(work, args)
    if pool.size == COUNTERS:
        failed = do_task(task)
    else:
        open_call(pool, task)
        failed = do_task(task)
        close_call(pool)
    if failed:
        raise MemoryError


# --- the helpers -----------------------------------------------------------------------------


@jitted
def join(pool: Any, generation: int) -> None:
    """Take part in a call, unless it is closed by now or has all the helpers it wants.

    A helper that finds no memory leaves the work to the others.
    """
    add_in_order(pool, JOINED, 1)
    if read_in_order(pool, GENERATION) == generation and add_in_order(pool, WANTED, -1) > 0:
        do_task(Task(pool[TASK], pool[CONTEXT]))
    add_in_order(pool, JOINED, -1)


@jitted
def is_open(generation: int, seen: int) -> bool:
    """Whether it is a call's, and of another call than the one seen last."""
    return bool(generation % 2 == 1 and generation != seen)


@jitted
def look_for_work(pool: Any, seen: int) -> int:
    """Return the call that was found, or `seen` if there was none for a while."""
    end = nanoseconds(pool) + LOOKING_TIME
    while nanoseconds(pool) < end:
        for _ in range(BETWEEN):
            generation = read_in_order(pool, GENERATION)
            if is_open(generation, seen):
                return int(generation)
            pause_briefly(pool)
    return seen


@jitted
def sleep_until_work(pool: Any, place: Any, seen: int) -> int:
    """Return the call that it was woken for, or `seen` if there will be none any more."""
    keep_off(place, read_in_order(pool, CALLER_CPU))
    lock(pool)
    # Not before the lock: a call counts on those who look, and wakes others.
    add_in_order(pool, LOOKING, -1)
    while not pool[ENDING] and not is_open(pool[GENERATION], seen):
        wait_to_be_woken(pool)
    found = seen if pool[ENDING] else pool[GENERATION]
    unlock(pool)
    come_back(place)
    return int(found)


def serve(pool: Any) -> None:
    """Take part in one call after another, until the pool ends."""
    place = new_place()
    seen = 0
    while True:
        add_in_order(pool, LOOKING, 1)
        found = look_for_work(pool, seen)
        if found != seen:
            add_in_order(pool, LOOKING, -1)
        else:
            found = sleep_until_work(pool, place, seen)
            if found == seen:
                return
        join(pool, found)
        seen = found


SERVE = Kernel(serve, lambda real: (types.Array(types.int64, 1, "C"),), itemsizes=(8,))
