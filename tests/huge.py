"""Arrays of more elements than 32 bits can number, which take next to no memory.

What is only read is zeros that nobody has written to, for which the system has one page. What is
written is a ring: a few pages that are mapped again and again, so that what a call wrote last is
what is found there. (The resident set counts a page wherever it is mapped, and so is no measure.)
"""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

RING = 1 << 26
"""Bytes of memory behind an output of any size."""

_MAP_FIXED, _MAP_NORESERVE = 0x10, 0x4000  # of Linux, which is where these tests run
_FAILED = ctypes.c_void_p(-1).value


def available_memory() -> int:
    """Return how many bytes the system could give."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))


def zeros(shape: tuple[int, ...], dtype: str) -> Array:
    """Return zeros of which only the pages that are written to take memory."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    return np.frombuffer(mmap.mmap(-1, size, flags), dtype).reshape(shape)


class Ring:
    """An output whose memory repeats itself every RING bytes."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        self._size = -(-size // RING) * RING
        libc = ctypes.CDLL(None, use_errno=True)
        self._map, self._unmap = libc.mmap, libc.munmap
        self._map.restype = ctypes.c_void_p
        self._map.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        self._unmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        file = os.memfd_create("ring")
        try:
            os.ftruncate(file, RING)
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
            self._start = self._mapped(None, self._size, flags, -1)
            for offset in range(0, self._size, RING):
                self._mapped(self._start + offset, RING, mmap.MAP_SHARED | _MAP_FIXED, file)
        finally:
            os.close(file)
        memory = (ctypes.c_byte * size).from_address(self._start)
        self.array: Array = np.frombuffer(memory, dtype).reshape(shape)

    def _mapped(self, start: int | None, size: int, flags: int, file: int) -> int:
        address = self._map(start, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, file, 0)
        if address == _FAILED:
            raise OSError(ctypes.get_errno(), "mmap failed")
        return int(address)

    def __enter__(self) -> Array:
        return self.array

    def __exit__(self, *exception: object) -> None:
        del self.array
        self._unmap(self._start, self._size)
