"""Dask arrays on a cluster of processes: the same bits, workers that die, and little memory."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastsoftmax as fs

from . import library

dask = library("dask")
distributed = library("distributed")
zarr = library("zarr")

import dask.array as da  # noqa: E402 (after the checks)
from dask.array.core import normalize_chunks  # noqa: E402
from distributed import Client, LocalCluster  # noqa: E402

import fastsoftmax.dask as fsd  # noqa: E402

Array = np.ndarray[Any, Any]

SAMPLES, CLASSES = 60, 40
#: Small enough for a worker to be stopped by its nanny long before a large array is in its memory.
LIMIT = 400 << 20

pytestmark = [
    # What a process that is ended leaves behind for the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def start(workers: int, threads: int = 1, memory_limit: int | str = "2GiB") -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=True,
        memory_limit=memory_limit,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    )


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two workers, each a process with one thread."""
    with start(2) as cluster, Client(cluster) as client:
        yield client


def everything(chunks: tuple[int, int], before: Any = None) -> list[da.Array]:
    rng = np.random.default_rng(0)
    x = da.from_array(rng.standard_normal((SAMPLES, CLASSES), np.float32) * 5, chunks=chunks)
    if before is not None:
        x = before(x)
    labels = rng.integers(0, CLASSES, SAMPLES)
    options = {
        "weight": rng.random(CLASSES),
        "sample_weight": rng.random(SAMPLES),
        "ignore_index": 3,
        "label_smoothing": 0.1,
    }
    return [
        fsd.softmax(x),
        fsd.log_softmax(x),
        fsd.logsumexp(x),
        *fsd.cross_entropy_value_and_grad(x, labels, **options),
        *fsd.cross_entropy_value_and_mean_grad(x, labels, **options),
    ]


def alone(results: list[da.Array]) -> tuple[Any, ...]:
    """Compute in this thread, one task after another."""
    computed: tuple[Any, ...] = dask.compute(*results, scheduler="synchronous")
    return computed


def same_bits(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("chunks", [(7, -1), (7, 9), (-1, 1)])
def test_the_same_bits_on_a_cluster(client: Client, chunks: tuple[int, int]) -> None:
    expected = alone(everything(chunks))
    same_bits(dask.compute(*everything(chunks), scheduler="threads"), expected)
    same_bits(client.gather(client.compute(everything(chunks))), expected)


def test_the_same_bits_on_another_cluster() -> None:
    with start(1, threads=3) as cluster, Client(cluster) as client:
        same_bits(client.gather(client.compute(everything((7, 9)))), alone(everything((7, 9))))


def test_errors_come_from_workers_as_they_are(client: Client) -> None:
    x = da.zeros((10, 4), chunks=(3, 2))
    labels = np.array([0] * 7 + [9, 0, 0])
    with pytest.raises(ValueError, match=r"targets\[7\] = 9 is out of range for 4 classes") as e:
        fsd.cross_entropy(x, labels).compute(scheduler=client)
    assert isinstance(e.value, IndexError)


def slowly(block: Array, folder: str) -> Array:
    """Take a while, and leave a note of which process did."""
    time.sleep(0.1)
    with Path(folder, str(os.getpid())).open("a") as notes:
        notes.write(".")
    return block


def test_a_worker_is_killed_during_the_computation(tmp_path: Path) -> None:
    chunks = (6, 10)

    def slow(x: da.Array) -> da.Array:
        return x.map_blocks(slowly, str(tmp_path), dtype=x.dtype, meta=x._meta)

    expected = alone(everything(chunks))
    with start(2) as cluster, Client(cluster) as client:
        futures = client.compute(everything(chunks, slow))
        victims = client.run(os.getpid).values()
        victim = next(iter(victims))
        deadline = time.monotonic() + 30
        note = tmp_path / str(victim)
        while not (note.exists() and note.stat().st_size >= 3):
            assert time.monotonic() < deadline, "the worker did not begin"
            time.sleep(0.02)
        assert not all(future.done() for future in futures)
        os.kill(victim, signal.SIGKILL)
        results = client.gather(futures)
        workers = set(client.run(os.getpid).values())
    same_bits(results, expected)
    # It died, and what it had done was done again, by others.
    assert victim not in workers
    blocks = (SAMPLES // chunks[0]) * (CLASSES // chunks[1])
    assert sum(note.stat().st_size for note in tmp_path.iterdir()) > blocks


EXAMPLE = Path(__file__).parents[2] / "examples" / "dask_softmax_regression.py"
SMALL = ("--samples", "30000", "--features", "16", "--classes", "5", "--chunk", "8000")


def test_the_example_learns(tmp_path: Path) -> None:
    library("scipy")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), *SMALL, "--iterations", "8", "--folder", str(tmp_path)],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    losses = [float(line.split()[2]) for line in re.findall(r"^ +\d+ +\d+ .*$", done.stdout, re.M)]
    assert len(losses) == 8
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.75 * np.log(5)
    (accuracy,) = re.findall(r"accuracy ([\d.]+) %", done.stdout)
    # Labels are drawn from probabilities: nothing can be right every time.
    assert 60 < float(accuracy) < 90
    peaks = re.search(r"peak memory of the workers: (\d+) MiB, (\d+) MiB;", done.stdout)
    assert peaks is not None
    assert all(50 < int(peak) < 320 for peak in peaks.groups())
    assert list(tmp_path.iterdir()) == []


# Larger than memory.

BIG = (5120, 32_000)  # 625 MiB
BIG_CHUNKS = {"samples": (128, 32_000), "both": (640, 6400)}
BIG_LABELS = np.arange(BIG[0]) * 7 % BIG[1]


class Large(NamedTuple):
    """Where the logits are, and by the core, block by block, what is to be made of them."""

    folder: Path
    loss: float
    norm: float
    mean_grad: Array


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    """A file for np.memmap and a zarr array of the same logits, which no process has at once."""
    folder, rows = tmp_path_factory.mktemp("large"), 640
    stored = zarr.create_array(
        folder / "logits.zarr", shape=BIG, chunks=(rows, 3200), dtype="float32", compressors=None
    )
    loss, norm, total = 0.0, 0.0, np.zeros(BIG[1])
    with (folder / "logits.bin").open("wb") as file:
        for first in range(0, BIG[0], rows):
            block = np.random.default_rng(first).random((rows, BIG[1]), np.float32) * 8
            block.tofile(file)
            stored[first : first + rows] = block
            labels = BIG_LABELS[first : first + rows]
            part, grad = fs.cross_entropy_value_and_grad(block, labels, reduction="sum")
            loss += float(part)
            norm += float(np.square(grad).sum(dtype=np.float64))
            total += grad.sum(axis=0, dtype=np.float64)
    yield Large(folder, loss / BIG[0], norm / BIG[0] ** 2, total / BIG[0])
    for path in folder.rglob("*"):  # pytest keeps the folders of its last runs
        if path.is_file():
            path.unlink()


def read_block(path: str, shape: tuple[int, ...], block_info: Any = None) -> Array:
    """Read a block of a file, which each task maps for itself: a mapped array is sent whole."""
    place = tuple(slice(*ends) for ends in block_info[None]["array-location"])
    return np.array(np.memmap(path, np.float32, "r", shape=shape)[place])


def read(folder: Path, storage: str, chunks: tuple[int, int]) -> da.Array:
    if storage == "zarr":
        return da.from_zarr(str(folder / "logits.zarr"), chunks=chunks)
    return da.map_blocks(
        read_block,
        str(folder / "logits.bin"),
        BIG,
        dtype=np.float32,
        chunks=normalize_chunks(chunks, BIG),
        meta=np.empty((0, 0), np.float32),
    )


def peak_rss() -> int:
    """Return the most memory that this process had, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("storage", "way"), [("memmap", "samples"), ("memmap", "both"), ("zarr", "both")]
)
def test_an_array_larger_than_the_memory_of_the_worker(
    large: Large, storage: str, way: str
) -> None:
    x = read(large.folder, storage, BIG_CHUNKS[way])
    assert x.nbytes > 1.5 * LIMIT
    with start(1, memory_limit=LIMIT) as cluster, Client(cluster) as client:
        before = client.run(os.getpid)
        loss, grad = fsd.cross_entropy_value_and_grad(x, BIG_LABELS)
        _, mean_grad = fsd.cross_entropy_value_and_mean_grad(x, BIG_LABELS)
        results = client.gather(client.compute([loss, (grad**2).sum(dtype="f8"), mean_grad]))
        (peak,) = client.run(peak_rss).values()
        assert client.run(os.getpid) == before  # it was not stopped for its memory
    assert peak < LIMIT, f"{peak >> 20} MiB"
    assert results[0] == pytest.approx(large.loss, rel=1e-6)
    assert results[1] == pytest.approx(large.norm, rel=1e-5)
    np.testing.assert_allclose(results[2], large.mean_grad, rtol=1e-4, atol=1e-9)


def test_a_memory_map_in_threads(large: Large) -> None:
    """`from_array` on the map itself, of which a block is a view: no copy at all is made."""
    mapped = np.memmap(large.folder / "logits.bin", np.float32, "r", shape=BIG)
    x = da.from_array(mapped, chunks=BIG_CHUNKS["both"], name="mapped logits")
    loss, mean_grad = fsd.cross_entropy_value_and_mean_grad(x, BIG_LABELS)
    results = dask.compute(loss, mean_grad, scheduler="threads")
    assert results[0] == pytest.approx(large.loss, rel=1e-6)
    np.testing.assert_allclose(results[1], large.mean_grad, rtol=1e-4, atol=1e-9)
