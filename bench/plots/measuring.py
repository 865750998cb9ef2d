"""What the figures show, measured on one thread; every answer is checked before it is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.cases import CLASSES_LAST, Case
from bench.figures.calls import against_peers
from bench.figures.judging import OURS
from bench.figures.memory import copies, reads
from bench.peers.blas import limit_blas
from fastsoftmax import available_backends
from fastsoftmax._accuracy import survey
from fastsoftmax._accuracy.peers import PEERS
from fastsoftmax._cli.problems import Array, Call, make_problem
from fastsoftmax._cli.timing import Spread, measure, ratio

__all__ = ["BYTES", "CLASSES", "DATA", "NUM_CLASSES", "NUM_ELEMENTS", "SAMPLES"]

#: Over the classes: K, at about so many elements; over the samples: m, at so many classes.
CLASSES = (2, 3, 5, 10, 30, 100, 1000, 10_000, 100_000)
NUM_ELEMENTS = 1_000_000
SAMPLES = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)
NUM_CLASSES = 10

#: What an operation must at least read and write, in float32: bytes an element of the logits.
BYTES = {
    "softmax": 8,
    "log_softmax": 8,
    "value_and_grad": 8,
    "value_and_mean_grad": 4,
    "grad_hess": 12,
}

_IMPLEMENTATIONS = {
    "softmax": ("c", "numba", "numpy", "scipy", "torch", "jax", "onnxruntime"),
    "value_and_grad": ("c", "numba", "numpy", "torch", "torch-autograd", "jax", "sklearn"),
}
# More than the caches hold, and as much as a second-level cache holds.
_LARGE, _IN_CACHE = (8192, 4096), (8, 4096)


def _errors(quick: bool) -> dict[str, Any]:
    """The largest errors over the saturation, by implementation."""
    ours = [i for name in available_backends() for i in survey.of_backend(name)]
    # The instruction sets differ by nothing that could be seen; the first one is what runs.
    names = {"c": next((i for i in ours if i.backend == "c"), None)}
    chosen = [i for i in (names["c"], *(i for i in ours if i.backend == "numba")) if i]
    peers = [survey.of_peer(peer) for peer in PEERS.values() if peer.missing() is None]
    curves = survey.curves(("softmax", "cross_entropy_grad"), ("float32",), [*chosen, *peers])
    return {
        "versions": {i.name: i.version for i in peers},
        "curves": [
            {
                "function": curve.function,
                "implementation": curve.implementation.backend or curve.implementation.name,
                "g": curve.g,
                **{
                    key: [_rounded(getattr(point, key)) for point in curve.points]
                    for key in ("low", "median", "high")
                },
            }
            for curve in curves
        ],
    }


def _over_shapes(
    operation: str, shapes: Sequence[tuple[int, int]]
) -> Callable[[bool], dict[str, Any]]:
    def measured(quick: bool) -> dict[str, Any]:
        return {
            "operation": operation,
            "dtype": "float32",
            "threads": 1,
            "records": [
                {"shape": shape, "times": _spreads(_race(operation, shape, quick))}
                for shape in shapes
            ],
        }

    return measured


def _roofline(quick: bool) -> dict[str, Any]:
    """Bytes a second of each operation, out of memory and in the cache, and of the memory."""
    limit_blas(1)
    operations = {}
    for operation in BYTES:
        operations[operation] = {
            "bytes": BYTES[operation],
            "in memory": _spreads(_race(operation, _LARGE, quick, ("c", "numba"))),
            "in cache": _spreads(_race(operation, _IN_CACHE, quick, ("c", "numba"))),
        }
    x = make_problem("softmax", _LARGE, "float32").logits
    times = measure({**copies(x, 1), **reads(x, 1)}, *_effort(quick))
    return {
        "dtype": "float32",
        "threads": 1,
        "large": _LARGE,
        "small": _IN_CACHE,
        "operations": operations,
        "memory": _spreads(times),
    }


def _race(
    operation: str, shape: tuple[int, int], quick: bool, names: Sequence[str] = ()
) -> dict[str, Array]:
    """Return the times of all that can, in turns."""
    case = Case(operation, shape, "float32", CLASSES_LAST, "reused", 1, "")
    calls: dict[str, Call] = against_peers(*(names or _IMPLEMENTATIONS[operation]))(case, "c")
    calls.pop(OURS)
    return measure(calls, *_effort(quick))


def _effort(quick: bool) -> tuple[int, float]:
    return (3, 0.05) if quick else (15, 2.0)


def _spreads(times: Mapping[str, Array]) -> dict[str, Any]:
    """Return seconds, and how many times the time of c, as medians and quartiles."""
    return dict(_spread_of(times))


def _spread_of(times: Mapping[str, Array]) -> Iterator[tuple[str, Any]]:
    for name, rounds in times.items():
        found = {"rounds": len(rounds), "seconds": _numbers(Spread.of(rounds))}
        if "c" in times:
            found["times c"] = _numbers(ratio(rounds, times["c"]))
        yield name, found


def _numbers(spread: Spread) -> dict[str, float]:
    return {name: _rounded(value) for name, value in asdict(spread).items()}


def _rounded(value: float) -> float:
    """Return four digits, which is more than any spread is small."""
    return float(f"{value:.4g}")


_BY_CLASSES = [(NUM_ELEMENTS // k, k) for k in CLASSES]
_BY_SAMPLES = [(m, NUM_CLASSES) for m in SAMPLES]

#: The data by name; each takes less than a minute.
DATA: dict[str, Callable[[bool], dict[str, Any]]] = {
    "errors": _errors,
    "classes-softmax": _over_shapes("softmax", _BY_CLASSES),
    "classes-loss": _over_shapes("value_and_grad", _BY_CLASSES),
    "samples-softmax": _over_shapes("softmax", _BY_SAMPLES),
    "samples-loss": _over_shapes("value_and_grad", _BY_SAMPLES),
    "roofline": _roofline,
}
