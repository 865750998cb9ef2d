"""Named arrays of logits and targets, each made once and the same in every run.

A case is judged on every backend and instruction set. Most rows are those of the command line's
``accuracy``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsoftmax._accuracy.rows import (
    HOSTILE,
    HUGE,
    hostile_logits,
    labels_for,
    random_logits,
    rng,
    saturated_labels,
    saturated_logits,
)

__all__ = [
    "DTYPES",
    "HOSTILE",
    "HUGE",
    "LONG",
    "SHORT",
    "hostile_logits",
    "labels_for",
    "random_logits",
    "rng",
    "saturated_labels",
    "saturated_logits",
    "soft_targets_for",
]

Array = npt.NDArray[Any]

DTYPES = ("float32", "float64")
# every row length up to a few vectors of the widest instruction set, and their neighbours
SHORT = tuple(range(1, 71))
LONG = (127, 128, 129, 255, 256, 257, 1000, 1023, 1024, 1025, 4099)


def soft_targets_for(x: Array) -> Array:
    """Probabilities, a third of them sparse, a third near one-hot at the largest class."""
    generator = rng("soft", x.shape)
    t = generator.random(x.shape) ** 3
    t[::3] *= generator.random(t[::3].shape) < 0.3
    t[1::3] *= 1e-6
    t[np.arange(len(t)), x.argmax(axis=-1)] += 0.1
    t[np.isneginf(x)] = 0
    t /= t.sum(axis=-1, keepdims=True)
    return np.asarray(t.astype(x.dtype))
