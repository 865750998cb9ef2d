"""Train on the handwritten digits that come with scikit-learn, with losses by fastsoftmax.

Three models: softmax regression by gradient descent and by L-BFGS on all ten digits, and a network
with 6 nodes in its last hidden layer on the four digits 0 to 3. Everything but the loss and its
gradient is plain NumPy.

    pip install "fastsoftmax[examples]"
    python examples/digits.py
    python examples/digits.py --all-backends
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fastsoftmax as fs
from fastsoftmax._plotting import lines

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

#: Called after each epoch with the loss on the training samples and the logits of those held out.
Report = Callable[[float, Array], None]


@dataclass(frozen=True)
class Data:
    """Images as rows of 64 numbers from 0 to 1, and their digits."""

    x: Array
    labels: Labels
    held_out_x: Array
    held_out_labels: Labels


def load_data(digits: int) -> Data:
    """Return the samples of the first digits, a quarter of them held out."""
    from sklearn.datasets import load_digits

    x, labels = load_digits(n_class=digits, return_X_y=True)
    x = x / 16
    order = np.random.default_rng(0).permutation(len(x))
    train, test = np.split(order, [len(x) * 3 // 4])
    return Data(x[train], labels[train], x[test], labels[test])


@dataclass
class Curve:
    """Loss on the training samples, and loss and accuracy on those held out, by epoch."""

    loss: list[float] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def differs(self, other: Curve) -> float:
        """Return the largest difference of the losses, relative to the loss."""
        mine = np.array([self.loss, self.held_out_loss])
        others = np.array([other.loss, other.held_out_loss])
        return float(np.max(np.abs(mine - others) / mine))


class SoftmaxRegression:
    """Logits x Wᵀ + b, with a penalty of l2/2 |W|²."""

    def __init__(self, data: Data, classes: int, l2: float = 1e-4) -> None:
        self.data, self.classes, self.l2 = data, classes, l2
        self.size = data.x.shape[1]
        # The gradient by the logits overwrites the logits: no second array of their size.
        self.logits = np.empty((len(data.x), classes))

    def start(self) -> Array:
        """Return the parameters to start from: W and b in one vector, all zero."""
        return np.zeros(self.classes * (self.size + 1))

    def predict(self, parameters: Array, x: Array) -> Array:
        """Return the logits of samples."""
        weight, bias = self._split(parameters)
        return x @ weight.T + bias

    def loss(self, parameters: Array) -> float:
        """Return the mean loss on the training samples, without the penalty."""
        return float(fs.cross_entropy(self.predict(parameters, self.data.x), self.data.labels))

    def value_and_grad(self, parameters: Array) -> tuple[float, Array]:
        """Return the penalised mean loss and its gradient."""
        weight, bias = self._split(parameters)
        np.matmul(self.data.x, weight.T, out=self.logits)
        self.logits += bias
        loss, dlogits = fs.cross_entropy_value_and_grad(
            self.logits, self.data.labels, out=self.logits
        )
        dweight = dlogits.T @ self.data.x + self.l2 * weight
        penalty = self.l2 / 2 * np.vdot(weight, weight)
        return float(loss + penalty), np.concatenate([dweight.ravel(), dlogits.sum(axis=0)])

    def _split(self, parameters: Array) -> tuple[Array, Array]:
        weight, bias = np.split(parameters, [self.classes * self.size])
        return weight.reshape(self.classes, self.size), bias


def gradient_descent(data: Data, classes: int, epochs: int, report: Report) -> None:
    """Train a softmax regression by full-batch gradient descent."""
    model = SoftmaxRegression(data, classes)
    parameters = model.start()
    _, grad = model.value_and_grad(parameters)
    for _ in range(epochs):
        parameters -= 1.5 * grad
        _, grad = model.value_and_grad(parameters)
        report(model.loss(parameters), model.predict(parameters, data.held_out_x))


def lbfgs(data: Data, classes: int, epochs: int, report: Report) -> None:
    """Train a softmax regression by SciPy's L-BFGS; an iteration counts as an epoch."""
    from scipy.optimize import OptimizeResult, minimize

    model = SoftmaxRegression(data, classes)

    def callback(intermediate_result: OptimizeResult) -> None:
        parameters = intermediate_result.x
        report(model.loss(parameters), model.predict(parameters, data.held_out_x))

    minimize(
        model.value_and_grad,
        model.start(),
        jac=True,
        method="L-BFGS-B",
        callback=callback,
        options={"maxiter": epochs, "ftol": 0, "gtol": 0},
    )


class Network:
    """Layers of 64, 32, 6 and 4 nodes, tanh in between.

    With f = a Wᵀ + b the outputs and a the 6 nodes of the last hidden layer,
    ∂J/∂b = (1/m) Σ (p - t) and ∂J/∂W = (1/m) Σ (p - t) aᵀ.
    """

    def __init__(self, sizes: tuple[int, ...], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        pairs = list(itertools.pairwise(sizes))
        self.weights = [rng.normal(0, n**-0.5, (k, n)) for n, k in pairs]
        self.biases = [np.zeros(k) for _, k in pairs]
        self.velocities = [np.zeros_like(p) for p in self.parameters]

    @property
    def parameters(self) -> list[Array]:
        """All weights, then all biases."""
        return [*self.weights, *self.biases]

    def activations(self, x: Array) -> list[Array]:
        """Return the input, the hidden layers and the logits."""
        layers = [x]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            layers.append(layers[-1] @ weight.T + bias)
            if len(layers) <= len(self.weights):
                np.tanh(layers[-1], out=layers[-1])
        return layers

    def step(self, x: Array, labels: Labels, rate: float = 0.05, momentum: float = 0.9) -> float:
        """Descend by the gradient on one batch and return the loss before."""
        *layers, logits = self.activations(x)
        loss, delta = fs.cross_entropy_value_and_grad(logits, labels, out=logits)
        weight_grads: list[Array] = []
        bias_grads: list[Array] = []
        for weight, layer in zip(reversed(self.weights), reversed(layers), strict=True):
            weight_grads.insert(0, delta.T @ layer)
            bias_grads.insert(0, delta.sum(axis=0))
            delta = (delta @ weight) * (1 - layer**2)
        grads = weight_grads + bias_grads
        for parameter, velocity, grad in zip(self.parameters, self.velocities, grads, strict=True):
            velocity *= momentum
            velocity -= rate * grad
            parameter += velocity
        return float(loss)


def network(data: Data, classes: int, epochs: int, report: Report) -> None:
    """Train the network by batches of 32 samples, in another order each epoch."""
    model = Network((data.x.shape[1], 32, 6, classes))
    rng = np.random.default_rng(1)
    for _ in range(epochs):
        order = rng.permutation(len(data.x))
        for batch in np.array_split(order, len(order) // 32):
            model.step(data.x[batch], data.labels[batch])
        loss = fs.cross_entropy(model.activations(data.x)[-1], data.labels)
        report(float(loss), model.activations(data.held_out_x)[-1])


@dataclass(frozen=True)
class Model:
    """A model of the example: its name, how it is trained, on how many digits, how long."""

    title: str
    train: Callable[[Data, int, int, Report], None]
    digits: int
    epochs: int


MODELS = {
    "gd": Model("softmax regression, gradient descent", gradient_descent, 10, 50),
    "lbfgs": Model("softmax regression, L-BFGS", lbfgs, 10, 30),
    "network": Model("network with 6 nodes in the last hidden layer", network, 4, 30),
}


def run(model: Model, backend: str, epochs: int | None, show: bool) -> Curve:
    """Train a model with a backend and return its curve; print each epoch if it is to show."""
    data, curve = load_data(model.digits), Curve()
    epochs = epochs or model.epochs
    with progress(epochs, f"{model.title} ({backend})") as advance, fs.use_backend(backend):

        def report(loss: float, logits: Array) -> None:
            curve.loss.append(loss)
            curve.held_out_loss.append(float(fs.cross_entropy(logits, data.held_out_labels)))
            right = logits.argmax(axis=-1) == data.held_out_labels
            curve.accuracy.append(float(right.mean()))
            if show:
                print(
                    f"{len(curve.loss):5}  {loss:10.6f}  {curve.held_out_loss[-1]:13.6f}  "
                    f"{100 * curve.accuracy[-1]:10.2f} %"
                )
            advance()

        model.train(data, model.digits, epochs, report)
    return curve


@contextmanager
def progress(total: int, title: str) -> Iterator[Callable[[], object]]:
    """Show a progress bar below what is printed, if rich is installed and this is a terminal."""
    try:
        from rich.progress import Progress
    except ImportError:
        Progress = None  # type: ignore[assignment, misc]
    if Progress is None or not sys.stdout.isatty():
        yield lambda: None
        return
    with Progress(transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def plot(curves: dict[str, Curve], path: Path) -> bool:
    """Draw the losses of each model; return whether Matplotlib was there to do it."""
    if importlib.util.find_spec("matplotlib") is None:
        return False
    panels = []
    for name, curve in curves.items():
        epochs = range(1, len(curve.loss) + 1)
        losses = {"training": curve.loss, "held out": curve.held_out_loss}
        drawn = [lines.Curve.exact(which, epochs, loss) for which, loss in losses.items()]
        title = name.replace(", ", ",\n", 1).replace(" in ", "\nin ", 1)
        title += f"\naccuracy held out: {100 * curve.accuracy[-1]:.1f} %"
        panels.append(lines.Panel(title, "epoch", "mean loss J", drawn, yscale="log"))
    lines.line_chart(path, panels, columns=3, spread=None)
    return True


def parse() -> argparse.Namespace:
    """Return the arguments of the command line."""
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", choices=[*MODELS, "all"], default="all")
    backends = fs.available_backends()
    parser.add_argument("--backend", choices=backends, default=fs.get_backend())
    parser.add_argument(
        "--all-backends",
        action="store_true",
        help="train on every backend and compare the curves",
    )
    parser.add_argument("--epochs", type=int, help="in place of each model's own number")
    parser.add_argument("--plot", type=Path, default=Path("digits.png"), metavar="FILE.png")
    parser.add_argument("--no-plot", action="store_true", help="draw nothing")
    arguments = parser.parse_args()
    if arguments.epochs is not None and arguments.epochs < 1:
        parser.error("--epochs must be at least 1")
    return arguments


def compare(model: Model, curve: Curve, reference: str, epochs: int | None) -> bool:
    """Train on the other backends; return whether their curves are the same."""
    same = True
    for backend in fs.available_backends():
        if backend != reference:
            difference = run(model, backend, epochs, show=False).differs(curve)
            same = same and difference < 1e-6
            print(f"largest relative difference, {backend} from {reference}: {difference:.1e}")
    return same


def main() -> int:
    """Train, print, draw; return 1 if the backends differ, or else 0."""
    arguments = parse()
    if importlib.util.find_spec("sklearn") is None:
        sys.exit('the digits come with scikit-learn: pip install "fastsoftmax[examples]"')
    names = list(MODELS) if arguments.model == "all" else [arguments.model]
    curves: dict[str, Curve] = {}
    same = True
    for name in names:
        model = MODELS[name]
        print(f"\n{model.title}: digits 0 to {model.digits - 1}, backend {arguments.backend}")
        print("epoch        loss  held-out loss  its accuracy")
        start = time.perf_counter()
        curves[model.title] = run(model, arguments.backend, arguments.epochs, show=True)
        print(f"trained in {time.perf_counter() - start:.2f} s")
        if arguments.all_backends:
            curve = curves[model.title]
            same = compare(model, curve, arguments.backend, arguments.epochs) and same
    if not arguments.no_plot:
        if plot(curves, arguments.plot):
            print(f"\nlosses drawn to {arguments.plot}")
        else:
            print("\nno plot: Matplotlib is not installed")
    if not same:
        print("the curves differ by more than 1e-6 between the backends", file=sys.stderr)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
