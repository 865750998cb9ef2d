"""Other floating-point environments than the default, chosen by the thread that calls."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

KNOWN = sys.platform == "linux" and platform.machine() == "x86_64"

needs_control = pytest.mark.skipif(
    not KNOWN,
    reason=f"where {sys.platform} on {platform.machine()} keeps the environment is not known here; "
    "the tests in C cover AArch64",
)

# <fenv.h> of glibc and musl on x86-64: seven words of the x87 unit, then MXCSR.
_WORDS, _MXCSR = 8, 7
_FLAGS, _FLUSHING = 0x3F, 0x8040
_ROUNDING = {"up": 0x4000, "down": 0x2000, "to zero": 0x6000}
_INVALID_DIVISION_OVERFLOW = 0x680  # masked by default: nothing traps

ENVIRONMENTS = ("flushing", "up", "down", "to zero", "up and flushing", "trapping")

if KNOWN:
    _libm = ctypes.CDLL(ctypes.util.find_library("m"))


def _read() -> ctypes.Array[ctypes.c_uint32]:
    environment = (ctypes.c_uint32 * _WORDS)()
    _libm.fegetenv(environment)
    return environment


def state() -> int:
    """Return the control bits and the flags of the calling thread."""
    return _read()[_MXCSR]


@contextmanager
def environment(name: str) -> Iterator[None]:
    """Have the calling thread round, flush or trap in another way, with no flags raised yet."""
    before, other = _read(), _read()
    mxcsr = other[_MXCSR] & ~_FLAGS
    if "flushing" in name:
        mxcsr |= _FLUSHING
    if "trapping" in name:
        mxcsr &= ~_INVALID_DIVISION_OVERFLOW
    for mode, bits in _ROUNDING.items():
        if mode in name:
            mxcsr |= bits
    other[_MXCSR] = mxcsr
    _libm.fesetenv(other)
    try:
        yield
    finally:
        _libm.fesetenv(before)
