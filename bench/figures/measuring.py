"""The timing of the table's cases, in the process of one number of threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from bench.cases import Case
from fastsoftmax._cli.problems import Array, Call
from fastsoftmax._cli.timing import measure

from .judging import Comparison, Record, contenders
from .lines import Line
from .memory import copies, split

__all__ = ["Effort", "Noise", "measure_line"]

# All take part in so many rounds, those who may be the fastest in the others.
_HEATS = 3
# The idle threads of some peers spin before they sleep. The CPU time of a process may be counted
# in steps of 4 ms, so a shorter silence says nothing.
_SILENCE, _PATIENCE = 5e-3, 0.1
# Elements of a case in a quick run, to try the command.
_QUICK_SIZE = 1 << 20


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds and seconds a case, and whether on fewer samples."""

    rounds: int
    seconds: float
    quick: bool = False


class Noise:
    """The same few measurements all along the run; their spread is the machine's.

    One of them is made by all threads together, each of which notes the share of the time that
    it had a CPU for. Where one had less than all, another process had the rest.
    """

    def __init__(self, threads: int) -> None:
        x = np.linspace(-10, 0, 1 << 23, dtype=np.float32)
        out = np.empty_like(x)
        self._shares: list[float] = []
        self._calls: dict[str, Call] = {
            "exp": lambda: self._exp(x, out),
            "copyto": copies(np.ones(1 << 24, np.float32), 1)["copyto"],
        }
        if threads > 1:
            self._calls["exp, split"] = split(self._exp, (x, out), threads)
        self.times: dict[str, list[float]] = {name: [] for name in self._calls}
        self.shares: list[float] = []

    def listen(self) -> None:
        """Measure once more."""
        self._shares.clear()
        for name, times in measure(self._calls, 3).items():
            self.times[name].append(float(np.median(times)))
        self.shares.append(min(self._shares))

    def _exp(self, x: Array, out: Array) -> None:
        begin, used = time.perf_counter(), time.thread_time()
        np.exp(x, out=out)
        self._shares.append((time.thread_time() - used) / (time.perf_counter() - begin))


def measure_line(
    line: Line, dtypes: Iterable[str], threads: int, ours: str, effort: Effort
) -> Iterator[Record]:
    """Time the cases of a line on a number of threads."""
    wanted = [dtype for dtype in line.grid.dtypes if dtype in dtypes]
    for case in replace(line.grid, dtypes=wanted, threads=(threads,)).groups():
        case = _fewer_samples(case) if effort.quick else case
        times = _race(
            line.calls(case, ours),
            line.comparisons(case.shape, threads),
            effort,
            _await_silence if threads > 1 else lambda: None,
        )
        yield Record(line.number, case.operation, case.shape, case.dtype, threads, times)


def _race(
    calls: dict[str, Call],
    comparisons: tuple[Comparison, ...],
    effort: Effort,
    before: Callable[[], None],
) -> dict[str, Array]:
    """Time all in a few rounds, then those who are near the fastest in the others."""
    times = measure(calls, _HEATS, effort.seconds, before)
    if effort.rounds <= _HEATS:
        return times
    left = contenders(times, comparisons)
    more = measure(
        {name: call for name, call in calls.items() if name in left},
        effort.rounds - _HEATS,
        effort.seconds,
        before,
    )
    return {name: np.concatenate([t, more.get(name, t[:0])]) for name, t in times.items()}


def _await_silence() -> None:
    """Wait until the process has used no CPU for a while, or patience ends."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < _PATIENCE:
        used = time.process_time()
        time.sleep(_SILENCE)
        if time.process_time() - used < 0.2 * _SILENCE:
            return


def _fewer_samples(case: Case) -> Case:
    samples, classes = case.shape
    return replace(case, shape=(min(samples, max(2, _QUICK_SIZE // classes)), classes))
