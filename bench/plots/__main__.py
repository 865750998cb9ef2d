"""Measure what the documentation's figures show, and draw them.

python -m bench.plots measure                       # all data: five minutes, on a machine at rest
python -m bench.plots measure errors roofline       # some of it
python -m bench.plots draw                          # docs/figures from the data that is kept here
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_DATA = _HERE / "data"
_FIGURES = _HERE.parents[1] / "docs" / "figures"


def main() -> int:
    """Measure or draw; return the exit code."""
    arguments = _parse()
    return _measure(arguments) if arguments.command == "measure" else _draw(arguments)


def _measure(arguments: argparse.Namespace) -> int:
    from bench.figures.machine import describe

    from . import measuring

    unknown = [name for name in arguments.names if name not in measuring.DATA]
    if unknown:
        print(f"no data {unknown[0]!r}: choose from {', '.join(measuring.DATA)}", file=sys.stderr)
        return 2
    about = describe()
    # JAX takes the number of its threads from the CPUs that the process may use when it starts.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    arguments.data.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or measuring.DATA:
        print(name, file=sys.stderr, flush=True)
        document = {"machine": about, **measuring.DATA[name](arguments.quick)}
        text = json.dumps(document, ensure_ascii=False)
        (arguments.data / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return 0


def _draw(arguments: argparse.Namespace) -> int:
    from fastsoftmax._plotting.look import THEMES, PlotError

    from .drawing import FIGURES

    arguments.to.mkdir(parents=True, exist_ok=True)
    for name, figure in FIGURES.items():
        for theme in THEMES:
            try:
                figure(arguments.data, arguments.to / f"{name}-{theme}.{arguments.format}", theme)
            except (OSError, PlotError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 2
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.plots",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    measure = commands.add_parser("measure", help="measure anew, on one thread of one CPU")
    measure.add_argument("names", nargs="*", metavar="NAME", help="of the data (default: all)")
    measure.add_argument("--quick", action="store_true", help="few rounds: to try the command")
    draw = commands.add_parser("draw", help="draw all figures, light and dark")
    draw.add_argument("--to", type=Path, default=_FIGURES, metavar="DIRECTORY")
    draw.add_argument("--format", choices=("svg", "png", "pdf"), default="svg")
    for command in (measure, draw):
        command.add_argument("--data", type=Path, default=_DATA, metavar="DIRECTORY")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
