"""No memory, and no threads: MemoryError or less help, with everything as it was; later calls right.

Each in a process of its own. That the C code bears every refusal, one after another, is tested in
tests/c/refused.c; here it is Python's allocations, and the system's limits.
"""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest

from .subprocesses import run_python
from .variants import INSTALLED

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
COMMON = """
    import sys
    sys.path.insert(0, {root!r})
    import numpy as np, fastsoftmax as fs
    from tests.hostile import FUNCTIONS, SENTINEL
    from tests.test_hostile_arguments import assert_same_bits
"""
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run(script: str, backend: str) -> str:
    """Run a script after the imports in `COMMON`, with NAME the backend."""
    start = COMMON.format(root=ROOT) + f"    NAME = {backend!r}\n"
    return run_python(start + script).stdout


@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None,
    reason="this Python has no _testcapi, whose set_nomemory lets allocations fail",
)
@pytest.mark.parametrize("backend", INSTALLED)
def test_every_allocation_of_python_refused(backend: str) -> None:
    """One after another, in every function, by the short way and by the full one.

    A call raises MemoryError or, where Python itself did without, is right; the one after it is
    right in any case. Outputs that are given are as they were, or hold the whole result: what is
    refused may be the object to return it in.
    """
    done = run(
        """
    import _testcapi

    def refuse(function, outs, number, options):
        _testcapi.set_nomemory(number, number + 1)
        try:
            return function({}, outs, **options)
        except MemoryError:
            return MemoryError
        finally:
            _testcapi.remove_mem_hooks()

    refused = calls = 0
    for name, function in FUNCTIONS.items():
        for with_out in (False, True):
            new_outs = function.outputs if with_out else list
            options = {"backend": NAME, "num_threads": 1}
            expected = function({}, new_outs(), **options)
            filled = new_outs()
            function({}, filled, **options)
            borne = number = 0
            while borne < 12:  # beyond the last allocation nothing is refused
                outs = new_outs()
                result = refuse(function, outs, number, options)
                number += 1
                calls += 1
                if result is MemoryError:
                    refused += 1
                    borne = 0
                    for out, full in zip(outs, filled):
                        assert (out == SENTINEL).all() or np.array_equal(out, full), (name, number)
                else:
                    borne += 1
                    assert_same_bits(result, expected, f"{name}, {number}")
                del result
                assert_same_bits(function({}, new_outs(), **options), expected, f"after {name}")
    assert refused > 100, refused
    print(calls, "calls,", refused, "of them without memory")
    """,
        backend,
    )
    assert "without memory" in done
    print(done)


@LINUX
@pytest.mark.parametrize("backend", INSTALLED)
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
@pytest.mark.parametrize("backend", [name for name in INSTALLED if name != "numpy"])
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
