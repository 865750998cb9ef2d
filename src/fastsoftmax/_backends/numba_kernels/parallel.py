"""Threads for the kernels: the caller's own and helpers that take what work they find."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

from .affinity import come_back, keep_off, this_cpu

__all__ = ["run_in_threads"]

MOST_HELPERS = 255


def _help(work: Callable[..., Any], args: tuple[Any, ...], caller_cpu: int) -> None:
    come_back()
    try:
        work(*args)
    finally:
        keep_off(caller_cpu)


class _Pool:
    """Threads, started as they are needed, that wait for work. One call at a time uses them."""

    def __init__(self) -> None:
        self._taken = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def run(self, work: Callable[..., Any], args: tuple[Any, ...], helpers: int) -> None:
        # A call from another thread meanwhile, or from within this one, does its work itself.
        if not self._taken.acquire(blocking=False):
            work(*args)
            return
        try:
            futures = self._start(work, args, min(helpers, MOST_HELPERS))
            try:
                work(*args)
            finally:
                for future in futures:
                    # By now there is nothing left for one that has not begun.
                    if not future.cancel():
                        future.result()
        finally:
            self._taken.release()

    def _start(
        self, work: Callable[..., Any], args: tuple[Any, ...], helpers: int
    ) -> list[Future[Any]]:
        """Start what helpers can be had: none when the interpreter is about to end."""
        futures: list[Future[Any]] = []
        try:
            if self._executor is None:
                # An exit handler cannot import it: that, too, is a RuntimeError.
                from concurrent.futures import ThreadPoolExecutor

                self._executor = ThreadPoolExecutor(MOST_HELPERS, "fastsoftmax")
            cpu = this_cpu()
            for _ in range(helpers):
                futures.append(self._executor.submit(_help, work, args, cpu))
        except RuntimeError:
            pass
        return futures


_pool = _Pool()


def _forget_threads() -> None:
    """A forked process has none of its parent's threads, and its locks may never be released."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def run_in_threads(work: Callable[..., Any], args: tuple[Any, ...], threads: int) -> None:
    """Call `work` in this thread, and at the same time in up to `threads` - 1 others.

    The calls share their work by a counter among their arguments, so that it does not matter how
    many there are. All have returned when this returns.
    """
    if threads <= 1:
        work(*args)
    else:
        _pool.run(work, args, threads - 1)
