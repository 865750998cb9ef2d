"""The worked example: four classes, one sample and then three, and a saturated one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import cross_entropy_value_and_grad, cross_entropy_value_and_mean_grad, softmax
from ..typing import BackendName
from .checks import Check
from .console import Table
from .problems import Array

__all__ = [
    "EXAMPLES",
    "SATURATED",
    "Example",
    "batch_table",
    "sample_table",
    "saturation",
    "to_json",
]


@dataclass(frozen=True)
class Example:
    """Outputs of a network and the true classes, counted from 1 as in the formulas."""

    logits: Array
    classes: tuple[int, ...]

    @property
    def labels(self) -> Array:
        """The true classes counted from 0, as the functions take them."""
        return np.array(self.classes) - 1


ONE_SAMPLE = Example(np.array([[1.0, 2.0, 3.0, 0.5]]), (3,))
BATCH = Example(
    np.array([[0.2, -0.4, 1.1, 2.0], [1.0, 2.0, 3.0, 0.5], [1.5, 0.3, -0.2, 0.8]]), (4, 3, 3)
)
#: By what they are called.
EXAMPLES = {"one sample": ONE_SAMPLE, "three samples": BATCH}
# Beyond a margin of 17, 1 + exp(-margin) rounds to 1 in float32.
SATURATED = Example(np.array([[20, 0, 0, 0]], np.float32), (1,))

_CLASSES = ("class 1", "class 2", "class 3", "class 4")


def sample_table(backends: tuple[BackendName, ...]) -> Table:
    """Return the table of the single sample: p, L, p - t and its signs."""
    table = Table("One sample of class 3", ("backend", "", *_CLASSES, "L", "signs"), left=2)
    table.add("", "f", *map(_number, ONE_SAMPLE.logits[0]), "", "")
    table.add("", "t", *_target(3), "", "")
    for backend in backends:
        _add_samples(table, ONE_SAMPLE, backend)
    return table


def batch_table(backends: tuple[BackendName, ...]) -> Table:
    """Return the table of the three samples, with the mean gradient."""
    table = Table(
        "Three samples, of classes 4, 3, 3", ("backend", "", *_CLASSES, "L, J", "signs"), left=2
    )
    for i, cls in enumerate(BATCH.classes, 1):
        table.add("", f"f, sample {i}", *map(_number, BATCH.logits[i - 1]), "", "")
        table.add("", f"t, sample {i}", *_target(cls), "", "")
    for backend in backends:
        _add_samples(table, BATCH, backend)
        loss, mean = cross_entropy_value_and_mean_grad(BATCH.logits, BATCH.labels, backend=backend)
        name = f"(1/{len(BATCH.classes)}) Σ (p − t)"
        table.add(backend, name, *map(_signed, mean), f"{loss:.5f}", _signs(mean))
    return table


def saturation(backends: tuple[BackendName, ...]) -> tuple[Table, list[Check]]:
    """Show a sample whose true class has a probability that rounds to 1, and check it.

    The exact values are L = log1p(3 exp(-g)) and p - t = -3 exp(-g) / (1 + 3 exp(-g)) at the
    true class, for a margin of g.
    """
    logits, margin = SATURATED.logits, float(SATURATED.logits[0, 0])
    rest = 3 * math.exp(-margin)
    loss, entry = math.log1p(rest), -rest / (1 + rest)
    margin_text = f"{margin:g}"
    table = Table(
        f"Saturated: f = ({margin_text}, 0, 0, 0) in float32, true class 1",
        ("computed by", "p of class 1", "L", "p − t of class 1"),
    )
    table.add("exact", f"{1 / (1 + rest):.12f}", f"{loss:.6e}", f"{entry:.6e}")
    exponentials = np.exp(logits[0] - logits[0, 0])
    plain = exponentials[0] / exponentials.sum()
    table.add(
        "the formulas as written", f"{plain:.12f}", f"{-np.log(plain) + 0:.6e}", f"{plain - 1:.6e}"
    )
    checks = []
    for backend in backends:
        p = softmax(logits, backend=backend)[0, 0]
        got, grad = cross_entropy_value_and_grad(logits, SATURATED.labels, backend=backend)
        table.add(f"backend {backend}", f"{p:.12f}", f"{got:.6e}", f"{grad[0, 0]:.6e}")
        # In float64, or the difference itself would be rounded.
        error = max(abs(float(got) - loss) / loss, abs(float(grad[0, 0]) - entry) / -entry)
        checks.append(Check("relative error, saturated sample", backend, error, 1e-6))
    return table, checks


def to_json(backends: tuple[BackendName, ...]) -> dict[str, Any]:
    """Return the examples and what each backend makes of them, as what `documents.write` takes."""
    return {
        name: {
            "logits": worked.logits,
            "labels": worked.labels,
            "backends": {backend: _worked(worked, backend) for backend in backends},
        }
        for name, worked in (*EXAMPLES.items(), ("saturated sample", SATURATED))
    }


def _worked(worked: Example, backend: BackendName) -> dict[str, Any]:
    f, labels = worked.logits, worked.labels
    losses, grad = cross_entropy_value_and_grad(f, labels, reduction="none", backend=backend)
    mean_loss, mean_grad = cross_entropy_value_and_mean_grad(f, labels, backend=backend)
    return {
        "probabilities": softmax(f, backend=backend),
        "losses": losses,
        "gradient": grad,
        "mean_loss": mean_loss,
        "mean_gradient": mean_grad,
    }


def _add_samples(table: Table, example: Example, backend: BackendName) -> None:
    p = softmax(example.logits, backend=backend)
    many = len(example.classes) > 1
    losses, grad = cross_entropy_value_and_grad(
        example.logits, example.labels, reduction="none", backend=backend
    )
    for i, row in enumerate(p):
        which = f", sample {i + 1}" if many else ""
        table.add(backend, "p" + which, *map(_number, row), f"{losses[i]:.5f}", "")
        table.add(backend, "p − t" + which, *map(_signed, grad[i]), "", _signs(grad[i]))


def _target(cls: int) -> list[str]:
    return ["1" if k == cls else "0" for k in range(1, 5)]


def _number(value: float) -> str:
    return f"{value:.5f}"


def _signed(value: float) -> str:
    return f"{value:+.5f}"


def _signs(values: Array) -> str:
    return "".join("+" if v > 0 else "−" if v < 0 else "0" for v in values)
