"""What threads share: inputs, outputs, settings, what is done at first; and arrays that change.

`.ci/races` runs these under a sanitizer for threads, too.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from . import cases
from .interpreter import WITHOUT_GIL
from .subprocesses import run_python
from .variants import INSTALLED, TESTED, VARIANTS, Variant

Array = npt.NDArray[Any]

THREADS = 5
INSTRUCTION_SETS = [v.instruction_set for v in VARIANTS if v.instruction_set]
needs_c = pytest.mark.skipif(not INSTRUCTION_SETS, reason="the extension is not built")


def at_once(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Run work(0), work(1), ... in threads that begin together; an error in one is raised here."""
    barrier, errors = threading.Barrier(threads), []

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    started = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if errors:
        raise errors[0]


@contextmanager
def meanwhile(*works: Callable[[int], None]) -> Iterator[None]:
    """Repeat work(0), work(1), ... in threads of their own as long as the block lasts."""
    stop = threading.Event()

    def repeat(work: Callable[[int], None]) -> None:
        for turn in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            work(turn)

    started = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in started:
            thread.join()


def everything(x: Array, labels: Array, soft: Array) -> bytes:
    """The bits of all that there is, by the settings in effect."""
    loss, grad = fsm.cross_entropy_value_and_grad(x, labels)
    results = [
        fsm.softmax(x),
        fsm.logsumexp(x.T, axis=0),
        fsm.softmax_backward(x, soft),
        fsm.cross_entropy_mean_grad(x, soft),
        *fsm.cross_entropy_grad_hess(x, labels),
        grad,
        loss,
    ]
    return b"".join(result.tobytes() for result in results)


def problem(rows: int = 7000, classes: int = 40) -> tuple[Array, Array, Array]:
    """Large enough for several threads, and for the GIL to be released."""
    rng = cases.rng("races", rows, classes)
    x = (rng.standard_normal((rows, classes)) * 3).astype(np.float32)
    soft = rng.random((rows, classes), np.float32) / classes
    for array in (x, soft):
        array.flags.writeable = False
    return x, rng.integers(0, classes, rows), soft


def test_one_output_of_many_threads(backend: Variant, dtype: str) -> None:
    """Rows, and columns side by side, of one array: nobody writes to a neighbour's."""
    for order, shape in itertools.product("CF", [(4999, 37), (67, 5003)]):
        x = np.asarray(cases.rng("output", shape).standard_normal(shape), dtype, order=order)
        expected = fsm.softmax(x, backend=backend.name, num_threads=1)
        out = np.full(shape, np.nan, dtype, order=order)

        def work(number: int, x: Array = x, out: Array = out) -> None:
            options: dict[str, Any] = {"backend": backend.name, "num_threads": 1 + number % 3}
            for rows in range(number, 40, THREADS):
                fsm.softmax(x[rows::40], out=out[rows::40], **options)

        at_once(work)
        np.testing.assert_array_equal(out, expected)


@pytest.mark.thread_unsafe(reason="sets the backend and the number of threads of the process")
def test_settings_that_others_change() -> None:
    """Whatever is in effect at the moment: a call is one backend's from its start to its end."""
    arrays = problem()
    known = {}
    for name in INSTALLED:
        with fsm.use_backend(name):
            known[name] = everything_of_one_backend(arrays)

    def choose_backend(turn: int) -> None:
        fsm.set_backend((*INSTALLED, None)[turn % (len(INSTALLED) + 1)])

    def choose_threads(turn: int) -> None:
        fsm.set_num_threads((1, 2, 5, None)[turn % 4])

    def enter_blocks(turn: int) -> None:
        name, threads = INSTALLED[turn % len(INSTALLED)], 1 + turn % 3
        with fsm.use_backend(name), fsm.use_num_threads(threads):
            assert (fsm.get_backend(), fsm.get_num_threads()) == (name, threads)

    def compute(number: int) -> None:
        for turn in range(4):
            if number % 2:
                assert all(map(set.__contains__, possible, everything_of_one_backend(arrays)))
            else:
                name = INSTALLED[(number + turn) % len(INSTALLED)]
                with fsm.use_backend(name):
                    assert everything_of_one_backend(arrays) == known[name]

    possible = [set(bits) for bits in zip(*known.values(), strict=True)]
    try:
        with meanwhile(choose_backend, choose_threads, enter_blocks):
            at_once(compute)
    finally:
        fsm.set_backend(None)
        fsm.set_num_threads(None)


def everything_of_one_backend(arrays: tuple[Array, Array, Array]) -> list[bytes]:
    """The bits of calls, one by one."""
    x, labels, soft = arrays
    loss, grad = fsm.cross_entropy_value_and_grad(x, labels)
    return [
        fsm.softmax(x).tobytes(),
        fsm.log_softmax(x.T, axis=0).tobytes(),
        fsm.cross_entropy_mean_grad(x, soft).tobytes(),
        loss.tobytes() + grad.tobytes(),
    ]


@needs_c
@pytest.mark.thread_unsafe(reason="sets the instruction set of the process")
def test_instruction_sets_that_others_change() -> None:
    """A call is one instruction set's from its start to its end."""
    from fastsoftmax import _c

    arrays = problem()
    before = _c.instruction_set()

    def use(turn: int) -> None:
        _c.use_instruction_set(INSTRUCTION_SETS[turn % len(INSTRUCTION_SETS)])

    def compute(number: int) -> None:
        for _ in range(3):
            assert all(map(set.__contains__, possible, everything_of_one_backend(arrays)))

    try:
        with fsm.use_backend("c"):
            known = []
            for turn in range(len(INSTRUCTION_SETS)):
                use(turn)
                known.append(everything_of_one_backend(arrays))
            possible = [set(bits) for bits in zip(*known, strict=True)]
        with meanwhile(use, lambda turn: use(turn + 1)):
            at_once(lambda number: in_backend("c", compute, number))
    finally:
        _c.use_instruction_set(before)


def in_backend(name: str, work: Callable[[int], None], number: int) -> None:
    with fsm.use_backend(name):
        work(number)


AT_FIRST = """
    import sys, threading
    import numpy as np
    import fastsoftmax as f
    x, labels = np.ones((7000, 40), np.float32), np.arange(7000) % 40
    errors = []
    def linear():
        return f.linear_cross_entropy(x[:300], np.ones((500, 40), np.float32), labels[:300])
    works = [
        lambda: f.softmax(x),
        lambda: f.softmax(x, backend="numpy"),
        lambda: f.cross_entropy_value_and_grad(x, labels),
        lambda: f.show_config("dicts"),
        lambda: (f.set_num_threads(2), f.set_num_threads(None), f.get_num_threads()),
        linear,
        linear,
        lambda: f.get_backend(),
        lambda: __import__("fastsoftmax.sharded"),
        lambda: __import__("fastsoftmax.c_api") if "c" in f.available_backends() else None,
    ]
    if "numba" in f.available_backends():
        works.append(lambda: f.softmax(x[:9], backend="numba"))
        works.append(lambda: __import__("fastsoftmax.numba"))
        works.append(lambda: f.use_backend("numba"))
    barrier = threading.Barrier(len(works))
    def run(work):
        barrier.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    for error in errors: raise error
    print("done")
"""


@pytest.mark.parametrize("name", TESTED)
def test_all_that_is_done_at_first_at_once(name: str) -> None:
    """Modules, settings, kernels, BLAS's libraries: in a process that has only been started."""
    done = run_python(AT_FIRST, environment={"FASTSOFTMAX_BACKEND": name})
    assert done.stdout.strip() == "done"


CHANGED = """
    import threading, time
    import numpy as np, fastsoftmax as f
    rng = np.random.default_rng(0)
    stop = False
    GUARD = 4096
    def guarded(shape, dtype, order="C"):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = np.full(size + 2 * GUARD, 0xA5, np.uint8)
        return memory, memory[GUARD:-GUARD].view(dtype).reshape(shape, order=order)
    def change(x, labels, onehot, weight, where):
        zeros, ones = np.zeros_like(onehot), onehot.copy()
        bad = np.array([0, -1, 2**62, -2**62, 10**6, 5])
        turn = 0
        while not stop:
            turn += 1
            onehot[...] = zeros if turn % 2 else ones
            labels[...] = bad[turn % 6] if turn % 3 else np.arange(labels.size) % 3
            x[...] = [0.0, np.nan, np.inf, -np.inf, 1e30][turn % 5]
            weight[...] = turn % 7
            where[...] = turn % 2
    def run(name, rows, classes, dtype, seconds):
        global stop
        stop = False
        x = rng.standard_normal((rows, classes)).astype(dtype)
        labels = np.arange(rows) % classes
        onehot = np.zeros((rows, classes), dtype)
        onehot[np.arange(rows), labels] = 1
        weight, where = np.ones(rows), np.ones((rows, classes), bool)
        memory, out = guarded((rows, classes), dtype)
        thread = threading.Thread(target=change, args=(x, labels, onehot, weight, where))
        thread.start()
        end = time.monotonic() + seconds
        calls = refused = 0
        while time.monotonic() < end:
            for threads in (1, 3):
                o = dict(backend=name, num_threads=threads)
                for call in (
                    lambda: f.softmax(x, where=where, out=out, **o),
                    lambda: f.log_softmax(x.T, axis=0, out=out.T, **o),
                    lambda: f.softmax_backward(x, onehot, out=out, **o),
                    lambda: f.cross_entropy_value_and_grad(x, onehot, out=out, **o),
                    lambda: f.cross_entropy_value_and_mean_grad(x, onehot, **o),
                    lambda: f.cross_entropy_value_and_grad(x, labels, out=out, **o),
                    lambda: f.cross_entropy_mean_grad(x, labels, sample_weight=weight, **o),
                    lambda: f.cross_entropy_grad(x, labels, label_smoothing=0.1, out=out, **o),
                    lambda: f.cross_entropy_grad_hess(x, onehot, sample_weight=weight, **o),
                ):
                    try:
                        call()
                        calls += 1
                    except ValueError:
                        refused += 1
        stop = True
        thread.join()
        assert calls > 0, refused
        assert (memory[:GUARD] == 0xA5).all() and (memory[-GUARD:] == 0xA5).all()
"""


@pytest.mark.parametrize("name", [name for name in TESTED if name != "numpy"])
def test_inputs_that_change_meanwhile(name: str) -> None:
    """Results may be anything, but nothing outside of the arrays is read or written.

    What a kernel has found in an input, such as the only target of a row, may be gone when it looks
    for it again.
    """
    script = f"""
    for rows, classes, dtype in ((64, 4096, "f4"), (3000, 33, "f4"), (5, 70001, "f8")):
        run({name!r}, rows, classes, dtype, 1.5)
    print("done")
    """
    assert run_python(CHANGED + script).stdout.strip() == "done"


@needs_c
@pytest.mark.skipif(
    WITHOUT_GIL,
    reason="without the GIL an array is not to be asked for its shape while that is set",
)
def test_logits_that_get_another_shape_meanwhile() -> None:
    """NumPy frees the old shape, and its memory may soon be that of any other."""
    script = """
    import itertools, threading, time
    import numpy as np, fastsoftmax as f
    m, K = 50_000, 200
    x, labels = np.zeros((m, K), np.float32), np.zeros(m, np.int64)
    stop = False
    def reshape():
        for shape in itertools.cycle([(m * K, 1), (m, K)]):
            if stop: return
            x.shape = shape
            others = np.empty((1, 1)), np.empty((1, 1))
            del others
    thread = threading.Thread(target=reshape)
    thread.start()
    end = time.monotonic() + 4
    done = 0
    while time.monotonic() < end:
        try:
            grad = f.cross_entropy_mean_grad(x, labels, backend="c")
        except ValueError:
            continue
        assert grad.shape == (K,) or grad.shape == (1,), grad.shape
        done += 1
    stop = True
    thread.join()
    assert done > 0
    print("done")
    """
    # numpy 2.5 advises against setting a shape
    assert run_python(IGNORE + script).stdout.strip() == "done"


IGNORE = """
    import warnings
    warnings.filterwarnings("ignore", "Setting the shape", DeprecationWarning)
"""
