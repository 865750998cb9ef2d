"""Judges results in ulp and remembers the worst of each function, dtype and backend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fastsoftmax._accuracy.exact import Exact, ulp_error

OURS = "worst error in ulp"
BESIDE = "worst error in ulp, beside other libraries on the same logits"


class Table:
    """The worst errors, with a row for each function and dtype and a column for each backend."""

    def __init__(self) -> None:
        self._worst: dict[tuple[str, str, str], tuple[float, str]] = {}
        self._bounds: dict[str, float] = {}

    def record(
        self, function: str, dtype: str, column: str, ulp: float, case: str, bound: float
    ) -> None:
        key = (function, dtype, column)
        if key not in self._worst or self._worst[key][0] < ulp:
            self._worst[key] = (ulp, case)
        self._bounds[function] = bound

    def lines(self) -> list[str]:
        """The table in Markdown."""
        columns = list(dict.fromkeys(column for _, _, column in self._worst))
        rows = sorted({(function, dtype) for function, dtype, _ in self._worst})
        lines = [
            "| function | dtype | bound | " + " | ".join(columns) + " |",
            "|---|---|---|" + "---|" * len(columns),
        ]
        for function, dtype in rows:
            cells = [self._cell(function, dtype, column) for column in columns]
            start = f"| {function} | {dtype} | {self._bounds[function]:g} | "
            lines.append(start + " | ".join(cells) + " |")
        return lines

    def cases(self) -> list[str]:
        """Where the largest error of each row was found."""
        largest: dict[tuple[str, str], tuple[float, str, str]] = {}
        for (function, dtype, column), (ulp, case) in self._worst.items():
            found = largest.get((function, dtype), (-1.0, "", ""))
            largest[function, dtype] = max(found, (ulp, column, case))
        return [
            f"{function}, {dtype}: {_number(ulp)} on {column} ({case})"
            for (function, dtype), (ulp, column, case) in sorted(largest.items())
        ]

    def _cell(self, function: str, dtype: str, column: str) -> str:
        found = self._worst.get((function, dtype, column))
        return "–" if found is None else _number(found[0])


def _number(ulp: float) -> str:
    return f"{ulp:.2f}" if ulp < 100 else f"{ulp:.2g}"


tables: dict[str, Table] = {}


def table(title: str) -> Table:
    return tables.setdefault(title, Table())


def judge(
    actual: npt.ArrayLike,
    exact: Exact,
    bound: float,
    *,
    function: str,
    backend: str,
    case: str,
    scale: Exact | None = None,
    title: str = OURS,
) -> None:
    """Assert that every element is within `bound` ulp of `exact` (in the unit of `scale`)."""
    actual = np.asarray(actual)
    errors = ulp_error(actual, exact, scale=scale)
    if not errors.size:
        return
    at = np.unravel_index(errors.argmax(), errors.shape)
    largest = float(errors[at])
    table(title).record(function, actual.dtype.name, backend, largest, case, bound)
    if largest > bound:
        place = tuple(int(i) for i in at)
        raise AssertionError(
            f"{function} on {backend}, {actual.dtype} {case}: {largest:.3g} ulp > {bound} ulp at "
            f"{place}: got {float(actual[at])!r}, exact {float(exact.to_float64()[at])!r} "
            f"({int((errors > bound).sum())} of {errors.size} elements are beyond the bound)"
        )


def summary(section: Callable[[str], object], line: Callable[[str], object]) -> None:
    """Write all tables."""
    for title, rows in tables.items():
        section(title)
        for text in rows.lines():
            line(text)
        if title == OURS:
            line("")
            for text in rows.cases():
                line(text)
