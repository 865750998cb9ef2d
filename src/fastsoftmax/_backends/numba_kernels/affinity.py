"""On which CPU a thread waits.

Some systems wake a thread on the CPU of the one that wakes it, where it would wait until that one
has done all the work. So helpers keep off their caller's CPU while they sleep.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["come_back", "keep_off", "this_cpu"]


def _find_this_cpu() -> Callable[[], int]:
    if not sys.platform.startswith("linux"):
        return lambda: -1
    import ctypes

    try:
        return ctypes.CDLL(None).sched_getcpu
    except (OSError, AttributeError):
        return lambda: -1


this_cpu = _find_this_cpu()
"""The number of the CPU that the calling thread is on, negative where that is not known."""

_place = threading.local()
"""What the thread was allowed, and what it was left with."""


def keep_off(cpu: int) -> None:
    """Let the calling thread use all its CPUs but one, until it comes back."""
    if cpu < 0:
        return
    before = os.sched_getaffinity(0)
    since = before - {cpu}
    if since and since != before:
        with suppress(OSError):
            os.sched_setaffinity(0, since)
            _place.kept_off = before, since


def come_back() -> None:
    """Undo `keep_off`, unless somebody else has moved the thread meanwhile: that stays."""
    before, since = getattr(_place, "kept_off", (None, None))
    if before is None:
        return
    _place.kept_off = None, None
    if os.sched_getaffinity(0) == since:
        with suppress(OSError):
            os.sched_setaffinity(0, before)
