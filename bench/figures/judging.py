"""From recorded times to ratios and verdicts; nothing here is timed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from fastsoftmax._cli.problems import Array
from fastsoftmax._cli.timing import Spread, ratio

__all__ = ["OURS", "Comparison", "Record", "Target", "Verdict", "contenders", "fastest"]

#: The name of the package's own times where there are others' only.
OURS = "ours"

# A reference so many times as slow as the fastest one will not become it in further rounds.
_HOPELESS = 1.5
# Memory is what limits a call that takes at most so many times as long as moving its arrays.
_MEMORY_BOUND = 1.4
# Digits of a time that are kept: a millionth is far below any spread.
_DIGITS = 6


@dataclass(frozen=True)
class Record:
    """The times of all calls that were compared in one case.

    Attributes
    ----------
    line : int
        The line of the table it belongs to.
    operation, shape, dtype, threads
        The case; shape is samples × classes.
    times : dict of names to arrays
        Seconds a call, an entry a round. Entries at the same place are of the same round; who
        could not be the fastest any more has fewer.
    """

    line: int
    operation: str
    shape: tuple[int, int]
    dtype: str
    threads: int
    times: dict[str, Array]

    def to_json(self) -> dict[str, Any]:
        """Return it as what `json.dump` takes."""
        times = {
            name: [float(f"{t:.{_DIGITS}g}") for t in rounds] for name, rounds in self.times.items()
        }
        return {**vars(self), "shape": list(self.shape), "times": times}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Record:
        """Return what `to_json` was given."""
        samples, classes = record["shape"]
        times = {name: np.array(rounds) for name, rounds in record["times"].items()}
        return cls(**{**record, "shape": (samples, classes), "times": times})


@dataclass(frozen=True)
class Target:
    """What a ratio should reach.

    Attributes
    ----------
    sense : {"faster", "within"}
        Whether the ratio is the reference's time to ours, to be large, or ours to the
        reference's, to be small.
    bound : float or None
        What it should be at least or at most; None where there is nothing to reach.
    """

    sense: Literal["faster", "within"]
    bound: float | None = None

    def ratio(self, ours: Array, reference: Array) -> Spread:
        """Return the ratio over the rounds that both took part in."""
        rounds = min(len(ours), len(reference))
        ours, reference = ours[:rounds], reference[:rounds]
        return ratio(reference, ours) if self.sense == "faster" else ratio(ours, reference)

    def reached(self, value: float) -> bool:
        """Return whether the ratio is on the right side of the bound."""
        if self.bound is None:
            return True
        return value >= self.bound if self.sense == "faster" else value <= self.bound

    def __str__(self) -> str:
        sign = "≥" if self.sense == "faster" else "≤"
        return "–" if self.bound is None else f"{sign} {self.bound:g}"


@dataclass(frozen=True)
class Comparison:
    """Whose time is compared with the fastest of which others.

    Attributes
    ----------
    ours : str
        The name of the times in question.
    against : tuple of str
        The names of those compared with; who is missing in a record is left out.
    target : Target
        What the ratio to the fastest of them should reach.
    memory : tuple of str
        Names of the time it takes to move the arrays; who comes near the fastest of them need
        not reach the target, but only not be slower.
    """

    ours: str
    against: tuple[str, ...]
    target: Target
    memory: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """A comparison carried out on a record."""

    record: Record
    comparison: Comparison

    @property
    def label(self) -> str:
        """The operation, and which of our own times it is about, if there are several."""
        own = self.comparison.ours
        return self.record.operation if own == OURS else f"{self.record.operation}, {own}"

    @cached_property
    def seconds(self) -> Spread:
        """Our time."""
        return Spread.of(self._ours)

    @property
    def nanoseconds(self) -> float:
        """Our time an element of the logits."""
        samples, classes = self.record.shape
        return 1e9 * self.seconds.median / (samples * classes)

    @cached_property
    def ratios(self) -> dict[str, Spread]:
        """The ratio to each of those compared with."""
        target, times = self.comparison.target, self.record.times
        present = [name for name in self.comparison.against if name in times]
        return {name: target.ratio(self._ours, times[name]) for name in present}

    @cached_property
    def fastest(self) -> str | None:
        """The fastest of those compared with."""
        return fastest(self.record.times, self.comparison.against)

    @cached_property
    def reached(self) -> str:
        """Whether the target is reached: "yes", "no", "memory" if excused, "–" if there is none."""
        if self.fastest is None or self.comparison.target.bound is None:
            return "–"
        value = self.ratios[self.fastest].median
        if self.comparison.target.reached(value):
            return "yes"
        return "memory" if self._memory_bound and value >= 1 else "no"

    @property
    def _ours(self) -> Array:
        return self.record.times[self.comparison.ours]

    @property
    def _memory_bound(self) -> bool:
        times = self.record.times
        moving = fastest(times, self.comparison.memory)
        if moving is None:
            return False
        return Target("within").ratio(self._ours, times[moving]).median <= _MEMORY_BOUND


def fastest(times: Mapping[str, Array], names: Iterable[str]) -> str | None:
    """Return the name with the smallest median, of those there are."""
    present = [name for name in names if name in times]
    return min(present, key=lambda name: float(np.median(times[name])), default=None)


def contenders(times: Mapping[str, Array], comparisons: Iterable[Comparison]) -> set[str]:
    """Return whom further rounds are worth while for: ours, and who may be the fastest."""
    names: set[str] = set()
    for comparison in comparisons:
        names.add(comparison.ours)
        for group in (comparison.against, comparison.memory):
            best = fastest(times, group)
            if best is None:
                continue
            limit = _HOPELESS * float(np.median(times[best]))
            names |= {n for n in group if n in times and np.median(times[n]) <= limit}
    return names
