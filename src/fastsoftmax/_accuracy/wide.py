"""The reference for large arrays: vectorised, in a type wider than the one under test.

float32 is judged in float64 and float64 in an extended or quadruple `numpy.longdouble`; `available`
says whether this platform has one. Differences of logits are kept exact as sums of two numbers, and
the complement of a probability is summed, not subtracted: 64 bits are enough at any margin.
Finite logits and -inf beside them only, class axis last, two dimensions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .exact import Exact, from_wide

Array = npt.NDArray[Any]

_EXTENDED = np.finfo(np.longdouble).nmant >= 63


def available(dtype: npt.DTypeLike) -> bool:
    return np.dtype(dtype).itemsize <= 4 or _EXTENDED


def _wider(x: Array) -> Any:
    return np.float64 if x.dtype.itemsize <= 4 else np.longdouble


class Parts(NamedTuple):
    """What every function is made of; (m, 1) or (m, K)."""

    largest: Array  # the largest logit
    difference: Array  # x - largest
    exponential: Array  # exp(difference)
    total: Array  # sum of the exponentials
    rest: Array  # sum of the exponentials without the class's own
    others: Array  # `rest` at the largest class


def parts(x: Array) -> Parts:
    wide = _wider(x)
    x64 = x.astype(np.float64)
    at = x64.argmax(axis=-1)[:, None]
    largest = np.take_along_axis(x64, at, axis=-1)
    with np.errstate(over="ignore", invalid="ignore"):
        difference = x64 - largest
        virtual = difference - x64
        error = (x64 - (difference - virtual)) + (-largest - virtual)
    error = np.where(np.isfinite(error), error, 0).astype(wide)
    exponential = np.exp(difference.astype(wide)) * (1 + error)
    total = exponential.sum(axis=-1, keepdims=True)
    without = exponential.copy()
    np.put_along_axis(without, at, 0, axis=-1)
    others = without.sum(axis=-1, keepdims=True)
    rest = total - exponential
    np.put_along_axis(rest, at, others, axis=-1)
    difference = x64.astype(wide) - largest  # may overflow float64
    return Parts(largest.astype(wide), difference, exponential, total, rest, others)


def softmax(x: Array) -> Exact:
    part = parts(x)
    return from_wide(part.exponential / part.total)


def log_softmax(x: Array) -> Exact:
    return from_wide(_log_softmax(parts(x)))


def _log_softmax(part: Parts) -> Array:
    return np.asarray(part.difference - np.log1p(part.others))


def logsumexp(x: Array) -> tuple[Exact, Exact]:
    """And the scale of its error."""
    part = parts(x)
    log_rest = np.log1p(part.others)[:, 0]
    largest = part.largest[:, 0]
    return from_wide(largest + log_rest), from_wide(np.maximum(np.abs(largest), log_rest))


class Gradients(NamedTuple):
    losses: Exact
    grad: Exact
    grad_scale: Exact
    loss: Exact  # the mean over the samples
    mean_grad: Exact
    mean_grad_scale: Exact
    hess: Exact


def cross_entropy(x: Array, targets: Array) -> Gradients:
    """Of labels or probabilities, without options."""
    part = parts(x)
    wide: Any = part.total.dtype
    if targets.shape == x.shape:
        y = targets.astype(wide)
    else:
        y = np.zeros(x.shape, wide)
        np.put_along_axis(y, targets[:, None], 1, axis=-1)
    with np.errstate(invalid="ignore"):
        losses = np.where(y == 0, 0, -y * _log_softmax(part)).sum(axis=-1)
    y_total = y.sum(axis=-1, keepdims=True)
    p = part.exponential / part.total
    grad = p * (y_total - y) - y * (part.rest / part.total)
    scale = np.maximum(y_total * p, y)
    hard = targets.shape != x.shape or ((y == 0) | (y == 1)).all()
    count = wide.type(len(x))
    return Gradients(
        losses=from_wide(losses),
        grad=from_wide(grad),
        grad_scale=from_wide(scale),
        loss=from_wide(losses.sum() / count),
        mean_grad=from_wide(_columns(grad) / count),
        mean_grad_scale=from_wide(_columns(np.abs(grad) if hard else scale) / count),
        hess=from_wide(y_total * p * (part.rest / part.total)),
    )


def _columns(rows: Array) -> Array:
    """Sums over the samples, pairwise (which numpy does along the last axis only)."""
    return np.asarray(np.ascontiguousarray(rows.T).sum(axis=-1))


def softmax_backward(grad_output: Array, output: Array) -> tuple[Exact, Exact]:
    wide = _wider(output)
    g, p = grad_output.astype(wide), output.astype(wide)
    inner = (g * p).sum(axis=-1, keepdims=True)
    size = (np.abs(g) * p).sum(axis=-1, keepdims=True)
    return from_wide(p * (g - inner)), from_wide(p * (np.abs(g) + size))


def log_softmax_backward(grad_output: Array, output: Array) -> tuple[Exact, Exact]:
    wide = _wider(output)
    g, o = grad_output.astype(wide), output.astype(wide)
    total = g.sum(axis=-1, keepdims=True)
    size = np.abs(g).sum(axis=-1, keepdims=True)
    p = np.exp(o)
    return from_wide(g - p * total), from_wide(np.abs(g) + p * size)
