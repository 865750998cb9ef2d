"""Fuzzes the Python functions: python -m tests.fuzz.api [--executions N] [--seed S] [--guided]

Inputs are bytes, from which a call is drawn. They are random, or with --guided made by atheris so
as to reach more of the package (`pip install atheris`). What fails is printed with its bytes;
`python -m tests.fuzz.api --repeat HEX` makes that call again.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import sys
import time
import traceback
import types
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

LENGTH = 96
TRACE = Path("fuzzed-api-input")  # of a call that is being made: what a crash leaves


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--executions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", action="store_true")
    parser.add_argument("--repeat", metavar="HEX")
    parser.add_argument("--trace", type=Path, default=TRACE)
    arguments = parser.parse_args()
    faulthandler.enable()
    if arguments.guided:
        _guided(arguments)
    elif arguments.repeat is not None:
        _execute(bytes.fromhex(arguments.repeat), verbose=True)
    else:
        _random(arguments)


counts: collections.Counter[str] = collections.Counter()


def _execute(data: bytes, *, verbose: bool = False) -> None:
    """Draw a call and check it."""
    from .calls import draw
    from .judge import check
    from .source import Source

    with np.errstate(all="ignore"):
        call = draw(Source(data))
    if verbose:
        print(call)
    try:
        done = check(call)
    except BaseException:
        print(f"FAILED: {call}")
        print(f"again: python -m tests.fuzz.api --repeat {data.hex()}", flush=True)
        raise
    counts["executions"] += 1
    counts[f"{call.name}: {'done' if done else 'refused'}"] += 1


def _tell(begun: float) -> None:
    seconds = time.monotonic() - begun
    print(f"{counts['executions']} executions in {seconds:.0f} s", dict(counts), flush=True)


def _random(arguments: argparse.Namespace) -> None:
    generator = np.random.default_rng(arguments.seed)
    begun, failed = time.monotonic(), 0
    with arguments.trace.open("wb", buffering=0) as trace:
        for number in range(arguments.executions):
            data = generator.bytes(int(generator.integers(8, LENGTH)))
            trace.seek(0)
            trace.write(data.hex().encode().ljust(2 * LENGTH))
            try:
                _execute(data)
            except Exception:
                failed += 1
                traceback.print_exc()
                if failed >= 10:
                    break
            if number % 50_000 == 49_999:
                _tell(begun)
    _tell(begun)
    if failed:
        sys.exit(1)
    arguments.trace.unlink()


def _functions_of(*packages: str) -> list[types.FunctionType]:
    """Return the functions and methods of all modules of a package that are loaded."""
    found: dict[int, types.FunctionType] = {}
    for name, module in list(sys.modules.items()):
        if not any(name == p or name.startswith(f"{p}.") for p in packages):
            continue
        for value in list(vars(module).values()):
            inner = list(vars(value).values()) if isinstance(value, type) else [value]
            for function in inner:
                function = getattr(function, "__func__", function)
                if isinstance(function, types.FunctionType) and function.__module__ == name:
                    found[id(function)] = function
    return list(found.values())


def _guided(arguments: argparse.Namespace) -> NoReturn:
    import atheris

    from . import calls

    for function in _functions_of(calls.__name__, "fastsoftmax"):
        atheris.instrument_func(function)
    begun = time.monotonic()

    def one(data: bytes) -> None:
        _execute(data)
        if counts["executions"] % 50_000 == 0:
            _tell(begun)

    options: list[Any] = [
        f"-runs={arguments.executions}",
        f"-seed={arguments.seed}",
        f"-max_len={LENGTH}",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={arguments.trace}-"], one)
    atheris.Fuzz()
    raise SystemExit


if __name__ == "__main__":
    main()
