"""Turn a pytest-benchmark JSON file into tables of ratios and a plot.

    pytest bench --benchmark-json=times.json
    python bench/report.py times.json --against numpy --plot ratios.png

A ratio is the peer's median time to that of the implementation in question: larger is faster.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastsoftmax._cli.timing import Spread, duration
from fastsoftmax._plotting.bars import ratio_chart
from fastsoftmax._plotting.look import THEMES, PlotError

OURS = ("c", "numba")


@dataclass(frozen=True)
class Timing:
    """The times of one implementation in one group."""

    implementation: str
    seconds: Spread


@dataclass(frozen=True)
class Group:
    """The timings of one case: comparable with each other."""

    title: str
    shape: tuple[int, int]
    timings: dict[str, Timing]

    def peers(self) -> Iterator[Timing]:
        """Yield the timings of everything but the backends of fastsoftmax."""
        return (t for name, t in self.timings.items() if name not in OURS)

    def fastest_peer(self) -> Timing | None:
        """Return the peer of the smallest median."""
        return min(self.peers(), key=lambda t: t.seconds.median, default=None)


def ratio(peer: Spread, ours: Spread) -> Spread:
    """Return the ratio of the medians, between the extreme ratios of the quartiles."""
    return Spread(peer.median / ours.median, peer.low / ours.high, peer.high / ours.low)


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the machine and the benchmarks that a file holds."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return document["machine_info"], document["benchmarks"]


def groups(
    benchmarks: Iterable[dict[str, Any]], ops: set[str], dtypes: set[str]
) -> dict[str, list[Group]]:
    """Return the groups by the title of their table; empty sets leave everything in."""
    collected: dict[tuple[str, tuple[int, int]], dict[str, Timing]] = {}
    for benchmark in benchmarks:
        info, stats = benchmark["extra_info"], benchmark["stats"]
        if (ops and info["operation"] not in ops) or (dtypes and info["dtype"] not in dtypes):
            continue
        name = info["implementation"]
        seconds = Spread(stats["median"], stats["q1"], stats["q3"])
        key = (_title(info), (info["shape"][0], info["shape"][1]))
        collected.setdefault(key, {})[name] = Timing(name, seconds)
    tables: dict[str, list[Group]] = {}
    for (title, shape), timings in collected.items():
        tables.setdefault(title, []).append(Group(title, shape, timings))
    return tables


def _title(info: dict[str, Any]) -> str:
    plural = "s" * (info["threads"] > 1)
    return (
        f"{info['operation']}, {info['dtype']}, {info['order']} order, axis {info['axis']}, "
        f"{info['outputs']} outputs, {info['threads']} thread{plural}"
    )


def rows(table: list[Group], ours: str, against: str, every: bool) -> list[list[str]]:
    """Return the header and a row for each shape that the implementation was timed on."""
    names = [ours, against]
    if every:
        names += dict.fromkeys(n for group in table for n in group.timings if n not in names)
    lines = [["m × K", *names, f"{against} / {ours}", f"fastest / {ours}", "fastest peer"]]
    for group in table:
        mine = group.timings.get(ours)
        if mine is None:
            continue
        line = [f"{group.shape[0]} × {group.shape[1]}"]
        line += [_time(group.timings.get(name)) for name in names]
        fastest = group.fastest_peer()
        line += [_ratio(group.timings.get(against), mine), _ratio(fastest, mine)]
        line.append(fastest.implementation if fastest else "–")
        lines.append(line)
    return lines


def _time(timing: Timing | None) -> str:
    if timing is None:
        return "–"
    return f"{duration(timing.seconds.median)} ±{timing.seconds.percent:.0f}%"


def _ratio(peer: Timing | None, ours: Timing) -> str:
    if peer is None:
        return "–"
    value = ratio(peer.seconds, ours.seconds)
    return f"{value.median:.2f} ({value.low:.2f}–{value.high:.2f})"


def render(lines: list[list[str]], markdown: bool) -> str:
    """Return a table as Markdown or as plain text."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        [cell.rjust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    ]
    if markdown:
        rule = ["-" * (width - 1) + ":" for width in widths]
        return "\n".join(f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]])
    rule = ["-" * width for width in widths]
    return "\n".join("  ".join(line) for line in [padded[0], rule, *padded[1:]])


def draw(
    path: Path, tables: dict[str, list[Group]], ours: str, against: str, every: bool, theme: str
) -> None:
    """Draw the ratios of all tables, one panel each."""
    panels: dict[str, dict[str, dict[str, Spread]]] = {}
    series: dict[str, None] = {against: None}
    for title, table in tables.items():
        for group in table:
            mine, fastest = group.timings.get(ours), group.fastest_peer()
            if mine is None or fastest is None:
                continue
            bars = {
                t.implementation: t for t in group.peers() if every or t.implementation == against
            }
            bars |= {} if every else {"fastest peer": fastest}
            shape = f"{group.shape[0]} × {group.shape[1]}"
            panels.setdefault(title, {})[shape] = {
                name: ratio(timing.seconds, mine.seconds) for name, timing in bars.items()
            }
            series |= dict.fromkeys(bars)
    if not panels:
        raise SystemExit(f"nothing to draw: no times of {ours} beside a peer's")
    label = f"times as fast: peer's median / median of {ours}"
    ratio_chart(path, panels, list(series), label, theme)


def parse() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description="Tables of ratios, and a plot, from the JSON file of pytest-benchmark."
    )
    parser.add_argument("file", type=Path, help="what --benchmark-json or --benchmark-save wrote")
    parser.add_argument("--ours", default="c", choices=OURS, help="default: %(default)s")
    parser.add_argument("--against", default="numpy", help="the named peer (default: %(default)s)")
    parser.add_argument("--every", action="store_true", help="show all peers' times as well")
    parser.add_argument("--ops", default="", help="only these operations, parted by commas")
    parser.add_argument("--dtypes", default="", help="only these dtypes, parted by commas")
    parser.add_argument("--format", default="markdown", choices=("markdown", "plain"))
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios")
    parser.add_argument("--theme", choices=THEMES, default="light", help="of the plot")
    return parser.parse_args()


def main() -> int:
    """Print the report; return the exit code."""
    arguments = parse()
    try:
        machine, benchmarks = read(arguments.file)
    except (OSError, ValueError, KeyError) as error:
        print(f"{arguments.file} is not a pytest-benchmark JSON file: {error}", file=sys.stderr)
        return 2
    ops, dtypes = ({v for v in text.split(",") if v} for text in (arguments.ops, arguments.dtypes))
    tables = groups(benchmarks, ops, dtypes)
    markdown = arguments.format == "markdown"
    cpu = machine.get("cpu", {})
    print(f"{cpu.get('brand_raw', machine.get('processor', 'CPU unknown'))}, ", end="")
    print(f"{cpu.get('count', '?')} CPUs, {machine['system']}, Python {machine['python_version']}.")
    print("Medians, with half the distance of the quartiles in percent; ratios of medians, in")
    print("brackets with the quartiles against each other; larger is faster.")
    for title, table in tables.items():
        lines = rows(table, arguments.ours, arguments.against, arguments.every)
        if len(lines) > 1:
            print(f"\n{'### ' * markdown}{title}\n")
            print(render(lines, markdown))
    if arguments.plot is not None:
        try:
            draw(
                arguments.plot,
                tables,
                arguments.ours,
                arguments.against,
                arguments.every,
                arguments.theme,
            )
        except PlotError as error:
            print(error, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
