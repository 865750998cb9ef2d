"""The whole run: a process for each number of threads, and what they answer together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.cases import all_threads

from .judging import Record
from .lines import LINES, Line
from .machine import describe
from .measuring import Effort

__all__ = ["Figures", "Plan", "measure"]

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    lines: Sequence[int]
    dtypes: Sequence[str]
    threads: Sequence[int]
    ours: str
    effort: Effort

    def lines_of(self, threads: int) -> list[int]:
        """Return the lines that have cases on so many threads."""
        return [number for number in self.lines if _has(LINES[number], threads)]


@dataclass
class Figures:
    """What was measured.

    Attributes
    ----------
    machine : dict
        CPU, versions and so on.
    settings : dict
        The plan.
    noise : dict of threads to dict of names to lists
        Seconds of the same measurements all along the run.
    records : list of Record
        The times.
    """

    machine: dict[str, Any]
    settings: dict[str, Any]
    noise: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as what `json.dump` takes."""
        return {**vars(self), "records": [record.to_json() for record in self.records]}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Figures:
        """Return what `to_json` was given."""
        records = [Record.from_json(record) for record in document["records"]]
        return cls(**{**document, "records": records})


def measure(plan: Plan, tell: Callable[[Record], None]) -> Figures:
    """Carry out a plan; ``tell`` is given each record as it comes."""
    figures = Figures(describe(), asdict(plan))
    for threads in plan.threads:
        lines = plan.lines_of(threads)
        if not lines:
            continue
        for kind, content in _answers(plan, lines, threads):
            if kind == "noise":
                figures.noise[str(threads)] = content
            else:
                figures.records.append(Record.from_json(content))
                tell(figures.records[-1])
    return figures


def _has(line: Line, threads: int) -> bool:
    if 1 in line.grid.threads and threads == 1:
        return True
    return "all" in line.grid.threads and threads > 1


def _answers(plan: Plan, lines: Sequence[int], threads: int) -> Iterator[tuple[str, Any]]:
    """Start a process on as many CPUs as threads, and yield what it answers."""
    request = {
        "lines": lines,
        "dtypes": plan.dtypes,
        "threads": threads,
        "ours": plan.ours,
        "effort": asdict(plan.effort),
        "cpus": _cpus(threads),
    }
    command = [sys.executable, "-m", "bench.figures.child"]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        json.dump(request, process.stdin)
        process.stdin.close()
        for text in process.stdout:
            ((kind, content),) = json.loads(text).items()
            yield kind, content
    if process.returncode:
        raise SystemExit(f"the measurements on {threads} threads ended with an error, shown above")


def _cpus(threads: int) -> list[int]:
    """Return the CPUs to run on: the last ones, for the first has most of the interrupts."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))[-threads:]
    return list(range(all_threads()))
