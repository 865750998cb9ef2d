"""The reference: every function by its definition, in mpmath, with bits enough for cancellation.

Arrays have the class axis last. Nothing here is shifted, rearranged or guarded: p - t is a
subtraction, log_softmax is f - log(sum(exp(f))). `mpmath` numbers have no limit on the exponent,
and the precision exceeds the span from the largest logit to the last subnormal.
`wide` has the same functions vectorised, for large arrays; it is checked against this module.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
from mpmath import mpf

from .exact import Exact

__all__ = [
    "CrossEntropy",
    "cross_entropy",
    "from_mp",
    "grad_hess",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "logsumexp_scale",
    "softmax",
    "softmax_backward",
]

Array = npt.NDArray[Any]
Row = list[Any]

NAN, ZERO, INF = mpf("nan"), mpf(0), mpf("inf")


_FAR = 10**6
"""exp(-1e308) has an exponent beyond int64; this is far enough below any format."""

_one_at_a_time = threading.RLock()
"""mpmath's precision is that of the process: other threads wait for their turn."""


@contextlib.contextmanager
def _precision(*arrays: Array) -> Iterator[None]:
    """Enough bits for the largest input, the smallest result and 128 more."""
    if all(a.dtype.itemsize <= 4 for a in arrays):
        bits = 128 + 149 + 128
    elif all(np.abs(a[np.isfinite(a)]).max(initial=0) < 2**20 for a in arrays):
        bits = 20 + 1074 + 128
    else:
        bits = 1024 + 1074 + 128
    with _one_at_a_time, mpmath.workprec(bits):
        yield


def _rows(x: Array) -> list[Row]:
    """As lists of exact numbers, one for each row."""
    return [[mpf(float(v)) for v in row] for row in _merged(x)]


def _merged(x: Array) -> Array:
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _undefined(row: Sequence[Any]) -> bool:
    """Whether softmax of these kept logits is NaN: a NaN, a +inf, or nothing but -inf."""
    return any(mpmath.isnan(v) or v == INF for v in row) or all(v == -INF for v in row)


def _over_kept(
    x: Array, where: npt.ArrayLike | None, dropped: Any, function: Callable[[Row], Row]
) -> Exact:
    """Apply `function` to the kept logits of each row and put `dropped` in the other places."""
    keep = np.broadcast_to(True if where is None else np.asarray(where), x.shape)
    result = []
    with _precision(x):
        for row, kept in zip(_rows(x), _merged(keep), strict=True):
            chosen = [v for v, k in zip(row, kept, strict=True) if k]
            if chosen and _undefined(chosen):
                values = iter([NAN] * len(chosen))
            else:
                values = iter(function(chosen))
            result.append([next(values) if k else dropped for k in kept])
        return _as_exact(result, x.shape)


def _as_exact(rows: list[Row], shape: tuple[int, ...]) -> Exact:
    array = np.empty(shape, dtype=object)
    array.reshape(-1)[:] = [v for row in rows for v in row]
    return from_mp(array)


def from_mp(values: npt.NDArray[np.object_] | Iterable[Any]) -> Exact:
    """Of an array or list of mpmath numbers or Python floats."""
    array = np.asarray(values, dtype=object)
    parts = np.array([_split(value) for value in array.ravel()], dtype=object).reshape(-1, 3)
    hi, lo, exponent = (parts[:, j].reshape(array.shape) for j in range(3))
    return Exact(hi.astype(np.float64), lo.astype(np.float64), exponent.astype(np.int64))


def _split(value: Any) -> tuple[float, float, int]:
    if not isinstance(value, mpmath.mpf):
        value = mpmath.mpf(value)
    if not mpmath.isfinite(value):
        return float(value), 0.0, 0
    mantissa, exponent = mpmath.frexp(value)
    hi = float(mantissa)
    return hi, float(mantissa - hi), max(-_FAR, min(_FAR, int(exponent)))


def softmax(x: Array, where: npt.ArrayLike | None = None) -> Exact:
    """exp(x) / sum(exp(x)) over the kept classes; 0 for the others."""
    return _over_kept(x, where, ZERO, _softmax_row)


def _softmax_row(row: Row) -> Row:
    exponentials = [mpmath.exp(v) for v in row]
    total = mpmath.fsum(exponentials)
    return [e / total for e in exponentials]


def log_softmax(x: Array, where: npt.ArrayLike | None = None) -> Exact:
    """x - log(sum(exp(x))) over the kept classes; -inf for the others."""

    def log_softmax_row(row: Row) -> Row:
        if not row:
            return []
        total = mpmath.log(mpmath.fsum(mpmath.exp(v) for v in row))
        return [v - total for v in row]

    return _over_kept(x, where, -INF, log_softmax_row)


def logsumexp(x: Array, where: npt.ArrayLike | None = None) -> Exact:
    """log(sum(exp(x))): -inf for an empty sum, +inf if a +inf is in it and no NaN."""
    keep = np.broadcast_to(True if where is None else np.asarray(where), x.shape)
    result = []
    with _precision(x):
        for row, kept in zip(_rows(x), _merged(keep), strict=True):
            chosen = [v for v, k in zip(row, kept, strict=True) if k]
            if any(mpmath.isnan(v) for v in chosen):
                result.append([NAN])
            elif any(v == INF for v in chosen):
                result.append([INF])
            else:
                total = mpmath.fsum(mpmath.exp(v) for v in chosen)
                result.append([mpmath.log(total) if total else -INF])
        return _as_exact(result, x.shape[:-1])


def logsumexp_scale(x: Array) -> Exact:
    """max(|max x|, log(sum(exp(x - max x)))), which the error of logsumexp is measured by."""
    result = []
    with _precision(x):
        for row in _rows(x):
            largest = max(row)
            rest = mpmath.log(mpmath.fsum(mpmath.exp(v - largest) for v in row))
            result.append([max(abs(largest), rest)])
        return _as_exact(result, x.shape[:-1])


def softmax_backward(grad_output: Array, output: Array) -> tuple[Exact, Exact]:
    """p * (g - sum(g * p)) and its scale p * (|g| + sum(|g| * p))."""
    values, scales = [], []
    with _precision(grad_output, output):
        for g, p in zip(_rows(grad_output), _rows(output), strict=True):
            inner = mpmath.fdot(g, p)
            size = mpmath.fdot([abs(v) for v in g], p)
            values.append([b * (a - inner) for a, b in zip(g, p, strict=True)])
            scales.append([b * (abs(a) + size) for a, b in zip(g, p, strict=True)])
        return _as_exact(values, output.shape), _as_exact(scales, output.shape)


def log_softmax_backward(grad_output: Array, output: Array) -> tuple[Exact, Exact]:
    """g - exp(output) * sum(g) and its scale |g| + exp(output) * sum(|g|)."""
    values, scales = [], []
    with _precision(grad_output, output):
        for g, o in zip(_rows(grad_output), _rows(output), strict=True):
            total, size = mpmath.fsum(g), mpmath.fsum(abs(v) for v in g)
            values.append([a - mpmath.exp(b) * total for a, b in zip(g, o, strict=True)])
            scales.append([abs(a) + mpmath.exp(b) * size for a, b in zip(g, o, strict=True)])
        return _as_exact(values, output.shape), _as_exact(scales, output.shape)


@dataclass(frozen=True)
class CrossEntropy:
    """Everything that can be asked of one cross-entropy problem.

    The scales say what an error is measured by where the result cancels by itself: elementwise
    max(Y p, y) for the gradient of soft targets. The mean gradient is measured by the mean of
    |Y p - y| for labels and one-hot targets, of max(Y p, y) for soft ones.
    """

    loss: Exact
    grad: Exact
    grad_scale: Exact
    mean_grad: Exact
    mean_grad_scale: Exact


def cross_entropy(
    logits: Array,
    targets: Array,
    *,
    weight: Array | None = None,
    sample_weight: Array | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> CrossEntropy:
    """Loss, gradient and mean gradient of targets given as labels or as probabilities."""
    num_classes = logits.shape[-1]
    soft = targets.shape == logits.shape and not is_one_hot(targets)
    probabilities = targets.shape == logits.shape
    with _precision(logits):
        class_weights = [mpf(1)] * num_classes
        if weight is not None:
            class_weights = [mpf(float(w)) for w in weight]
        flat_targets = _merged(targets) if probabilities else targets.reshape(-1)
        count = len(flat_targets)
        sample_weights = [mpf(1)] * count
        if sample_weight is not None:
            sample_weights = [mpf(float(w)) for w in sample_weight.reshape(-1)]
        smoothing = mpf(float(label_smoothing))
        losses, grads, scales, divisor = [], [], [], ZERO
        for row, target, sw in zip(_rows(logits), flat_targets, sample_weights, strict=True):
            if not probabilities and ignore_index is not None and int(target) == ignore_index:
                losses.append(ZERO)
                grads.append([ZERO] * num_classes)
                scales.append([ZERO] * num_classes)
                continue
            one_hot = (
                target if probabilities else [float(k == int(target)) for k in range(num_classes)]
            )
            y = [
                w * ((1 - smoothing) * mpf(float(t)) + smoothing / num_classes)
                for w, t in zip(class_weights, one_hot, strict=True)
            ]
            divisor += sw if probabilities else sw * class_weights[int(target)]
            loss, grad, scale = _sample(row, y)
            losses.append(ZERO if sw == 0 and mpmath.isinf(loss) else sw * loss)
            grads.append([sw * g for g in grad])
            scales.append([sw * s for s in scale])
        sizes = scales if soft or smoothing else [[abs(g) for g in grad] for grad in grads]
        return _reduce(losses, grads, scales, sizes, divisor, reduction, logits.shape)


def is_one_hot(targets: Array) -> bool:
    return bool(((targets == 0) | (targets == 1)).all() and (targets.sum(axis=-1) == 1).all())


def _sample(f: Row, y: Row) -> tuple[Any, Row, Row]:
    """The loss of one sample, its gradient Y p - y, and max(Y p, y)."""
    if _undefined(f):
        return NAN, [NAN] * len(f), [NAN] * len(f)
    logsumexp_f = mpmath.log(mpmath.fsum(mpmath.exp(v) for v in f))
    loss = mpmath.fsum(yk * (logsumexp_f - fk) for yk, fk in zip(y, f, strict=True) if yk)
    total = mpmath.fsum(y)
    p = _softmax_row(f)
    grad = [total * pk - yk for pk, yk in zip(p, y, strict=True)]
    return loss, grad, [max(total * pk, yk) for pk, yk in zip(p, y, strict=True)]


def _reduce(
    losses: Row,
    grads: list[Row],
    scales: list[Row],
    sizes: list[Row],
    divisor: Any,
    reduction: str,
    shape: tuple[int, ...],
) -> CrossEntropy:
    by = divisor if reduction == "mean" else mpf(1)
    empty = by == 0
    if empty:  # a mean of nothing: the loss is NaN, the gradient is 0
        by = mpf(1)
    grads, scales, sizes = (
        [[v / by for v in row] for row in rows] for rows in (grads, scales, sizes)
    )
    if reduction == "none":
        loss = _as_exact([losses], shape[:-1])
    else:
        loss = _as_exact([[NAN if empty else mpmath.fsum(losses) / by]], ())

    def column_sums(rows: list[Row]) -> Exact:
        columns = list(zip(*rows, strict=True)) if rows else [()] * shape[-1]
        return from_mp([mpmath.fsum(column) for column in columns])

    return CrossEntropy(
        loss=loss,
        grad=_as_exact(grads, shape),
        grad_scale=_as_exact(scales, shape),
        mean_grad=column_sums(grads),
        mean_grad_scale=column_sums(sizes),
    )


def grad_hess(
    logits: Array,
    targets: Array,
    *,
    sample_weight: Array | None = None,
    hessian: str = "exact",
) -> tuple[Exact, Exact]:
    """p - t and the diagonal of the Hessian (or the stand-in that a library uses), per sample."""
    problem = cross_entropy(logits, targets, sample_weight=sample_weight, reduction="none")
    num_classes = logits.shape[-1]
    hess = []
    with _precision(logits):
        weights = np.ones(logits.shape[:-1]) if sample_weight is None else sample_weight
        flat = _merged(targets) if targets.shape == logits.shape else None
        for i, (row, sw) in enumerate(zip(_rows(logits), weights.reshape(-1), strict=True)):
            total = mpf(1) if flat is None else mpmath.fsum(float(v) for v in flat[i])
            p = [NAN] * num_classes if _undefined(row) else _softmax_row(row)
            h = [mpf(float(sw)) * total * v * (1 - v) for v in p]
            if hessian == "xgboost":
                h = [v if mpmath.isnan(v) else max(2 * v, mpf(1e-16)) for v in h]
            elif hessian == "lightgbm":
                h = [v * num_classes / (num_classes - 1) for v in h]
            hess.append(h)
        return problem.grad, _as_exact(hess, logits.shape)
