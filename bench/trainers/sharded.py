"""Loss and gradient with the classes in shards, all in one process, beside those of all classes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

import fastsoftmax
from bench.figures.machine import describe
from fastsoftmax import sharded
from fastsoftmax._cli.timing import Spread, duration, measure, ratio

SHAPES = ((1, 1000), (256, 1000), (4096, 4096), (64, 128_000))
SHARDS = (1, 2, 4)


def main() -> None:
    """Measure all shapes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=3.0, help="a case")
    options = parser.parse_args()
    fastsoftmax.set_num_threads(options.threads)
    machine = describe()
    print(
        f"{machine['cpu']}, {machine['cpus']} usable CPUs, instruction set "
        f"{machine['instruction set']}; Python {machine['python']}, NumPy {np.__version__}\n"
    )
    print("| m × K, float32 | shards | all classes | states | merge | gradients | in all, times |")
    print("|---|---|---|---|---|---|---|")
    for shape in SHAPES:
        for shards in SHARDS:
            times = measure(_calls(shape, shards), options.rounds, options.seconds)
            cells = (Spread.of(times[name]) for name in ("whole", "states", "merge", "grads"))
            cost = ratio(times["sharded"], times["whole"])
            print(
                f"| {shape[0]} × {shape[1]} | {shards} | "
                + " | ".join(f"{duration(cell.median)} ±{cell.percent:.0f}%" for cell in cells)
                + f" | {cost.median:.2f} ±{cost.percent:.0f}% |"
            )


def _calls(shape: tuple[int, int], shards: int) -> dict[str, Callable[[], Any]]:
    samples, classes = shape
    generator = np.random.default_rng(0)
    x = generator.standard_normal(shape, np.float32) * 3
    labels = generator.integers(0, classes, samples)
    firsts = [classes * i // shards for i in range(shards)]
    parts = [np.ascontiguousarray(part) for part in np.split(x, firsts[1:], axis=1)]
    outs = [np.empty_like(part) for part in parts]
    out = np.empty_like(x)
    places = [{"first_class": first, "num_classes": classes} for first in firsts]

    def states() -> list[Any]:
        return [
            sharded.partial_state(part, labels, **place)
            for part, place in zip(parts, places, strict=True)
        ]

    def end(gathered: list[Any]) -> Any:
        state = sharded.merge_states(gathered)
        return state, sharded.cross_entropy(state, labels)

    def grads(state: Any) -> None:
        for part, own, place in zip(parts, outs, places, strict=True):
            sharded.cross_entropy_grad(part, labels, state, out=own, **place)

    gathered = states()
    state, loss = end(gathered)
    grads(state)
    own, grad = fastsoftmax.cross_entropy_value_and_grad(x, labels)
    np.testing.assert_allclose(loss, own, rtol=1e-6)
    np.testing.assert_allclose(np.concatenate(outs, axis=1), grad, rtol=1e-5)
    return {
        "whole": lambda: fastsoftmax.cross_entropy_value_and_grad(x, labels, out=out),
        "states": states,
        "merge": lambda: end(gathered),
        "grads": lambda: grads(state),
        "sharded": lambda: grads(end(states())[0]),
    }


if __name__ == "__main__":
    main()
