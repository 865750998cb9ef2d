"""The operations in NumPy alone, as fast as idiomatic code gets them: what timings compare with.

Everything stays in the dtype of the logits, works in place with ufuncs, reuses outputs where
asked to, and has no Python loop. Logits of few classes are worked on class by class, in a
transposed copy, since NumPy spends far more on the start of each short row than on its elements.
"""

from __future__ import annotations

import numpy as np

from .problems import Array, Call, Problem

__all__ = [
    "grad_hess",
    "log_softmax",
    "prepare",
    "softmax",
    "value_and_grad",
    "value_and_mean_grad",
]

# Up to this many classes, and from this many samples on, a transposed copy pays.
_FEW_CLASSES = 16
_MANY_SAMPLES = 32
# From this size on, a reciprocal a sample and products are quicker than quotients.
_MANY_ELEMENTS = 1024


def _sum(x: Array, axis: int) -> Array:
    """Sum over the classes, keeping the axis; einsum is the quickest along contiguous rows."""
    total: Array
    if x.size < _MANY_ELEMENTS or not (x if axis == -1 else x.T).flags.c_contiguous:
        total = np.add.reduce(x, axis=axis, keepdims=True)
    else:
        total = np.einsum("ij->i" if axis == -1 else "ij->j", x)
        total = np.expand_dims(total, axis)
    return total


def _shift(x: Array, axis: int, out: Array | None) -> Array:
    """Subtract the largest logit of each sample."""
    shifted: Array = np.subtract(x, np.maximum.reduce(x, axis=axis, keepdims=True), out=out)
    return shifted


def _divide(x: Array, by: Array) -> Array:
    """Divide in place by one number a sample, which may be overwritten."""
    if x.size < _MANY_ELEMENTS:
        return np.divide(x, by, out=x)
    return np.multiply(x, np.reciprocal(by, out=by), out=x)


def softmax(x: Array, axis: int = -1, out: Array | None = None) -> Array:
    """Return the probabilities."""
    p = _shift(x, axis, out)
    np.exp(p, out=p)
    return _divide(p, _sum(p, axis))


def log_softmax(
    x: Array, axis: int = -1, out: Array | None = None, work: Array | None = None
) -> Array:
    """Return the log-probabilities; ``work`` is scratch of the logits' shape."""
    log_p = _shift(x, axis, out)
    total = _sum(np.exp(log_p, out=work), axis)
    return np.subtract(log_p, np.log(total, out=total), out=log_p)


def value_and_grad(
    x: Array, at_labels: tuple[Array, Array], axis: int = -1, out: Array | None = None
) -> tuple[Array, Array]:
    """Return the mean loss and its gradient (p - t)/m; ``at_labels`` indexes the true classes."""
    m = len(at_labels[0])
    grad = _shift(x, axis, out)
    picked = np.add.reduce(grad[at_labels])
    np.exp(grad, out=grad)
    total = _sum(grad, axis)
    loss = (np.add.reduce(np.log(total), axis=None) - picked) / m
    total *= m
    _divide(grad, total)
    grad[at_labels] -= x.dtype.type(1 / m)
    return loss, grad


def value_and_mean_grad(
    x: Array, at_labels: tuple[Array, Array], axis: int = -1, work: Array | None = None
) -> tuple[Array, Array]:
    """Return the mean loss and the mean gradient; ``work`` is scratch of the logits' shape."""
    m = len(at_labels[0])
    shifted = _shift(x, axis, work)
    picked = np.add.reduce(shifted[at_labels])
    total = _sum(np.exp(shifted, out=shifted), axis)
    loss = (np.add.reduce(np.log(total), axis=None) - picked) / m
    total *= m
    weights = np.reciprocal(total, out=total).ravel()
    mean_grad = weights @ shifted if axis == -1 else shifted @ weights
    labels = at_labels[axis]
    mean_grad -= np.bincount(labels, minlength=len(mean_grad)) * x.dtype.type(1 / m)
    return loss, mean_grad


def grad_hess(
    x: Array,
    at_labels: tuple[Array, Array],
    axis: int = -1,
    out: Array | None = None,
    hess: Array | None = None,
) -> tuple[Array, Array]:
    """Return p - t and p(1 - p) of each sample."""
    grad = softmax(x, axis, out)
    hess = np.subtract(1, grad, out=hess)
    np.multiply(hess, grad, out=hess)
    grad[at_labels] -= 1
    return grad, hess


def prepare(problem: Problem) -> Call:
    """Return a call that solves the problem as fast as NumPy can."""
    x, axis = problem.logits, problem.axis
    few = problem.num_classes <= _FEW_CLASSES and problem.num_samples >= _MANY_SAMPLES
    if few and (x if axis == -1 else x.T).flags.c_contiguous:
        return _class_by_class(problem)
    index, out, second = problem.at_labels, problem.output(), problem.output()
    calls: dict[str, Call] = {
        "softmax": lambda: softmax(x, axis, out),
        "log_softmax": lambda: log_softmax(x, axis, out, second),
        "value_and_grad": lambda: value_and_grad(x, index, axis, out),
        "value_and_mean_grad": lambda: value_and_mean_grad(x, index, axis, out),
        "grad_hess": lambda: grad_hess(x, index, axis, out, second),
    }
    return calls[problem.operation]


def _class_by_class(problem: Problem) -> Call:
    """Return a call that copies rows of few classes into (K, m) and works on that in place."""
    transposed = problem.axis == -1
    x = problem.logits.T if transposed else problem.logits
    index = (problem.labels, problem.rows)
    a, b = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    out, second = problem.output(), problem.output()

    def back(array: Array, into: Array | None) -> Array:
        array = array.T if transposed else array
        into = np.empty_like(problem.logits) if into is None else into
        np.copyto(into, array)
        return into

    def value_and_grad_back() -> tuple[Array, Array]:
        loss, grad = value_and_grad(a, index, 0, a)
        return loss, back(grad, out)

    def grad_hess_back() -> tuple[Array, Array]:
        grad, hess = grad_hess(a, index, 0, a, b)
        return back(grad, out), back(hess, second)

    solve: dict[str, Call] = {
        "softmax": lambda: back(softmax(a, 0, a), out),
        "log_softmax": lambda: back(log_softmax(a, 0, a, b), out),
        "value_and_grad": value_and_grad_back,
        "value_and_mean_grad": lambda: value_and_mean_grad(a, index, 0, a),
        "grad_hess": grad_hess_back,
    }
    operation = solve[problem.operation]

    def call() -> object:
        np.copyto(a, x)
        return operation()

    return call
