"""Loss with gradient, loss with mean gradient, gradient with Hessian."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.cases import Case, Grid


@pytest.mark.grid(Grid(("value_and_grad", "value_and_mean_grad", "grad_hess")))
def test_cross_entropy(case: Case, solve: Callable[[Case], None]) -> None:
    """All shapes, outputs reused."""
    solve(case)


@pytest.mark.grid(
    Grid(
        ("value_and_grad", "grad_hess"),
        shapes=((256, 1000), (1_000_000, 10), (4096, 4096)),
        dtypes=("float32",),
        outputs=("fresh",),
        threads=(1,),
    )
)
def test_fresh_gradients(case: Case, solve: Callable[[Case], None]) -> None:
    """New outputs each time: the price of fresh memory."""
    solve(case)
