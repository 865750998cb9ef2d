"""Train softmax regression on samples that do not fit the memory of the processes that read them.

The samples are written to disk, some at a time, and read again for each evaluation of the loss and
its gradient by the workers of a Dask cluster on this machine, each with a limit to its memory.
SciPy's L-BFGS sees one function of the coefficients. The logits of a chunk of samples are in memory
for as long as a task takes, and what comes back from each is its part of the gradient.

    pip install "fastsoftmax[dask]" distributed scipy
    python examples/dask_softmax_regression.py
    python examples/dask_softmax_regression.py --samples 100000
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import dask.array as da
    from dask.distributed import Client, LocalCluster
    from scipy import optimize
except ModuleNotFoundError as missing:
    sys.exit(f'{missing}: pip install "fastsoftmax[dask]" distributed scipy')

import fastsoftmax.dask as fsd

MIB = 1 << 20


def write_samples(folder: Path, samples: int, features: int, classes: int, chunk: int) -> None:
    """Write normal features, and labels drawn from the softmax of logits that are linear in them.

    Only one chunk is in memory at a time.
    """
    rng = np.random.default_rng(0)
    coefficients = rng.standard_normal((features, classes)) / np.sqrt(features) * 3
    with (folder / "x.bin").open("wb") as x_file, (folder / "labels.bin").open("wb") as label_file:
        for begin in range(0, samples, chunk):
            rows = min(chunk, samples - begin)
            x = rng.standard_normal((rows, features), np.float32)
            # The largest of logits with Gumbel noise is a draw from their softmax.
            noisy = x @ coefficients + rng.gumbel(size=(rows, classes))
            x.tofile(x_file)
            noisy.argmax(axis=1).astype(np.int32).tofile(label_file)


def read_block(path: Path, dtype: str, shape: tuple[int, ...], block_info: Any) -> NDArray[Any]:
    """Read what one task needs; each maps the file for itself, so that no contents are sent."""
    place = tuple(slice(*ends) for ends in block_info[None]["array-location"])
    return np.array(np.memmap(path, dtype, "r", shape=shape)[place])


def on_disk(path: Path, dtype: str, shape: tuple[int, ...], chunk: int) -> da.Array:
    """Return the array in a file, cut along the samples."""
    chunks = da.core.normalize_chunks((chunk, *shape[1:]), shape)
    meta = np.empty((0,) * len(shape), dtype)
    return da.map_blocks(read_block, path, dtype, shape, chunks=chunks, dtype=dtype, meta=meta)


class Objective:
    """The mean loss of logits x W + b with a penalty of l2/2 |W|², and its gradient."""

    def __init__(self, client: Client, x: da.Array, labels: da.Array, classes: int, l2: float):
        self._client, self._x, self._labels, self._l2 = client, x, labels, l2
        self.shape = (x.shape[1] + 1, classes)  # W, and b in the last row
        self.evaluations = 0
        self.loss = np.nan

    def logits(self, parameters: NDArray[np.float64]) -> da.Array:
        """Return the logits of all samples, not yet computed."""
        matrix = parameters.reshape(self.shape).astype(np.float32)
        weight = da.from_array(matrix[:-1], chunks=-1)
        return self._x @ weight + matrix[-1]

    def __call__(self, parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return loss and gradient, from one reading of the samples."""
        loss, grad = fsd.cross_entropy_value_and_grad(self.logits(parameters), self._labels)
        parts = self._client.compute([loss, self._x.T @ grad, grad.sum(axis=0)])
        value, weight_grad, bias_grad = self._client.gather(parts)
        gradient = np.vstack([weight_grad, bias_grad]).astype(np.float64)
        matrix = parameters.reshape(self.shape)[:-1]
        gradient[:-1] += self._l2 * matrix
        self.evaluations += 1
        self.loss = float(value) + self._l2 / 2 * float(np.vdot(matrix, matrix))
        return self.loss, gradient.ravel()

    def accuracy(self, parameters: NDArray[np.float64]) -> float:
        """Return the share of samples whose most probable class is their label."""
        predicted = self.logits(parameters).argmax(axis=1)
        return float((predicted == self._labels).mean().compute())


def peak_rss() -> int:
    """Return the most memory that this process has had, in bytes; 0 where /proc does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)


def train(client: Client, folder: Path, arguments: argparse.Namespace) -> None:
    """Minimise, and print the loss of each iteration and what it cost."""
    samples, features, chunk = arguments.samples, arguments.features, arguments.chunk
    x = on_disk(folder / "x.bin", "float32", (samples, features), chunk)
    labels = on_disk(folder / "labels.bin", "int32", (samples,), chunk)
    objective = Objective(client, x, labels, arguments.classes, arguments.l2)
    begin = time.perf_counter()
    print("iteration  evaluations      loss  seconds")

    def report(_: NDArray[np.float64]) -> None:
        nonlocal iteration
        iteration += 1
        seconds = time.perf_counter() - begin
        print(f"{iteration:9d}  {objective.evaluations:11d}  {objective.loss:8.5f}  {seconds:7.1f}",
              flush=True)  # fmt: skip

    iteration = 0
    result = optimize.minimize(
        objective,
        np.zeros(np.prod(objective.shape)),
        jac=True,
        method="L-BFGS-B",
        callback=report,
        options={"maxiter": arguments.iterations, "gtol": 1e-5},
    )
    seconds = (time.perf_counter() - begin) / objective.evaluations
    print(f"\nloss {result.fun:.5f}, accuracy {100 * objective.accuracy(result.x):.2f} %")
    print(f"{seconds:.2f} s an evaluation")


def parse() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=2_000_000)
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--chunk", type=int, default=50_000, help="samples of a task")
    parser.add_argument("--l2", type=float, default=1e-4, help="strength of the penalty")
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", type=int, default=320, help="MiB, the limit of each worker")
    parser.add_argument("--folder", type=Path, help="where to write the samples for as long")
    arguments = parser.parse_args()
    for name in ("samples", "features", "classes", "chunk", "iterations", "workers"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return arguments


def main() -> None:
    """Write the samples, start the workers, train."""
    arguments = parse()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        begin = time.perf_counter()
        write_samples(
            Path(folder), arguments.samples, arguments.features, arguments.classes, arguments.chunk
        )
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        print(
            f"{arguments.samples} samples, {size / MIB:.0f} MiB on disk, "
            f"written in {time.perf_counter() - begin:.1f} s; {arguments.workers} workers "
            f"with a limit of {arguments.memory} MiB each\n"
        )
        with (
            LocalCluster(
                n_workers=arguments.workers,
                threads_per_worker=1,
                memory_limit=arguments.memory * MIB,
                dashboard_address=":0",
                silence_logs=logging.ERROR,
            ) as cluster,
            Client(cluster) as client,
        ):
            train(client, Path(folder), arguments)
            peaks = client.run(peak_rss).values()
        listed = ", ".join(f"{peak / MIB:.0f} MiB" for peak in peaks)
        print(f"peak memory of the workers: {listed}; of this process {peak_rss() / MIB:.0f} MiB")


if __name__ == "__main__":
    main()
