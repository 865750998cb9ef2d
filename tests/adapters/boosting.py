"""Data and expectations shared by the tests of the boosting libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

SAMPLES, FEATURES, CLASSES = 1500, 8, 4


def data(seed: int = 0) -> tuple[Any, Any, Any]:
    """Return samples in float32, labels, and weights of the samples."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((SAMPLES, FEATURES)).astype(np.float32)
    noise = rng.gumbel(size=(SAMPLES, CLASSES))
    labels = (2 * x[:, :CLASSES] + noise).argmax(axis=1)
    return x, labels, rng.uniform(0.5, 2, SAMPLES)


def scores_and_labels(dtype: str, order: Any) -> tuple[Any, Any, Any]:
    """Return raw scores in a memory order, labels as boosting libraries keep them, weights."""
    rng = np.random.default_rng(1)
    scores = np.asarray(5 * rng.standard_normal((200, CLASSES)), dtype, order)
    labels = rng.integers(0, CLASSES, 200).astype(np.float32)
    return scores, labels, rng.uniform(0.5, 2, 200)


def expected(scores: Any, labels: Any, weights: Any) -> tuple[Any, Any, float]:
    """Return gradient, p (1 - p) and mean loss in long double, without cancellation."""
    f = scores.astype(np.longdouble)
    e = np.exp(f - f.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    w = np.ones(len(f)) if weights is None else weights
    rows, columns = np.arange(len(f)), labels.astype(int)
    grad = p.copy()
    # The sum of the others in place of p - 1, which loses its digits where p is near 1.
    grad[rows, columns] = 0
    grad[rows, columns] = -grad.sum(axis=1)
    loss = float((-np.log(p[rows, columns]) * w).sum() / w.sum())
    rest = (1 - np.eye(p.shape[1])) @ p[..., np.newaxis]
    return grad * w[:, np.newaxis], p * rest[..., 0] * w[:, np.newaxis], loss
