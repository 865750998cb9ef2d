"""The figures, from data as ``measuring`` leaves it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastsoftmax._cli.largest_errors import saturation_panel
from fastsoftmax._cli.timing import Spread
from fastsoftmax._plotting.bars import Limit, roofline
from fastsoftmax._plotting.lines import Curve, Panel, line_chart

__all__ = ["FIGURES"]

#: Takes the directory of the data, the file to write and the theme.
Figure = Callable[[Path, Path, str], None]

_NAMES = {
    "numpy": "NumPy",
    "scipy": "SciPy",
    "torch": "PyTorch",
    "torch-autograd": "PyTorch, autograd",
    "jax": "JAX",
    "onnxruntime": "ONNX Runtime",
    "sklearn": "scikit-learn",
}
_OPERATIONS = {
    "softmax": "softmax",
    "log_softmax": "log_softmax",
    "value_and_grad": "loss + gradient",
    "value_and_mean_grad": "loss + mean gradient",
    "grad_hess": "gradient + Hessian",
}


def _errors(function: str, title: str) -> Figure:
    def draw(data: Path, path: Path, theme: str) -> None:
        found = [c for c in _read(data, "errors")["curves"] if c["function"] == function]
        curves = [
            Curve(c["implementation"], c["g"], list(map(Spread, c["median"], c["low"], c["high"])))
            for c in found
        ]
        panel = saturation_panel(function, title, curves)
        line_chart(path, [panel], theme, spread="band")

    return draw


def _times(name: str, axis: int, xlabel: str, fixed: str) -> Figure:
    def draw(data: Path, path: Path, theme: str) -> None:
        panels = []
        for part in ("softmax", "loss"):
            document = _read(data, f"{name}-{part}")
            panels.append(
                Panel(
                    f"{_OPERATIONS[document['operation']]}, float32, {fixed}, 1 thread",
                    xlabel,
                    "time per element, ns",
                    _curves(document, axis),
                    xscale="log",
                    yscale="log",
                )
            )
        line_chart(path, panels, theme)

    return draw


def _curves(document: Mapping[str, Any], axis: int) -> list[Curve]:
    """Return nanoseconds an element of the logits, by implementation."""
    records = document["records"]
    names = dict.fromkeys(name for record in records for name in record["times"])
    curves = []
    for name in names:
        there = [record for record in records if name in record["times"]]
        values = [
            _scaled(r["times"][name]["seconds"], 1e9 / (r["shape"][0] * r["shape"][1]))
            for r in there
        ]
        curves.append(Curve(_NAMES.get(name, name), [r["shape"][axis] for r in there], values))
    return curves


def _roofline(data: Path, path: Path, theme: str) -> None:
    document = _read(data, "roofline")
    memory = {name: found["seconds"]["median"] for name, found in document["memory"].items()}
    elements, few = (_product(document[size]) for size in ("large", "small"))
    # The fastest way to read once, and to read and write.
    read = 4e-9 * elements / min(memory["dot"], memory["max"])
    copy = 8e-9 * elements / memory["copyto"]
    groups, limits = {}, {}
    for operation, found in document["operations"].items():
        size = found["bytes"]
        label = f"{_OPERATIONS[operation]}\n{size} bytes per element"
        groups[label] = {
            name: _rate(times["seconds"], 1e-9 * size * elements)
            for name, times in found["in memory"].items()
        }
        fastest = min(times["seconds"]["median"] for times in found["in cache"].values())
        limits[label] = [
            Limit(read if size == 4 else copy, "memory: copy, or read alone"),
            Limit(1e-9 * size * few / fastest, "arithmetic: in the cache"),
        ]
    samples, classes = document["large"]
    xlabel = f"GB/s reached, float32, {samples} × {classes}, 1 thread"
    roofline(path, groups, limits, ("c", "numba"), xlabel, theme)


def _read(data: Path, name: str) -> Any:
    return json.loads((data / f"{name}.json").read_text(encoding="utf-8"))


def _product(shape: list[int]) -> int:
    return shape[0] * shape[1]


def _scaled(spread: Mapping[str, float], factor: float) -> Spread:
    return Spread(*(factor * spread[key] for key in ("median", "low", "high")))


def _rate(seconds: Mapping[str, float], amount: float) -> Spread:
    """Return an amount a second: quick is high."""
    return Spread(*(amount / seconds[key] for key in ("median", "high", "low")))


#: By name; each is drawn light and dark.
FIGURES: dict[str, Figure] = {
    "error-softmax": _errors("softmax", "softmax, float32"),
    "error-gradient": _errors("cross_entropy_grad", "gradient of the loss, float32"),
    "time-over-classes": _times("classes", 1, "classes K", "10⁶ elements"),
    "time-over-samples": _times("samples", 0, "samples m", "K = 10"),
    "roofline": _roofline,
}
