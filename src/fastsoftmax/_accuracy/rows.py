"""Named arrays of logits and targets, each made once and the same in every run."""

from __future__ import annotations

import functools
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from . import wide

__all__ = [
    "HOSTILE",
    "HUGE",
    "UNDERFLOW",
    "hostile_logits",
    "labels_for",
    "random_logits",
    "rng",
    "saturated_labels",
    "saturated_logits",
]

Array = npt.NDArray[Any]

#: A vocabulary of classes: the longest rows.
HUGE = 128256
#: Beyond these, exp(-gap) is less than half of the smallest subnormal
UNDERFLOW = {"float32": 105.0, "float64": 746.0}


def rng(*name: object) -> np.random.Generator:
    """A generator of its own for every name, the same in every run."""
    return np.random.default_rng(zlib.crc32(repr(name).encode()))


@functools.cache
def random_logits(dtype: str, num_classes: int, scale: float) -> Array:
    """Normal logits times `scale`; few rows where only mpmath can judge them."""
    elements = 4000 if wide.available(dtype) else 300
    rows = max(2, min(200, elements // num_classes))
    return (rng(num_classes, scale).standard_normal((rows, num_classes)) * scale).astype(dtype)


def _offsets(dtype: str) -> Array:
    """Logits near one large constant: the difference is what counts, and only some bits of it."""
    noise = rng("offsets").standard_normal((60, 17)) * 3
    constants = np.resize([1e4, -1e4, 1e6, -1e6, 3e7, -3e7], (60, 1))
    return np.asarray((noise + constants).astype(dtype))


def _equal(dtype: str) -> Array:
    """Rows of one value: every probability is 1/K, every maximum a tie."""
    values = [0.0, 1.0, -1.0, 0.3, 88.0, -104.0, 1e4, 1e30, -1e30, 1e-30, np.finfo(dtype).max]
    return np.repeat(np.array(values, dtype)[:, None], 13, axis=1)


def _tiny(dtype: str) -> Array:
    """1e-30 and subnormal logits, of both signs."""
    noise = rng("tiny").standard_normal((30, 11))
    scales = np.resize([1e-30, np.finfo(dtype).tiny, 50 * np.finfo(dtype).smallest_subnormal], 30)
    return np.asarray((noise * scales[:, None]).astype(dtype))


def _enormous(dtype: str) -> Array:
    """1e30 and the largest finite numbers among ordinary logits, alone and as near ties."""
    top = float(np.finfo(dtype).max)
    rows = [
        [1e30, 0, 1, 2, 3],
        [-1e30, 0, 1, 2, 3],
        [1e30, 1e30, -1e30, 0, 5],
        [-1e30, -1e30, -1e30, -1e30, -1e30],
        [top, -top, 0, 1, -1],
        [top, top, -top, -top, 0],
        [-top, -top, -top, -top, -top],
        [top, np.nextafter(top, 0), 0, 1, 2],
        [1e30, float(np.nextafter(np.array(1e30, dtype), 0)), 1, 1, 1],
        [2.0**40, 2.0**40 + 2.0**20, 2.0**40 - 2.0**18, 0, -(2.0**40)],
    ]
    return np.array(rows, dtype)


def _spread(dtype: str) -> Array:
    """A row that falls in steps to below the smallest subnormal probability."""
    bottom = UNDERFLOW[dtype]
    rows = [np.linspace(0, -bottom * stretch, 67) for stretch in (0.5, 0.8, 0.9, 0.95, 1, 1.1, 2)]
    shift = rng("spread").uniform(-30, 30, (7, 1))
    return np.asarray((np.array(rows) + shift).astype(dtype))


def _infinite(dtype: str) -> Array:
    """-inf among finite logits, up to a single finite one."""
    x = rng("infinite").standard_normal((40, 9)) * 5
    x[rng("infinite where").random((40, 9)) < 0.4] = -np.inf
    x[:, 4] = np.where(np.isinf(x).all(axis=1), 1.5, x[:, 4])
    x[:9] = -np.inf
    x[np.arange(9), np.arange(9)] = np.linspace(-100, 100, 9)
    return np.asarray(x.astype(dtype))


def _ties(dtype: str) -> Array:
    """Two or more maxima, equal or one or two units in the last place apart."""
    x = rng("ties").standard_normal((120, 6)).astype(dtype)
    x[:, 1] = x[:, 4] = np.abs(x).max(axis=1)
    for step in range(1, 3):
        x[step::3, 4] = np.nextafter(x[step::3, 4], np.array(-np.inf, dtype))
    return np.asarray(x)


_HOSTILE = {
    "offsets": _offsets,
    "equal": _equal,
    "tiny": _tiny,
    "enormous": _enormous,
    "spread": _spread,
    "infinite": _infinite,
    "ties": _ties,
}
#: Names of `hostile_logits`.
HOSTILE = tuple(_HOSTILE)


@functools.cache
def hostile_logits(dtype: str, name: str) -> Array:
    """Rows that are hard for one reason each."""
    return _HOSTILE[name](dtype)


@functools.cache
def saturated_logits(dtype: str, num_classes: int) -> Array:
    """(g, 0, 0, ...) for g from 0 to beyond underflow, g not always in the first place."""
    gaps = np.concatenate([np.linspace(0, 40, 41), np.linspace(40, UNDERFLOW[dtype] + 10, 60)])
    x = np.zeros((len(gaps), num_classes), dtype)
    x[np.arange(len(gaps)), np.arange(len(gaps)) % num_classes] = gaps
    return x


def saturated_labels(x: Array) -> npt.NDArray[np.intp]:
    """The class that the network is sure of."""
    return np.asarray(x.argmax(axis=-1))


def labels_for(x: Array) -> npt.NDArray[np.intp]:
    """The largest class for every third sample, any class with a finite logit for the others."""
    generator = rng("labels", x.shape)
    weights = np.where(np.isfinite(x), generator.random(x.shape), -1.0)
    labels = weights.argmax(axis=-1)
    labels[::3] = x[::3].argmax(axis=-1)
    return np.asarray(labels)
