"""The penalised mean cross-entropy of linear logits and its gradient, block of rows by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from .._api.cross_entropy import cross_entropy_value_and_grad
from .._typing import Array, BackendName, Float64Array

__all__ = ["Map", "Objective"]

Map: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""`map`, or what does the same in several threads."""

# A block's samples, logits and gradient together stay in the second or third level cache between
# the two products with the samples; below so many rows the products themselves become slower.
_BLOCK_BYTES = 4 << 20
_FEWEST_ROWS = 1024
# Below so many operations of a product, another thread costs more than it saves.
_WORTH_A_THREAD = 4_000_000


class Objective:
    r"""The function of the parameters that L-BFGS minimises.

    .. math:: \frac 1 S \sum_i s_i L_i + \frac{\lambda}{2 S} \lVert W \rVert^2

    with S the total weight of the samples. The logits of C classes are x W + b. With `free` one
    less than C, those of the first class are all 0.

    Each thread has its share of the samples, and does the products and the losses of one block
    after another alone. Threads within products and within losses, in turn, would wait for each
    other several times a block.

    Parameters
    ----------
    x : ndarray or CSR, of shape (m, d)
        float32 or float64; the products and the losses are computed in this dtype, and what is
        summed over the blocks in float64.
    targets : ndarray
        Labels of shape (m,), or probabilities of shape (m, C) in the dtype of `x`.
    sample_weight : ndarray of shape (m,), or None
    total_weight : float
        S.
    num_classes, free : int
        C, and how many of the classes have parameters: C, or C - 1.
    fit_intercept : bool
        Whether there is b.
    penalty : float
        The strength :math:`\lambda` of the penalty, 1/C in the words of scikit-learn.
    backend : str or None
        As in `cross_entropy`.
    num_threads : int
        At most so many shares; see `shares`.
    """

    def __init__(
        self,
        x: Any,
        targets: Array,
        sample_weight: Float64Array | None,
        *,
        total_weight: float,
        num_classes: int,
        free: int,
        fit_intercept: bool,
        penalty: float,
        backend: BackendName | None,
        num_threads: int,
    ) -> None:
        self._scale, self._penalty = 1.0 / total_weight, penalty / total_weight
        self._features = x.shape[1]
        self._shape = (x.shape[1] + int(fit_intercept), free)
        bounds = _shares(x, num_classes, num_threads)
        self._shares = [
            _Share(
                x[begin:end],
                targets[begin:end],
                None if sample_weight is None else sample_weight[begin:end],
                num_classes,
                self._shape,
                {"backend": backend, "num_threads": num_threads if len(bounds) == 1 else 1},
            )
            for begin, end in bounds
        ]
        self.map: Map = map

    @property
    def shape(self) -> tuple[int, int]:
        """The parameters as a matrix: W above b, classes along the rows."""
        return self._shape

    @property
    def shares(self) -> int:
        """How many threads can work at a time, if `map` has them."""
        return len(self._shares)

    def __call__(self, parameters: Float64Array) -> tuple[float, Float64Array]:
        """Return the value and the gradient at the parameters, all in one vector."""
        exact = parameters.reshape(self._shape)
        total, grad = 0.0, np.zeros(self._shape)
        # In the order of the shares, whoever is ready first.
        for loss, summed in self.map(lambda share: share(exact), self._shares):
            total += loss
            grad += summed
        weight = exact[: self._features]
        grad *= self._scale
        grad[: self._features] += self._penalty * weight
        value = self._scale * total + 0.5 * self._penalty * float(np.vdot(weight, weight))
        return value, grad.ravel()


class _Share:
    """Some of the samples, block of rows by block, and the memory that their evaluation needs.

    It is reused for every block of every evaluation: fresh memory costs more than the arithmetic.
    """

    def __init__(
        self,
        x: Any,
        targets: Array,
        sample_weight: Float64Array | None,
        num_classes: int,
        shape: tuple[int, int],
        options: dict[str, Any],
    ) -> None:
        self._options = options
        self._features, free = x.shape[1], shape[1]
        self._intercepts = shape[0] - x.shape[1]
        self._first_free = num_classes - free
        length = _rows_of_a_block(x, num_classes)
        self._blocks = [
            (
                x[start : start + length] if length < x.shape[0] else x,
                targets[start : start + length],
                None if sample_weight is None else sample_weight[start : start + length],
            )
            for start in range(0, x.shape[0], length)
        ]
        self._logits = np.empty((length, num_classes), x.dtype)
        self._free = np.empty((length, free), x.dtype) if self._first_free else None
        self._ones = np.ones(length, x.dtype)
        self._product = np.empty((x.shape[1], free), x.dtype)
        self._grad = np.empty(shape)

    def __call__(self, exact: Float64Array) -> tuple[float, Float64Array]:
        """Return the sum of the losses and that of their gradients."""
        rounded = exact.astype(self._product.dtype, copy=False)
        self._grad[...] = 0.0
        total = 0.0
        for x, targets, sample_weight in self._blocks:
            logits = self._logits[: x.shape[0]]
            self._put_logits(x, rounded, logits)
            loss, _ = cross_entropy_value_and_grad(
                logits,
                targets,
                sample_weight=sample_weight,
                reduction="sum",
                out=logits,
                **self._options,
            )
            total += float(loss)
            self._add_grad(x, logits, self._grad)
        return total, self._grad

    def _put_logits(self, x: Any, parameters: Array, logits: Array) -> None:
        free = logits if self._free is None else self._free[: len(logits)]
        weight = parameters[: self._features]
        if sparse.issparse(x):
            free[...] = x @ weight
        else:
            np.matmul(x, weight, out=free)
        if self._intercepts:
            free += parameters[self._features]
        if free is not logits:
            logits[:, : self._first_free] = 0.0
            logits[:, self._first_free :] = free

    def _add_grad(self, x: Any, by_logits: Array, grad: Float64Array) -> None:
        free = by_logits
        if self._free is not None:
            free = self._free[: len(by_logits)]
            free[...] = by_logits[:, self._first_free :]
        if sparse.issparse(x):
            grad[: self._features] += x.T @ free
        else:
            grad[: self._features] += np.matmul(x.T, free, out=self._product)
        if self._intercepts:
            # A product, as NumPy's sums along the first axis take twice its time.
            grad[self._features] += self._ones[: len(free)] @ free


def _shares(x: Any, num_classes: int, num_threads: int) -> list[tuple[int, int]]:
    """Return where each thread's samples begin and end."""
    samples, features = x.shape
    entries = x.nnz if sparse.issparse(x) else samples * features
    worth = max(1, entries * num_classes // _WORTH_A_THREAD)
    count = max(1, min(num_threads, worth, samples // _FEWEST_ROWS))
    bounds = [samples * i // count for i in range(count + 1)]
    return list(pairwise(bounds))


def _rows_of_a_block(x: Any, num_classes: int) -> int:
    samples, features = x.shape
    if sparse.issparse(x):
        # Its product with the gradient has as many rows as there are features, for each block.
        return int(samples)
    a_row = x.dtype.itemsize * (features + num_classes)
    return int(min(samples, max(_FEWEST_ROWS, _BLOCK_BYTES // a_row)))
