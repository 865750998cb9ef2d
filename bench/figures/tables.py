"""The Markdown of the figures: a full table of each line, a compact one, and a summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.report import render
from fastsoftmax._cli.timing import Spread, duration

from .judging import OURS, Target, Verdict
from .lines import LINES, Line

__all__ = ["compact", "full", "summary"]


def full(found: Sequence[Verdict]) -> str:
    """Return a table with a row a comparison: our time, each other's ratio, the verdict."""
    names = list(dict.fromkeys(name for v in found for name in v.ratios))
    head = ["", "m × K", "dtype", "threads", OURS, "ns/element"]
    rows = [[*head, *map(_name, names), "target", "reached"]]
    for v in found:
        row = [v.label, _shape(v), v.record.dtype, str(v.record.threads)]
        row += [_time(v.seconds), _number(v.nanoseconds)]
        row += [_ratio(v.ratios[n]) if n in v.ratios else "–" for n in names]
        rows.append([*row, str(v.comparison.target), v.reached])
    return render(rows, markdown=True)


def compact(found: Sequence[Verdict]) -> str:
    """Return a table with a row a case, and for each number of threads four columns."""
    threads = sorted({v.record.threads for v in found})
    heading = _heading(found[0].comparison.target)
    head = ["", "m × K", "dtype"]
    for n in threads:
        head += [f"{n} thread{'s' * (n > 1)}", "ns/element", heading, "reached"]
    cases: dict[tuple[object, ...], dict[int, Verdict]] = {}
    for v in found:
        key = (v.label, _shape(v), v.record.dtype, _names(v))
        cases.setdefault(key, {})[v.record.threads] = v
    rows = [head]
    for (label, shape, dtype, _), by_threads in cases.items():
        row = [str(label), str(shape), str(dtype)]
        for n in threads:
            row += _cells(by_threads[n]) if n in by_threads else ["–"] * 4
        rows.append(row)
    return render(rows, markdown=True)


def summary(found: Mapping[int, Sequence[Verdict]], before: str = "") -> str:
    """Return a table of how many targets of each line are reached.

    Lines that were not found are taken from the table as it was before.
    """
    rows = {int(row[0]): row for row in _cells_of(before) if row[0].isdecimal()}
    for number, of_line in found.items():
        judged = [v for v in of_line if v.reached != "–"]
        counts = [sum(v.reached == word for v in judged) for word in ("yes", "memory")]
        rows[number] = [str(number), _link(LINES[number]), *map(str, counts), str(len(judged))]
    head = ["line", "table", "reached", "limited by memory", "of"]
    return render([head, *(rows[number] for number in sorted(rows))], markdown=True)


def _cells_of(table: str) -> list[list[str]]:
    lines = (line.strip().strip("|") for line in table.splitlines() if line.startswith("|"))
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def _cells(v: Verdict) -> Iterable[str]:
    yield _time(v.seconds)
    yield _number(v.nanoseconds)
    assert v.fastest is not None
    yield f"{_ratio(v.ratios[v.fastest])} ({_name(v.fastest)})"
    yield v.reached


def _heading(target: Target) -> str:
    return "fastest / ours" if target.sense == "faster" else "ours / fastest"


def _names(v: Verdict) -> tuple[str, ...]:
    return v.comparison.against


def _name(name: str) -> str:
    return "plain" if name == OURS else name


def _link(line: Line) -> str:
    return f"[{line.key}](#{line.key})"


def _shape(v: Verdict) -> str:
    samples, classes = v.record.shape
    return f"{samples} × {classes}"


def _time(seconds: Spread) -> str:
    return f"{duration(seconds.median)} ±{seconds.percent:.0f}%"


def _ratio(value: Spread) -> str:
    return f"{value.median:.2f} ±{value.percent:.0f}%"


def _number(value: float) -> str:
    return f"{value:.3g}"
