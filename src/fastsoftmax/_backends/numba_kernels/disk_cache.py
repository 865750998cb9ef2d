"""Where compiled kernels are kept on disk: in Numba's cache, read with what machine code needs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from .numba_api import CompileResultCacheImpl, FunctionCache, rtsys

__all__ = ["KernelCache"]


def _where_filled(locator: Any) -> Any:
    """One of Numba's ways to choose a directory, for one that has the code and may be read-only."""

    class Filled(locator):  # type: ignore[misc]
        def __init__(self, function: Any, file: str) -> None:
            super().__init__(function, file)
            self._index = f"*.{function.__qualname__}-*.nbi"

        def ensure_cache_path(self) -> None:
            if not any(Path(self.get_cache_path()).glob(self._index)):
                raise FileNotFoundError(self._index)

    return Filled


_USERS, _IN_TREE, *_OTHERS = CompileResultCacheImpl._locator_classes
"""By Numba's order: NUMBA_CACHE_DIR if it is set, beside the sources, the user's directory."""


class _Files(CompileResultCacheImpl):
    """Files where Numba would put them, or where they are if that is read-only.

    Numba itself passes over a directory that it cannot write to, and so over what was compiled when
    an image or a shared installation was made.
    """

    _locator_classes = [  # noqa: RUF012 - as the base class has it
        _where_filled(_USERS),
        _USERS,
        _where_filled(_IN_TREE),
        _IN_TREE,
        *_OTHERS,
    ]


class KernelCache(FunctionCache):
    """The machine code of one version of a kernel on disk.

    Whatever is wrong with the files, a call never fails for it: what cannot be read is compiled
    again and takes the old one's place.

    Raises
    ------
    RuntimeError
        If there is no directory, neither one with the code nor one to write to.
    """

    _impl_class = _Files

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self.is_kept = False

    def load_overload(self, kinds: Any, target_context: Any) -> Any:
        """Return the compiled function, or None if it is not there.

        Numba's own way begins with all that it can compile, SciPy's linear algebra included, which
        takes more time than the rest of a first call. Machine code wants its memory manager only.
        """
        rtsys.initialize(target_context)
        with suppress(Exception):
            compiled = self._load_overload(kinds, target_context)
            self.is_kept = compiled is not None
            return compiled
        return None

    def save_overload(self, kinds: Any, compiled: Any) -> None:
        """Write a compiled function to disk, if that can be done."""
        try:
            self._save_overload(kinds, compiled)
        except Exception:
            # The index is read before it is written: a damaged one must go first.
            with suppress(Exception):
                self.flush()
                self._save_overload(kinds, compiled)
                self.is_kept = True
        else:
            self.is_kept = True
