"""Our threads, for threadpoolctl to see and to limit.

threadpoolctl looks for controllers of the shared libraries that are loaded, among those registered
with it. Ours is registered when both packages have been imported, in either order, for neither is
to import the other. What it sets is the setting of `_control`, and so holds for every backend; but
the library of the backend ``c`` is what it is found by, which is loaded then.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from . import _backends
from ._control import get_num_threads, replace_num_threads
from ._version import __version__

__all__ = ["register_when_imported"]

NAME = "threadpoolctl"


def register_when_imported() -> None:
    """Register our controller: now, or as soon as threadpoolctl is imported."""
    if _state.registered or _state in sys.meta_path:
        return
    if (module := sys.modules.get(NAME)) is not None:
        _state.register(module)
    else:
        sys.meta_path.insert(0, _state)


class _Registration:
    """A finder of modules that finds none by itself, and waits for one to be looked for."""

    def __init__(self) -> None:
        self.registered = False
        self._looking = threading.local()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != NAME or getattr(self._looking, "now", False):
            return None
        self._looking.now = True
        try:
            spec = importlib.util.find_spec(name)  # by all other finders
        finally:
            self._looking.now = False
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            with suppress(ValueError):
                sys.meta_path.remove(self)
            self.register(module)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec

    def register(self, threadpoolctl: ModuleType) -> None:
        if self.registered or not hasattr(threadpoolctl, "register"):  # before version 3.2
            return
        self.registered = True
        with suppress(ImportError):
            _backends.load("c")
        threadpoolctl.register(_controller(threadpoolctl.LibController))


_state = _Registration()


def _controller(base: Any) -> type:
    class FastsoftmaxController(base):  # type: ignore[misc]
        """The number of threads in effect, as `get_num_threads` says it."""

        user_api = "fastsoftmax"
        internal_api = "fastsoftmax"
        filename_prefixes = ("libfastsoftmax", "fastsoftmax")
        check_symbols = ("fastsoftmax_abi_version",)

        def get_num_threads(self) -> int:
            return get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            replace_num_threads(num_threads)

        def get_version(self) -> str:
            return __version__

        def set_additional_attributes(self) -> None:
            extension = importlib.import_module("fastsoftmax._c")
            self.architecture = extension.instruction_set()

    return FastsoftmaxController
