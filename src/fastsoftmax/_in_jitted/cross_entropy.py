"""The cross-entropy functions in compiled code: one path of all, put together by types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._backends.numba_kernels.compilation import jitted
from .._backends.numba_kernels.numba_api import types
from .checks import check_classes, output_like, separated, separated_from
from .errors import LabelError, WeightError
from .layout import Way, way_for
from .linking import linked
from .targets import Option, class_weight_of, ignored, sample_weight_of, smoothing_of, targets_of
from .views import first, ignore_both, ignore_three, nothing, second
from .whole import BAD_CLASS_WEIGHT, BAD_LABEL, WHOLE_CROSS_ENTROPY

__all__ = ["evaluation"]

whole_cross_entropy = linked(WHOLE_CROSS_ENTROPY, __name__)
no_vector = nothing(types.float64, 1, given=1)


class Wanted(NamedTuple):
    """What a function returns."""

    loss: bool
    grad: bool
    mean_grad: bool


# --- outputs ---------------------------------------------------------------------------------


@jitted
def new_gradient(logits: Any, out: Any) -> Any:
    return np.empty_like(logits)


@jitted
def new_losses(logits: Any, out: Any) -> Any:
    return np.empty(logits.shape[:-1], logits.dtype)


@jitted
def new_mean(logits: Any) -> Any:
    return np.zeros(logits.shape[-1])


@jitted
def rounded_mean(means: Any, logits: Any, out: Any) -> Any:
    return means.astype(logits.dtype)


@jitted
def mean_to_given(means: Any, logits: Any, out: Any) -> Any:
    for k in range(means.size):
        out[k] = means[k]
    return out


def _check_out(out: Any, of_mean: bool) -> Callable[..., Any]:
    """The compiled check (logits, out) of an output."""
    if out is None:
        return ignore_both
    check = output_like(out)

    @jitted
    def of_gradient(logits: Any, out: Any) -> None:
        check(out, logits.shape)

    @jitted
    def of_means(logits: Any, out: Any) -> None:
        check(out, logits.shape[-1:])

    return of_means if of_mean else of_gradient


def _apart(array: Any, is_there: bool, out: Any) -> Callable[..., Any]:
    """The compiled function (array, out) that makes an input one that writing `out` leaves."""
    return first if out is None or not is_there else separated_from(array)


# --- views -----------------------------------------------------------------------------------


def _view(
    of: Callable[..., Any] | None, number: int, element: Any, axes: int
) -> Callable[..., Any]:
    """The compiled function (layout, array) -> view; of nothing where `of` is None."""
    if of is None:
        return nothing(element, axes, given=2)
    through: Callable[..., Any] = of

    @jitted
    def view(layout: Any, array: Any) -> Any:
        return through(layout, number, array)

    return view


def _close(of: Callable[..., Any] | None, number: int) -> Callable[..., Any]:
    if of is None:
        return ignore_three
    through: Callable[..., Any] = of

    @jitted
    def close(layout: Any, view: Any, array: Any) -> None:
        through(layout, number, view, array)

    return close


# --- results ---------------------------------------------------------------------------------


@jitted
def fail(
    status: int, number: int, label: int, weight: float, logits: Any, classes: int, ignore: Any
) -> None:
    if status == BAD_LABEL:
        raise LabelError(label, number, logits, ignore[0], ignore[1])
    if status == BAD_CLASS_WEIGHT:
        raise WeightError(True, weight, number, (classes,))
    raise WeightError(False, weight, number, logits[:-1])


@jitted
def rounded_loss(loss: Any, losses: Any, logits: Any) -> Any:
    return logits.dtype.type(loss)


@jitted
def all_losses(loss: Any, losses: Any, logits: Any) -> Any:
    return losses


@jitted
def only_loss(loss: Any, losses: Any, logits: Any) -> Any:
    return losses[()]


def _results(wanted: Wanted, loss_of: Any, gradient_of: Any) -> Callable[..., Any]:
    """The compiled function (loss, losses, grad, means, logits, out) -> what is returned."""

    @jitted
    def loss_alone(loss: Any, losses: Any, grad: Any, means: Any, logits: Any, out: Any) -> Any:
        return loss_of(loss, losses, logits)

    @jitted
    def grad_alone(loss: Any, losses: Any, grad: Any, means: Any, logits: Any, out: Any) -> Any:
        return grad

    @jitted
    def mean_alone(loss: Any, losses: Any, grad: Any, means: Any, logits: Any, out: Any) -> Any:
        return gradient_of(means, logits, out)

    @jitted
    def with_grad(loss: Any, losses: Any, grad: Any, means: Any, logits: Any, out: Any) -> Any:
        return loss_of(loss, losses, logits), grad

    @jitted
    def with_mean(loss: Any, losses: Any, grad: Any, means: Any, logits: Any, out: Any) -> Any:
        return loss_of(loss, losses, logits), gradient_of(means, logits, out)

    if wanted.mean_grad:
        return with_mean if wanted.loss else mean_alone
    if wanted.grad:
        return with_grad if wanted.loss else grad_alone
    return loss_alone


# --- all together ----------------------------------------------------------------------------


class Outputs(NamedTuple):
    """Compiled functions for what a call writes."""

    check: Callable[..., Any]  # (logits, out)
    losses: Callable[..., Any]  # (logits, out) -> array
    grad: Callable[..., Any]
    means: Callable[..., Any]  # (logits) -> float64 array
    results: Callable[..., Any]
    per_sample: bool


def _outputs(wanted: Wanted, logits: Any, out: Any, reduction: str) -> Outputs:
    per_sample = wanted.loss and reduction == "none"
    loss_of = rounded_loss
    if per_sample:
        loss_of = all_losses if logits.ndim > 1 else only_loss
    gradient_of = rounded_mean if out is None else mean_to_given
    gradient = first
    if wanted.grad:
        gradient = new_gradient if out is None else second
    return Outputs(
        _check_out(out, wanted.mean_grad),
        new_losses if per_sample else first,
        gradient,
        new_mean if wanted.mean_grad else no_vector,
        _results(wanted, loss_of, gradient_of),
        per_sample,
    )


class Views(NamedTuple):
    """Compiled functions between a call's arrays and what the kernel takes and fills."""

    labels32: Callable[..., Any]
    labels64: Callable[..., Any]
    probabilities: Callable[..., Any]
    sample_weight: Callable[..., Any]
    losses: Callable[..., Any]
    grad: Callable[..., Any]
    close_losses: Callable[..., Any]
    close_grad: Callable[..., Any]


def _views(
    way: Way, real: Any, targets: Option, weight: Option, per_sample: bool, grad: bool
) -> Views:
    kind = targets.type.dtype if targets.is_labels else None
    return Views(
        _view(way.entries if kind == types.int32 else None, 1, types.int32, 2),
        _view(way.entries if kind == types.int64 else None, 1, types.int64, 2),
        _view(None if targets.is_labels else way.rows, 1, real, 3),
        _view(way.entries if weight.is_there else None, 2, types.float64, 2),
        _view(way.output_entries if per_sample else None, 3, real, 2),
        _view(way.output_rows if grad else None, 4, real, 3),
        _close(way.close_entries if per_sample else None, 3),
        _close(way.close_rows if grad else None, 4),
    )


def evaluation(
    wanted: Wanted,
    logits: Any,
    targets: Any,
    weight: Any,
    sample_weight: Any,
    ignore_index: Any,
    label_smoothing: Any,
    reduction: str,
    out: Any,
) -> Callable[..., Any]:
    """Return the compiled function of these arguments but for `wanted` and `reduction`."""
    target, class_weights = targets_of(targets, logits), class_weight_of(weight)
    sample_weights, smoothing = (
        sample_weight_of(sample_weight, logits),
        smoothing_of(label_smoothing),
    )
    ignore, outputs = ignored(ignore_index, target), _outputs(wanted, logits, out, reduction)
    grad_type = logits if out is None or wanted.mean_grad else out
    losses_type = logits if logits.ndim == 1 else types.Array(logits.dtype, logits.ndim - 1, "C")
    way = way_for(logits, (target.type, sample_weights.type, losses_type, grad_type))
    views = _views(way, logits.dtype, target, sample_weights, outputs.per_sample, wanted.grad)
    overlapping = None if wanted.mean_grad else out
    run = _run(way, views, reduction == "mean", wanted.loss and not outputs.per_sample)
    target_of, weight_of, sample_weight_from = (
        target.bring,
        class_weights.bring,
        sample_weights.bring,
    )
    apart_target = _apart(target.type, True, overlapping)
    apart_weight = _apart(sample_weights.type, sample_weights.is_there, overlapping)
    apart_classes = _apart(class_weights.type, class_weights.is_there, overlapping)
    apart_logits = first if overlapping is None else separated
    check_out, losses_of, grad_of, means_of, results = outputs[:5]
    of_nothing = np.nan if reduction == "mean" else 0.0

    @jitted
    def evaluate(
        logits: Any,
        targets: Any,
        weight: Any,
        sample_weight: Any,
        ignore_index: Any,
        label_smoothing: Any,
        out: Any,
    ) -> Any:
        check_classes(logits)
        t = target_of(targets, logits)
        w, s = weight_of(weight, logits), sample_weight_from(sample_weight, logits)
        eps, no_label = smoothing(label_smoothing), ignore(ignore_index)
        check_out(logits, out)
        grad, losses, means = grad_of(logits, out), losses_of(logits, out), means_of(logits)
        loss = of_nothing
        if logits.size:
            x = apart_logits(logits, out)
            t, w, s = apart_target(t, out), apart_classes(w, out), apart_weight(s, out)
            loss = run(x, t, w, s, no_label, eps, losses, grad, means)
        return results(loss, losses, grad, means, logits, out)

    return evaluate


def _run(way: Way, views: Views, is_mean: bool, want_total: bool) -> Callable[..., Any]:
    """The compiled function that fills the outputs and returns the reduced loss."""
    open_, rows, position = way.open, way.rows, way.position
    labels32, labels64, probabilities, sample_weights, losses_of, grad_of, *closes = views
    close_losses, close_grad = closes

    @jitted
    def run(
        x: Any, t: Any, w: Any, s: Any, ignore: Any, eps: float, losses: Any, grad: Any, means: Any
    ) -> Any:
        layout = open_(x, t, s, losses, grad)
        to_losses, to_grad = losses_of(layout, losses), grad_of(layout, grad)
        status, place, label, number = whole_cross_entropy(
            rows(layout, 0, x), labels32(layout, t), labels64(layout, t),
            probabilities(layout, t), w, sample_weights(layout, s),
            ignore[0], ignore[1], eps, is_mean, want_total, to_losses, to_grad, means,
        )  # fmt: skip
        if status != 0:
            fail(status, position(layout, place), label, number, x.shape, w.size, ignore)
        close_losses(layout, to_losses, losses)
        close_grad(layout, to_grad, grad)
        return number

    return run
