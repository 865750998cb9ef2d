"""scikit-learn: the multinomial loss inside its LogisticRegression and gradient boosting.

Private, and the nearest relative: loss and gradient, or gradient and Hessian, a sample at a time.
"""

from __future__ import annotations

import numpy as np

from fastsoftmax._cli.problems import Call, Problem

from .peer import Peer

__all__ = ["SKLEARN"]


def _prepare(problem: Problem, threads: int) -> Call:
    from sklearn._loss import HalfMultinomialLoss

    loss = HalfMultinomialLoss(n_classes=problem.num_classes)
    dtype, m = problem.logits.dtype, problem.num_samples
    y = problem.labels.astype(dtype)
    # Samples come first for scikit-learn; a transposed view is all it needs.
    flip = problem.axis == 0
    x = problem.logits.T if flip else problem.logits
    losses = np.empty(m, dtype) if problem.reuse else None
    out, hess = np.empty_like(x), np.empty_like(x)

    def buffer(array: np.ndarray) -> np.ndarray:
        return array if problem.reuse else np.empty_like(array)

    def value_and_grad() -> tuple[np.floating, np.ndarray]:
        # Its users divide by m themselves, as here.
        each, grad = loss.loss_gradient(
            y, x, loss_out=losses, gradient_out=buffer(out), n_threads=threads
        )
        grad /= m
        return each.mean(), grad.T if flip else grad

    def grad_hess() -> tuple[np.ndarray, np.ndarray]:
        grad, second = loss.gradient_hessian(
            y, x, gradient_out=buffer(out), hessian_out=buffer(hess), n_threads=threads
        )
        return (grad.T, second.T) if flip else (grad, second)

    return value_and_grad if problem.operation == "value_and_grad" else grad_hess


SKLEARN = Peer(
    "sklearn",
    "scikit-learn",
    "sklearn._loss",
    frozenset({"value_and_grad", "grad_hess"}),
    _prepare,
)
