"""The arguments of the command line."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from .. import __version__, get_backend, get_num_threads
from .._accuracy.reference import FUNCTIONS
from .._accuracy.survey import KINDS
from .._plotting.look import FORMATS, THEMES, PlotError
from .commands import COMMANDS
from .documents import STANDARD_OUTPUT
from .errors import RequestError
from .largest_errors import PEER_NAMES
from .problems import DTYPES, OPERATIONS, WrongAnswerError

__all__ = ["parse", "run"]

_T = TypeVar("_T")

_DESCRIPTION = """\
Softmax, cross-entropy and their gradients, accurate and fast.

Without a subcommand: shows the configuration, works an example of four classes through every
backend, checks it, and times the compiled backends against NumPy. Takes less than a minute."""

_EPILOG = """\
exit codes:
  0    all is well
  1    a check failed, an answer was wrong, a bound was broken, or something could not be kept
  2    the request cannot be met; the message says why
  130  interrupted
  141  the reader of the output has gone, as in: fastsoftmax check | head -1

examples:
  fastsoftmax                      is it installed well, and how fast is it here?
  fastsoftmax info --json          for a bug report
  fastsoftmax accuracy             how large are errors, beside the other libraries installed?
  fastsoftmax bench --help         more on timings

Every subcommand takes --json. Colours, boxes and progress are for terminals alone; NO_COLOR=1
leaves colours out there too."""

_BENCH = """\
Times the backends against the best idiomatic NumPy of the same dtype (in-place ufuncs, reused
outputs, one thread). All implementations take turns in every round; shown are the medians, and
the ratio of NumPy's time to a backend's (larger is faster) with half the distance of the
quartiles in percent. Every answer is checked before it is timed: a wrong one ends the command
with exit code 1."""

_BENCH_EXAMPLES = """\
examples:
  fastsoftmax bench --shapes 256x1000 4096x4096 --ops softmax --threads 1
  fastsoftmax bench --dtypes float32,float64 --backends c --json times.json --plot ratios.png
  fastsoftmax bench --plot ratios.svg --theme dark
  fastsoftmax bench --json > times.json
"""

_ACCURACY = """\
Finds the largest errors of every backend (c: with each of its instruction sets) and of NumPy,
SciPy, PyTorch, JAX and ONNX Runtime, as far as they are installed, on the same logits. The unit
is the last place of the exact value, which is made in a wider type (where NumPy has none wider
than float64, by mpmath). The exit code is 1 if a backend breaks a bound that the package promises:
2 ulp for softmax, 4 for all else. Takes about a minute."""

_ACCURACY_EXAMPLES = """\
examples:
  fastsoftmax accuracy --dtypes float32 --rows saturated --peers none
  fastsoftmax accuracy --functions softmax,cross_entropy_grad --plot errors.svg
  fastsoftmax accuracy --peers torch,jax --json errors.json
"""


#: As a shell reports a program that ended by SIGINT, and one by SIGPIPE.
_INTERRUPTED, _READER_GONE = 130, 141


def run(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments, carry out the command and return the exit code."""
    try:
        try:
            arguments = parse(argv)
        except SystemExit:  # after --help, --version or a message
            print(end="", flush=True)
            raise
        _check_environment()
        code = COMMANDS[arguments.command](arguments)
        print(end="", flush=True)
    except BrokenPipeError:  # as in `fastsoftmax | head -1`
        _close_output()
        return _READER_GONE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _close_output()
        print(f"fastsoftmax: cannot write the output: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fastsoftmax: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except (RequestError, PlotError) as error:
        print(f"fastsoftmax: {error}", file=sys.stderr)
        return 2
    except WrongAnswerError as error:
        print(f"fastsoftmax: wrong answer by {error}", file=sys.stderr)
        return 1
    return code


def _check_environment() -> None:
    """Raise `RequestError` for a variable whose value means nothing, before anything is shown."""
    try:
        get_backend()
        get_num_threads()
    except (ValueError, ImportError) as error:
        raise RequestError(str(error)) from error


def _close_output() -> None:
    """Let go of what could not be written, so that the interpreter closes in peace."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed arguments; ``command`` is "overview" if no subcommand is given."""
    parser = argparse.ArgumentParser(
        prog="fastsoftmax",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastsoftmax {__version__}")
    # Without a value, which might be the name of a subcommand.
    parser.add_argument(
        "--json",
        action="store_const",
        const=STANDARD_OUTPUT,
        help="write JSON to standard output, in place of the tables",
    )
    parser.set_defaults(command="overview")
    commands = parser.add_subparsers(title="subcommands", metavar="COMMAND")
    _add_info(commands)
    _add_check(commands)
    _add_bench(commands)
    _add_accuracy(commands)
    _add_warmup(commands)
    _add_config(commands)
    return parser.parse_args(argv)


_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add(
    commands: _Commands, name: str, short: str, description: str, examples: str = ""
) -> argparse.ArgumentParser:
    """Add a subcommand, with the options that all of them have."""
    parser = commands.add_parser(
        name,
        help=short,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const=STANDARD_OUTPUT,
        # What was said before the subcommand holds.
        default=argparse.SUPPRESS,
        metavar="FILE",
        help='write JSON; without FILE or with "-" to standard output, in place of the text',
    )
    parser.set_defaults(command=name)
    return parser


def _add_info(commands: _Commands) -> None:
    _add(
        commands,
        "info",
        "show versions, backends, instruction sets and threads",
        "Shows versions, backends, instruction sets and threads: what a bug report needs.",
        "examples:\n  fastsoftmax info\n  fastsoftmax info --json\n",
    )


def _add_check(commands: _Commands) -> None:
    check = _add(
        commands,
        "check",
        "work the example and check every backend",
        "Works the example of four classes through every backend, checks gradients against finite\n"
        "differences and the backends against each other on random input. The exit code is 1 if a\n"
        "check fails.",
        "examples:\n  fastsoftmax check\n  fastsoftmax check --backends c --seed 7 --json\n",
    )
    _add_backends(check)
    check.add_argument(
        "--seed", type=int, default=0, help="seed of the random input (default: %(default)s)"
    )


def _add_bench(commands: _Commands) -> None:
    bench = _add(commands, "bench", "time the backends against NumPy", _BENCH, _BENCH_EXAMPLES)
    _add_list(
        bench,
        "--shapes",
        _shape,
        [(1, 4), (32, 10), (256, 1000), (100_000, 10), (2048, 4096)],
        "samples x classes (default: 1x4 32x10 256x1000 100000x10 2048x4096)",
        "MxK",
    )
    _add_dtypes(bench, ["float32"])
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
    _add_plot(bench, "the ratios")


def _add_accuracy(commands: _Commands) -> None:
    accuracy = _add(
        commands,
        "accuracy",
        "find the largest errors, beside other libraries",
        _ACCURACY,
        _ACCURACY_EXAMPLES,
    )
    _add_list(
        accuracy,
        "--functions",
        _choice("function", tuple(FUNCTIONS)),
        list(FUNCTIONS),
        f"of {', '.join(FUNCTIONS)} (default: all)",
        "NAME",
    )
    _add_dtypes(accuracy, list(DTYPES))
    kinds = "; ".join(f"{name}: {what}" for name, what in KINDS.items())
    _add_list(
        accuracy, "--rows", _choice("kind", tuple(KINDS)), list(KINDS),
        f"{kinds} (default: all)", "KIND",
    )  # fmt: skip
    _add_backends(accuracy)
    peers = tuple(PEER_NAMES)
    _add_list(
        accuracy,
        "--peers",
        _choice("library", (*peers, "none")),
        None,
        f"other libraries, of {', '.join(peers)}, or none (default: all that are installed)",
        "NAME",
    )
    _add_plot(accuracy, "the errors over the saturation g of (g, 0, 0, 0)")


def _add_warmup(commands: _Commands) -> None:
    warmup = _add(
        commands,
        "warmup",
        "compile the kernels of the backend numba ahead of their first call",
        "Compiles all kernels of the backend numba and keeps them on disk, so that no first call\n"
        "has to wait: in NUMBA_CACHE_DIR, beside the installed sources, or in the user's cache\n"
        "directory, the first of these that can be written to. The exit code is 1 if none can.",
        "examples:\n  fastsoftmax warmup\n  NUMBA_CACHE_DIR=cache fastsoftmax warmup --quiet\n",
    )
    warmup.add_argument("--quiet", action="store_true", help="show neither progress nor a table")


def _add_config(commands: _Commands) -> None:
    config = _add(
        commands,
        "config",
        "show what a C compiler needs to use the library",
        "Shows a C compiler's options for the header and the library, in one line.",
        "examples:\n  cc trainer.c $(fastsoftmax config) -o trainer\n  fastsoftmax config --libs\n",
    )
    config.add_argument("--cflags", action="store_true", help="for compiling (default: both)")
    config.add_argument("--libs", action="store_true", help="for linking (default: both)")


def _add_plot(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help=f"draw {what}, as {', '.join(FORMATS)} by the file's name (needs Matplotlib)",
    )
    parser.add_argument(
        "--theme", choices=THEMES, default="light", help="of the plot (default: %(default)s)"
    )


def _add_dtypes(parser: argparse.ArgumentParser, default: list[str]) -> None:
    text = f"of {', '.join(DTYPES)} (default: {', '.join(default)})"
    _add_list(parser, "--dtypes", _choice("dtype", DTYPES), default, text, "DTYPE")


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
