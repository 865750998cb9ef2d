"""The gradient of a bias: sums over the samples, in twice the precision of float64."""

from __future__ import annotations

import numpy as np

from .._sums import two_sum
from .._typing import Float64Array
from .tiles import AT_A_TIME, slices

__all__ = ["BiasSums"]


class BiasSums:
    """Sums over some samples after others, added in their order, and what rounding loses."""

    def __init__(self, dbias: Float64Array) -> None:
        self.of_some = np.zeros_like(dbias)
        """Where the next samples' sums are to be written."""
        self._total, self._lost = dbias, np.zeros_like(dbias)

    def add(self) -> None:
        """Add what was written."""
        for classes in slices(self._total.size, AT_A_TIME):
            total = self._total[classes]
            total[...], lost = two_sum(total, self.of_some[classes])
            self._lost[classes] += lost

    def finish(self) -> None:
        """Complete the sums, which nothing is added to any more."""
        self._lost[~np.isfinite(self._lost)] = 0
        self._total += self._lost
