"""Rows in compiled code: functions for loops over samples in functions compiled with Numba.

The package's own functions work in compiled code too, on whole arrays and with their options, as
soon as fastsoftmax is installed::

    @numba.njit
    def step(logits, labels):
        return fastsoftmax.cross_entropy_value_and_grad(logits, labels)

Those here are for one row at a time, where a sample's logits are made and used up in the same
iteration. They give a row the bits that it has in an array, allocate nothing for their results, and
run in the thread that calls them, without the GIL if their caller does. They can be called from
Python as well, where the package's own functions are faster.
"""

from __future__ import annotations

from ._extras import require

require("numba", "numba")

from ._in_jitted.rows import (
    cross_entropy_row,
    cross_entropy_value_and_grad_row,
    log_softmax_row,
    logsumexp_row,
    softmax_row,
)

__all__ = [
    "cross_entropy_row",
    "cross_entropy_value_and_grad_row",
    "log_softmax_row",
    "logsumexp_row",
    "softmax_row",
]


def __dir__() -> list[str]:
    return sorted(__all__)
