"""Many threads at once, and calls within workers."""

from __future__ import annotations

import concurrent.futures
import sys
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from . import cases
from .computing import installed_backends, run_with
from .variants import INSTALLED, TESTED, Variant

Array = npt.NDArray[Any]

NO_COMPILED = pytest.mark.skip(reason="only a compiled backend releases the GIL; none is installed")
COMPILED = [n for n in TESTED if n != "numpy"] or [pytest.param("", marks=NO_COMPILED)]

# above the size from which a call spreads over threads
ROWS, CLASSES = 7_000, 40


def problem(seed: int, dtype: str = "float32") -> tuple[Array, Array]:
    generator = cases.rng("threads", seed)
    x = (generator.standard_normal((ROWS, CLASSES)) * 4).astype(dtype)
    return x, generator.integers(0, CLASSES, ROWS)


def everything(x: Array, labels: Array, **options: Any) -> bytes:
    loss, grad = fsm.cross_entropy_value_and_grad(x, labels, **options)
    results = (
        fsm.softmax(x, **options),
        fsm.log_softmax(x.T, axis=0, **options),
        grad,
        fsm.cross_entropy_mean_grad(x, labels, **options),
        loss,
    )
    return b"".join(result.tobytes() for result in results)


@pytest.mark.parametrize("num_threads", [1, 2, 4])
def test_many_threads_at_once(backend: Variant, num_threads: int) -> None:
    """Each with logits of its own, all calling at the same moment."""
    problems = [problem(seed) for seed in range(6)]
    options: dict[str, Any] = {"backend": backend.name, "num_threads": num_threads}
    expected = [everything(*each, **options) for each in problems]
    barrier = threading.Barrier(len(problems))

    def work(number: int) -> list[bytes]:
        barrier.wait()
        return [everything(*problems[number], **options) for _ in range(4)]

    with concurrent.futures.ThreadPoolExecutor(len(problems)) as pool:
        for number, results in enumerate(pool.map(work, range(len(problems)))):
            assert all(result == expected[number] for result in results)


def test_shared_input(backend: Variant) -> None:
    x, labels = problem(0)
    x.flags.writeable = False
    options: dict[str, Any] = {"backend": backend.name, "num_threads": 2}
    expected = everything(x, labels, **options)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(everything, x, labels, **options) for _ in range(16)]
        assert all(future.result() == expected for future in futures)


def test_calls_from_workers_of_a_pool_that_wait_for_each_other(backend: Variant) -> None:
    """A call within a worker, whose result the outer one waits for."""
    x, labels = problem(0)
    options: dict[str, Any] = {"backend": backend.name, "num_threads": 2}
    expected = everything(x, labels, **options)
    with concurrent.futures.ThreadPoolExecutor(4) as inner:

        def outer(_: int) -> bool:
            first = everything(x, labels, **options)
            second = inner.submit(everything, x, labels, **options).result()
            return first == second == expected

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert all(pool.map(outer, range(8)))


def test_different_backends_and_sizes_at_once() -> None:
    x, labels = problem(0)
    small, few = x[:5], labels[:5]

    def work(number: int) -> bool:
        name = TESTED[number % len(TESTED)]
        with fsm.use_backend(name), fsm.use_num_threads(1 + number % 3):
            return all(
                everything(x, labels) == large[name] and everything(small, few) == little[name]
                for _ in range(3)
            )

    large = {name: everything(x, labels, backend=name) for name in TESTED}
    little = {name: everything(small, few, backend=name) for name in TESTED}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(12)))


def test_threads_that_come_and_go(backend: Variant) -> None:
    x, labels = problem(0)
    options: dict[str, Any] = {"backend": backend.name, "num_threads": 2}
    expected = everything(x, labels, **options)
    results: list[bytes] = []
    for _ in range(20):
        thread = threading.Thread(
            target=lambda: results.append(everything(x, labels, **options)), daemon=True
        )
        thread.start()
        thread.join()
    assert results == [expected] * 20


@pytest.mark.parametrize("name", COMPILED)
def test_the_gil_is_released(name: str) -> None:
    """Another thread runs Python while one long call works."""
    x = np.zeros((60_000, 200), np.float32)
    out = np.empty_like(x)
    fsm.softmax(x, out=out, backend=name, num_threads=1)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1.0)  # nobody is asked to hand over the GIL within this time
    try:
        ticks: list[float] = []
        stop = threading.Event()

        def count() -> None:
            while not stop.is_set():
                ticks.append(time.perf_counter())
                time.sleep(0.0005)

        counter = threading.Thread(target=count)
        counter.start()
        begin = time.perf_counter()
        for _ in range(8):
            fsm.softmax(x, out=out, backend=name, num_threads=1)
        end = time.perf_counter()
        stop.set()
        counter.join()
    finally:
        sys.setswitchinterval(interval)
    during = [tick for tick in ticks if begin < tick < end]
    assert len(during) >= 10, (len(during), end - begin)


@installed_backends
def test_first_calls_at_once(name: str) -> None:
    """In a process that has not loaded the backend yet, let alone compiled anything."""
    script = """
    barrier, results = threading.Barrier(6), []
    def work():
        barrier.wait()
        results.append(everything())
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert results == [everything()] * 6
    print("done")
    """
    assert run_with(name, script) == "done"


@pytest.mark.skipif("numba" not in INSTALLED, reason="numba is not installed")
def test_no_threading_layer_of_numba_is_launched() -> None:
    """One aborts the process when two threads call it, others do not live through a fork."""
    script = """
    import numba
    everything()
    f.softmax(x.T, axis=0); f.cross_entropy_grad_hess(x, labels)
    try:
        print(numba.threading_layer())
    except ValueError:
        print("none")
    print(any("fastsoftmax" in thread.name for thread in threading.enumerate()))
    """
    assert run_with("numba", script).split() == ["none", "True"]


@installed_backends
def test_many_threads_that_end(name: str) -> None:
    """Sixty at once, and executors within executors, while helpers look for the next call."""
    script = """
    from concurrent.futures import ThreadPoolExecutor
    expected, results = everything(), []
    threads = [threading.Thread(target=lambda: results.append(everything())) for _ in range(60)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert results == [expected] * 60
    def nested(_):
        with ThreadPoolExecutor(2) as inner:
            return all(inner.submit(everything).result() == expected for _ in range(2))
    with ThreadPoolExecutor(8) as pool: assert all(pool.map(nested, range(8)))
    print("done")
    """
    assert run_with(name, script) == "done"


@installed_backends
def test_small_stacks(name: str) -> None:
    """Of 64 KiB, half of what musl gives a thread; the numba backend's helpers among them."""
    script = """
    threading.stack_size(64 * 1024)
    expected = [None]
    def work(place):
        place[0] = everything(), f.softmax(x.T, axis=0).tobytes(), f.softmax(x[:3]).tobytes()
    work(expected)
    for _ in range(5):
        found = [None]
        thread = threading.Thread(target=work, args=(found,))
        thread.start()
        thread.join()
        assert found == expected
    print("done")
    """
    assert run_with(name, script) == "done"


@installed_backends
def test_calls_near_the_limit_of_recursion(name: str) -> None:
    """A RecursionError somewhere on the way down, and right results after it."""
    script = """
    expected, depths = everything(), []
    def down(depth):
        everything()
        depths.append(depth)
        down(depth + 1)
    sys.setrecursionlimit(len(__import__("inspect").stack()) + 40)
    try:
        down(0)
    except RecursionError:
        pass
    sys.setrecursionlimit(1000)
    assert depths and everything() == expected
    print("done")
    """
    assert run_with(name, script) == "done"
