"""The arguments of the command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from .. import __version__, get_num_threads
from .commands import COMMANDS, RequestError
from .problems import DTYPES, OPERATIONS, WrongAnswerError

__all__ = ["parse", "run"]

_T = TypeVar("_T")

_DESCRIPTION = """\
Softmax, cross-entropy and their gradients, accurate and fast.

Without a subcommand: shows the configuration, works an example of four classes through every
backend, checks it, and times the compiled backends against NumPy. Takes less than a minute."""

_BENCH = """\
Times the backends against the best idiomatic NumPy of the same dtype (in-place ufuncs, reused
outputs, one thread). All implementations take turns in every round; shown are the medians, and
the ratio of NumPy's time to a backend's (larger is faster) with half the distance of the
quartiles in percent. Every answer is checked before it is timed."""

_BENCH_EXAMPLES = """\
examples:
  fastsoftmax bench --shapes 256x1000 4096x4096 --ops softmax --threads 1
  fastsoftmax bench --dtypes float32,float64 --backends c --json times.json --plot ratios.png
  fastsoftmax bench --json - > times.json
"""


def run(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments, carry out the command and return the exit code."""
    arguments = parse(argv)
    try:
        code = COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone, as in `fastsoftmax | head`; let the interpreter close in peace.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except RequestError as error:
        print(f"fastsoftmax: {error}", file=sys.stderr)
        return 2
    except WrongAnswerError as error:
        print(f"fastsoftmax: wrong answer by {error}", file=sys.stderr)
        return 1
    return code


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed arguments; ``command`` is "overview" if no subcommand is given."""
    parser = argparse.ArgumentParser(
        prog="fastsoftmax",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastsoftmax {__version__}")
    parser.set_defaults(command="overview")
    commands = parser.add_subparsers(title="subcommands", metavar="COMMAND")

    info = commands.add_parser(
        "info",
        help="show versions, backends, instruction sets and threads",
        description="Shows versions, backends, instruction sets and threads.",
    )
    info.add_argument("--json", action="store_true", help="as JSON, to attach to a report")
    info.set_defaults(command="info")

    check = commands.add_parser(
        "check",
        help="work the example and check every backend",
        description="Works the example of four classes through every backend, checks gradients "
        "against finite differences and the backends against each other on random input. "
        "The exit code is 1 if a check fails.",
    )
    _add_backends(check)
    check.add_argument(
        "--seed", type=int, default=0, help="seed of the random input (default: %(default)s)"
    )
    check.set_defaults(command="check")
    _add_config(commands)
    _add_bench(commands)
    _add_warmup(commands)
    return parser.parse_args(argv)


def _add_config(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    config = commands.add_parser(
        "config",
        help="show what a C compiler needs to use the library",
        description="Shows a C compiler's options for the header and the library, in one line.",
    )
    config.add_argument("--cflags", action="store_true", help="for compiling")
    config.add_argument("--libs", action="store_true", help="for linking")
    config.set_defaults(command="config")


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    bench = commands.add_parser(
        "bench",
        help="time the backends against NumPy",
        description=_BENCH,
        epilog=_BENCH_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_list(
        bench,
        "--shapes",
        _shape,
        [(1, 4), (32, 10), (256, 1000), (100_000, 10), (2048, 4096)],
        "samples x classes (default: 1x4 32x10 256x1000 100000x10 2048x4096)",
        "MxK",
    )
    _add_list(
        bench,
        "--dtypes",
        _choice("dtype", DTYPES),
        ["float32"],
        f"of {', '.join(DTYPES)} (default: float32)",
        "DTYPE",
    )
    _add_list(
        bench,
        "--ops",
        _choice("operation", OPERATIONS),
        ["softmax", "value_and_grad", "value_and_mean_grad"],
        f"of {', '.join(OPERATIONS)} (default: softmax, value_and_grad, value_and_mean_grad)",
        "OP",
    )
    _add_backends(bench, "c and numba, as far as available")
    _add_list(bench, "--threads", _threads, [1], 'numbers of threads, or "all" (default: 1)', "N")
    bench.add_argument(
        "--rounds",
        type=_positive,
        default=25,
        help="rounds of each case (default: %(default)s; fewer, down to 3, for slow cases)",
    )
    bench.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help='write all times as JSON; without FILE or with "-" to standard output, '
        "in place of the tables",
    )
    bench.add_argument("--plot", metavar="FILE.png", help="draw the ratios (needs Matplotlib)")
    bench.set_defaults(command="bench")


def _add_warmup(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    warmup = commands.add_parser(
        "warmup",
        help="compile the kernels of the backend numba ahead of their first call",
        description="Compiles all kernels of the backend numba and keeps them on disk, so that no "
        "first call has to wait: in NUMBA_CACHE_DIR, beside the installed sources, or in the "
        "user's cache directory, the first of these that can be written to. The exit code is 1 if "
        "none can.",
    )
    warmup.add_argument("--quiet", action="store_true", help="show neither progress nor a table")
    warmup.set_defaults(command="warmup")


def _add_backends(parser: argparse.ArgumentParser, default: str = "all that are available") -> None:
    names = ("c", "numba", "numpy")
    text = f"of {', '.join(names)} (default: {default})"
    _add_list(parser, "--backends", _choice("backend", names), None, text, "NAME")


def _add_list(
    parser: argparse.ArgumentParser,
    option: str,
    convert: Callable[[str], _T],
    default: list[_T] | None,
    text: str,
    metavar: str,
) -> None:
    """Add an option whose values are parted by spaces or commas."""

    def values(argument: str) -> list[_T]:
        return [convert(part) for part in argument.split(",") if part]

    parser.add_argument(
        option, nargs="+", action=_Joined, type=values, default=default, help=text, metavar=metavar
    )


class _Joined(argparse.Action):
    """Store a list of lists as one list, each value once."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        assert isinstance(values, list)
        flat = list(dict.fromkeys(value for part in values for value in part))
        if not flat:
            parser.error(f"argument {option_string}: expected at least one value")
        setattr(namespace, self.dest, flat)


def _choice(what: str, choices: Sequence[str]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(
                f"unknown {what} {text!r}; choose from {', '.join(choices)}"
            )
        return text

    return convert


def _shape(text: str) -> tuple[int, int]:
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(
            f"shape {text!r} is not of the form MxK with positive numbers, as in 256x1000"
        )
    return int(parts[0]), int(parts[1])


def _threads(text: str) -> int:
    return get_num_threads() if text == "all" else _positive(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)
