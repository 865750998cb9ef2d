"""Totals of losses, lane by lane."""

from __future__ import annotations

from typing import Any, NamedTuple

from .compilation import jitted
from .staging import Bool, Pointer, Wide, staged
from .sums import Sum, fold_sum, sum_plus, sum_zero
from .words import any_lane, first_lane, iota, select, splat_index

__all__ = ["UNIT_OF_HUGE", "add_losses", "close_losses", "no_losses"]

LEAST_HUGE = 2.0**960
UNIT_OF_HUGE = 2.0**64


class Losses(NamedTuple):
    """A sum of losses.

    Those so large that a sum of them could overflow, where their mean does not, are kept apart, in
    a larger unit.
    """

    common: Any
    huge: Any


@staged
def no_losses(like: Pointer) -> Any:
    return Losses(sum_zero(like), sum_zero(like))


@staged
def is_any_huge(loss: Wide) -> Bool:
    return any_lane(loss > LEAST_HUGE)


@staged
def with_common(b: Any, losses: Any, loss: Wide) -> Any:
    is_row = iota(loss) < splat_index(loss, b.lanes)
    term = select(is_row & ~(loss > LEAST_HUGE), loss, 0)
    return Losses(sum_plus(losses.common, Sum(term, term.like(0))), losses.huge)


@staged
def with_huge(b: Any, losses: Any, loss: Wide) -> Any:
    is_row = iota(loss) < splat_index(loss, b.lanes)
    term = select(is_row & (loss > LEAST_HUGE), loss * (1 / UNIT_OF_HUGE), 0)
    return Losses(losses.common, sum_plus(losses.huge, Sum(term, term.like(0))))


@jitted
def add_losses(b: Any, losses: Any, loss: Wide) -> Any:
    losses = with_common(b, losses, loss)
    if is_any_huge(loss):
        losses = with_huge(b, losses, loss)
    return losses


@staged
def close_losses(losses: Any) -> Any:
    """As numbers."""
    return Losses(*(Sum(*map(first_lane, fold_sum(each))) for each in losses))
