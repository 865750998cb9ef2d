"""No memory, and no threads: MemoryError or less help, all else as it was, and later calls right.

Each in a process of its own. That the C code bears every refusal, one after another, is tested in
tests/c/refused.c; here it is Python's allocations, and the system's limits.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from .interpreter import WITHOUT_GIL
from .subprocesses import run_python
from .variants import INSTALLED, TESTED

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
COMMON = """
    import sys
    sys.path.insert(0, {root!r})
    import numpy as np, fastsoftmax as fs
    from tests.hostile import FUNCTIONS, SENTINEL
    from tests.test_hostile_arguments import assert_same_bits
"""
ROOT = str(Path(__file__).resolve().parents[1])


def run(script: str, backend: str) -> str:
    """Run a script after the imports in `COMMON`, with NAME the backend."""
    start = COMMON.format(root=ROOT) + f"    NAME = {backend!r}\n"
    return run_python(start + script).stdout


@pytest.mark.skipif("c" not in INSTALLED, reason="the extension is not built")
@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None,
    reason="this Python has no _testcapi, whose set_nomemory lets allocations fail",
)
@pytest.mark.skipif(WITHOUT_GIL, reason="refused a list, CPython 3.13t corrupts its own memory")
def test_every_allocation_of_the_extension_refused() -> None:
    """One after another: MemoryError and nothing else, no reference lost, the next call right.

    These are Python's allocations, objects and raw memory. In the package's own Python code they
    cannot be refused: NumPy crashes when asked for an `__array_interface__` then, and returns
    errors without an exception when indexed (2.4).
    """
    out = run(
        """
    import _testcapi
    from fastsoftmax import _c
    from fastsoftmax._control import SETTINGS

    fs.softmax(np.ones(3))
    x, labels = np.ones((4, 300), np.float32), np.zeros(4, np.int64)
    wide, weight, samples = x.astype(float), np.ones(300), np.ones((1, 4))
    out, rows = np.full_like(x, SENTINEL), np.full((1, 4), SENTINEL, np.float32)
    mean = np.full(300, SENTINEL)
    state, numbers = np.ones((1, 4, 8)), np.ones((1, 4, 5))
    b, o, t = x[None], out[None], labels[None]
    plain = None, None, SETTINGS
    options = (-1, None, None, None, 0.0, "mean", None, *plain)
    calls = {
        "softmax": lambda: _c.softmax(b, None, o, 1),
        "log_softmax": lambda: _c.log_softmax(b, None, o, 1),
        "logsumexp": lambda: _c.logsumexp(b, None, rows, 1),
        "softmax_backward": lambda: _c.softmax_backward(b, b, o, 1),
        "log_softmax_backward": lambda: _c.log_softmax_backward(b, b, o, 1),
        "check_labels": lambda: _c.check_labels(t, 300, 2**40, weight, samples),
        "cross_entropy": lambda: _c.cross_entropy(
            b, t, None, weight, samples, None, 0.1, 1.0, rows, o, mean, True, 1
        ),
        "grad_hess": lambda: _c.grad_hess(b, t, None, None, "xgboost", o, np.empty_like(o), 1),
        "partial_state": lambda: _c.partial_state(b, None, state, 1),
        "shard_exponentials": lambda: _c.shard_exponentials(b, None, numbers, o, 1),
        "plain_softmax": lambda: _c.plain_softmax(x, -1, None, None, *plain),
        "plain_log_softmax": lambda: _c.plain_log_softmax(wide, -1, None, None, *plain),
        "plain_logsumexp": lambda: _c.plain_logsumexp(x[0], -1, False, None, None, *plain),
        "plain_softmax_backward": lambda: _c.plain_softmax_backward(x, x, -1, None, *plain),
        "plain_log_softmax_backward": lambda: _c.plain_log_softmax_backward(x, x, -1, None, *plain),
        "plain_cross_entropy": lambda: _c.plain_cross_entropy(x, labels, *options),
        "plain_cross_entropy of float64": lambda: _c.plain_cross_entropy(wide, labels, *options),
        "plain_cross_entropy_grad": lambda: _c.plain_cross_entropy_grad(x, labels, *options),
        "plain_mean_grad": lambda: _c.plain_cross_entropy_mean_grad(x, labels, *options),
        "plain_value_and_grad": lambda: _c.plain_cross_entropy_value_and_grad(x, labels, *options),
        "plain_value_and_mean_grad": lambda: _c.plain_cross_entropy_value_and_mean_grad(
            x, labels, *options
        ),
        "not plain": lambda: _c.plain_softmax(object(), -1, None, None, *plain) or "None",
        "instruction_sets": _c.instruction_sets,
        "built_instruction_sets": _c.built_instruction_sets,
        "instruction_set": _c.instruction_set,
        "use_instruction_set": lambda: _c.use_instruction_set(name_in_use),
        "xla_targets": lambda: sorted(_c.xla_targets()),
    }
    errors = {  # they raise in any case
        "of a number of arguments": lambda: _c.softmax(b),
        "of an array": lambda: _c.softmax(b, t, o, 1),
        "of no array": lambda: _c.softmax(7, None, o, 1),
        "of a number": lambda: _c.softmax(b, None, o, "1"),
        "of a label to ignore": lambda: _c.check_labels(t, 300, 2**70, None, None),
        "of a Hessian": lambda: _c.grad_hess(b, t, None, None, "other", o, o, 1),
        "of an instruction set": lambda: _c.use_instruction_set("other"),
    }
    name_in_use = _c.instruction_set()
    watched = [x, labels, wide, weight, samples, out, rows, mean, state, numbers, b, o, t, None]
    watched += [SETTINGS, np.dtype("f4"), np.dtype("f8"), np.float32, "c", 1]

    def refuse(call, number):
        kind = result = None
        _testcapi.set_nomemory(number, number + 1)
        try:
            result = call()
        except MemoryError:
            kind = MemoryError
        except (TypeError, ValueError, OverflowError):
            kind = ValueError
        except SystemError:  # by CPython, if it has no memory for the exception itself
            kind = SystemError
        finally:
            _testcapi.remove_mem_hooks()
        return kind, result

    refused = 0
    for name, call in {**calls, **errors}.items():
        expected = call() if name in calls else None
        counts = None
        borne = number = 0
        while borne < 12:  # beyond the last allocation nothing is refused
            kind, result = refuse(call, number)
            number += 1
            if kind is MemoryError or (kind is SystemError and name in errors):
                refused += 1
                borne = 0
            else:
                borne += 1
                assert (kind is ValueError) == (name in errors), (name, number, kind)
                # where a setting could not be asked for, the call is for the full way
                assert result is not None or expected is None, (name, number)
                if kind is None and expected is not None and not isinstance(expected, (str, list)):
                    if not isinstance(expected[0] if type(expected) is tuple else 0, str):
                        assert_same_bits(result, expected, name)
            del result
            if number == 1:
                counts = [sys.getrefcount(each) for each in watched]
        after = [sys.getrefcount(each) for each in watched]
        assert max(abs(a - c) for a, c in zip(after, counts)) < 8, name
    print(refused, "allocations refused in", len(calls) + len(errors), "calls")
    assert refused > 60, refused
    """,
        "c",
    )
    print(out)


@LINUX
@pytest.mark.parametrize("backend", TESTED)
def test_a_limit_of_the_address_space(backend: str) -> None:
    """For the result, for scratch memory, and for copies: what is given is left as it was."""
    run(
        """
    import resource

    def used():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()

    rows, classes = 16, 1 << 20
    x = np.random.default_rng(0).standard_normal((classes, rows)).astype(np.float32)
    labels = np.arange(rows)
    out = np.full(x.shape, SENTINEL, np.float32)
    soft = np.abs(x)
    options = {"axis": 0, "backend": NAME, "num_threads": 2}
    calls = [
        lambda: fs.softmax(x, **options),
        lambda: fs.softmax(x[::-1], **options),
        lambda: fs.softmax_backward(x, x, **options),
        lambda: fs.cross_entropy_grad(x, labels, **options),
        lambda: fs.cross_entropy_value_and_grad(x, soft, label_smoothing=0.1, **options),
        lambda: fs.cross_entropy_grad_hess(x, labels, **options),
        lambda: fs.softmax(x.astype(np.float16), **options),
    ]
    written = [  # these need copies of their inputs or, beside them, scratch memory
        lambda: fs.softmax(x, out=out, where=np.ones(x.shape, np.int32) > 0, **options),
        lambda: fs.cross_entropy_grad(x, soft.astype(np.float64), out=out, **options),
        lambda: fs.cross_entropy_grad(x.astype(np.float64), soft, out=out.astype(float), **options),
    ]
    fs.softmax(x[:4096], **options), fs.cross_entropy_grad_hess(x[:4096], labels, **options)
    expected = fs.cross_entropy_value_and_grad(x[:4096], labels, **options)
    soft_limit, hard = resource.getrlimit(resource.RLIMIT_AS)
    refused = 0
    for call in calls + written:
        for room in (1 << 20, 24 << 20):
            resource.setrlimit(resource.RLIMIT_AS, (used() + room, hard))
            try:
                call()
            except MemoryError:
                refused += 1
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (soft_limit, hard))
            assert (out == SENTINEL).all()
            again = fs.cross_entropy_value_and_grad(x[:4096], labels, **options)
            assert_same_bits(again, expected, "after it")
    assert refused == 2 * len(calls + written), refused
    """,
        backend,
    )


@LINUX
@pytest.mark.parametrize("backend", [name for name in TESTED if name != "numpy"])
def test_threads_that_cannot_be_started(backend: str) -> None:
    """The caller does the work alone; once threads can be had, they help."""
    run(
        """
    import os, resource

    def threads():
        return len(os.listdir("/proc/self/task"))

    x = np.random.default_rng(0).standard_normal((40_000, 20)).astype(np.float32)
    labels = np.arange(40_000) % 20
    options = {"backend": NAME}
    expected = fs.cross_entropy_value_and_grad(x, labels, num_threads=1, **options)
    long_row = np.tile(x[:1], (1, 10_000))
    expected_row = fs.softmax(long_row, num_threads=1, **options)
    if NAME == "numba":  # compiled while everything can be read and written
        from fastsoftmax._backends.numba_kernels.pool import SERVE
        SERVE.version(8)
    before = threads()
    if os.getuid() == 0:
        os.setuid(65534)  # the limit does not hold for root
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, hard))
    for _ in range(3):
        actual = fs.cross_entropy_value_and_grad(x, labels, num_threads=4, **options)
        assert_same_bits(actual, expected, "alone")
        assert_same_bits(fs.softmax(long_row, num_threads=4, **options), expected_row, "a row")
    assert threads() == before, "the limit did not hold"
    resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))
    for _ in range(3):
        actual = fs.cross_entropy_value_and_grad(x, labels, num_threads=4, **options)
        assert_same_bits(actual, expected, "with help")
    assert threads() > before
    """,
        backend,
    )
