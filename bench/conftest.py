"""Options of the benchmarks, the cases they select, and how a case is checked and timed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.cases import Case, Grid, problem_and_answer, reduced
from bench.peers import PEERS
from fastsoftmax._cli.problems import DTYPES, OPERATIONS, verify

# In place of pytest-benchmark's own defaults: short, so that all cases take less than half an
# hour, rounds long enough for the clock, and tables of medians.
_BENCHMARK_DEFAULTS = {
    "max_time": 0.4,
    "min_time": 5e-4,
    "columns": ["median", "iqr", "min", "rounds", "iterations"],
    "sort": "median",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that select cases; each takes values parted by commas."""
    group = parser.getgroup("fastsoftmax", "selection of benchmarks (values parted by commas)")
    group.addoption("--ops", metavar="OP,…", help=f"operations: {', '.join(OPERATIONS)}")
    group.addoption("--shapes", metavar="MxK,…", help="samples x classes, in place of the usual")
    group.addoption("--dtypes", metavar="DTYPE,…", help=f"dtypes: {', '.join(DTYPES)}")
    group.addoption("--peers", metavar="NAME,…", help=f"implementations: {', '.join(PEERS)}")
    group.addoption("--threads", metavar="N,…", help='numbers of threads, or "all"')


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, set the defaults, and let libraries warn of what they will."""
    _selected(Grid(()), config)
    _values(config, "peers", PEERS, PEERS)
    config.addinivalue_line("markers", "grid(grid): the cases of a benchmark")
    config.addinivalue_line("filterwarnings", "default")
    given = [argument.partition("=")[0] for argument in config.invocation_params.args]
    for name, value in _BENCHMARK_DEFAULTS.items():
        if f"--benchmark-{name.replace('_', '-')}" not in given:
            setattr(config.option, f"benchmark_{name}", value)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which implementations take part, and why the others do not."""
    missing = {name: peer.missing() for name, peer in PEERS.items()}
    present = [f"{name} {PEERS[name].version()}" for name, why in missing.items() if why is None]
    absent = [f"{name} ({why})" for name, why in missing.items() if why is not None]
    lines = ["implementations: " + ", ".join(present)]
    return [*lines, "left out: " + ", ".join(absent)] if absent else lines


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn the grid of a test into cases, implementations innermost: neighbours in time."""
    marker = metafunc.definition.get_closest_marker("grid")
    if marker is None:
        return
    grid = _selected(marker.args[0], metafunc.config)
    wanted = _values(metafunc.config, "peers", PEERS, PEERS)
    peers = [PEERS[name] for name in wanted if PEERS[name].missing() is None]
    cases = [
        replace(group, implementation=peer.name)
        for group in grid.groups()
        for peer in peers
        if peer.takes(group)
    ]
    metafunc.parametrize("case", cases, ids=[case.id for case in cases])


@pytest.fixture
def solve(benchmark: Any) -> Callable[[Case], None]:
    """Check what an implementation answers to a case, then time it.

    If benchmarks are disabled, the number of samples is reduced and the check is all.
    """

    def run(case: Case) -> None:
        peer = PEERS[case.implementation]
        shape = case.shape if benchmark.enabled else reduced(case.shape)
        problem, want = problem_and_answer(
            case.operation, shape, case.dtype, case.layout, case.reuse
        )
        call = peer.prepare(problem, case.threads)
        verify(problem, peer.to_numpy(call()), want)
        benchmark.group = case.group
        benchmark.name = case.implementation
        benchmark.extra_info.update(_description(case))
        verify(problem, peer.to_numpy(benchmark(call)), want)

    return run


def _description(case: Case) -> dict[str, Any]:
    """Return what a report needs to know of a case."""
    return {
        "operation": case.operation,
        "shape": list(case.shape),
        "dtype": case.dtype,
        "order": case.layout.order,
        "axis": case.layout.axis,
        "outputs": case.outputs,
        "threads": case.threads,
        "implementation": case.implementation,
        "version": PEERS[case.implementation].version(),
    }


def _selected(grid: Grid, config: pytest.Config) -> Grid:
    """Narrow the operations of a grid and replace its shapes, dtypes and threads, as asked."""
    operations = _values(config, "ops", OPERATIONS, grid.operations)
    shapes = grid.shapes
    if config.getoption("shapes"):
        shapes = [_shape(text) for text in config.getoption("shapes").split(",")]
    threads = grid.threads
    if config.getoption("threads"):
        threads = [_thread_count(text) for text in config.getoption("threads").split(",")]
    return replace(
        grid,
        operations=[name for name in grid.operations if name in operations],
        shapes=shapes,
        dtypes=_values(config, "dtypes", DTYPES, grid.dtypes),
        threads=threads,
    )


def _values(
    config: pytest.Config, option: str, known: Collection[str], default: Collection[str]
) -> Sequence[str]:
    text = config.getoption(option)
    if not text:
        return list(default)
    values: list[str] = text.split(",")
    for value in values:
        if value not in known:
            raise pytest.UsageError(
                f"--{option}: unknown value {value!r}; choose from {', '.join(known)}"
            )
    return values


def _shape(text: str) -> tuple[int, int]:
    samples, _, classes = text.partition("x")
    if not (samples.isdecimal() and classes.isdecimal() and int(samples) and int(classes)):
        raise pytest.UsageError(f"--shapes: {text!r} is not of the form MxK, as in 256x1000")
    return int(samples), int(classes)


def _thread_count(text: str) -> int | str:
    if text != "all" and not (text.isdecimal() and int(text)):
        raise pytest.UsageError(f'--threads: {text!r} is neither a positive number nor "all"')
    return text if text == "all" else int(text)
