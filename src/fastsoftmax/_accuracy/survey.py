"""The errors of backends and of other libraries, on the same rows."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import fastsoftmax

from . import rows
from .exact import ulp_error
from .peers import Peer
from .reference import FUNCTIONS, by_definition, value

__all__ = [
    "KINDS",
    "PER_ROW",
    "Curve",
    "Implementation",
    "Point",
    "Worst",
    "curves",
    "of_backend",
    "of_peer",
    "problems",
    "worst_errors",
]

Array = npt.NDArray[Any]

#: The kinds of rows, and what they are.
KINDS = {
    "random": "normal logits times 1, 3 and 20, K = 2 to 128256",
    "saturated": "(g, 0, 0, ...) from g = 0 until exp(-g) underflows, K = 2, 4 and 17",
    "hostile": "offsets, ties, subnormals, 1e30, the largest numbers, -inf, all one value",
}

#: The functions whose results belong to a row each, which `curves` are made of.
PER_ROW = tuple(name for name in FUNCTIONS if name != "cross_entropy_mean_grad")

_LENGTHS = (2, 3, 10, 100, 1000, rows.HUGE)
# Where every number has to be made by definition, longer rows would take minutes.
_LONGEST_BY_DEFINITION = 100
_SCALES = (1.0, 3.0, 20.0)
# Of the curves over g: width of a step, and how many rows are in each.
_STEP, _ROWS = 2.0, 16


@dataclass(frozen=True)
class Implementation:
    """Whoever computes the functions.

    Attributes
    ----------
    name : str
        What it is called in tables.
    functions : tuple of str
        What it can compute.
    compute : callable
        As in `Peer`.
    version : str
        Of its library.
    backend, instruction_set : str or None
        Of ours, which the bounds hold for.
    """

    name: str
    functions: tuple[str, ...]
    compute: Callable[[str, Array, Array], Array]
    version: str
    backend: str | None = None
    instruction_set: str | None = None


@dataclass(frozen=True)
class Worst:
    """The largest error of one implementation, in ulp, and where it was found."""

    function: str
    dtype: str
    kind: str
    implementation: Implementation
    ulp: float
    case: str

    @property
    def bound(self) -> float | None:
        """What it may be, if that is promised."""
        return None if self.implementation.backend is None else FUNCTIONS[self.function]

    @property
    def passed(self) -> bool:
        """Whether no promise is broken; an error that is not a number breaks every one."""
        return self.bound is None or self.ulp <= self.bound


@dataclass(frozen=True)
class Point:
    """Of the rows of one step: the smallest, the middle and the largest of their errors."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Curve:
    """The errors on (g, 0, 0, 0) with the first class true, over g."""

    function: str
    dtype: str
    implementation: Implementation
    g: tuple[float, ...]
    points: tuple[Point, ...]


def of_backend(name: str) -> Iterator[Implementation]:
    """Yield a backend, once for each instruction set if it has several."""
    version = fastsoftmax.__version__
    if name != "c":
        call = functools.partial(_ours, name)
        yield Implementation(name, tuple(FUNCTIONS), call, version, backend=name)
        return
    extension = importlib.import_module("fastsoftmax._c")
    for isa in extension.instruction_sets():
        call = functools.partial(_with_instruction_set, isa)
        yield Implementation(f"c, {isa}", tuple(FUNCTIONS), call, version, "c", isa)


def of_peer(peer: Peer) -> Implementation:
    """Return another library, imported."""
    return Implementation(peer.name, peer.functions, peer, peer.load())


def worst_errors(
    functions: Sequence[str],
    dtypes: Sequence[str],
    kinds: Sequence[str],
    implementations: Sequence[Implementation],
    begin: Callable[[str], None] = lambda name: None,
) -> list[Worst]:
    """Return the largest error of each on all rows of a kind; ``begin`` is told what comes."""
    found: dict[tuple[str, str, str, str], Worst] = {}
    for dtype in dtypes:
        for kind in kinds:
            begin(f"{dtype}, {kind}")
            for case, x, labels in problems(dtype, kind):
                for function in functions:
                    for one, ulp in _errors(function, x, labels, implementations):
                        key = (function, dtype, kind, one.name)
                        worst = Worst(function, dtype, kind, one, float(ulp.max()), case)
                        if key not in found or not worst.ulp <= found[key].ulp:
                            found[key] = worst
    return list(found.values())


def curves(
    functions: Sequence[str], dtypes: Sequence[str], implementations: Sequence[Implementation]
) -> list[Curve]:
    """Return how the errors go with g, by function, dtype and implementation."""
    found = []
    for dtype in dtypes:
        steps = np.arange(0, rows.UNDERFLOW[dtype] + 5, _step(dtype))
        within = np.linspace(0, 1, _ROWS, endpoint=False) + 0.5 / _ROWS
        x = np.zeros((len(steps) * _ROWS, 4), dtype)
        x[:, 0] = (steps[:, np.newaxis] + _step(dtype) * within).ravel()
        labels = np.zeros(len(x), np.intp)
        for function in filter(PER_ROW.__contains__, functions):
            for one, ulp in _errors(function, x, labels, implementations):
                each = ulp.reshape(len(steps), _ROWS, -1).max(axis=-1)
                points = zip(
                    each.min(axis=1), np.median(each, axis=1), each.max(axis=1), strict=True
                )
                middle = tuple(float(g) for g in steps + _step(dtype) / 2)
                values = tuple(Point(*map(float, point)) for point in points)
                found.append(Curve(function, dtype, one, middle, values))
    return found


def problems(dtype: str, kind: str) -> list[tuple[str, Array, Array]]:
    """Return the rows of a kind: what they are called, logits and labels."""
    if kind == "saturated":
        found = [(f"K={k}", rows.saturated_logits(dtype, k)) for k in (2, 4, 17)]
        return [(name, x, rows.saturated_labels(x)) for name, x in found]
    if kind == "hostile":
        found = [(name, rows.hostile_logits(dtype, name)) for name in rows.HOSTILE]
    else:
        longest = _LONGEST_BY_DEFINITION if by_definition(dtype) else max(_LENGTHS)
        lengths = [k for k in _LENGTHS if k <= longest]
        found = [(f"K={k}", _of_all_scales(dtype, k)) for k in lengths]
    return [(name, x, rows.labels_for(x)) for name, x in found]


def _of_all_scales(dtype: str, num_classes: int) -> Array:
    return np.concatenate([rows.random_logits(dtype, num_classes, scale) for scale in _SCALES])


def _step(dtype: str) -> float:
    return _STEP if dtype == "float32" else 7 * _STEP


def _errors(
    function: str, x: Array, labels: Array, implementations: Sequence[Implementation]
) -> Iterator[tuple[Implementation, Array]]:
    """Yield the errors of all that have the function, in ulp."""
    exact, scale = value(function, x, labels)
    for one in implementations:
        if function in one.functions:
            yield one, ulp_error(one.compute(function, x, labels), exact, x.dtype, scale=scale)


def _ours(backend: str, function: str, x: Array, labels: Array) -> Array:
    call = getattr(fastsoftmax, function)
    if not function.startswith("cross_entropy"):
        return np.asarray(call(x, backend=backend))
    reduction: dict[str, Literal["none"]] = {"reduction": "none"}
    options = {} if function == "cross_entropy_mean_grad" else reduction
    return np.asarray(call(x, labels, backend=backend, **options))


def _with_instruction_set(isa: str, function: str, x: Array, labels: Array) -> Array:
    with _instruction_set(isa):
        return _ours("c", function, x, labels)


@contextmanager
def _instruction_set(name: str) -> Iterator[None]:
    extension = importlib.import_module("fastsoftmax._c")
    before = extension.use_instruction_set(name)
    try:
        yield
    finally:
        extension.use_instruction_set(before)
