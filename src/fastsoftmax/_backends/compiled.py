"""The ``c`` backend: plain functions on checked arrays, over the extension module ``fastsoftmax._c``."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsoftmax import _c

NAME = "c"
NATIVE_HALF = True

check_labels = _c.check_labels


def _bits(array: Any) -> Any:
    """The array as the extension takes it: bfloat16, which NumPy has no type number for, as its bits."""
    if array is not None and array.dtype.kind == "V":
        return array.view(np.uint16)
    return array


def softmax(x: Any, where: Any, out: Any, num_threads: int) -> None:
    _c.softmax(_bits(x), where, _bits(out), num_threads)


def log_softmax(x: Any, where: Any, out: Any, num_threads: int) -> None:
    _c.log_softmax(_bits(x), where, _bits(out), num_threads)


def logsumexp(x: Any, where: Any, out: Any, num_threads: int) -> None:
    _c.logsumexp(_bits(x), where, _bits(out), num_threads)


def softmax_backward(grad_output: Any, output: Any, out: Any, num_threads: int) -> None:
    _c.softmax_backward(_bits(grad_output), _bits(output), _bits(out), num_threads)


def log_softmax_backward(grad_output: Any, output: Any, out: Any, num_threads: int) -> None:
    _c.log_softmax_backward(_bits(grad_output), _bits(output), _bits(out), num_threads)


def cross_entropy(
    logits: Any,
    labels: Any,
    probabilities: Any,
    weight: Any,
    sample_weight: Any,
    ignore_index: int | None,
    label_smoothing: float,
    divisor: float,
    losses: Any,
    grad: Any,
    mean_grad: Any,
    want_loss: bool,
    num_threads: int,
) -> float:
    loss: float = _c.cross_entropy(
        _bits(logits),
        labels,
        _bits(probabilities),
        weight,
        sample_weight,
        ignore_index,
        label_smoothing,
        divisor,
        _bits(losses),
        _bits(grad),
        mean_grad,
        want_loss,
        num_threads,
    )
    return loss


def grad_hess(
    logits: Any,
    labels: Any,
    probabilities: Any,
    sample_weight: Any,
    hessian: str,
    grad: Any,
    hess: Any,
    num_threads: int,
) -> None:
    _c.grad_hess(
        _bits(logits),
        labels,
        _bits(probabilities),
        sample_weight,
        hessian,
        _bits(grad),
        _bits(hess),
        num_threads,
    )
