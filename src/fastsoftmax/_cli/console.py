"""Output of the command line: rich tables on a terminal, plain text everywhere else."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from .._progress import rich_console

__all__ = ["FAIL", "PASS", "Output", "Table"]

PASS = "pass"
FAIL = "FAIL"

_STYLES = {PASS: "bold green", FAIL: "bold red"}

# What to write where the stream's encoding lacks the character.
_ASCII = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "×": "x",
        "·": "*",
        "Σ": "sum",
        "∂": "d",
        "µ": "u",
        "±": "+-",
        "…": "...",
        "≥": ">=",
        "≤": "<=",
    }
)


@dataclass
class Table:
    """A titled table of text cells; the first ``left`` columns are set flush left."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    left: int = 1
    note: str = ""

    def add(self, *cells: str) -> None:
        """Append one row."""
        self.rows.append(cells)

    def map(self, change: Callable[[str], str]) -> Table:
        """Return the table with every text changed."""
        rows: list[Sequence[str]] = [tuple(map(change, row)) for row in self.rows]
        columns = tuple(map(change, self.columns))
        return Table(change(self.title), columns, rows, self.left, change(self.note))


class Output:
    """Write headings, lines and tables to one stream.

    Rich is used if it is installed and the stream is a terminal; this is decided once, here.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        # There is no standard output in a process whose parent has closed it.
        self._stream = stream or sys.stdout or io.StringIO()
        self._rich = rich_console(self._stream)
        self._begun = False

    def heading(self, text: str) -> None:
        """Write a section's title."""
        if self._begun:
            self.line()
        self._begun = True
        if self._rich is None:
            self._write(f"{text}\n{'=' * len(text)}")
        else:
            self._rich.rule(f"[bold]{self._encodable(text)}", align="left")

    def line(self, text: str = "") -> None:
        """Write one line of prose."""
        if self._rich is None:
            self._write(text)
        else:
            style = _STYLES.get(_verdict(text))
            self._rich.print(self._encodable(text), markup=False, highlight=False, style=style)

    def table(self, table: Table) -> None:
        """Write a table with its title above and its note below."""
        if self._rich is None:
            self._write("\n" + _plain_table(table))
        else:
            self._rich.print()
            self._rich.print(_rich_table(table.map(self._encodable)))
        if table.note:
            self.line(table.note)

    def _write(self, text: str) -> None:
        self._stream.write(self._encodable(text) + "\n")

    def _encodable(self, text: str) -> str:
        """Return the text with what the stream's encoding lacks replaced."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
        return text


def _verdict(text: str) -> str:
    """Return the verdict that closes a line, or an empty string."""
    last = text.rsplit(" ", 1)[-1]
    return last if last in _STYLES else ""


def _plain_table(table: Table) -> str:
    widths = [
        max(len(row[i]) for row in [table.columns, *table.rows]) for i in range(len(table.columns))
    ]

    def text(row: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if i < table.left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    lines = [table.title] if table.title else []
    return "\n".join([*lines, text(table.columns), rule, *map(text, table.rows)])


def _rich_table(table: Table) -> object:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        title=Text(table.title, "bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for i, name in enumerate(table.columns):
        shown.add_column(Text(name), justify="left" if i < table.left else "right", overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in row))
    return shown
