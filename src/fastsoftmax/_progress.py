"""A progress bar on standard error: rich's if it is installed, else a line that is written over."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["progress", "rich_console"]


@contextmanager
def progress(
    total: int, description: str, show: bool | None = None
) -> Iterator[Callable[[str], None]]:
    """Show a progress bar on standard error while the block runs.

    Parameters
    ----------
    total : int
        Number of steps.
    description : str
        What is being done.
    show : bool, optional
        By default where standard error is a terminal. Where it is shown and there is none, each
        step is a line of its own.

    Yields
    ------
    callable
        To be called with the name of each step as it begins.
    """

    def text(count: int, name: str) -> str:
        return f"{description} {count}/{total} {name}"

    stream: TextIO | None = sys.stderr  # None in a program without a console
    is_terminal = stream is not None and _can_move(stream)
    if stream is None or show is False or not (is_terminal or show):
        yield _Steps(lambda count, name: None)
    elif not is_terminal:
        yield _Steps(lambda count, name: print(text(count, name), file=stream, flush=True))
    elif (console := rich_console(stream)) is not None:
        with _rich_bar(total, description, console) as draw:
            yield _Steps(draw)
    else:
        with _one_line(stream) as write:
            yield _Steps(lambda count, name: write(text(count, name)))


@contextmanager
def _rich_bar(
    total: int, description: str, console: Console
) -> Iterator[Callable[[int, str], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    columns = (
        TextColumn("{task.fields[what]}"),
        BarColumn(),
        MofNCompleteColumn(),
        Elapsed(),
        TextColumn("{task.description}"),
    )
    # Drawn at each step alone: a thread that redraws would disturb what is timed.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=total, what=description)

        def draw(count: int, name: str) -> None:
            bar.update(task, completed=count - 1, description=name, refresh=True)

        yield draw


@contextmanager
def _one_line(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """One line of a terminal, each text in place of the last."""

    def write(text: str) -> None:
        stream.write(f"\r\x1b[K{text}")
        stream.flush()

    try:
        yield write
    finally:
        write("")


def _can_move(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that knows more than to write on."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def rich_console(stream: TextIO) -> Console | None:
    """Return rich's console on a stream, if that is a terminal and rich is installed."""
    if not _can_move(stream):
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream)


class _Steps:
    """Counts the steps and hands number and name to a display."""

    def __init__(self, show: Callable[[int, str], object]) -> None:
        self._show = show
        self._count = 0

    def __call__(self, name: str) -> None:
        self._count += 1
        self._show(self._count, name)
