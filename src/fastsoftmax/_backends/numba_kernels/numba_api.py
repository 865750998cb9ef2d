"""What the kernels use of Numba and llvmlite, in one place.

For the type check all of it is of unknown type: Numba describes its types in part only, and that
part differs between its releases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = [
    "CompileResultCacheImpl",
    "FunctionCache",
    "PrimitiveModel",
    "Type",
    "TypingError",
    "add_symbol",
    "cgutils",
    "codegen_target",
    "compiler_lock",
    "cpu_target",
    "default_manager",
    "global_compiler_lock",
    "intrinsic",
    "ir",
    "is_jit_disabled",
    "lower_builtin",
    "make_array",
    "new_reference",
    "njit",
    "overload",
    "register_model",
    "rtsys",
    "signature",
    "type_callable",
    "types",
    "versions",
]

if TYPE_CHECKING:

    class Type:
        def __init__(self, *args: Any, **options: Any) -> None: ...

    class PrimitiveModel:
        def __init__(self, *args: Any, **options: Any) -> None: ...

    class CompileResultCacheImpl:
        _locator_classes: list[Any]

    class FunctionCache:
        cache_path: str

        def __init__(self, function: Any) -> None: ...
        def flush(self) -> None: ...
        def _load_overload(self, kinds: Any, target_context: Any) -> Any: ...
        def _save_overload(self, kinds: Any, compiled: Any) -> None: ...

    class TypingError(Exception): ...

    def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]: ...

    def overload(
        function: Callable[..., Any], **options: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...

    add_symbol: Any
    cgutils: Any
    compiler_lock: Any
    cpu_target: Any
    default_manager: Any
    global_compiler_lock: Any
    ir: Any
    is_jit_disabled: bool
    lower_builtin: Any
    make_array: Any
    new_reference: Any
    njit: Any
    register_model: Any
    rtsys: Any
    signature: Any
    type_callable: Any
    types: Any
    versions: tuple[str, ...]
else:
    import llvmlite
    import numba
    from llvmlite import ir
    from llvmlite.binding import add_symbol
    from numba import njit, types
    from numba.core import cgutils
    from numba.core.caching import CompileResultCacheImpl, FunctionCache
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.config import DISABLE_JIT
    from numba.core.datamodel import default_manager
    from numba.core.errors import TypingError
    from numba.core.imputils import impl_ret_borrowed as new_reference
    from numba.core.registry import cpu_target
    from numba.core.runtime import rtsys
    from numba.core.typing import signature
    from numba.extending import (
        intrinsic,
        lower_builtin,
        models,
        overload,
        register_model,
        type_callable,
    )
    from numba.np.arrayobj import make_array

    Type = types.Type
    PrimitiveModel = models.PrimitiveModel
    compiler_lock = global_compiler_lock._lock
    is_jit_disabled = bool(DISABLE_JIT)
    versions = (numba.__version__, llvmlite.__version__)


def codegen_target() -> tuple[str, str, str]:
    """Return the triple, the CPU and its features that Numba generates code for."""
    target: tuple[str, str, str] = cpu_target.target_context.codegen().magic_tuple()
    return target
