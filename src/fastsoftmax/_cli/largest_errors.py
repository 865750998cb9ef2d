"""The errors of the command line: ours and other libraries', as tables, a plot and JSON."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._accuracy.peers import PEERS, Peer
from .._accuracy.reference import FUNCTIONS, NoReferenceError, by_definition
from .._accuracy.survey import KINDS, PER_ROW, Curve, Implementation, Worst, of_backend, of_peer
from .._plotting import lines
from .console import FAIL, PASS, Table
from .errors import RequestError

__all__ = ["PEER_NAMES", "Plan", "draw", "implementations", "tables", "to_json"]

#: Other libraries by the names that options take.
PEER_NAMES = {peer.modules[0]: peer for peer in PEERS.values()}

_SHORT = {
    "cross_entropy": "loss",
    "cross_entropy_grad": "gradient",
    "cross_entropy_mean_grad": "mean grad.",
}
# Beyond this, decimal places say nothing.
_LARGE = 100


@dataclass(frozen=True)
class Plan:
    """Which errors to look for."""

    functions: Sequence[str]
    dtypes: Sequence[str]
    kinds: Sequence[str]

    def check(self, plot: bool) -> None:
        """Raise `RequestError` if there is nothing to judge a dtype by, or nothing to draw."""
        if plot and not set(self.functions) & set(PER_ROW):
            raise RequestError(
                f"--plot draws errors of single rows, which {', '.join(self.functions)} has not; "
                f"add one of {', '.join(PER_ROW)} to --functions"
            )
        try:
            for dtype in self.dtypes:
                by_definition(dtype)
        except NoReferenceError as error:
            raise RequestError(str(error)) from error


def implementations(
    backends: Sequence[str], peers: Sequence[str] | None
) -> tuple[list[Implementation], list[str]]:
    """Return ours and the others, and what to say of those that are not there.

    Parameters
    ----------
    backends : sequence of str
        Names of backends that work here.
    peers : sequence of str or None
        Names of other libraries, or all that are installed; only one that was named must be there.
    """
    found = [one for name in backends for one in of_backend(name)]
    notes = []
    for name, peer in PEER_NAMES.items():
        if peers is not None and name not in peers:
            continue
        reason = _why_not(peer)
        if reason is None:
            found.append(of_peer(peer))
        elif peers is not None:
            raise RequestError(reason)
        else:
            notes.append(reason)
    return found, notes


def _why_not(peer: Peer) -> str | None:
    """Return why a library cannot take part, or None."""
    absent = peer.missing()
    if absent is not None:
        needed = "" if absent == peer.modules[0] else f"needs {absent}, which "
        return f"{peer.name} {needed}is not installed; run: pip install {absent}"
    try:
        peer.load()
    except Exception as error:
        # A library that is broken here is no reason not to judge the others.
        return f"{peer.name} cannot be imported: {type(error).__name__}: {error}"
    return None


def tables(plan: Plan, worst: Sequence[Worst]) -> Iterator[Table]:
    """Return a table of each dtype and kind of rows: a row each, a column a function."""
    columns = ["", *(_SHORT.get(name, name) for name in plan.functions), "result"]
    for dtype in plan.dtypes:
        for kind in plan.kinds:
            table = Table(f"{dtype}, {kind} rows: {KINDS[kind]}", columns)
            table.add("allowed", *(f"{FUNCTIONS[name]:g}" for name in plan.functions), "")
            here = [w for w in worst if (w.dtype, w.kind) == (dtype, kind)]
            for name in dict.fromkeys(w.implementation.name for w in here):
                table.add(*_row(name, plan.functions, here))
            yield table


def _row(name: str, functions: Sequence[str], worst: Sequence[Worst]) -> Iterator[str]:
    own = {w.function: w for w in worst if w.implementation.name == name}
    yield name
    for function in functions:
        yield _number(own[function].ulp) if function in own else "–"
    promised = [w for w in own.values() if w.bound is not None]
    yield (PASS if all(w.passed for w in promised) else FAIL) if promised else ""


def _number(ulp: float) -> str:
    return f"{ulp:.2f}" if ulp < _LARGE else f"{ulp:.2g}"


def to_json(worst: Sequence[Worst], curves: Sequence[Curve], config: Any) -> dict[str, Any]:
    """Return all errors as what `documents.write` takes."""
    return {
        "config": config,
        "passed": all(w.passed for w in worst),
        "unit": "ulp",
        "implementations": [
            {
                "name": one.name,
                "version": one.version,
                "backend": one.backend,
                "instruction_set": one.instruction_set,
            }
            for one in dict.fromkeys(w.implementation for w in worst)
        ],
        "results": [
            {
                "implementation": w.implementation.name,
                "function": w.function,
                "dtype": w.dtype,
                "rows": w.kind,
                "largest_error": w.ulp,
                "found_at": w.case,
                "bound": w.bound,
                "passed": w.passed if w.bound is not None else None,
            }
            for w in worst
        ],
        "saturation": [
            {
                "implementation": curve.implementation.name,
                "function": curve.function,
                "dtype": curve.dtype,
                "g": curve.g,
                "errors": [asdict(point) for point in curve.points],
            }
            for curve in curves
        ],
    }


def draw(path: str | Path, curves: Sequence[Curve], theme: str) -> None:
    """Draw the errors over the saturation, a panel for each function and dtype.

    Of the instruction sets of a backend only the one in use is drawn: they hardly differ.
    """
    shown = [curve for curve in curves if _in_use(curve.implementation)]
    functions = dict.fromkeys(curve.function for curve in shown)
    dtypes = dict.fromkeys(curve.dtype for curve in shown)
    panels = []
    for function, dtype in itertools.product(functions, dtypes):
        own = [c for c in shown if (c.function, c.dtype) == (function, dtype)]
        drawn = [
            lines.Curve(c.implementation.backend or c.implementation.name, c.g, c.points)
            for c in own
        ]
        panels.append(saturation_panel(function, f"{function}, {dtype}", drawn))
    lines.line_chart(path, panels, theme, columns=len(dtypes), spread="band")


def saturation_panel(function: str, title: str, curves: Sequence[lines.Curve]) -> lines.Panel:
    """Return the panel of the errors of one function over g."""
    bound = FUNCTIONS[function]
    return lines.Panel(
        f"{title} (bound: {bound:g} ulp)",
        "saturation g of the logits (g, 0, 0, 0)",
        "largest error, ulp",
        curves,
        yscale="log",
        guides=[lines.Guide(bound, "bound of ours")],
        floor=0.1,
    )


def _in_use(one: Implementation) -> bool:
    if one.instruction_set is None:
        return True
    return bool(importlib.import_module("fastsoftmax._c").instruction_set() == one.instruction_set)
