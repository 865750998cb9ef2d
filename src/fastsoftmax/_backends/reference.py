"""The reference backend: NumPy alone, written for exactness first.

Rows are worked on in a type wider than their own and rounded once at the end: float32 in float64,
float64 in long double where that is wider. Nothing is lost to cancellation that the result itself
does not lose: the exponentials are summed without the largest, which is 1, so that 1 - p of the
likeliest class is a sum and not a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .._sums import RunningSum, accurate_sum, two_sum
from .._typing import Array, Float64Array
from .environment import as_found
from .halves import Block, blocks_of, cross_entropy_on_halves, grad_hess_on_halves, on_halves

__all__ = [
    "NAME",
    "PLAIN",
    "check_labels",
    "compilations",
    "cross_entropy",
    "grad_hess",
    "in_default_environment",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "partial_state",
    "shard_exponentials",
    "softmax",
    "softmax_backward",
]

NAME = "numpy"
in_default_environment = as_found
PLAIN: Mapping[str, Callable[..., Any]] = {}

BLOCK = 1 << 16
"""Elements worked on at a time."""

_LONG = np.longdouble if np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant else np.float64
_WIDE: dict[np.dtype[Any], type[np.floating[Any]]] = {
    np.dtype(np.float32): np.float64,
    np.dtype(np.float64): _LONG,
}


def compilations() -> Mapping[str, Callable[[], str | None]]:
    """There is nothing to compile."""
    return {}


@on_halves
def softmax(x: Array, where: Array | None, out: Array, num_threads: int) -> None:
    """Write the probabilities of each row."""
    with np.errstate(all="ignore"):
        for block in blocks_of(x.shape, BLOCK):
            rows = _Rows.of(x, block, where)
            result = rows.exp / (1 + rows.rest)
            out[block] = result if where is None else np.where(where[block], result, 0)


@on_halves
def log_softmax(x: Array, where: Array | None, out: Array, num_threads: int) -> None:
    """Write the logarithms of the probabilities of each row."""
    with np.errstate(all="ignore"):
        for block in blocks_of(x.shape, BLOCK):
            result = 0 - _Rows.of(x, block, where).surprisal()
            out[block] = result if where is None else np.where(where[block], result, -np.inf)


@on_halves
def logsumexp(x: Array, where: Array | None, out: Array, num_threads: int) -> None:
    """Write the logarithm of the sum of exponentials of each row."""
    with np.errstate(all="ignore"):
        for block in blocks_of(x.shape, BLOCK):
            rows = _Rows.of(x, block, where)
            finite = np.isfinite(rows.peak)
            result = np.where(finite, rows.peak + np.log1p(rows.rest), rows.peak)
            out[block] = result[..., 0]


@on_halves
def softmax_backward(grad_output: Array, output: Array, out: Array, num_threads: int) -> None:
    """Write p (g - sum of g p) for each row."""
    with np.errstate(all="ignore"):
        for block in blocks_of(output.shape, BLOCK):
            g, p = _widen(grad_output[block]), _widen(output[block])
            out[block] = p * (g - (g * p).sum(axis=-1, keepdims=True))


@on_halves
def log_softmax_backward(grad_output: Array, output: Array, out: Array, num_threads: int) -> None:
    """Write g - exp(output) (sum of g) for each row."""
    with np.errstate(all="ignore"):
        for block in blocks_of(output.shape, BLOCK):
            g, log_p = _widen(grad_output[block]), _widen(output[block])
            out[block] = g - np.exp(log_p) * g.sum(axis=-1, keepdims=True)


def check_labels(
    labels: Array,
    num_classes: int,
    ignore_index: int | None,
    weight: Float64Array | None,
    sample_weight: Float64Array | None,
) -> tuple[int, int, float]:
    """Return (first label out of range or -1, labels that count, their total weight)."""
    kept = np.ones(labels.shape, bool) if ignore_index is None else labels != ignore_index
    bad = kept & ((labels < 0) | (labels >= num_classes))
    if bad.any():
        return int(bad.argmax()), 0, 0.0
    counted = int(np.count_nonzero(kept))
    if weight is None and sample_weight is None:
        return -1, counted, float(counted)
    with np.errstate(all="ignore"):
        weights = np.ones(counted) if weight is None else weight[labels[kept]]
        if sample_weight is not None:
            weights = weights * sample_weight[kept]
    return -1, counted, accurate_sum(weights)


@cross_entropy_on_halves
def cross_entropy(
    logits: Array,
    labels: Array | None,
    probabilities: Array | None,
    weight: Float64Array | None,
    sample_weight: Float64Array | None,
    ignore_index: int | None,
    label_smoothing: float,
    divisor: float,
    losses: Array | None,
    grad: Array | None,
    mean_grad: Float64Array | None,
    want_loss: bool,
    num_threads: int,
) -> float:
    """Write what is asked for of the losses and gradients; return the total loss over divisor."""
    wide = _WIDE[logits.dtype]
    total, totals = RunningSum(np.zeros((), wide)), RunningSum(np.zeros(logits.shape[2], wide))
    with np.errstate(all="ignore"):
        for block in blocks_of(logits.shape, BLOCK):
            rows = _Rows.of(logits, block, None)
            targets = _targets(block, labels, probabilities, weight, label_smoothing, logits)
            scale = 1 if sample_weight is None else _widen(sample_weight[block], wide)[..., None]
            ignored = None
            if labels is not None and ignore_index is not None:
                ignored = (labels[block] == ignore_index)[..., None]
            if losses is not None or want_loss:
                loss = _loss(rows, targets)
                loss = np.where((scale == 0) & np.isinf(loss), 0, scale * loss)
                loss = _clear(loss, ignored)
                total.add(loss.sum())
                if losses is not None:
                    losses[block] = loss[..., 0]
            if grad is not None or mean_grad is not None:
                gradient = _clear(scale * _gradient(rows, targets) / divisor, ignored)
                if mean_grad is not None:
                    totals.add(_sum_rows(gradient))
                if grad is not None:
                    grad[block] = gradient
        if mean_grad is not None:
            mean_grad[:] = totals.value()
        return float(total.value() / divisor) if want_loss else 0.0


@grad_hess_on_halves
def grad_hess(
    logits: Array,
    labels: Array | None,
    probabilities: Array | None,
    sample_weight: Float64Array | None,
    hessian: str,
    grad: Array,
    hess: Array,
    num_threads: int,
) -> None:
    """Write the gradient and the diagonal of the Hessian, or what stands for it."""
    num_classes = logits.shape[2]
    with np.errstate(all="ignore"):
        for block in blocks_of(logits.shape, BLOCK):
            rows = _Rows.of(logits, block, None)
            targets = _targets(block, labels, probabilities, None, 0.0, logits)
            curvature = targets.sum(axis=-1, keepdims=True) * rows.variance()
            gradient = _gradient(rows, targets)
            if sample_weight is not None:
                scale = _widen(sample_weight[block], gradient.dtype.type)[..., None]
                gradient, curvature = scale * gradient, scale * curvature
            if hessian == "xgboost":
                curvature = np.maximum(2 * curvature, 1e-16)
            elif hessian == "lightgbm":
                curvature = curvature * num_classes / (num_classes - 1)
            grad[block] = gradient
            hess[block] = curvature


@on_halves
def partial_state(x: Array, targets: Array | None, state: Array, num_threads: int) -> None:
    """Write what a shard of the classes comes to, with the targets if there are any."""
    with np.errstate(all="ignore"):
        for block in blocks_of(x.shape, BLOCK):
            rows = _Rows.of(x, block, None)
            finite = np.isfinite(rows.peak)
            numbers = state[block]
            numbers[..., :1] = rows.peak
            _split(numbers, 1, np.where(finite, rows.rest, 0) * rows.rest.dtype.type(2) ** 256)
            if targets is None:
                continue
            y = _widen(targets[block])
            mass = _sum_without(y, rows.top)
            top = np.take_along_axis(y, rows.top, axis=-1)
            terms = np.where(y == 0, 0, -y * (rows.shift + rows.lost))
            below = terms.sum(axis=-1, keepdims=True)
            _split(numbers, 3, np.where(finite, below, np.where(mass + top == 0, 0, np.inf)))
            _split(numbers, 5, mass)
            numbers[..., 7:] = top


def _split(numbers: Array, column: int, values: Array) -> None:
    """Write values as sums of two float64."""
    hi = values.astype(np.float64)
    numbers[..., column : column + 1] = hi
    numbers[..., column + 1 : column + 2] = np.where(np.isfinite(hi), values - hi, 0)


@on_halves
def shard_exponentials(
    x: Array, targets: Array | None, rows: Array, out: Array, num_threads: int
) -> None:
    """Write factor e^(x - M) - target y, `apart` where x is M, of each row's numbers."""
    with np.errstate(all="ignore"):
        for block in blocks_of(x.shape, BLOCK):
            logits = _widen(x[block])
            numbers = _widen(rows[block], logits.dtype.type)
            maximum, hi, lo, target, apart = (numbers[..., i : i + 1] for i in range(5))
            result = (hi + lo) * _exponentials(logits, maximum)[2]
            if targets is not None:
                result = result - target * _widen(targets[block])
                result = np.where((logits == maximum) & ~np.isnan(apart), apart, result)
            out[block] = result


class _Rows(NamedTuple):
    """Rows of logits and their exponentials, in the wider type, the classes last.

    Of a row with NaN or +inf, or with nothing but -inf, all but the peak is NaN.
    """

    top: Array  # where the largest logit is
    peak: Array  # the largest logit
    shift: Array  # logit - peak, rounded
    lost: Array  # what that rounding lost
    exp: Array  # exp(logit - peak)
    rest: Array  # the sum of exp without the one at the top, which is 1

    @classmethod
    def of(cls, x: Array, block: Block, where: Array | None) -> _Rows:
        logits = _widen(x[block])
        if where is not None:
            logits = np.where(where[block], logits, -np.inf)
        top = logits.argmax(axis=-1, keepdims=True)
        peak = np.take_along_axis(logits, top, axis=-1)
        shift, lost, exp = _exponentials(logits, peak)
        rest = _sum_without(exp, top)
        rest[np.isnan(np.take_along_axis(exp, top, axis=-1))] = np.nan
        return cls(top, peak, shift, lost, exp, rest)

    def surprisal(self) -> Array:
        """Return -log p of all classes: a sum of two terms that are not negative."""
        result: Array = np.log1p(self.rest) - self.lost - self.shift
        return result

    def variance(self) -> Array:
        """Return p (1 - p) of all classes."""
        total = 1 + self.rest
        p = self.exp / total
        result: Array = p * (1 - p)
        np.put_along_axis(result, self.top, self.rest / (total * total), axis=-1)
        return result


def _exponentials(logits: Array, peak: Array) -> tuple[Array, Array, Array]:
    """Return logit - peak, rounded, what that rounding lost, and exp(logit - peak).

    All is NaN where the peak is not finite.
    """
    shift, lost = two_sum(logits, np.where(np.isfinite(peak), -peak, np.nan))
    lost = np.where(np.isfinite(lost), lost, 0)
    exp = np.exp(shift)
    exp += exp * lost
    return shift, lost, exp


def _loss(rows: _Rows, targets: Array) -> Array:
    """Return the loss of each row, the class axis kept."""
    terms = np.where(targets == 0, 0, targets * rows.surprisal())
    loss: Array = terms.sum(axis=-1, keepdims=True)
    loss[np.isnan(rows.rest)] = np.nan
    return loss


def _gradient(rows: _Rows, targets: Array) -> Array:
    """Return (sum of targets) p - targets."""
    total = 1 + rows.rest
    mass = targets.sum(axis=-1, keepdims=True)
    result: Array = mass * (rows.exp / total) - targets
    # Where p > 1/2 the same from 1 - p, which is accurate however close p is to 1.
    likely = _sum_without(targets, rows.top) - mass * (rows.rest / total)
    at_top = np.where(rows.rest < 1, likely, np.take_along_axis(result, rows.top, axis=-1))
    np.put_along_axis(result, rows.top, at_top, axis=-1)
    return result


def _targets(
    block: Block,
    labels: Array | None,
    probabilities: Array | None,
    weight: Float64Array | None,
    label_smoothing: float,
    logits: Array,
) -> Array:
    """Return what the target of each class comes to with its weight and the smoothing."""
    wide = _WIDE[logits.dtype]
    num_classes = logits.shape[2]
    if labels is not None:
        # A label to ignore may be out of range, and then no class has it.
        targets: Array = (labels[block][..., None] == np.arange(num_classes)).astype(wide)
    else:
        assert probabilities is not None
        targets = _widen(probabilities[block])
    if label_smoothing:
        smoothing = wide(label_smoothing)
        targets = (1 - smoothing) * targets + smoothing / num_classes
    if weight is not None:
        targets = targets * weight.astype(wide)
    return targets


def _widen(array: Array, wide: type[np.floating[Any]] | None = None) -> Array:
    """Return a copy in the wider type, in C order so that sums over classes are pairwise."""
    return array.astype(wide or _WIDE[array.dtype], order="C")


def _sum_without(values: Array, top: Array) -> Array:
    """Sum over the classes but one."""
    others = values.copy()
    np.put_along_axis(others, top, 0, axis=-1)
    result: Array = others.sum(axis=-1, keepdims=True)
    return result


def _sum_rows(values: Array) -> Array:
    """Sum over the samples, pairwise."""
    rows = values.reshape(-1, values.shape[-1])
    while len(rows) > 1:
        half = len(rows) // 2
        sums = rows[:half] + rows[half : 2 * half]
        rows = np.concatenate([sums, rows[2 * half :]])
    result: Array = rows[0]
    return result


def _clear(values: Array, ignored: Array | None) -> Array:
    return values if ignored is None else np.where(ignored, 0, values)
