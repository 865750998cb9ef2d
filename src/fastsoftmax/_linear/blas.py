"""How many threads BLAS may use for the products of a call."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any

__all__ = ["AtMost"]


class AtMost:
    """A context in which BLAS uses no more than so many threads.

    It is one setting of the process: calls from other threads meanwhile are limited too, and the
    setting from before is back when the last of the limited calls is done.

    Parameters
    ----------
    num_threads : int
    """

    def __init__(self, num_threads: int) -> None:
        self._num_threads = num_threads

    def __enter__(self) -> None:
        _limits.enter(self._num_threads)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _limits.leave()


class _Limits:
    """What the setting was before the first of the calls at hand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._before: list[tuple[Any, int]] = []
        self._libraries: list[Any] | None = None

    def enter(self, num_threads: int) -> None:
        with self._lock:
            if self._calls == 0:
                self._before = [(library, library.num_threads) for library in self._find()]
            self._calls += 1
            for library, _ in self._before:
                if library.num_threads > num_threads:
                    library.set_num_threads(num_threads)

    def leave(self) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls == 0:
                self._restore()

    def forget(self) -> None:
        """Begin anew in a process whose parent was in the midst of calls."""
        self._lock = threading.Lock()
        self._calls = 0
        self._restore()

    def _find(self) -> list[Any]:
        if self._libraries is None:
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
