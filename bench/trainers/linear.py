"""A linear layer's loss and gradients without its logits: ``python -m bench.trainers.linear``.

Beside it: the layer's three matrix products alone, the same with all logits (the products and our
fused loss and gradient), our function for PyTorch, and PyTorch's own ways. The products' memory for
the logits is there before the clock starts; all others take what they need. Before each call the
threads of the call before have the time to go to sleep: those of OpenBLAS look for work for 50 ms
and more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import fastsoftmax as fs
import fastsoftmax.torch
from bench.figures.machine import describe
from fastsoftmax._cli.timing import Spread, duration, measure, ratio

SHAPES = ((8192, 1024, 32_000), (8192, 128, 32_000), (65_536, 64, 1000))
OURS, PRODUCTS, WITH_LOGITS = "fastsoftmax", "three products", "with all logits"
ADAPTER = "fastsoftmax.torch"
TORCH, TORCH_LINEAR = "PyTorch", "PyTorch's linear_cross_entropy"
TORCH_CHUNKED = "PyTorch's linear_cross_entropy, in chunks"
PAUSE = 0.15
MIB = 1 << 20

Call = Callable[[], object]


class Layer:
    """The arrays of a layer in float32, and its loss and gradients in several ways."""

    def __init__(self, samples: int, features: int, classes: int) -> None:
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((samples, features), np.float32)
        self.weight = rng.standard_normal((classes, features), np.float32)
        self.weight /= np.float32(features**0.5)
        self.labels = rng.integers(0, classes, samples)
        self.out = np.zeros_like(self.x), np.zeros_like(self.weight), None
        self.tensors = [torch.from_numpy(a).requires_grad_() for a in (self.x, self.weight)]

    def ours(self) -> Call:
        return lambda: fs.linear_cross_entropy_value_and_grad(
            self.x, self.weight, self.labels, out=self.out
        )

    def products(self) -> Call:
        logits = np.zeros((len(self.x), len(self.weight)), np.float32)
        dx, dweight, _ = self.out

        def call() -> None:
            np.matmul(self.x, self.weight.T, out=logits)
            np.matmul(logits, self.weight, out=dx)
            np.matmul(logits.T, self.x, out=dweight)

        return call

    def with_logits(self) -> Call:
        dx, dweight, _ = self.out

        def call() -> None:
            logits = self.x @ self.weight.T
            fs.cross_entropy_value_and_grad(logits, self.labels, out=logits)
            np.matmul(logits, self.weight, out=dx)
            np.matmul(logits.T, self.x, out=dweight)

        return call

    def torch(self) -> Call:
        return self._step(lambda x, w, t: functional.cross_entropy(functional.linear(x, w), t))

    def adapter(self) -> Call:
        return self._step(fastsoftmax.torch.linear_cross_entropy)

    def torch_linear(self) -> Call:
        return self._step(functional.linear_cross_entropy)

    def torch_chunked(self) -> Call:
        options = torch.nn.LinearCrossEntropyOptions()
        return self._step(lambda x, w, t: functional.linear_cross_entropy(x, w, t, options=options))

    def _step(self, loss: Callable[..., torch.Tensor]) -> Call:
        labels = torch.from_numpy(self.labels)

        def call() -> None:
            for tensor in self.tensors:
                tensor.grad = None
            loss(*self.tensors, labels).backward()

        return call


WAYS: dict[str, Callable[[Layer], Call]] = {
    OURS: Layer.ours,
    PRODUCTS: Layer.products,
    WITH_LOGITS: Layer.with_logits,
    ADAPTER: Layer.adapter,
    TORCH: Layer.torch,
}
if hasattr(functional, "linear_cross_entropy"):
    WAYS[TORCH_LINEAR] = Layer.torch_linear
    WAYS[TORCH_CHUNKED] = Layer.torch_chunked


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=fs.get_num_threads())
    parser.add_argument("--seconds", type=float, default=20.0, help="a shape")
    options = parser.parse_args()
    fs.set_num_threads(options.threads)
    torch.set_num_threads(options.threads)
    machine = describe()
    print(
        f"{machine['cpu']}, {options.threads} threads, instruction set "
        f"{machine['instruction set']}; NumPy {np.__version__}, PyTorch {torch.__version__}, "
        "float32; the ratio is of the time to fastsoftmax's, memory is beside arguments and "
        "results\n"
    )
    print("| m, d × K | | time | ratio | peak memory |\n|---|---|---|---|---|")
    for shape in SHAPES:
        layer = Layer(*shape)
        calls = {name: way(layer) for name, way in WAYS.items()}
        for call in calls.values():
            call()
        times = measure(calls, 20, options.seconds, before=lambda: time.sleep(PAUSE))
        del layer, calls
        for name, taken in times.items():
            spread, share = Spread.of(taken), ratio(taken, times[OURS])
            print(
                f"| {shape[0]}, {shape[1]} × {shape[2]} | {name} "
                f"| {duration(spread.median)} ±{spread.percent:.0f}% "
                f"| {share.median:.2f} ±{share.percent:.0f}% "
                f"| {_peak_memory(name, shape) / MIB:.0f} MiB |",
                flush=True,
            )


def _peak_memory(name: str, shape: tuple[int, int, int]) -> int:
    """Return by how much a call raises a new process's memory, after one on a small layer."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_raised, (name, shape))


def _raised(name: str, shape: tuple[int, int, int]) -> int:
    WAYS[name](Layer(256, 64, 1000))()
    layer = Layer(*shape)
    before = _resident("VmRSS")
    call = WAYS[name](layer)
    call()
    in_place = name in (OURS, PRODUCTS, WITH_LOGITS)
    results = 0 if in_place else layer.x.nbytes + layer.weight.nbytes
    return _resident("VmHWM") - before - results


def _resident(entry: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith(entry))
    return int(found.split()[1]) << 10


if __name__ == "__main__":
    main()
