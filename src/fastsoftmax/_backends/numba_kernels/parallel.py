"""Threads for the kernels: the caller's own and helpers, which join calls in compiled code."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

from ..._typing import Array
from .affinity import come_back, keep_off, this_cpu
from .pool import LOOKING, SERVE, WANTED, counters, new_pool

__all__ = ["are_near", "note_end", "run_in_threads"]

MOST_HELPERS = 255
JUST_BEFORE = 100_000
"""Nanoseconds after a call in which another one finds helpers awake, or soon so."""


def _help(serve: Callable[[Array], None], shared: Array, caller_cpu: int) -> None:
    come_back()
    try:
        serve(shared)
    finally:
        keep_off(caller_cpu)


class _Pool:
    """Threads, started as they are needed, that wait for work. One call at a time uses them."""

    def __init__(self) -> None:
        self._taken = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._shared = new_pool()
        self.last_end = 0

    def run(self, work: Callable[..., Any], args: tuple[Any, ...], helpers: int) -> None:
        # A call from another thread meanwhile, or from within this one, does its work itself.
        if not self._taken.acquire(blocking=False):
            work(*args, counters())
            return
        futures: list[Future[Any]] = []
        try:
            # Before it is known how many look for work: those stay until the call has begun.
            self._shared[WANTED] = helpers
            self._wake(helpers - self.looking(), futures)
            work(*args, self._shared)
        finally:
            self._shared[WANTED] = 0
            for future in futures:
                future.cancel()  # there is nothing left for one that has not begun
            self._taken.release()

    def looking(self) -> int:
        """Return how many helpers are awake without work."""
        return int(self._shared[LOOKING])

    def _wake(self, helpers: int, futures: list[Future[Any]]) -> None:
        """Wake what helpers can be had: none when the interpreter is about to end."""
        if helpers <= 0:
            return
        try:
            if self._executor is None:
                # An exit handler cannot import it: that, too, is a RuntimeError.
                from concurrent.futures import ThreadPoolExecutor

                self._executor = ThreadPoolExecutor(MOST_HELPERS, "fastsoftmax")
            serve, cpu = SERVE.version(8), this_cpu()
            for _ in range(min(helpers, MOST_HELPERS)):
                futures.append(self._executor.submit(_help, serve, self._shared, cpu))
        except RuntimeError:
            pass


_pool = _Pool()


def _forget_threads() -> None:
    """A forked process has none of its parent's threads, and its locks may never be released."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


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
