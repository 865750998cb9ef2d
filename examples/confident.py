"""What is left of a confident sample's gradient, in float32: PyTorch, JAX and fastsoftmax.

A network learns the handwritten digits that come with scikit-learn until it is sure of nearly all
of them. After each epoch the same logits of the training samples go to each library, and what is
counted is how many samples have a gradient of exactly 0 at their true class: p - 1, where p was
rounded to 1. The network itself learns from fastsoftmax's gradient.

    pip install "fastsoftmax[examples,torch,jax]"
    python examples/confident.py                     # saves confident.png too, where matplotlib is
    python examples/confident.py --epochs 50 --no-plot

Libraries that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fastsoftmax as fs
from fastsoftmax._plotting import lines

Array = NDArray[np.float32]
Labels = NDArray[np.int64]
Gradient = Callable[[Array, Labels], Array]

SIZES = (64, 32, 10)
RATE, MOMENTUM, BATCH = 0.2, 0.9, 64


def load_data() -> tuple[Array, Labels]:
    """Return images as rows of 64 numbers from 0 to 1, and their digits."""
    from sklearn.datasets import load_digits

    x, labels = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32), labels


class Network:
    """Layers with tanh in between, in float32."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.weights = [
            (rng.standard_normal((a, b)) / np.sqrt(a)).astype(np.float32)
            for a, b in itertools.pairwise(SIZES)
        ]
        self.biases = [np.zeros(b, np.float32) for b in SIZES[1:]]
        self.speeds = [np.zeros_like(array) for array in (*self.weights, *self.biases)]

    def layers(self, x: Array) -> list[Array]:
        """Return the values of all layers, the logits last."""
        values = [x]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            below = x if len(values) == 1 else np.tanh(values[-1])
            values.append(below @ weight + bias)
        return values

    def learn(self, x: Array, labels: Labels) -> None:
        """Make a step with momentum, on some samples."""
        values = self.layers(x)
        _, grad = fs.cross_entropy_value_and_grad(values[-1], labels)
        gradients: list[Array] = []
        for i in reversed(range(len(self.weights))):
            below = values[i] if i == 0 else np.tanh(values[i])
            gradients += [below.T @ grad, grad.sum(axis=0)]
            if i > 0:
                grad = (grad @ self.weights[i].T) * (1 - below**2)
        by_array = [*gradients[::2][::-1], *gradients[1::2][::-1]]
        arrays = (*self.weights, *self.biases)
        for array, speed, gradient in zip(arrays, self.speeds, by_array, strict=True):
            speed *= MOMENTUM
            speed -= RATE * gradient
            array += speed


def ours(logits: Array, labels: Labels) -> Array:
    """Return the gradient of the sum of the losses."""
    return fs.cross_entropy_grad(logits, labels, reduction="sum")


def torch_gradient() -> Gradient:
    """Return PyTorch's, likewise."""
    import torch

    def gradient(logits: Array, labels: Labels) -> Array:
        x = torch.tensor(logits, requires_grad=True)
        torch.nn.functional.cross_entropy(x, torch.tensor(labels), reduction="sum").backward()
        assert x.grad is not None
        return x.grad.numpy()

    return gradient


def jax_gradient() -> Gradient:
    """Return JAX's, of -log_softmax at the label."""
    import jax

    def loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
        logs = jax.nn.log_softmax(logits)
        return -logs[jax.numpy.arange(len(labels)), labels].sum()

    compiled = jax.jit(jax.grad(loss))
    return lambda logits, labels: np.asarray(compiled(logits, labels))


def installed() -> dict[str, Gradient]:
    """Return the gradients of the libraries that are there."""
    found: dict[str, Gradient] = {}
    if importlib.util.find_spec("torch"):
        found["PyTorch"] = torch_gradient()
    if importlib.util.find_spec("jax"):
        found["JAX"] = jax_gradient()
    return {**found, "fastsoftmax": ours}


def train(gradients: dict[str, Gradient], epochs: int) -> Iterator[tuple[float, dict[str, float]]]:
    """Yield after each epoch the loss and, by library, the share of samples without a gradient."""
    x, labels = load_data()
    network, rng = Network(), np.random.default_rng(0)
    every = np.arange(len(x))
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(x)), len(x) // BATCH):
            network.learn(x[batch], labels[batch])
        logits = network.layers(x)[-1]
        shares = {
            name: float(np.mean(gradient(logits, labels)[every, labels] == 0))
            for name, gradient in gradients.items()
        }
        yield float(fs.cross_entropy(logits, labels)), shares


def plot(shares: dict[str, list[float]], path: Path) -> None:
    """Save the shares over the epochs."""
    curves = [
        lines.Curve.exact(name, range(1, len(values) + 1), [100 * value for value in values])
        for name, values in shares.items()
    ]
    what = "samples with gradient 0\nat the true class, %"
    panel = lines.Panel("The same logits in float32", "epoch", what, curves)
    lines.line_chart(path, [panel], spread=None)


def main() -> None:
    """Train, print the shares, save the plot."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--plot", type=Path, default=Path("confident.png"), metavar="FILE")
    parser.add_argument("--no-plot", action="store_true")
    options = parser.parse_args()
    if importlib.util.find_spec("sklearn") is None:
        sys.exit('the digits come with scikit-learn: pip install "fastsoftmax[examples]"')
    gradients = installed()
    shares: dict[str, list[float]] = {name: [] for name in gradients}
    print("share of samples whose gradient at the true class is exactly 0\n")
    print(f"{'epoch':>5}  {'loss':>10}" + "".join(f"  {name:>12}" for name in gradients))
    for epoch, (loss, found) in enumerate(train(gradients, options.epochs), 1):
        for name, share in found.items():
            shares[name].append(share)
        if epoch == 1 or epoch % max(1, options.epochs // 15) == 0:
            columns = "".join(f"  {100 * share:>10.1f} %" for share in found.values())
            print(f"{epoch:>5}  {loss:>10.3e}{columns}", flush=True)
    if not options.no_plot:
        if importlib.util.find_spec("matplotlib"):
            plot(shares, options.plot)
            print(f"\nplot: {options.plot}")
        else:
            print("\nno plot: matplotlib is not installed")


if __name__ == "__main__":
    main()
