"""The penalised mean cross-entropy of linear logits and its gradient, block of rows by block."""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np
from scipy import sparse

from .._api.cross_entropy import cross_entropy_value_and_grad
from .._typing import Array, Float64Array

__all__ = ["Objective"]

# A block's samples, logits and gradient together stay in the second or third level cache between
# the two products with the samples; below so many rows the products themselves become slower.
_BLOCK_BYTES = 4 << 20
_FEWEST_ROWS = 1024


class Objective:
    r"""The function of the parameters that L-BFGS minimises.

    .. math:: \frac 1 S \sum_i s_i L_i + \frac{\lambda}{2 S} \lVert W \rVert^2

    with S the total weight of the samples. The logits of C classes are x W + b. With `free` one
    less than C, those of the first class are all 0.

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
    backend, num_threads
        As in `cross_entropy`.
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
        backend: str | None,
        num_threads: SupportsIndex | None,
    ) -> None:
        self._scale, self._penalty = 1.0 / total_weight, penalty / total_weight
        self._options: dict[str, Any] = {"backend": backend, "num_threads": num_threads}
        self._features, self._first_free = x.shape[1], num_classes - free
        self._intercepts = int(fit_intercept)
        length = _rows_of_a_block(x, num_classes)
        self._blocks = [
            (
                x[start : start + length] if length < x.shape[0] else x,
                targets[start : start + length],
                None if sample_weight is None else sample_weight[start : start + length],
            )
            for start in range(0, x.shape[0], length)
        ]
        # Reused for every block of every evaluation: fresh memory costs more than the arithmetic.
        self._logits = np.empty((length, num_classes), x.dtype)
        self._free = np.empty((length, free), x.dtype) if self._first_free else None
        self._ones = np.ones(length, x.dtype)
        self._product = np.empty((x.shape[1], free), x.dtype)
        self._shape = (x.shape[1] + self._intercepts, free)

    @property
    def shape(self) -> tuple[int, int]:
        """The parameters as a matrix: W above b, classes along the rows."""
        return self._shape

    def __call__(self, parameters: Float64Array) -> tuple[float, Float64Array]:
        """Return the value and the gradient at the parameters, all in one vector."""
        exact = parameters.reshape(self._shape)
        rounded = exact.astype(self._product.dtype, copy=False)
        grad = np.zeros(self._shape)
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
            self._add_grad(x, logits, grad)
        weight = exact[: self._features]
        grad *= self._scale
        grad[: self._features] += self._penalty * weight
        value = self._scale * total + 0.5 * self._penalty * float(np.vdot(weight, weight))
        return value, grad.ravel()

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


def _rows_of_a_block(x: Any, num_classes: int) -> int:
    samples, features = x.shape
    if sparse.issparse(x):
        # Its product with the gradient has as many rows as there are features, for each block.
        return int(samples)
    a_row = x.dtype.itemsize * (features + num_classes)
    return int(min(samples, max(_FEWEST_ROWS, _BLOCK_BYTES // a_row)))
