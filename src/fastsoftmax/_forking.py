"""Work in the midst of which no process is forked.

A forked process has one thread, the one that forked. What another was in the midst of stays as it
was, for ever: a module half imported, a lock held, and the first call in the new process would wait
for it without end. So a fork waits for such work, which a first call does: importing a backend, and
compiling.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import Any

__all__ = ["fork_waits_for", "whole"]

LONGEST = 60.0
"""Seconds that a fork waits: by then the other thread is taken to wait for the one that forks."""
BETWEEN = 0.001

whole = threading.RLock()
"""Held while something is done that a fork would leave half done."""

_locks: list[Any] = [whole]
_holding = threading.local()


def fork_waits_for(lock: Any) -> None:
    """Have forks wait for a lock, one that its thread may acquire again."""
    _locks.append(lock)


def _before() -> None:
    end = time.monotonic() + LONGEST
    while not _acquire_all() and time.monotonic() < end:
        time.sleep(BETWEEN)


def _acquire_all() -> bool:
    """Acquire all locks or none: whoever has one of them may be waiting for another."""
    try:
        _holding.locks = [lock for lock in _locks if lock.acquire(blocking=False)]
    except BaseException:  # an interrupt
        _holding.locks = list(_locks)
        _release()
        raise
    if len(_holding.locks) == len(_locks):
        return True
    _release()
    return False


def _release() -> None:
    for lock in _holding.__dict__.pop("locks", ()):
        with suppress(RuntimeError):  # not held
            lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_release, after_in_child=_release)
