"""What each public function becomes in compiled code, given the types of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .arguments import check_call, check_choice, check_logits, check_output
from .cross_entropy import Wanted, evaluation
from .probabilities import log_softmax, logsumexp, softmax

__all__ = [
    "cross_entropy",
    "cross_entropy_grad",
    "cross_entropy_mean_grad",
    "cross_entropy_value_and_grad",
    "cross_entropy_value_and_mean_grad",
    "log_softmax",
    "logsumexp",
    "softmax",
]


def cross_entropy(
    logits: Any,
    targets: Any,
    axis: Any = -1,
    weight: Any = None,
    sample_weight: Any = None,
    ignore_index: Any = None,
    label_smoothing: Any = 0.0,
    reduction: Any = "mean",
    backend: Any = None,
    num_threads: Any = None,
) -> Callable[..., Any]:
    x = check_logits(logits, "logits")
    check_call(axis, backend, num_threads, x.ndim)
    how = check_choice(reduction, "reduction", ("mean", "sum", "none"))
    evaluate = evaluation(
        Wanted(True, False, False), x, targets, weight, sample_weight, ignore_index,
        label_smoothing, how, None,
    )  # fmt: skip

    def implementation(
        logits: Any,
        targets: Any,
        axis: Any = -1,
        weight: Any = None,
        sample_weight: Any = None,
        ignore_index: Any = None,
        label_smoothing: Any = 0.0,
        reduction: Any = "mean",
        backend: Any = None,
        num_threads: Any = None,
    ) -> Any:
        return evaluate(logits, targets, weight, sample_weight, ignore_index, label_smoothing, None)

    return implementation


def _with_gradient(wanted: Wanted) -> Callable[..., Any]:
    reductions = ("mean", "sum") if wanted.mean_grad else ("mean", "sum", "none")

    def of(
        logits: Any,
        targets: Any,
        axis: Any = -1,
        weight: Any = None,
        sample_weight: Any = None,
        ignore_index: Any = None,
        label_smoothing: Any = 0.0,
        reduction: Any = "mean",
        out: Any = None,
        backend: Any = None,
        num_threads: Any = None,
    ) -> Callable[..., Any]:
        x = check_logits(logits, "logits")
        check_call(axis, backend, num_threads, x.ndim)
        how = check_choice(reduction, "reduction", reductions)
        given = check_output(out, x.dtype, 1 if wanted.mean_grad else x.ndim)
        evaluate = evaluation(
            wanted, x, targets, weight, sample_weight, ignore_index, label_smoothing, how, given
        )

        def implementation(
            logits: Any,
            targets: Any,
            axis: Any = -1,
            weight: Any = None,
            sample_weight: Any = None,
            ignore_index: Any = None,
            label_smoothing: Any = 0.0,
            reduction: Any = "mean",
            out: Any = None,
            backend: Any = None,
            num_threads: Any = None,
        ) -> Any:
            return evaluate(
                logits, targets, weight, sample_weight, ignore_index, label_smoothing, out
            )

        return implementation

    return of


cross_entropy_grad = _with_gradient(Wanted(False, True, False))
cross_entropy_mean_grad = _with_gradient(Wanted(False, False, True))
cross_entropy_value_and_grad = _with_gradient(Wanted(True, True, False))
cross_entropy_value_and_mean_grad = _with_gradient(Wanted(True, False, True))
