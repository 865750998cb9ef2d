"""What the benchmarks need to know of an implementation."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import fastsoftmax
from bench.cases import CLASSES_LAST, OTHER_LAYOUTS, Case, Layout, all_threads
from fastsoftmax._cli.problems import Call, Problem

__all__ = ["Peer"]


def _as_it_is(result: Any) -> Any:
    return result


@dataclass(frozen=True)
class Peer:
    """An implementation of some of the operations.

    Attributes
    ----------
    name : str
        Its name in tables and options.
    package : str
        The distribution it comes from.
    module : str
        What has to be importable for it to run.
    operations : frozenset of str
        What it can do.
    prepare : callable
        Takes a problem and a number of threads and returns a call to time, all copies made.
    to_numpy : callable
        Turns what the call returns into arrays.
    threads : {"any", "one", "process"}
        Whether it runs on any number of threads, on one alone, or on as many as the process has
        CPUs, which is settled when its library starts.
    layouts : tuple of Layout
        The layouts of the logits it can read where they are.
    """

    name: str
    package: str
    module: str
    operations: frozenset[str]
    prepare: Callable[[Problem, int], Call]
    to_numpy: Callable[[Any], Any] = _as_it_is
    threads: Literal["any", "one", "process"] = "any"
    layouts: tuple[Layout, ...] = (CLASSES_LAST, *OTHER_LAYOUTS)

    def missing(self) -> str | None:
        """Return why it cannot run here, or None."""
        try:
            found = importlib.util.find_spec(self.module) is not None
        except ModuleNotFoundError:
            found = False
        return None if found else f"{self.module} is not installed"

    def version(self) -> str:
        """Return the version of its distribution."""
        if self.package == "fastsoftmax":
            return fastsoftmax.__version__
        return importlib.metadata.version(self.package)

    def takes(self, case: Case) -> bool:
        """Return whether it has an entry in the group of the case."""
        possible = {
            "any": True,
            "one": case.threads == 1,
            "process": case.threads == all_threads(),
        }[self.threads]
        return possible and case.operation in self.operations and case.layout in self.layouts
