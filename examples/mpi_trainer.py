"""Train softmax regression, or a network with one hidden layer, on many processes with MPI.

    pip install mpi4py mpich "fastsoftmax[examples]"
    mpiexec -n 4 python examples/mpi_trainer.py --parallel data
    mpiexec -n 4 python examples/mpi_trainer.py --parallel classes --hidden 32

With ``--parallel data`` each process has a share of the samples and all of the weights: the sums
that make up the loss and the gradient are added over the processes. With ``--parallel classes``
each has all samples and the weights of a share of the classes, and so a slice of the logits: the
processes exchange what their slices come to, 64 bytes a sample, and each goes on with its slice of
the gradient. Either way the result is that of one process, but for the rounding of sums.

Full-batch gradient descent on scikit-learn's handwritten digits, or on made-up samples of any size:
``--samples 200000 --features 64 --classes 1000 --time``.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastsoftmax as fs
from fastsoftmax import sharded

try:
    from mpi4py import MPI
except ModuleNotFoundError as missing:
    sys.exit(f'{missing}: pip install mpi4py mpich "fastsoftmax[examples]"')

Array = NDArray[Any]

BLOCK = 4096
"""Samples that are made up from one seed, whichever process has them."""


def share(count: int, rank: int, size: int) -> slice:
    """Return what a process has of so many samples or classes."""
    return slice(count * rank // size, count * (rank + 1) // size)


# --- data ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """Samples as rows of features, and their labels: all, or a process's share."""

    x: Array
    labels: NDArray[np.int64]
    samples: int  # of all processes
    classes: int


def load(arguments: argparse.Namespace, comm: Any) -> Data:
    """Return the share of the samples that a process of these has."""
    if arguments.samples is None:
        return load_digits(arguments.dtype, comm)
    return make_up(arguments, share(arguments.samples, comm.rank, comm.size))


def load_digits(dtype: str, comm: Any) -> Data:
    """Return the handwritten digits that come with scikit-learn."""
    from sklearn.datasets import load_digits as load

    x, labels = load(return_X_y=True)
    mine = share(len(x), comm.rank, comm.size)
    return Data((x[mine] / 16).astype(dtype), labels[mine].astype(np.int64), len(x), 10)


def make_up(arguments: argparse.Namespace, mine: slice) -> Data:
    """Return samples around a random centre for each class."""
    classes, features = arguments.classes, arguments.features
    centres = np.random.default_rng(0).standard_normal((classes, features))
    x = np.empty((mine.stop - mine.start, features), arguments.dtype)
    labels = np.empty(len(x), np.int64)
    for begin in range(mine.start // BLOCK * BLOCK, mine.stop, BLOCK):
        rng = np.random.default_rng([1, begin])
        of_block = rng.integers(0, classes, BLOCK)
        values = centres[of_block] + rng.standard_normal((BLOCK, features))
        first, last = max(begin, mine.start), min(begin + BLOCK, mine.stop)
        here = slice(first - begin, last - begin)
        there = slice(first - mine.start, last - mine.start)
        x[there], labels[there] = values[here] / features**0.5, of_block[here]
    return Data(x, labels, arguments.samples, classes)


# --- the model -------------------------------------------------------------------------------


@dataclass
class Model:
    """Logits h Wᵀ + b of h = tanh(x Vᵀ), or of h = x where there is no V."""

    weight: Array  # W: a row a class, of all classes or of a process's share
    bias: Array
    hidden: Array | None  # V

    @classmethod
    def start(cls, data: Data, nodes: int, classes: slice) -> Model:
        """Return parameters to start from: the same on any number of processes."""
        width = nodes or data.x.shape[1]
        rng = np.random.default_rng(2)
        hidden = rng.standard_normal((nodes, data.x.shape[1])) if nodes else None
        weight = 0.01 * rng.standard_normal((data.classes, width))
        dtype = data.x.dtype
        return cls(
            weight[classes].astype(dtype),
            np.zeros(classes.stop - classes.start, dtype),
            None if hidden is None else hidden.astype(dtype),
        )

    def nodes_of(self, x: Array) -> Array:
        return x if self.hidden is None else np.tanh(x @ self.hidden.T)

    def logits_of(self, h: Array, out: Array | None = None) -> Array:
        logits = np.matmul(h, self.weight.T, out=out)
        logits += self.bias
        return logits

    def descend(self, rate: float, dweight: Array, dbias: Array, dhidden: Array | None) -> None:
        self.weight -= (rate * dweight).astype(self.weight.dtype)
        self.bias -= (rate * dbias).astype(self.bias.dtype)
        if self.hidden is not None and dhidden is not None:
            self.hidden -= (rate * dhidden).astype(self.hidden.dtype)


def hidden_grad(x: Array, h: Array, dh: Array) -> Array:
    """Return the gradient by V from that by h."""
    return ((1 - h * h) * dh).T @ x


# --- messages --------------------------------------------------------------------------------


@dataclass
class Messages:
    """What the processes tell each other, and how long and how much that was."""

    comm: Any
    seconds: float = 0.0
    bytes: int = 0

    def gather(self, mine: Array) -> Array:
        """Return the arrays of all processes, in their order, stacked."""
        everyones = np.empty((self.comm.size, *mine.shape), mine.dtype)
        with self._timed(everyones.nbytes):
            self.comm.Allgather(np.ascontiguousarray(mine), everyones)
        return everyones

    def add(self, *arrays: Array) -> list[Array]:
        """Return the sums over all processes, in float64, by one message."""
        flat = np.concatenate([array.ravel().astype(np.float64) for array in arrays])
        with self._timed(flat.nbytes):
            self.comm.Allreduce(MPI.IN_PLACE, flat)
        ends = np.cumsum([array.size for array in arrays])
        parts = np.split(flat, ends[:-1])
        return [part.reshape(array.shape) for part, array in zip(parts, arrays, strict=True)]

    @contextmanager
    def _timed(self, size: int) -> Iterator[None]:
        self.bytes += size
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start


# --- the two ways ----------------------------------------------------------------------------


class DataParallel:
    """Each process has a share of the samples and the whole model."""

    def __init__(self, data: Data, nodes: int, messages: Messages) -> None:
        self.data, self.messages = data, messages
        self.model = Model.start(data, nodes, slice(0, data.classes))
        self.logits = np.empty((len(data.x), data.classes), data.x.dtype)
        # What the mean divides by is that of all samples, and so known before any loss.
        self.divisor = messages.gather(np.array(sharded.total_weight(data.labels))).sum()

    def step(self, rate: float) -> float:
        """Descend once, and return the loss before."""
        model, data = self.model, self.data
        h = model.nodes_of(data.x)
        logits = model.logits_of(h, out=self.logits)
        # The gradient by the logits takes their place.
        sums, grad = sharded.loss_sums_and_grad(
            logits, data.labels, divisor=self.divisor, out=logits
        )
        grads = [grad.T @ h, grad.sum(axis=0, dtype=np.float64)]
        if model.hidden is not None:
            grads.append(hidden_grad(data.x, h, grad @ model.weight))
        dweight, dbias, *more = self.messages.add(*grads)
        model.descend(rate, dweight, dbias, more[0] if more else None)
        return float(sharded.mean_loss(sharded.merge_sums(self.messages.gather(sums))))

    def whole(self) -> Model:
        return self.model


class ClassParallel:
    """Each process has all samples and a share of the classes; the hidden layer is everyone's."""

    def __init__(self, data: Data, nodes: int, messages: Messages) -> None:
        self.data, self.messages = data, messages
        comm = messages.comm
        self.classes = share(data.classes, comm.rank, comm.size)
        self.model = Model.start(data, nodes, self.classes)
        self.logits = np.empty((len(data.x), len(self.model.weight)), data.x.dtype)

    def step(self, rate: float) -> float:
        """Descend once, and return the loss before."""
        model, data = self.model, self.data
        h = model.nodes_of(data.x)
        logits = model.logits_of(h, out=self.logits)
        which = {"first_class": self.classes.start, "num_classes": data.classes}
        state = sharded.partial_state(logits, data.labels, **which)
        state = sharded.merge_states(self.messages.gather(state))
        loss = sharded.cross_entropy(state, data.labels, num_classes=data.classes)
        grad = sharded.cross_entropy_grad(logits, data.labels, state, out=logits, **which)
        dhidden = None
        if model.hidden is not None:
            # What the classes of all processes want of h.
            (dh,) = self.messages.add(grad @ model.weight)
            dhidden = hidden_grad(data.x, h, dh.astype(h.dtype))
        model.descend(rate, grad.T @ h, grad.sum(axis=0, dtype=np.float64), dhidden)
        return float(loss)

    def whole(self) -> Model:
        """Return the model with the classes of all processes."""
        gather = self.messages.comm.allgather
        weight, bias = (
            np.concatenate(gather(part)) for part in (self.model.weight, self.model.bias)
        )
        return Model(weight, bias, self.model.hidden)


WAYS = {"data": DataParallel, "classes": ClassParallel}

# --- the program -----------------------------------------------------------------------------


@dataclass
class Run:
    """The losses before each step, and the seconds of each."""

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def train(trainer: DataParallel | ClassParallel, steps: int, rate: float, stagger: float) -> Run:
    """Descend so many times; process number r is late by r times `stagger` seconds each time."""
    run, comm = Run(), trainer.messages.comm
    for number in range(steps):
        if number == 1:  # the first finds memory new and threads asleep
            trainer.messages.seconds = trainer.messages.bytes = 0
        comm.Barrier()
        start = time.perf_counter()
        time.sleep(stagger * comm.rank)
        run.losses.append(trainer.step(rate))
        run.seconds.append(time.perf_counter() - start)
    return run


def accuracy(model: Model, data: Data, comm: Any, has_all: bool) -> float:
    """Return the share of samples whose label is the largest class, in percent."""
    hits = int((model.logits_of(model.nodes_of(data.x)).argmax(axis=1) == data.labels).sum())
    return 100 * (hits if has_all else comm.allreduce(hits)) / data.samples


def report_times(run: Run, messages: Messages, size: int) -> None:
    """Print what a step takes: the median, with half the distance of the quartiles."""
    low, median, high = np.percentile(run.seconds[1:], [25, 50, 75])
    steps = len(run.seconds) - 1
    print(
        f"{size} processes, {steps} steps after the first: {median * 1e3:.1f} ms "
        f"±{(high - low) / 2 / median:.0%}, of which {messages.seconds / steps * 1e3:.1f} ms in "
        f"messages (with waiting) of {messages.bytes / steps:.3g} bytes"
    )


def use_threads(number: int) -> None:
    """Give this process so many threads, NumPy's BLAS included if threadpoolctl is there."""
    fs.set_num_threads(number)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return
    threadpool_limits(number)


def parse() -> argparse.Namespace:
    """Return the arguments of the command line, the same on every process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--parallel", choices=list(WAYS), default="data")
    parser.add_argument("--hidden", type=int, default=0, help="nodes of a hidden layer")
    parser.add_argument("--samples", type=int, help="make up so many, in place of the digits")
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float64")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--time", action="store_true", help="print what a step takes")
    parser.add_argument("--save", metavar="FILE", help="put losses and parameters to FILE.npz")
    parser.add_argument("--stagger", type=float, default=0.0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.steps < 1 + arguments.time:
        parser.error(f"--steps must be at least {1 + arguments.time}")
    return arguments


def main() -> int:
    """Train and print each loss."""
    comm = MPI.COMM_WORLD
    arguments = parse()
    use_threads(arguments.threads)
    by_samples = arguments.parallel == "data"
    data = load(arguments, comm if by_samples else MPI.COMM_SELF)
    if not by_samples and comm.size > data.classes:
        if comm.rank == 0:
            print(f"{comm.size} processes cannot share {data.classes} classes", file=sys.stderr)
        return 2
    trainer = WAYS[arguments.parallel](data, arguments.hidden, Messages(comm))
    run = train(trainer, arguments.steps, arguments.rate, arguments.stagger)
    model = trainer.whole()
    percent = accuracy(model, data, comm, has_all=not by_samples)
    if comm.rank > 0:
        return 0
    print("step        loss")
    for number, loss in enumerate(run.losses, 1):
        print(f"{number:4}  {loss:10.6f}")
    print(f"accuracy on the samples trained with: {percent:.2f} %")
    if arguments.time:
        report_times(run, trainer.messages, comm.size)
    if arguments.save:
        arrays = {"losses": run.losses, "weight": model.weight, "bias": model.bias}
        if model.hidden is not None:
            arrays["hidden"] = model.hidden
        np.savez(arguments.save, **arrays)
    return 0


if __name__ == "__main__":
    try:
        status = main()
    except Exception:
        traceback.print_exc()
        MPI.COMM_WORLD.Abort(1)  # or the others would wait for this process
    sys.exit(status)
