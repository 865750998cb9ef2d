"""Weak and strong scaling over the workers of a Dask cluster: ``python -m bench.trainers.dask``.

The logits lie in the workers' memory, and results stay there: what is timed is our tasks, Dask's
own work, and what workers send each other. All clusters are there at once, so that rounds of each
alternate; those that wait take no CPU.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait

import fastsoftmax as fs
import fastsoftmax.dask as fsd
from bench.figures.machine import describe
from bench.report import render
from fastsoftmax._cli.timing import Spread, duration, measure, ratio

__all__ = ["main"]

MIB = 1 << 20
SHAPE = (8192, 8192)
CHUNKS = {"samples": (512, 8192), "classes": (8192, 512), "both": (2048, 2048)}

Array = np.ndarray[Any, Any]
Call = Callable[[], object]


def softmax(x: da.Array, labels: Array) -> list[da.Array]:
    """All probabilities."""
    return [fsd.softmax(x)]


def loss_and_grad(x: da.Array, labels: Array) -> list[da.Array]:
    """The mean loss and its gradient."""
    return list(fsd.cross_entropy_value_and_grad(x, labels))


def loss_and_mean_grad(x: da.Array, labels: Array) -> list[da.Array]:
    """The mean loss and the gradient summed over the samples."""
    return list(fsd.cross_entropy_value_and_mean_grad(x, labels))


QUANTITIES = {
    "softmax": (softmax, lambda x, _: fs.softmax(x, num_threads=1)),
    "loss + gradient": (
        loss_and_grad,
        lambda x, t: fs.cross_entropy_value_and_grad(x, t, num_threads=1),
    ),
    "loss + mean gradient": (
        loss_and_mean_grad,
        lambda x, t: fs.cross_entropy_value_and_mean_grad(x, t, num_threads=1),
    ),
}


def random_block(shape: tuple[int, int], block_info: Any = None) -> Array:
    """Return normal logits, the same for a block in every run."""
    place = block_info[None]
    lengths = [end - begin for begin, end in place["array-location"]]
    rng = np.random.default_rng(place["chunk-location"])
    return rng.standard_normal(lengths, np.float32)


def lazy_logits(shape: tuple[int, int], chunks: tuple[int, int]) -> da.Array:
    """Return logits to be made where they are to lie."""
    cut = da.core.normalize_chunks(chunks, shape)
    meta = np.empty((0, 0), np.float32)
    return da.map_blocks(random_block, shape, chunks=cut, dtype=np.float32, meta=meta)


class Side:
    """A cluster with logits in its workers' memory."""

    def __init__(self, stack: ExitStack, workers: int, shape: tuple[int, int], chunks: Any) -> None:
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=":0",
                silence_logs=logging.ERROR,
            )
        )
        self.client = stack.enter_context(Client(cluster, set_as_default=False))
        self.labels = np.random.default_rng(0).integers(0, shape[1], shape[0])
        self.x = self._made(lazy_logits(shape, chunks))

    def call(self, make: Callable[[da.Array, Array], list[da.Array]]) -> Call:
        """Return what computes results, leaves them where they are, and forgets them."""
        return lambda: self._made(make(self.x, self.labels))

    def _made(self, lazy: Any) -> Any:
        """Compute where it is to stay, and wait for it."""
        with self.client.as_current():
            computed = self.client.persist(lazy)
            wait(computed)
        return computed

    def sent(self) -> int:
        """Return the bytes that workers have received from each other."""
        return sum(self.client.run(_received).values())

    def peak(self) -> int:
        """Return the most memory that a worker has had, in bytes."""
        return max(self.client.run(_peak_rss).values())


def _received(dask_worker: Any) -> int:
    return sum(transfer["total"] for transfer in dask_worker.transfer_incoming_log)


def _peak_rss() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def _rows(way: str, seconds: float) -> list[list[str]]:
    """Measure all quantities for one way to cut the logits."""
    chunks = CHUNKS[way]
    twice = (SHAPE[0], 2 * SHAPE[1]) if way == "classes" else (2 * SHAPE[0], SHAPE[1])
    with ExitStack() as stack:
        sides = {
            "1": Side(stack, 1, SHAPE, chunks),
            "2": Side(stack, 2, SHAPE, chunks),
            "weak": Side(stack, 2, twice, chunks),
        }
        local = lazy_logits(SHAPE, chunks).compute(scheduler="threads")
        labels, rows = sides["1"].labels, []
        for name, (make, core) in QUANTITIES.items():
            calls: dict[str, Call] = {key: side.call(make) for key, side in sides.items()}
            calls["core"] = lambda core=core: core(local, labels)
            for call in calls.values():
                call()
            before = sides["2"].sent()
            calls["2"]()
            sent = sides["2"].sent() - before
            rows.append([way, name, *_cells(measure(calls, 15, seconds)), f"{sent / 1e3:.0f} kB"])
        peaks = ", ".join(f"{side.peak() / MIB:.0f}" for side in sides.values())
    print(f"{way}: peak RSS of a worker {peaks} MiB (1, 2 workers, 2 with twice the logits)")
    return rows


def _cells(times: Mapping[str, Array]) -> list[str]:
    strong, weak = ratio(times["1"], times["2"]), ratio(times["1"], times["weak"])
    return [
        *(_time(times[key]) for key in ("core", "1", "2", "weak")),
        f"{strong.median:.2f} ±{strong.percent:.0f}%",
        f"{weak.median:.2f} ±{weak.percent:.0f}%",
    ]


def _time(times: Array) -> str:
    return duration(Spread.of(times).median)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each line of the table")
    parser.add_argument("--ways", default=",".join(CHUNKS), help="of " + ", ".join(CHUNKS))
    arguments = parser.parse_args()
    machine = describe()
    print(f"{machine['cpu']}, {machine['cpus']} CPUs; dask {dask.__version__}")
    print(f"logits {SHAPE[0]} × {SHAPE[1]} in float32, {4 * SHAPE[0] * SHAPE[1] / MIB:.0f} MiB\n")
    head = ["chunks along", "", "core, 1 thread", "1 worker", "2 workers", "2, twice the logits"]
    rows = [[*head, "speed-up", "same with twice", "sent by 2"]]
    for way in arguments.ways.split(","):
        rows.extend(_rows(way, arguments.seconds))
    print(f"\n{render(rows, markdown=True)}")


if __name__ == "__main__":
    main()
