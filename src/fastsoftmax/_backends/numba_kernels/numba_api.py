"""What the kernels use of Numba and llvmlite, in one place.

For the type check all of it is of unknown type: Numba describes its types in part only, and that
part differs between its releases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "CompileResultCacheImpl",
    "FunctionCache",
    "PrimitiveModel",
    "Type",
    "cgutils",
    "codegen_target",
    "cpu_target",
    "default_manager",
    "global_compiler_lock",
    "ir",
    "is_jit_disabled",
    "lower_builtin",
    "njit",
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

    cgutils: Any
    cpu_target: Any
    default_manager: Any
    global_compiler_lock: Any
    ir: Any
    is_jit_disabled: bool
    lower_builtin: Any
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
    from numba import njit, types
    from numba.core import cgutils
    from numba.core.caching import CompileResultCacheImpl, FunctionCache
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.config import DISABLE_JIT
    from numba.core.datamodel import default_manager
    from numba.core.registry import cpu_target
    from numba.core.runtime import rtsys
    from numba.core.typing import signature
    from numba.extending import lower_builtin, models, register_model, type_callable

    Type = types.Type
    PrimitiveModel = models.PrimitiveModel
    is_jit_disabled = bool(DISABLE_JIT)
    versions = (numba.__version__, llvmlite.__version__)


def codegen_target() -> tuple[str, str, str]:
    """Return the triple, the CPU and its features that Numba generates code for."""
    target: tuple[str, str, str] = cpu_target.target_context.codegen().magic_tuple()
    return target
