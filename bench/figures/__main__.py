"""Measure the figures of docs/performance.md, print them, and write them into it.

python -m bench.figures                                      # all of it: about 20 minutes
python -m bench.figures --lines 1,4 --dtypes float32 --threads 1
python -m bench.figures --json figures.json --write docs/performance.md
python -m bench.figures --read figures.json --write docs/performance.md
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from bench.cases import all_threads
from bench.report import OURS
from fastsoftmax._cli.problems import DTYPES

from . import machine, tables
from .document import fill, part
from .judging import Record, Verdict
from .lines import LINES, verdicts
from .measuring import Effort
from .run import Figures, Plan, measure

_T = TypeVar("_T")


def main() -> int:
    """Measure or read, then print and write; return the exit code."""
    arguments = _parse()
    try:
        figures = _read(arguments.read) if arguments.read else measure(_plan(arguments), _tell)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if not arguments.read:
            raise
        print(f"{arguments.read} is not a file of figures: {error}", file=sys.stderr)
        return 2
    if arguments.json is not None:
        text = json.dumps(figures.to_json(), ensure_ascii=False) + "\n"
        sys.stdout.write(text) if str(arguments.json) == "-" else arguments.json.write_text(text)
    found = _by_line(figures.records)
    if str(arguments.json) != "-":
        _show(figures, found)
    return _write(arguments.write, figures, found) if arguments.write else 0


def _by_line(records: Sequence[Record]) -> dict[int, list[Verdict]]:
    """Return the verdicts of each line, in its order, lines without any left out."""
    found: dict[int, list[Verdict]] = {number: [] for number in LINES}
    for record in records:
        found[record.line] += verdicts(record)
    return {number: of_line for number, of_line in found.items() if of_line}


def _show(figures: Figures, found: dict[int, list[Verdict]]) -> None:
    print(machine.text(figures.machine, figures.settings))
    print(machine.noise_text(figures.noise))
    for number, of_line in found.items():
        print(f"\n### {number}. {LINES[number].title}\n\n{tables.full(of_line)}")
    print(f"\n### Summary\n\n{tables.summary(found)}")


def _write(path: Path, figures: Figures, found: dict[int, list[Verdict]]) -> int:
    """Fill the places of a document; return the exit code."""
    try:
        document = path.read_text(encoding="utf-8")
        path.write_text(fill(document, _parts(document, figures, found)), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    return 0


def _parts(document: str, figures: Figures, found: dict[int, list[Verdict]]) -> dict[str, str]:
    """Return what is to be filled in. Lines without the others say where they were measured."""
    about = machine.text(figures.machine, figures.settings)
    about = f"{about}\n\n{machine.noise_text(figures.noise)}"
    parts = {"summary": tables.summary(found, before=part(document, "summary"))}
    all_lines = found.keys() == LINES.keys()
    if all_lines:
        parts["machine"] = about
    for number, of_line in found.items():
        title, table = LINES[number].title, tables.compact(of_line)
        apart = "" if all_lines else f"Measured apart from the other tables: {about}\n\n"
        parts[LINES[number].key] = f"{title}\n\n{apart}{table}"
    return parts


def _tell(record: Record) -> None:
    """Report progress where it does not get between the tables."""
    samples, classes = record.shape
    rounds = max(map(len, record.times.values()))
    case = f"{record.operation} {samples}×{classes} {record.dtype}"
    print(
        f"line {record.line}: {case}, {record.threads} threads, {rounds} rounds",
        file=sys.stderr,
        flush=True,
    )


def _read(path: Path) -> Figures:
    return Figures.from_json(json.loads(path.read_text(encoding="utf-8")))


def _plan(arguments: argparse.Namespace) -> Plan:
    effort = Effort(arguments.rounds, arguments.seconds)
    if arguments.quick:
        effort = Effort(min(arguments.rounds, 5), min(arguments.seconds, 0.2), quick=True)
    threads = sorted(set(arguments.threads))
    return Plan(arguments.lines, arguments.dtypes, threads, arguments.ours, effort)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.figures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{n:4}  {line.key}: {line.title}" for n, line in LINES.items()),
    )
    add = parser.add_argument
    add("--lines", type=_list(_line), default=list(LINES), metavar="N,…", help="as listed below")
    add("--dtypes", type=_list(_dtype), default=list(DTYPES), metavar="DTYPE,…")
    add("--threads", type=_list(_threads), default="1,all", metavar="N,…", help="or all")
    add("--ours", choices=OURS, default="c", help="the backend (default: %(default)s)")
    add("--rounds", type=int, default=21, help="at most so many (default: %(default)s)")
    add("--seconds", type=float, default=1.0, help="about so many a case (default: %(default)s)")
    add("--quick", action="store_true", help="fewer samples and rounds: to try the command")
    add("--read", type=Path, metavar="FILE", help="measure nothing: take what --json wrote")
    add("--json", type=Path, metavar="FILE", help='all times; "-" for standard output, no tables')
    add("--write", type=Path, metavar="FILE.md", help="fill the places of a document")
    return parser.parse_args()


def _list(value: Callable[[str], _T]) -> Callable[[str], list[_T]]:
    def values(text: str) -> list[_T]:
        return [value(part) for part in text.split(",")]

    return values


def _line(text: str) -> int:
    if not text.isdecimal() or int(text) not in LINES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a line: 1 to {max(LINES)}")
    return int(text)


def _dtype(text: str) -> str:
    if text not in DTYPES:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(DTYPES)}")
    return text


def _threads(text: str) -> int:
    most = all_threads()
    if text == "all":
        return most
    if not (text.isdecimal() and 1 <= int(text) <= most):
        raise argparse.ArgumentTypeError(f'{text!r} is neither "all" nor from 1 to {most}')
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
