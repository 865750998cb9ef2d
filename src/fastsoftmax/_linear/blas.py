"""How many threads BLAS may use for the products of a call."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .._forking import whole

__all__ = ["with_at_most"]

Result = TypeVar("Result")


def with_at_most(num_threads: int, work: Callable[[], Result]) -> Result:
    """Return work(), during which BLAS uses no more than so many threads.

    It is one setting of the process: calls from other threads meanwhile are limited too, and the
    setting from before is back when the last of the limited calls is done.
    """
    call = object()
    try:
        try:
            _limits.enter(call, num_threads)
            return work()
        finally:
            _limits.leave(call)
    except BaseException:
        _limits.leave(call)  # an interrupt may have come when that was about to begin
        raise


class _Limits:
    """What the setting was before the first of the calls at hand.

    A signal's handler may raise between any two steps, and make calls of its own; so that each step
    leaves what the others can go on with, or begin again.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._calls: set[object] = set()
        self._before: list[tuple[Any, int]] = []
        self._libraries: list[Any] | None = None

    def enter(self, call: object, num_threads: int) -> None:
        with self._lock:
            # Read before this call counts: a handler's call in the midst of the reading ends by
            # restoring all, and what is read after it is no limit of its own.
            before = self._before or [(library, library.num_threads) for library in self._find()]
            self._calls.add(call)
            self._before = self._before or before
            for library, _ in self._before:
                if library.num_threads > num_threads:
                    library.set_num_threads(num_threads)

    def leave(self, call: object) -> None:
        """Forget a call, if that was not done before."""
        with self._lock:
            self._calls.discard(call)
            if not self._calls:
                self._restore()

    def forget(self) -> None:
        """Begin anew in a process whose parent was in the midst of calls."""
        self._lock = threading.RLock()
        self._calls = set()
        self._restore()

    def _find(self) -> list[Any]:
        if self._libraries is None:
            with whole:
                from threadpoolctl import ThreadpoolController

            # The search takes a millisecond. What is loaded later is not NumPy's.
            found = ThreadpoolController().select(user_api="blas")
            self._libraries = list(found.lib_controllers)
        return self._libraries

    def _restore(self) -> None:
        for library, num_threads in self._before:
            if library.num_threads != num_threads:
                library.set_num_threads(num_threads)
        self._before = []


_limits = _Limits()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_limits.forget)
