"""What is benchmarked: grids of cases, their names, and the reduced sizes of a mere check."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from fastsoftmax._cli.problems import DTYPES, Array, Problem, expected, make_problem

__all__ = [
    "CLASSES_LAST",
    "OTHER_LAYOUTS",
    "SHAPES",
    "Case",
    "Grid",
    "Layout",
    "all_threads",
    "problem_and_answer",
    "reduced",
]

#: Samples and classes: from one tiny row to language models' vocabularies.
SHAPES = (
    (1, 4),
    (32, 10),
    (256, 1000),
    (1_000_000, 10),
    (100_000, 100),
    (4096, 4096),
    (64, 32_000),
    (8, 128_256),
)

# Elements of a problem that is checked but not timed.
_REDUCED_SIZE = 20_000


class Layout(NamedTuple):
    """Memory order of the logits and the axis of their classes."""

    order: Literal["C", "F"]
    axis: int

    def __str__(self) -> str:
        return f"{self.order},axis={self.axis}"


CLASSES_LAST = Layout("C", -1)
OTHER_LAYOUTS = (Layout("F", -1), Layout("C", 0), Layout("F", 0))


@dataclass(frozen=True)
class Case:
    """One benchmark: a problem, and who solves it with how many threads."""

    operation: str
    shape: tuple[int, int]
    dtype: str
    layout: Layout
    outputs: str
    threads: int
    implementation: str

    @property
    def group(self) -> str:
        """The name shared by the cases to be compared."""
        samples, classes = self.shape
        plural = "s" * (self.threads > 1)
        return (
            f"{self.operation} {samples}x{classes} {self.dtype} {self.layout} "
            f"{self.outputs} outputs, {self.threads} thread{plural}"
        )

    @property
    def id(self) -> str:
        """The name in brackets after the test's."""
        samples, classes = self.shape
        parts = (
            self.operation,
            f"{samples}x{classes}",
            self.dtype,
            str(self.layout),
            self.outputs,
            f"threads={self.threads}",
            self.implementation,
        )
        return "-".join(parts)

    @property
    def reuse(self) -> bool:
        """Whether the outputs are reused from call to call."""
        return self.outputs == "reused"


@dataclass(frozen=True)
class Grid:
    """The cases of one test: all combinations of the fields, with each implementation."""

    operations: Sequence[str]
    shapes: Sequence[tuple[int, int]] = SHAPES
    dtypes: Sequence[str] = DTYPES
    layouts: Sequence[Layout] = (CLASSES_LAST,)
    outputs: Sequence[str] = ("reused",)
    threads: Sequence[int | str] = (1, "all")

    def groups(self) -> Iterator[Case]:
        """Yield each combination, without an implementation."""
        counts = dict.fromkeys(all_threads() if n == "all" else int(n) for n in self.threads)
        combinations = itertools.product(
            self.operations, self.dtypes, self.shapes, self.layouts, self.outputs, counts
        )
        for operation, dtype, shape, layout, outputs, threads in combinations:
            yield Case(operation, shape, dtype, layout, outputs, threads, "")


def all_threads() -> int:
    """Return the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def reduced(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the shape with so few samples that checking an answer takes no time."""
    samples, classes = shape
    return min(samples, max(2, _REDUCED_SIZE // classes)), classes


@functools.lru_cache(maxsize=1)
def problem_and_answer(
    operation: str, shape: tuple[int, int], dtype: str, layout: Layout, reuse: bool
) -> tuple[Problem, tuple[Array, ...]]:
    """Return a problem and its answer; the last ones are kept for the next implementation."""
    problem = make_problem(
        operation, shape, dtype, axis=layout.axis, order=layout.order, reuse=reuse
    )
    return problem, expected(problem)
