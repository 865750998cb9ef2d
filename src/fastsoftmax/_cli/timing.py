"""Timing calls against each other: rounds in turn, medians, ratios within a round."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .problems import Array, Call

__all__ = ["Spread", "duration", "measure", "ratio"]

_Key = TypeVar("_Key")

# A round of calls lasts at least this long, so that the clock's own cost does not show.
_ROUND_SECONDS = 5e-4
# What comes before a call that takes longer than this does not show in its time, and the first of
# them tells enough.
_LONG_SECONDS = 1e-2


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of a quantity over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Array) -> Spread:
        """Return the median and the quartiles of the values."""
        low, median, high = np.percentile(values, [25, 50, 75])
        return cls(float(median), float(low), float(high))

    @property
    def percent(self) -> float:
        """Half the distance of the quartiles, in percent of the median."""
        return 50 * (self.high - self.low) / self.median


def measure(
    calls: Mapping[_Key, Call],
    rounds: int,
    seconds: float = 1.0,
    before: Callable[[], object] = lambda: None,
) -> dict[_Key, Array]:
    """Time several calls, taking turns, so that a slow moment of the machine meets all alike.

    The order changes from round to round, so that none always comes after the same other one;
    calls of up to 10 ms are made once more before the clock starts, to have their arrays in the
    cache and their threads awake, as they are where one call follows another.

    Parameters
    ----------
    calls : mapping of names to callables
        What to time, each already called once.
    rounds : int
        The largest number of rounds; at least 3 are made.
    seconds : float
        Make fewer rounds if they would take longer than this in all.
    before : callable
        Called before each timing, off the clock.

    Returns
    -------
    dict of names to arrays
        Seconds a call, one entry a round.
    """
    turns = random.Random(0)
    with _no_garbage_collection():
        once = {name: _time(call, before) for name, call in calls.items()}
        for name, first in once.items():
            if first < _LONG_SECONDS:
                once[name] = min(first, _time(calls[name], before, warm=True))
        repeats = {name: max(1, round(_ROUND_SECONDS / t)) for name, t in once.items()}
        a_round = sum(once[name] * repeats[name] for name in calls)
        rounds = max(3, min(rounds, int(seconds / a_round)))
        times: dict[_Key, list[float]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name in turns.sample(list(calls), len(calls)):
                warm = once[name] < _LONG_SECONDS
                times[name].append(_time(calls[name], before, repeats[name], warm=warm))
    return {name: np.array(values) for name, values in times.items()}


def ratio(baseline: Array, times: Array) -> Spread:
    """Return how many times as fast as the baseline: the ratios of the rounds' times."""
    return Spread.of(baseline / times)


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it, to three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _time(
    call: Call, before: Callable[[], object], repeats: int = 1, *, warm: bool = False
) -> float:
    before()
    if warm:
        call()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
