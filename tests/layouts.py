"""Small arrays, and the same values laid out differently in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import cases

Array = npt.NDArray[Any]


def array(shape: tuple[int, ...], dtype: str) -> Array:
    return (cases.rng("array", shape).standard_normal(shape) * 4).astype(dtype)


def layouts(x: Array) -> dict[str, Array]:
    """The same values in differently laid out memory."""
    result = {
        "C order": x.copy(order="C"),
        "Fortran order": x.copy(order="F"),
        "reversed": np.flip(np.flip(x).copy()),
    }
    wide = np.zeros(tuple(3 * n + 2 for n in x.shape), x.dtype)
    result["slice"] = wide[tuple(slice(1, 3 * n + 1, 3) for n in x.shape)]
    result["slice"][...] = x
    if x.ndim > 1:
        permuted = (*range(1, x.ndim), 0)
        memory = np.ascontiguousarray(x.transpose(permuted))
        result["rotated axes"] = memory.transpose(np.argsort(permuted))
    bytes_ = np.zeros(x.nbytes + 1, np.uint8)
    result["unaligned"] = bytes_[1:].view(x.dtype).reshape(x.shape)
    result["unaligned"][...] = x
    result["big-endian"] = x.astype(x.dtype.newbyteorder(">"))
    result["little-endian"] = x.astype(x.dtype.newbyteorder("<"))
    read_only = x.copy()
    read_only.flags.writeable = False
    result["read-only"] = read_only
    return result
