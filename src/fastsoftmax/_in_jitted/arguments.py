"""Types of arguments: what compiled code supports, and an error that says so for the rest."""

from __future__ import annotations

from typing import Any

from .._backends.numba_kernels.numba_api import TypingError, types

__all__ = [
    "check_array",
    "check_call",
    "check_choice",
    "check_logits",
    "check_output",
    "constant",
    "is_none",
]

UNKNOWN = object()
"""In place of a value that is not known when the code is compiled."""
LAST_AXIS = (
    "axis must be -1: in compiled code the classes lie along the last axis; move them there, "
    "for instance with np.transpose"
)


def constant(argument: Any) -> Any:
    """Return an argument's value if it is known when the code is compiled, else UNKNOWN.

    An argument that was not given is its default itself.
    """
    if isinstance(argument, types.Omitted):
        return argument.value
    if isinstance(argument, types.Literal):
        return argument.literal_value
    if isinstance(argument, types.NoneType):
        return None
    return UNKNOWN if isinstance(argument, types.Type) else argument


def is_none(argument: Any) -> bool:
    """Return whether an argument is None, given or by default."""
    return constant(argument) is None


def check_call(axis: Any, backend: Any, num_threads: Any, ndim: int) -> None:
    """Raise unless the options that compiled code knows one value of have it."""
    value = constant(axis)
    if value is UNKNOWN or isinstance(value, bool) or value not in (-1, ndim - 1):
        raise TypingError(f"{LAST_AXIS} (here {_text(axis)}, for {ndim} axes)")
    if not is_none(backend):
        raise TypingError(
            "backend is not supported in compiled code, which calls the numba kernels; leave it out"
        )
    threads = constant(num_threads)
    if threads is not None and (threads is UNKNOWN or isinstance(threads, bool) or threads != 1):
        raise TypingError(
            "num_threads must be left out or 1: in compiled code the work is done in the calling "
            "thread; threads are the caller's own, by prange or nogil=True"
        )


def check_array(argument: Any, name: str, kinds: str, ndim: int | None = None) -> Any:
    """Return an array's type, if it holds numbers that can be cast."""
    if not isinstance(argument, types.Array):
        raise TypingError(f"{name} must be an array in compiled code, not {_text(argument)}")
    if not argument.aligned:
        raise TypingError(f"{name} must be aligned in compiled code; pass a copy of it")
    allowed = {"f": types.Float, "i": types.Integer, "b": types.Boolean}
    if not isinstance(argument.dtype, tuple(allowed[kind] for kind in kinds)):
        words = {"f": "float32 or float64", "i": "integers", "b": "bool"}
        wanted = ", ".join(words[kind] for kind in kinds)
        raise TypingError(f"{name} must hold {wanted} in compiled code, not {argument.dtype}")
    if ndim is not None and argument.ndim != ndim:
        raise TypingError(f"{name} must have {ndim} axes, not {argument.ndim}")
    return argument


def check_logits(argument: Any, name: str) -> Any:
    """Return the type of an array of float32 or float64 with at least one axis."""
    array = check_array(argument, name, "f")
    if array.dtype not in (types.float32, types.float64):
        raise TypingError(
            f"{name} must hold float32 or float64 in compiled code, not {array.dtype}; "
            "convert it with astype"
        )
    if array.ndim == 0:
        raise TypingError(f"{name} must have at least one axis, that of the classes")
    return array


def check_output(argument: Any, dtype: Any, ndim: int) -> Any:
    """Return the type of `out`, or None where there is none."""
    if is_none(argument):
        return None
    out = check_array(argument, "out", "f", ndim)
    if out.dtype != dtype:
        raise TypingError(f"out must be of dtype {dtype}, not {out.dtype}")
    return out


def check_choice(argument: Any, name: str, choices: tuple[Any, ...]) -> Any:
    """Return an option's value, which must be known when the code is compiled."""
    value = constant(argument)
    if value is UNKNOWN or value not in choices:
        listed = ", ".join(map(repr, choices))
        raise TypingError(
            f"{name} must be one of {listed} in compiled code, written there as a constant, "
            f"not {_text(argument)}"
        )
    return value


def _text(argument: Any) -> str:
    value = constant(argument)
    return str(argument) if value is UNKNOWN else repr(value)
