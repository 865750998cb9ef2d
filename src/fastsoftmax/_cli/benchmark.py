"""The timings of the command line: the backends against NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .._plotting.bars import ratio_chart
from ..typing import BackendName
from . import numpy_baseline
from .console import Table
from .implementations import prepare
from .problems import Array, WrongAnswerError, expected, make_problem, verify
from .timing import Spread, duration, measure, ratio

__all__ = ["BASELINE", "Measurement", "Plan", "draw", "measurements", "tables", "to_json"]

#: The name of NumPy's own times, apart from the backend "numpy".
BASELINE = "NumPy"


@dataclass(frozen=True)
class Plan:
    """What to time: every combination of the fields, each backend against NumPy."""

    operations: Sequence[str]
    shapes: Sequence[tuple[int, int]]
    dtypes: Sequence[str]
    backends: Sequence[BackendName]
    threads: Sequence[int]
    rounds: int
    seconds: float = 1.0

    @property
    def cases(self) -> list[tuple[str, str, tuple[int, int]]]:
        """The combinations of operation, dtype and shape."""
        return list(itertools.product(self.operations, self.dtypes, self.shapes))

    @property
    def names(self) -> list[tuple[BackendName, int]]:
        """The combinations of backend and number of threads."""
        return list(itertools.product(self.backends, self.threads))


@dataclass(frozen=True)
class Measurement:
    """Seconds a call of NumPy and of each (backend, threads), a round each, for one case."""

    operation: str
    dtype: str
    shape: tuple[int, int]
    numpy: Array
    backends: dict[tuple[str, int], Array]

    def ratio(self, backend: str, threads: int) -> Spread:
        """Return how many times as fast as NumPy a backend is."""
        return ratio(self.numpy, self.backends[backend, threads])


def measurements(plan: Plan, begin: Callable[[str], None]) -> Iterator[Measurement]:
    """Time every case; ``begin`` is told the name of each."""
    for operation, dtype, shape in plan.cases:
        begin(f"{operation} {dtype} {shape[0]}×{shape[1]}")
        problem = make_problem(operation, shape, dtype)
        want = expected(problem)
        calls = {(BASELINE, 0): numpy_baseline.prepare(problem)}
        for backend, threads in plan.names:
            calls[backend, threads] = prepare(problem, backend, threads)
        for (name, _), call in calls.items():
            try:
                verify(problem, call(), want)
            except WrongAnswerError as error:
                raise WrongAnswerError(f"{name}: {error}") from error
        del want
        times = measure(calls, plan.rounds, plan.seconds)
        yield Measurement(operation, dtype, shape, times.pop((BASELINE, 0)), times)


def tables(plan: Plan, results: Sequence[Measurement]) -> Iterator[Table]:
    """Return a table of each operation and dtype: times, then one column a ratio."""
    for operation, dtype in itertools.product(plan.operations, plan.dtypes):
        # The reference backend is not to be taken for the baseline.
        names = ["reference" if name == "numpy" else name for name in plan.backends]
        columns = ["shape", "threads", BASELINE, *names]
        columns += [f"{BASELINE} / {name}" for name in names]
        table = Table(f"{operation}, {dtype}", columns)
        for result in results:
            if (result.operation, result.dtype) != (operation, dtype):
                continue
            for threads in plan.threads:
                table.add(*_row(result, plan.backends, threads))
        yield table


def _row(result: Measurement, backends: Sequence[str], threads: int) -> Iterator[str]:
    yield f"{result.shape[0]} × {result.shape[1]}"
    yield str(threads)
    yield duration(Spread.of(result.numpy).median)
    for backend in backends:
        yield duration(Spread.of(result.backends[backend, threads]).median)
    for backend in backends:
        times_as_fast = result.ratio(backend, threads)
        yield f"{times_as_fast.median:.2f} ±{times_as_fast.percent:.0f}%"


def to_json(plan: Plan, results: Sequence[Measurement], config: Any) -> dict[str, Any]:
    """Return the settings and all times as what `json.dump` takes."""
    records = []
    for result in results:
        series = {(BASELINE, 1): result.numpy, **result.backends}
        for (name, threads), times in series.items():
            spread = Spread.of(times)
            record = {
                "operation": result.operation,
                "dtype": result.dtype,
                "shape": list(result.shape),
                "implementation": name,
                "threads": threads,
                "median_seconds": spread.median,
                "quartiles_seconds": [spread.low, spread.high],
                "rounds": times.tolist(),
            }
            if name != BASELINE:
                gain = ratio(result.numpy, times)
                record["times_as_fast_as_numpy"] = gain.median
                record["times_as_fast_as_numpy_quartiles"] = [gain.low, gain.high]
            records.append(record)
    return {"config": config, "rounds": plan.rounds, "results": records}


def draw(path: str, plan: Plan, results: Sequence[Measurement], theme: str) -> None:
    """Draw the ratios, a panel for each operation and dtype."""
    panels: dict[str, dict[str, dict[str, Spread]]] = {}
    for result in results:
        panel = panels.setdefault(f"{result.operation}, {result.dtype}", {})
        panel[f"{result.shape[0]} × {result.shape[1]}"] = {
            _series(plan, *key): result.ratio(*key) for key in plan.names
        }
    series = [_series(plan, *key) for key in plan.names]
    ratio_chart(path, panels, series, f"times as fast as {BASELINE}", theme)


def _series(plan: Plan, backend: str, threads: int) -> str:
    """Return what a series is called: by its backend alone where that is enough."""
    if len(plan.threads) == 1 and threads == 1:
        return backend
    return f"{backend}, {threads} thread" + "s" * (threads > 1)
