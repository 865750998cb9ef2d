"""Arrays of other libraries, used where they lie in memory.

DLPack, the protocol by which PyTorch, JAX, CuPy, pyarrow and others share arrays, is described in
https://dmlc.github.io/dlpack/latest/ and, in C, in its header ``dlpack.h``.
"""

from __future__ import annotations

import ctypes
import operator
from typing import Any

import numpy as np

from .._typing import Array

__all__ = ["as_numpy", "as_output", "is_exported"]

# DLDeviceType; memory of the first group can be read and written by the CPU.
_HOST = {1: "CPU", 3: "CUDA host", 11: "ROCm host", 13: "CUDA managed"}
_OTHER = {
    2: "CUDA",
    4: "OpenCL",
    7: "Vulkan",
    8: "Metal",
    9: "VPI",
    10: "ROCm",
    14: "oneAPI",
    15: "WebGPU",
    16: "Hexagon",
    17: "MAIA",
    18: "Trainium",
}
_BFLOAT = (4, 16, 1)  # DLDataType: code, bits, lanes
_MOST_AXES = 64  # of a NumPy array
_READ_ONLY = 1  # a bit of a versioned tensor's flags


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Versioned(ctypes.Structure):
    """What a capsule named dltensor_versioned points to; one named dltensor, to the tensor."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager_context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _DLTensor),
    )


_is_capsule = ctypes.pythonapi.PyCapsule_IsValid
_is_capsule.argtypes, _is_capsule.restype = (ctypes.py_object, ctypes.c_char_p), ctypes.c_int
_address = ctypes.pythonapi.PyCapsule_GetPointer
_address.argtypes, _address.restype = (ctypes.py_object, ctypes.c_char_p), ctypes.c_void_p


def is_exported(x: object) -> bool:
    """Return whether `x` is another library's array, which DLPack can share."""
    return hasattr(type(x), "__dlpack__") and not isinstance(x, np.ndarray)


def as_numpy(x: Any, name: str) -> Array:
    """Return the elements of another library's array, in its own memory wherever that is possible.

    What is recorded for automatic differentiation is left behind. PyTorch's negated and conjugated
    views hold other numbers than they stand for, and are written out.
    """
    _check_device(x, name)
    if getattr(x, "requires_grad", False) is True:
        x = x.detach()
    if hasattr(x, "resolve_neg"):
        x = x.resolve_conj().resolve_neg()
    try:
        return _shared(x)
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        # Not all that a library has can be shared: nulls, arrays on several devices, small floats.
        if not hasattr(type(x), "__array__"):
            raise _unshared(x, name, error) from error
    return np.asarray(x)


def as_output(out: Any, name: str) -> Array:
    """Return the memory of an array of any library to write results into."""
    if issubclass(type(out), np.ndarray):
        array: Array = out
        return array
    if not is_exported(out):
        try:
            return np.asarray(memoryview(out))
        except TypeError:
            raise TypeError(
                f"{name} must be a numpy.ndarray, not {type(out).__name__}, whose memory is not "
                "shared through DLPack or the buffer protocol"
            ) from None
    _check_device(out, name)
    if getattr(out, "requires_grad", False) is True:
        raise TypeError(
            f"{name} is {_kind(out)} that requires a gradient, which nothing written into it "
            "would have; pass its detach()"
        )
    if hasattr(out, "is_neg") and (out.is_neg() or out.is_conj()):
        raise TypeError(
            f"{name} is a negated or conjugated view; pass a tensor with its own memory"
        )
    try:
        return _shared(out)
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        raise _unshared(out, name, error) from error


def _kind(x: object) -> str:
    return f"a {type(x).__module__.partition('.')[0]}.{type(x).__name__}"


def _unshared(x: object, name: str, error: Exception) -> TypeError:
    return TypeError(f"the memory of {name}, {_kind(x)}, cannot be shared: {error}")


def _check_device(x: Any, name: str) -> None:
    """Raise unless the CPU can reach the memory, where the array says which device it is on."""
    try:
        kind, number = x.__dlpack_device__()
        device = operator.index(kind)
    except Exception:
        return  # several devices, or none; what is tried next says more
    if device in _HOST:
        return
    ways = [way for way in ("cpu", "get") if hasattr(x, way)]
    remedy = f"pass its {ways[0]}()" if ways else "copy it to the CPU first"
    raise TypeError(
        f"{name} is {_kind(x)} on {_OTHER.get(device, f'DLPack device type {device}')} device "
        f"{number}, and only arrays on the CPU can be worked on: {remedy}"
    )


def _shared(x: Any) -> Array:
    """Return the array that shares its memory, which bfloat16 is not known to do in NumPy."""
    try:
        shared = np.from_dlpack(x)
    except Exception:
        array = _shared_bfloat16(x)
        if array is None:
            raise
        return array
    if shared.size and shared.flags.owndata:
        raise ValueError("its address is NULL")  # in place of which NumPy has allocated memory
    return shared


class _Memory:
    """Memory in NumPy's terms, which lives as long as the capsule it came in."""

    def __init__(self, capsule: object, interface: dict[str, Any]) -> None:
        self.capsule = capsule
        self.__array_interface__ = interface


def _shared_bfloat16(x: Any) -> Array | None:
    """Return a bfloat16 array by DLPack, or None for another dtype."""
    try:
        capsule = x.__dlpack__(max_version=(1, 0))
    except TypeError:
        capsule = x.__dlpack__()
    if _is_capsule(capsule, b"dltensor_versioned"):
        managed = _Versioned.from_address(_address(capsule, b"dltensor_versioned"))
        tensor, read_only = managed.tensor, bool(managed.flags & _READ_ONLY)
        if managed.major != 1:
            return None
    else:
        tensor, read_only = _DLTensor.from_address(_address(capsule, b"dltensor")), True
    if (tensor.code, tensor.bits, tensor.lanes) != _BFLOAT or tensor.device_type not in _HOST:
        return None
    if not 0 <= tensor.ndim <= _MOST_AXES:
        return None
    shape = tuple(tensor.shape[: tensor.ndim])
    steps = tensor.strides[: tensor.ndim] if tensor.strides else None
    interface = {
        "version": 3,
        "typestr": np.dtype(np.uint16).str,
        "shape": shape,
        "strides": None if steps is None else tuple(2 * step for step in steps),
        "data": ((tensor.data or 0) + tensor.byte_offset, read_only),
    }
    if 0 in shape:
        return np.empty(shape, _bfloat16())
    return np.asarray(_Memory(capsule, interface)).view(_bfloat16())


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError(
            "an array of bfloat16 was passed, and NumPy's dtype for it is not installed. "
            "Run: pip install ml_dtypes"
        ) from None
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype
