"""What moving the arrays takes by itself: copies and reads, on one thread or on several."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from bench.peers.blas import limit_blas
from fastsoftmax._cli.problems import Array, Call

__all__ = ["COPIES", "READS", "copies", "reads", "split"]

#: The names of all that `copies` and `reads` may return.
COPIES = ("copyto", "copyto, split")
READS = ("dot", "max", "dot, split", "max, split")


def copies(x: Array, threads: int, arrays: int = 1) -> dict[str, Call]:
    """Return calls that read an array and write it to so many others."""
    outputs = [np.empty_like(x) for _ in range(arrays)]

    def copy(source: Array, *targets: Array) -> None:
        for target in targets:
            np.copyto(target, source)

    return _plain_and_split("copyto", copy, (x, *outputs), threads)


def reads(x: Array, threads: int) -> dict[str, Call]:
    """Return calls that read an array once, each piece on one thread."""
    limit_blas(1)
    return {
        **_plain_and_split("dot", lambda a: np.dot(a, a), (x,), threads),
        **_plain_and_split("max", np.max, (x,), threads),
    }


def split(function: Callable[..., Any], arrays: tuple[Array, ...], threads: int) -> Call:
    """Return a call that applies a function to pieces of the flattened arrays, on a thread each.

    NumPy lets go of the interpreter's lock meanwhile. One piece is the calling thread's. Each
    thread keeps to a CPU of its own, since some systems wake a thread on its caller's.
    """
    cpus = _usable_cpus(threads)
    left = iter(cpus[1:])
    pool = ThreadPoolExecutor(threads - 1, initializer=lambda: _keep_to(next(left, None)))
    pieces = [np.array_split(array.reshape(-1), threads) for array in arrays]
    first, *others = zip(*pieces, strict=True)

    def call() -> None:
        with _kept_to(next(iter(cpus), None)):
            waiting = [pool.submit(function, *piece) for piece in others]
            function(*first)
            for future in waiting:
                future.result()

    return call


def _usable_cpus(threads: int) -> list[int]:
    """Return one for each thread, or none where the system does not say or has too few."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[:threads] if len(cpus) >= threads else []


def _keep_to(cpu: int | None) -> None:
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


@contextmanager
def _kept_to(cpu: int | None) -> Iterator[None]:
    before = os.sched_getaffinity(0) if cpu is not None else set()
    _keep_to(cpu)
    try:
        yield
    finally:
        if before:
            os.sched_setaffinity(0, before)


def _plain_and_split(
    name: str, function: Callable[..., Any], arrays: tuple[Array, ...], threads: int
) -> dict[str, Call]:
    flat = [array.reshape(-1) for array in arrays]
    calls: dict[str, Call] = {name: lambda: function(*flat)}
    if threads > 1:
        calls[f"{name}, split"] = split(function, arrays, threads)
    return calls
