"""Train softmax regression on handwritten digits, a whole epoch inside one compiled function.

Stochastic gradient descent, a sample at a time, by Numba: the logits of a sample are made, turned
into their gradient and used up in one iteration, with the loss and the gradient of the row by
fastsoftmax. The losses of all samples after an epoch are computed in compiled code as well.

    pip install "fastsoftmax[numba,examples]"
    python examples/numba_trainer.py
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np

import fastsoftmax as fs

try:
    from numba import njit
    from sklearn.datasets import load_digits
except ModuleNotFoundError as missing:
    sys.exit(f'{missing}: pip install "fastsoftmax[numba,examples]"')

from fastsoftmax.numba import cross_entropy_value_and_grad_row


@njit(cache=True, nogil=True)
def train_epoch(
    x: Any, labels: Any, order: Any, weight: Any, bias: Any, rate: float, l2: float
) -> float:
    """Descend by each sample's gradient once, in this order; return the mean of their losses.

    With f = W x + b the gradients of a sample's loss are ∂L/∂b = p - t and ∂L/∂W = (p - t) xᵀ.
    """
    delta = np.empty_like(bias)
    total = 0.0
    for sample in order:
        features = x[sample]
        for k in range(bias.size):
            f = bias[k]
            for i in range(features.size):
                f += weight[k, i] * features[i]
            delta[k] = f
        # The gradient takes the place of the logits.
        total += cross_entropy_value_and_grad_row(delta, labels[sample], delta)
        for k in range(bias.size):
            bias[k] -= rate * delta[k]
            for i in range(features.size):
                weight[k, i] -= rate * (delta[k] * features[i] + l2 * weight[k, i])
    return total / len(order)


@njit(cache=True, nogil=True)
def evaluate(x: Any, labels: Any, weight: Any, bias: Any) -> tuple[float, float]:
    """Return the mean loss and the share of right answers."""
    logits = x @ weight.T + bias
    right = 0
    for i in range(len(labels)):
        right += np.argmax(logits[i]) == labels[i]
    return fs.cross_entropy(logits, labels), right / len(labels)


def load_data() -> tuple[Any, ...]:
    """Return images and digits to train on, and a quarter of all that is held out."""
    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    train, test = np.split(order, [len(x) * 3 // 4])
    x = x / 16
    return x[train], labels[train], x[test], labels[test]


def parse() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=0.1, help="the first epoch's learning rate")
    arguments = parser.parse_args()
    if arguments.epochs < 1:
        parser.error("--epochs must be at least 1")
    return arguments


def main() -> int:
    """Train and print each epoch."""
    arguments = parse()
    x, labels, held_out_x, held_out_labels = load_data()
    weight, bias = np.zeros((10, x.shape[1])), np.zeros(10)
    start = time.perf_counter()
    train_epoch(x, labels, np.arange(1), weight, bias, 0.0, 0.0)  # at rate 0 nothing is learnt
    evaluate(held_out_x, held_out_labels, weight, bias)
    print(f"compiled, or read from Numba's cache, in {time.perf_counter() - start:.2f} s")

    print("softmax regression, one sample at a time: digits 0 to 9")
    print("epoch        loss  held-out loss  its accuracy")
    rng = np.random.default_rng(1)
    start = time.perf_counter()
    for epoch in range(1, arguments.epochs + 1):
        rate = arguments.rate / (1 + 0.1 * (epoch - 1))
        loss = train_epoch(x, labels, rng.permutation(len(x)), weight, bias, rate, 1e-5)
        held_out_loss, accuracy = evaluate(held_out_x, held_out_labels, weight, bias)
        print(f"{epoch:5}  {loss:10.6f}  {held_out_loss:13.6f}  {100 * accuracy:10.2f} %")
    seconds = time.perf_counter() - start
    samples = arguments.epochs * len(x)
    print(f"trained in {seconds:.2f} s, {seconds / samples * 1e6:.2f} µs a sample")
    return 0


if __name__ == "__main__":
    sys.exit(main())
