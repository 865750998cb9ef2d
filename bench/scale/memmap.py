"""Time calls on a memory-mapped file larger than memory: ``python -m bench.scale.memmap``.

The logits are a sparse file, whose holes the system reads as zeros from the page cache, as it would
read blocks from a fast disk; an output is written to the disk.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastsoftmax as fs
from bench.figures.machine import describe
from bench.report import render

__all__ = ["main"]

CLASSES = 1000
GIGABYTE = 10**9


def main() -> None:
    """Print a row for each function: bytes read and written, time, and the memory it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=32, help="of logits")
    parser.add_argument("--output", type=float, default=4, help="gigabytes, where rows are written")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--backend", default=fs.get_backend())
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    machine = describe()
    print(
        f"{machine['cpu']}, {machine['cpus']} CPUs, {_status('MemTotal', '/proc/meminfo') >> 20} "
        f"GiB of memory; backend {arguments.backend}, {arguments.dtype}, K = {CLASSES}\n"
    )
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
        fs.use_backend(arguments.backend),
    ):
        print(render(_rows(Path(folder), arguments), markdown=True))


def _rows(folder: Path, arguments: argparse.Namespace) -> list[list[str]]:
    itemsize = np.dtype(arguments.dtype).itemsize
    rows, written = (
        int(size * GIGABYTE) // (CLASSES * itemsize)
        for size in (arguments.gigabytes, arguments.output)
    )

    def mapped(name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        np.memmap(folder / name, dtype, "w+", shape=shape)
        return np.memmap(folder / name, dtype, "r" if name != "out" else "r+", shape=shape)

    x = mapped("logits", (rows, CLASSES), arguments.dtype)
    labels = mapped("labels", (rows,), np.int32)
    out = mapped("out", (written, CLASSES), arguments.dtype)
    few, few_labels = x[:written], labels[:written]
    calls: dict[str, tuple[float, float, Callable[[], Any]]] = {
        "logsumexp": (x.nbytes, 0, lambda: fs.logsumexp(x)),
        "loss": (x.nbytes, 0, lambda: fs.cross_entropy(x, labels)),
        "loss and mean gradient": (
            x.nbytes,
            0,
            lambda: fs.cross_entropy_value_and_mean_grad(x, labels),
        ),
        "softmax": (few.nbytes, out.nbytes, lambda: fs.softmax(few, out=out)),
        "loss and gradient": (
            few.nbytes,
            out.nbytes,
            lambda: fs.cross_entropy_value_and_grad(few, few_labels, out=out),
        ),
    }
    fs.cross_entropy_value_and_grad(x[:2000], labels[:2000], out=out[:2000])
    lines = [["function", "read", "written", "time", "a second", "memory of its own, at most"]]
    for name, (read, wrote, call) in calls.items():
        seconds, grown = _measured(call)
        lines.append(
            [
                name,
                f"{read / GIGABYTE:.1f} GB",
                f"{wrote / GIGABYTE:.1f} GB" if wrote else "",
                f"{seconds:.1f} s",
                f"{(read + wrote) / seconds / GIGABYTE:.1f} GB",
                f"{grown / 1e6:.1f} MB",
            ]
        )
    return lines


def _measured(call: Callable[[], Any]) -> tuple[float, int]:
    """Return the seconds of a call, and by how many bytes its anonymous memory grew at most."""
    before = most = _status("RssAnon")
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, _status("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    del result
    return seconds, (most - before) << 10


def _status(name: str, file: str = "/proc/self/status") -> int:
    """Return a figure that the system keeps, in KiB."""
    for line in Path(file).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


if __name__ == "__main__":
    main()
