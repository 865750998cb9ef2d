"""The subcommands: what each shows, and its exit code."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Callable, Mapping
from typing import Any

from .. import __version__, get_include, get_library_dir, get_num_threads, show_config
from .._accuracy.survey import Worst, curves, worst_errors
from .._plotting.look import check_target
from .._progress import progress
from .._warmup import Compiled, compile_all
from ..typing import BackendName
from . import documents, example, largest_errors
from .benchmark import BASELINE, Measurement, Plan, draw, measurements, tables, to_json
from .checks import Check, check_table, compare_backends, finite_differences, gradient_signs
from .console import FAIL, PASS, Output, Table
from .errors import RequestError
from .implementations import usable_backends

__all__ = ["COMMANDS"]

_OVERVIEW_SHAPES = ((1, 4), (256, 1000), (100_000, 10), (2048, 4096))
_OVERVIEW_OPERATIONS = ("softmax", "value_and_grad", "value_and_mean_grad")


def overview(arguments: argparse.Namespace) -> int:
    """Show the configuration, the example with its checks, and a few timings."""
    output = _output(arguments)
    backends = _backends(None)
    _show_configuration(output)
    checks = _show_example(output, backends)
    _verdict(output, checks)
    compiled = tuple(name for name in backends if name != "numpy")
    threads = tuple(dict.fromkeys((1, get_num_threads())))
    plan = Plan(_OVERVIEW_OPERATIONS, _OVERVIEW_SHAPES, ("float32",), compiled, threads, 15, 1.0)
    output.heading("Speed")
    if compiled:
        results = _measure(plan)
        _show_measurements(output, plan, results)
    else:
        results = []
        output.line(
            "Neither of the fast backends is available, so there is nothing to time. "
            'Run: pip install "fastsoftmax[numba]"'
        )
    timings = to_json(plan, results, None)
    del timings["config"]
    _write_json(arguments, {**_checked(backends, checks), "speed": timings})
    return _exit_code(checks)


def info(arguments: argparse.Namespace) -> int:
    """Show the configuration."""
    _show_configuration(_output(arguments))
    _write_json(arguments, show_config(mode="dicts"))
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Work the example, check it, and compare the backends on random input."""
    output = _output(arguments)
    backends = _backends(arguments.backends)
    checks = _show_example(output, backends)
    output.heading("Backends against each other")
    others = tuple(name for name in backends if name != "numpy")
    if others:
        dtypes = ("float32", "float64")
        with progress(len(dtypes), "comparing") as begin:
            for dtype in dtypes:
                begin(dtype)
                checks += compare_backends(others, "numpy", dtype, arguments.seed)
        output.table(_comparison_table(checks, others, dtypes))
    else:
        output.line('There is only the backend "numpy" to check: nothing to compare it with.')
    _verdict(output, checks)
    _write_json(arguments, {**_checked(backends, checks), "seed": arguments.seed})
    return _exit_code(checks)


def bench(arguments: argparse.Namespace) -> int:
    """Time the backends against NumPy; to tables, JSON and a plot."""
    output = _output(arguments)
    _check_plot(arguments)
    backends = _backends(arguments.backends)
    if arguments.backends is None:
        backends = tuple(name for name in backends if name != "numpy")
        if not backends:
            raise RequestError(
                "neither of the fast backends is available, so there is nothing to time; "
                'run: pip install "fastsoftmax[numba]"'
            )
    plan = Plan(
        arguments.ops,
        arguments.shapes,
        arguments.dtypes,
        backends,
        arguments.threads,
        arguments.rounds,
    )
    results = _measure(plan)
    _show_measurements(output, plan, results)
    _write_json(arguments, to_json(plan, results, show_config(mode="dicts")))
    if arguments.plot is not None:
        draw(arguments.plot, plan, results, arguments.theme)
    return 0


def accuracy(arguments: argparse.Namespace) -> int:
    """Find the largest errors, ours and others'; the exit code is 1 if one of ours is too large."""
    output = _output(arguments)
    plan = largest_errors.Plan(arguments.functions, arguments.dtypes, arguments.rows)
    plan.check(plot=arguments.plot is not None)
    _check_plot(arguments)
    backends = _backends(arguments.backends)
    with progress(1 + len(plan.dtypes) * (1 + len(plan.kinds)), "judging") as begin:
        begin("importing the other libraries")
        compared, notes = largest_errors.implementations(backends, arguments.peers)
        worst = worst_errors(plan.functions, plan.dtypes, plan.kinds, compared, begin)
        saturated = []
        for dtype in plan.dtypes:
            begin(f"{dtype}, over g")
            saturated += curves(plan.functions, (dtype,), compared)
    _show_errors(output, plan, worst, notes)
    _write_json(arguments, largest_errors.to_json(worst, saturated, show_config(mode="dicts")))
    if arguments.plot is not None:
        largest_errors.draw(arguments.plot, saturated, arguments.theme)
    return 0 if all(w.passed for w in worst) else 1


def config(arguments: argparse.Namespace) -> int:
    """Show a C compiler's options; without any asked for, all."""
    both = not (arguments.cflags or arguments.libs)
    cflags = [f"-I{get_include()}"] if arguments.cflags or both else []
    libs: list[str] = []
    if arguments.libs or both:
        try:
            directory = get_library_dir()
        except ImportError as error:
            raise RequestError(str(error)) from error
        libs = [f"-L{directory}", f"-Wl,-rpath,{directory}", "-lfastsoftmax"]
    _output(arguments).line(shlex.join(cflags + libs))
    asked = {"cflags": cflags} if arguments.cflags or both else {}
    _write_json(arguments, {**asked, **({"libs": libs} if libs else {})})
    return 0


def warmup(arguments: argparse.Namespace) -> int:
    """Compile all kernels of the Numba backend; the exit code is 1 if they cannot be kept."""
    output = _output(arguments)
    try:
        parts = compile_all("numba", False if arguments.quiet else None)
    except ImportError as error:
        raise RequestError(str(error)) from error
    lost = [part.name for part in parts if part.directory is None]
    if not arguments.quiet:
        _show_compiled(output, parts)
    _write_json(arguments, {"kernels": [part._asdict() for part in parts], "kept": not lost})
    if lost:
        print(
            f"fastsoftmax: {len(lost)} of {len(parts)} kernels could not be kept on disk; "
            "set NUMBA_CACHE_DIR to a directory that can be written to",
            file=sys.stderr,
        )
    return 1 if lost else 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "overview": overview,
    "info": info,
    "check": check,
    "config": config,
    "bench": bench,
    "accuracy": accuracy,
    "warmup": warmup,
}


def _output(arguments: argparse.Namespace) -> Output:
    """Return where tables go: nowhere if standard output is for JSON."""
    documents.check_target(arguments.json)
    return Output(io.StringIO() if arguments.json == documents.STANDARD_OUTPUT else None)


def _write_json(arguments: argparse.Namespace, document: Mapping[str, Any]) -> None:
    if arguments.json is not None:
        documents.write(arguments.json, document)


def _check_plot(arguments: argparse.Namespace) -> None:
    if arguments.plot is not None:
        check_target(arguments.plot)


def _backends(wanted: list[BackendName] | None) -> tuple[BackendName, ...]:
    """Return the backends to use: those asked for, or all that work."""
    usable, broken = usable_backends()
    for reason in broken.values():
        print(f"fastsoftmax: {reason}", file=sys.stderr)
    missing = [name for name in wanted or () if name not in usable]
    if missing:
        raise RequestError(
            f"the backend {missing[0]!r} is not available here; available: {', '.join(usable)}"
        )
    return usable if wanted is None else tuple(wanted)


def _show_configuration(output: Output) -> None:
    output.heading(f"fastsoftmax {__version__}")
    table = Table("Configuration", ("setting", "value"), left=2)
    for name, value in _flat(show_config(mode="dicts")):
        table.add(name, value)
    output.table(table)


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return the entries of nested mappings as (path, text)."""
    entries: list[tuple[str, str]] = []
    for key, value in config.items():
        name = prefix + str(key)
        if isinstance(value, Mapping):
            entries += _flat(value, f"{name}: ")
        elif isinstance(value, list | tuple | set | frozenset):
            entries.append((name, ", ".join(map(str, value)) or "none"))
        else:
            entries.append((name, {None: "–", True: "yes", False: "no"}.get(value, str(value))))
    return entries


def _show_example(output: Output, backends: tuple[BackendName, ...]) -> list[Check]:
    output.heading("A worked example: four classes")
    output.line("f: outputs of the network, p = softmax(f), t: targets, L = −Σ t log p;")
    output.line("classes are counted from 1 here, from 0 in the functions.")
    output.table(example.sample_table(backends))
    output.table(example.batch_table(backends))
    saturated, checks = example.saturation(backends)
    for backend in backends:
        for what, worked in example.EXAMPLES.items():
            checks += finite_differences(what, worked.logits, worked.labels, backend)
            checks.append(gradient_signs(what, worked.logits, worked.labels, backend))
    output.table(saturated)
    checks.sort(key=lambda c: backends.index(c.backend))
    output.table(
        check_table("Checks; derivatives against central finite differences in float64", checks)
    )
    return checks


def _comparison_table(
    checks: list[Check], backends: tuple[BackendName, ...], dtypes: tuple[str, ...]
) -> Table:
    """Return one row a function: largest differences from the backend "numpy", and the verdict."""
    compared = [c for c in checks if c.unit == "ulp"]
    columns = [f"{backend} {dtype}" for backend in backends for dtype in dtypes]
    table = Table(
        'Largest difference from the backend "numpy" on random input, in ulp (8 allowed)',
        ("function", *columns, "result"),
    )
    for function in dict.fromkeys(c.what.split(",")[0] for c in compared):
        cells = {(c.backend, c.what): c for c in compared if c.what.startswith(f"{function},")}
        row = [cells[b, f"{function}, {dtype}"] for b in backends for dtype in dtypes]
        passed = all(c.passed for c in row)
        table.add(function, *(f"{c.worst:.2g}" for c in row), PASS if passed else FAIL)
    return table


def _verdict(output: Output, checks: list[Check]) -> None:
    failed = sum(not c.passed for c in checks)
    output.line()
    if failed:
        output.line(f"{failed} of {len(checks)} checks: {FAIL}")
    else:
        output.line(f"all {len(checks)} checks: {PASS}")


def _exit_code(checks: list[Check]) -> int:
    return 0 if all(c.passed for c in checks) else 1


def _show_compiled(output: Output, parts: list[Compiled]) -> None:
    table = Table("Kernels of the backend numba", ("kernel", "seconds"))
    for part in parts:
        table.add(part.name, f"{part.seconds:.2f}")
    table.add("all", f"{sum(part.seconds for part in parts):.2f}")
    output.table(table)
    for directory in sorted({part.directory for part in parts if part.directory}):
        output.line(f"Kept in {directory}")


def _measure(plan: Plan) -> list[Measurement]:
    with progress(len(plan.cases), "timing") as begin:
        return list(measurements(plan, begin))


def _show_measurements(output: Output, plan: Plan, results: list[Measurement]) -> None:
    output.line(f"Medians. {BASELINE}: idiomatic code, in place, on one thread but for its BLAS.")
    output.line(
        f"{BASELINE} / c 5.00 ±2%: c is five times as fast; half of the rounds are within 2 %."
    )
    for table in tables(plan, results):
        output.table(table)


def _show_errors(
    output: Output, plan: largest_errors.Plan, worst: list[Worst], notes: list[str]
) -> None:
    output.heading("Largest errors, in units in the last place of the exact value")
    output.line("c, numba and numpy are our backends, c with each of its instruction sets; NumPy,")
    output.line("SciPy and so on are the libraries, which promise no bound. Losses and gradients")
    output.line("are per sample; the mean gradient is measured by the mean of |p − t|. In float32")
    output.line("an error of 1.7e+07 is a 0 in place of a small number.")
    for table in largest_errors.tables(plan, worst):
        output.table(table)
    output.line()
    for note in notes:
        output.line(f"Left out: {note}")
    promised = [w for w in worst if w.bound is not None]
    failed = [w for w in promised if not w.passed]
    for w in failed:
        output.line(
            f"{w.implementation.name}, {w.function}, {w.dtype}, {w.kind} rows ({w.case}): "
            f"{w.ulp:.3g} ulp, {w.bound:g} allowed: {FAIL}"
        )
    if failed:
        output.line(f"{len(failed)} of {len(promised)} bounds: {FAIL}")
    elif promised:
        output.line(f"all {len(promised)} bounds: {PASS}")


def _checked(backends: tuple[BackendName, ...], checks: list[Check]) -> dict[str, Any]:
    """Return configuration, example and checks for JSON."""
    return {
        "config": show_config(mode="dicts"),
        "example": example.to_json(backends),
        "checks": [{**vars(c), "passed": c.passed} for c in checks],
        "passed": all(c.passed for c in checks),
    }
