"""softmax and log_softmax."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.cases import Case, Grid

OPERATIONS = ("softmax", "log_softmax")


@pytest.mark.grid(Grid(OPERATIONS))
def test_probabilities(case: Case, solve: Callable[[Case], None]) -> None:
    """All shapes, outputs reused."""
    solve(case)


@pytest.mark.grid(
    Grid(
        OPERATIONS,
        shapes=((256, 1000), (1_000_000, 10), (4096, 4096)),
        dtypes=("float32",),
        outputs=("fresh",),
        threads=(1,),
    )
)
def test_fresh_probabilities(case: Case, solve: Callable[[Case], None]) -> None:
    """A new output each time: the price of fresh memory."""
    solve(case)
