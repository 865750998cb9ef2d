"""Threads for the kernels: the caller's own and helpers, which join calls in compiled code."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from .pool import HAS_THREADS, LOOKING, SERVE, WANTED, counters, empty_pool, end_pool, new_pool

__all__ = ["are_near", "note_end", "run_in_threads"]

MOST_HELPERS = 255
JUST_BEFORE = 100_000
"""Nanoseconds after a call in which another one finds helpers awake, or soon so."""
LEAVE = 1.0
"""Seconds that the end of the process waits for a call or a helper, which should take none."""
A_WHILE = 0.001
OF_A_THREAD = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")
"""Signals for what a thread itself has done; all others are for the program's own threads."""
USER = 0
"""The key of the call that has the threads."""


class _Pool:
    """Threads, started as they are needed, that wait for work. One call at a time uses them."""

    def __init__(self) -> None:
        self._users: dict[int, object] = {}
        self._is_ending = False
        self._helpers: list[threading.Thread] = []
        self._shared = new_pool()
        self.last_end = 0

    def run(self, work: Callable[..., Any], args: tuple[Any, ...], helpers: int) -> None:
        call = object()
        # An interrupt may follow any function's return, a lock's too, whose owner would not know
        # then that it is one. What a dictionary has is known, and taken away by no function.
        try:
            # A call from another thread meanwhile, or from within this one, does its work itself.
            if self._is_ending or self._users.setdefault(USER, call) is not call:
                work(*args, counters())
                return
            if len(self._helpers) < helpers:
                self._start(min(helpers, MOST_HELPERS))
            self._shared[WANTED] = helpers
            work(*args, self._shared)
        finally:
            if self._users == {USER: call}:
                del self._users[USER]

    def looking(self) -> int:
        """Return how many helpers are awake without work."""
        return int(self._shared[LOOKING])

    def _start(self, wanted: int) -> None:
        """Start what helpers can be had: none when the interpreter is about to end."""
        if not HAS_THREADS or not threading.main_thread().is_alive():
            return
        serve = SERVE.version(8)
        try:
            while len(self._helpers) < wanted:
                name = f"fastsoftmax_{len(self._helpers)}"
                helper = threading.Thread(
                    target=_help, args=(serve, self._shared), name=name, daemon=True
                )
                helper.start()
                self._helpers.append(helper)
        except RuntimeError:
            pass  # the system has no more threads to give

    def end(self) -> None:
        """Have the helpers return; calls from now on work alone."""
        self._is_ending = True
        latest = time.monotonic() + LEAVE
        while self._users and time.monotonic() < latest:
            time.sleep(A_WHILE)
        if not self._users:
            end_pool(self._shared)
            for helper in self._helpers:
                helper.join(LEAVE)

    def lose_helpers(self) -> None:
        """Be of use, in a forked process, to the call that forked, if a signal's handler did."""
        empty_pool(self._shared)


def _help(serve: Callable[..., Any], shared: Any) -> None:
    """Be a helper, and be left alone by signals."""
    others = {number for name in OF_A_THREAD if (number := getattr(signal, name, None)) is not None}
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - others)
    serve(shared)


_pool = _Pool()


def _forget_threads() -> None:
    """A forked process has none of its parent's threads, and its locks may never be released."""
    global _pool
    _pool.lose_helpers()
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
# Compiled code must not be freed while a helper is in it.
atexit.register(lambda: _pool.end())


def are_near() -> bool:
    """Whether helpers need not be woken, or woke for a call just before."""
    return _pool.looking() > 0 or time.monotonic_ns() - _pool.last_end < JUST_BEFORE


def note_end() -> None:
    """Say that a call has ended for which threads might have paid."""
    _pool.last_end = time.monotonic_ns()


def run_in_threads(work: Callable[..., Any], args: tuple[Any, ...], threads: int) -> None:
    """Call `work` in this thread, with up to `threads` - 1 others to help.

    Its last argument is what they share. All have done their part when this returns.
    """
    if threads <= 1:
        work(*args, counters())
    else:
        _pool.run(work, args, threads - 1)
