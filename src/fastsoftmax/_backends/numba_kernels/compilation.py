"""How the kernels are compiled: when first called, once a dtype, and kept on disk if possible."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

from ..._forking import fork_waits_for
from .disk_cache import KernelCache
from .numba_api import (
    codegen_target,
    compiler_lock,
    global_compiler_lock,
    is_jit_disabled,
    njit,
    types,
    versions,
)

__all__ = ["KERNELS", "Kernel", "called", "digest_of", "jitted"]

Function = TypeVar("Function", bound=Callable[..., Any])

if is_jit_disabled:
    raise ImportError("NUMBA_DISABLE_JIT is set, but the kernels need the compiler; unset it")

# A user's functions that another thread compiles hold it too.
fork_waits_for(compiler_lock)

KERNELS: list[Kernel] = []
"""All there are: each puts itself here."""


def jitted(function: Function) -> Function:
    """Decorate a function that kernels call.

    It becomes part of its caller: a call would send the vectors of a block's rows through memory.
    """
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}
    return cast(Function, njit(error_model="numpy", **options)(function))


def called(function: Function) -> Function:
    """Decorate a function that kernels call as one of its own: from memory to memory."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Function, njit(error_model="numpy", **options)(function))


class Kernel:
    """A function to be called from Python, in one version a dtype.

    A version takes arrays of any layout, read-only or not: they are declared to be of any strides,
    and it is called below Numba's own choice among signatures, which would compile one for each
    combination of layouts. The caller vouches for numbers of axes and dtypes.

    Parameters
    ----------
    body : function
        What is compiled.
    signature : callable
        The types of its arguments, given the Numba type float32 or float64.
    itemsizes : tuple of int
        The versions there are: float32 (4), float64 (8).
    """

    def __init__(
        self,
        body: Callable[..., Any],
        signature: Callable[[Any], tuple[Any, ...]],
        itemsizes: tuple[int, ...] = (4, 8),
    ) -> None:
        self.name = body.__name__
        self.itemsizes = itemsizes
        self._body = body
        self._signature = signature
        self._versions: dict[int, Callable[..., Any]] = {}
        self._compiled: dict[int, Any] = {}
        self._directories: dict[int, str | None] = {}
        KERNELS.append(self)

    @property
    def body(self) -> Any:
        """What is compiled."""
        return self._body

    def version(self, itemsize: int) -> Callable[..., Any]:
        """Return the function for float32 (4) or float64 (8)."""
        try:
            return self._versions[itemsize]
        except KeyError:
            function = cast(Callable[..., Any], self.compiled(itemsize).entry_point)
            return self._versions.setdefault(itemsize, function)

    def compiled(self, itemsize: int) -> Any:
        """Return what Numba made of a version: its types, its machine code."""
        try:
            return self._compiled[itemsize]
        except KeyError:
            return self._compile(itemsize)

    def prepare(self, itemsize: int) -> str | None:
        """Have a version compiled; return the directory it is kept in, or None if there is none."""
        self.version(itemsize)
        return self._directories[itemsize]

    def dispatcher(self, itemsize: int, cache: Callable[[Any], Any] | None = None) -> Any:
        """Return Numba's own object for a version, compiled or taken from such a cache.

        Its name says all that the machine code depends on, of which Numba's cache on its own looks
        at the one source file and the signature. That also keeps processes that fill the cache at
        the same time from taking each other's code.
        """
        real = _real(itemsize)
        name = f"{self.name}_{real.name}"
        body = cast(FunctionType, self._body)
        function = FunctionType(body.__code__, body.__globals__, name)
        function.__qualname__ = f"{name}_{digest_of(body.__module__)}"
        function.__module__ = body.__module__
        dispatcher = njit(nogil=True, error_model="numpy")(function)
        if cache is not None:
            dispatcher._cache = cache(function)
        dispatcher.compile(self._signature(real))
        return dispatcher

    def _compile(self, itemsize: int) -> Any:
        with global_compiler_lock:
            if itemsize in self._compiled:  # another thread was first
                return self._compiled[itemsize]
            try:
                dispatcher = self.dispatcher(itemsize, KernelCache)
            except Exception:
                # There is no directory, neither to read nor to write: the cache is never what a
                # call fails for. An error in the kernel itself is raised again here.
                dispatcher, directory = self.dispatcher(itemsize), None
            else:
                kept = dispatcher._cache
                directory = kept.cache_path if kept.is_kept else None
            (compiled,) = dispatcher.overloads.values()
            self._directories[itemsize] = directory
            self._compiled[itemsize] = compiled
            return compiled


def _real(itemsize: int) -> Any:
    return types.float32 if itemsize == 4 else types.float64


@cache
def digest_of(module: str) -> str:
    """Return a short name for all that machine code depends on which a module's functions become.

    That is the sources here and beside the module, the compiler, and the CPU that it compiles for.
    """
    digest = hashlib.sha256()
    for part in (*versions, *codegen_target()):
        digest.update(part.encode() + b"\0")
    folders = {Path(str(sys.modules[name].__file__)).parent for name in (__name__, module)}
    for folder in sorted(folders):
        for source in sorted(folder.glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
