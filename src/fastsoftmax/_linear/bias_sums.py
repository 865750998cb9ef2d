"""The gradient of a bias: sums over the samples, in twice the precision of float64."""

from __future__ import annotations

import numpy as np

from .._sums import RunningSum
from .._typing import Float64Array
from .tiles import AT_A_TIME, slices

__all__ = ["BiasSums"]


class BiasSums:
    """Sums over some samples after others, added in their order.

    That is done for some of the classes at a time, so that what is temporary takes little memory.
    """

    def __init__(self, dbias: Float64Array) -> None:
        self.of_some = np.zeros_like(dbias)
        """Where the next samples' sums are to be written."""
        self._dbias = dbias
        self._sums = [
            (classes, RunningSum(np.zeros_like(dbias[classes])))
            for classes in slices(dbias.size, AT_A_TIME)
        ]

    def add(self) -> None:
        """Add what was written."""
        for classes, total in self._sums:
            total.add(self.of_some[classes])

    def finish(self) -> None:
        """Write the gradient."""
        for classes, total in self._sums:
            self._dbias[classes] = total.value()
