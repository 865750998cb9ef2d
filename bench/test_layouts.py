"""Fortran order and classes on the first axis."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.cases import OTHER_LAYOUTS, Case, Grid


@pytest.mark.grid(
    Grid(
        ("softmax", "value_and_grad", "value_and_mean_grad"),
        shapes=((256, 1000), (1_000_000, 10), (4096, 4096)),
        dtypes=("float32",),
        layouts=OTHER_LAYOUTS,
        threads=(1,),
    )
)
def test_layouts(case: Case, solve: Callable[[Case], None]) -> None:
    """The layouts other than C order with the classes last, which the other files have."""
    solve(case)
