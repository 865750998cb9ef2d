"""The jitted value and gradient of the mean loss in JAX: ours beside optax's.

Prints a table: ``python -m bench.trainers.jax``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import fastsoftmax.jax as fsj
from bench.cases import SHAPES
from fastsoftmax._cli.timing import Call, Spread, duration, measure, ratio
from fastsoftmax._machine import cpu_model

ROUNDS, SECONDS = 15, 3.0
FUNCTIONS = {
    "fastsoftmax": fsj.softmax_cross_entropy_with_integer_labels,
    "optax": optax.softmax_cross_entropy_with_integer_labels,
}


def call(name: str, logits: jax.Array, labels: jax.Array) -> Call:
    """Return the step, compiled and called once."""

    def mean_loss(x: Any, labels: Any) -> Any:
        return FUNCTIONS[name](x, labels).mean()

    step = jax.jit(jax.value_and_grad(mean_loss)).lower(logits, labels).compile()
    jax.block_until_ready(step(logits, labels))
    return lambda: jax.block_until_ready(step(logits, labels))


def main() -> None:
    """Print the table."""
    print(f"{cpu_model()}, jax {jax.__version__}, optax {optax.__version__}, float32\n")
    print("| m × K | fastsoftmax | optax | fastsoftmax / optax |\n|---|---|---|---|")
    rng = np.random.default_rng(0)
    for samples, classes in SHAPES:
        logits = jnp.asarray(rng.normal(size=(samples, classes)).astype(np.float32))
        labels = jnp.asarray(rng.integers(0, classes, samples).astype(np.int32))
        times = measure({name: call(name, logits, labels) for name in FUNCTIONS}, ROUNDS, SECONDS)
        ours, theirs = times["fastsoftmax"], times["optax"]
        share = ratio(ours, theirs)
        print(
            f"| {samples} × {classes} | {duration(Spread.of(ours).median)} "
            f"| {duration(Spread.of(theirs).median)} | {share.median:.2f} ±{share.percent:.0f}% |",
            flush=True,
        )


if __name__ == "__main__":
    main()
