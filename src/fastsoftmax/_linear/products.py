"""The matrix products of a linear layer, of some samples and some classes.

They are BLAS's to share among its threads, and the kernels' threads take turns with them. Weights
that BLAS cannot multiply where they lie are copied, a few classes at a time.
"""

from __future__ import annotations

import numpy as np

from .._typing import Array
from .problem import Problem, Results, is_usable, usable
from .tiles import slices

__all__ = ["Products"]


class Products:
    """The products, and the memory for parts of them; `step` classes at a time."""

    def __init__(self, problem: Problem, results: Results, step: int) -> None:
        self._weight, self._dtype = problem.weight, problem.dtype
        self._dweight, self._step = results.dweight, step
        self._part: Array | None = None

    def put_logits(self, x: Array, classes: slice, place: Array) -> None:
        """Write x times the transposed weights of the classes."""
        if is_usable(self._weight, self._dtype):
            np.matmul(x, self._weight[classes].T, out=place)
            return
        for some in self._some(classes):
            here = slice(some.start - classes.start, some.stop - classes.start)
            np.matmul(x, usable(self._weight[some], self._dtype).T, out=place[:, here])

    def put_dx(self, grad: Array, classes: slice, place: Array) -> None:
        """Write the gradient of the classes' logits times their weights."""
        if is_usable(self._weight, self._dtype):
            np.matmul(grad, self._weight[classes], out=place)
            return
        place[...] = 0
        for some in self._some(classes):
            here = slice(some.start - classes.start, some.stop - classes.start)
            place += grad[:, here] @ usable(self._weight[some], self._dtype)

    def add_dweight(self, grad: Array, x: Array, classes: slice, is_first: bool) -> None:
        """Add the transposed gradient of the classes' logits times x to that of their weights."""
        if self._dweight is None:
            return
        for some in self._some(classes):
            place = self._dweight[some]
            of_some = grad[:, some.start - classes.start : some.stop - classes.start].T
            if is_first:
                np.matmul(of_some, x, out=place)
                continue
            # Memory from the system anew for each would cost some per cent of the product.
            if self._part is None:
                self._part = np.empty((self._step, x.shape[1]), self._dtype)
            part = self._part[: len(place)]
            np.matmul(of_some, x, out=part)
            place += part

    def _some(self, classes: slice) -> list[slice]:
        return list(slices(classes.stop - classes.start, self._step, classes.start))
