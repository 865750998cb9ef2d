"""Kernels called from a user's compiled code: by symbol, as machine code that is there already.

Linked the way Numba links functions, a kernel would be compiled anew in each function that calls
it, for seconds, and kept in the user's cache. Instead that code refers to a symbol, whose address
is told to LLVM before the code is loaded. When it comes from the user's cache in another process,
it is a constant that does so: among those which Numba keeps with the code and reads first.

The constant also says which sources the code was made from. Where they are no longer the same,
reading it raises an OSError, which Numba's cache takes for a file that is missing: it compiles
anew, whereas it would not look at the sources of fastsoftmax by itself.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from .._backends.numba_kernels.compilation import Kernel, digest_of
from .._backends.numba_kernels.numba_api import (
    add_symbol,
    cgutils,
    lower_builtin,
    signature,
    type_callable,
    types,
)

__all__ = ["linked", "stamp"]


class StaleCodeError(OSError):
    """Code in a cache that was compiled with other sources of fastsoftmax."""


class Link:
    """A kernel's version that has a symbol. Pickled, it is the task to see to that again."""

    def __init__(self, module: str, name: str, itemsize: int, symbol: str, compiled: Any) -> None:
        self._key = module, name, itemsize
        self.symbol = symbol
        self.compiled = compiled

    def __reduce__(self) -> tuple[Any, ...]:
        return _link_again, (*self._key, stamp())


_kernels: dict[tuple[str, str], Kernel] = {}
_links: dict[tuple[str, str, int], Link] = {}


def stamp() -> str:
    """Return a short name for all sources that are compiled into or called from a user's code."""
    return digest_of(__name__)


def linked(kernel: Kernel, module: str) -> Callable[..., Any]:
    """Return a function for compiled code that calls a kernel; `module` is the caller's name.

    The version is that of the first argument's elements.
    """
    name = kernel.body.__name__
    _kernels[module, name] = kernel

    def call(*args: Any) -> Any:
        raise NotImplementedError("for compiled code only")

    def typer(context: Any) -> Callable[..., Any]:
        def of(*kinds: Any) -> Any:
            compiled = _link(module, name, _itemsize(kinds)).compiled
            return signature(compiled.signature.return_type, *compiled.signature.args)

        of.__signature__ = inspect.signature(kernel.body)  # type: ignore[attr-defined]
        return of

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        link = _link(module, name, _itemsize(sig.args))
        # Read before the code is when that comes from a cache.
        if not any(each is link for each in context.environment.consts):
            context.environment.consts.append(link)
        convention = context.call_conv
        kind = convention.get_function_type(sig.return_type, sig.args)
        function = cgutils.get_or_insert_function(builder.module, kind, link.symbol)
        status, result = convention.call_function(
            builder, function, sig.return_type, sig.args, args
        )
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return result

    call.__name__ = name
    type_callable(call)(typer)
    lower_builtin(call, types.VarArg(types.Any))(generate)
    return call


def _itemsize(kinds: Any) -> int:
    return int(kinds[0].dtype.bitwidth // 8)


def _link(module: str, name: str, itemsize: int) -> Link:
    key = module, name, itemsize
    if key not in _links:
        compiled = _kernels[module, name].compiled(itemsize)
        symbol = f"fastsoftmax.{name}.{8 * itemsize}.{stamp()}"
        add_symbol(symbol, compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))
        _links[key] = Link(module, name, itemsize, symbol, compiled)
    return _links[key]


def _link_again(module: str, name: str, itemsize: int, made_from: str) -> Link:
    """What a pickled link calls: by name, so it must stay here."""
    if made_from != stamp():
        raise StaleCodeError("the code was compiled with another version of fastsoftmax")
    importlib.import_module(module)
    return _link(module, name, itemsize)
