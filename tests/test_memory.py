"""Memory: no copy of the logits where none is needed, nothing held after a call or an error."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from . import cases
from .subprocesses import run_python
from .variants import TESTED, Variant

Array = npt.NDArray[Any]

ROWS, CLASSES = 8_000, 100


def layouts(dtype: str) -> dict[str, tuple[Array, int]]:
    """Logits that a kernel can walk where they lie, with their class axis."""
    x = cases.rng("memory").standard_normal((ROWS, CLASSES)).astype(dtype)
    return {
        "C order": (x, 1),
        "Fortran order": (np.asfortranarray(x), 1),
        "classes first": (np.ascontiguousarray(x.T), 0),
        "three axes": (x.reshape(80, 100, CLASSES), 2),
        "classes in the middle": (np.ascontiguousarray(x.reshape(80, 100, 100)), 1),
        "slice": (np.repeat(x, 2, axis=1)[:, ::2], 1),
        "backwards": (x[::-1, ::-1], 1),
        "broadcast": (np.broadcast_to(x[0], x.shape), 1),
    }


def peak_of(call: Callable[[], Any]) -> int:
    """The most that NumPy and Python had allocated at once during a call."""
    call()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("layout", list(layouts("float32")))
def test_nothing_of_the_size_of_the_logits_is_allocated(
    backend: Variant, dtype: str, layout: str
) -> None:
    """With `out` given, or for results of one entry a sample or a class."""
    if backend.name == "numpy":
        pytest.skip("works in blocks of some megabytes; the peak of a large call is tested below")
    x, axis = layouts(dtype)[layout]
    labels = np.zeros(x.shape[:axis] + x.shape[axis + 1 :], np.int64)
    out = np.empty(x.shape, dtype)
    options: dict[str, Any] = {"axis": axis, "backend": backend.name}
    calls: dict[str, Callable[[], Any]] = {
        "softmax": lambda: fsm.softmax(x, out=out, **options),
        "log_softmax": lambda: fsm.log_softmax(x, out=out, **options),
        "logsumexp": lambda: fsm.logsumexp(x, **options),
        "softmax_backward": lambda: fsm.softmax_backward(x, x, out=out, **options),
        "cross_entropy": lambda: fsm.cross_entropy(x, labels, **options),
        "cross_entropy_grad": lambda: fsm.cross_entropy_grad(x, labels, out=out, **options),
        "cross_entropy_mean_grad": lambda: fsm.cross_entropy_mean_grad(x, labels, **options),
        "value_and_mean_grad": lambda: fsm.cross_entropy_value_and_mean_grad(x, labels, **options),
        "mean gradient of soft": lambda: fsm.cross_entropy_mean_grad(x, x, **options),
    }
    for name, call in calls.items():
        assert peak_of(call) < out.nbytes // 2, name


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, where Linux keeps the peak")
@pytest.mark.parametrize("name", TESTED)
def test_scratch_outside_of_numpy_is_small_too(name: str) -> None:
    """By the peak of the resident memory, which sees what a compiled kernel allocates itself."""
    script = """
        import numpy as np, fastsoftmax as f
        def peak():
            lines = open("/proc/self/status").read().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        x = np.zeros((120_000, 200), np.float32)
        x += 1
        labels = np.zeros(len(x), np.int64)
        f.cross_entropy_value_and_mean_grad(x[:2000], labels[:2000])
        f.cross_entropy_value_and_mean_grad(x[:2000].T, labels[:2000], axis=0)
        before = peak()
        f.cross_entropy_value_and_mean_grad(x, labels)
        f.softmax(x, out=x)
        f.cross_entropy_value_and_mean_grad(x.T, labels, axis=0)
        print(peak() - before)
    """
    grown = int(run_python(script, environment={"FASTSOFTMAX_BACKEND": name}).stdout)
    assert grown < 24_000  # KiB; the logits are 94 000


def test_no_reference_is_kept(backend: Variant, dtype: str) -> None:
    """To arrays of a call that returned, nor of one that raised."""
    x = np.zeros((6, 5), dtype)
    labels, bad_labels = np.zeros(6, np.int64), np.full(6, 9)
    weight, sample_weight = np.ones(5), np.ones(6)
    soft, out, other = np.ones_like(x), np.empty_like(x), np.empty((6, 5), np.int8)
    where = np.ones(x.shape, bool)
    arrays = (x, labels, bad_labels, weight, sample_weight, soft, out, other, where)
    name = backend.name
    weights: dict[str, Any] = {"weight": weight, "sample_weight": sample_weight, "backend": name}
    calls: list[Callable[[], Any]] = [
        lambda: fsm.softmax(x, where=where, out=out, backend=name),
        lambda: fsm.logsumexp(x, backend=name),
        lambda: fsm.softmax_backward(soft, x, out=out, backend=name),
        lambda: fsm.cross_entropy(x, labels, **weights),
        lambda: fsm.cross_entropy_grad(x, labels, out=out, **weights),
        lambda: fsm.cross_entropy_mean_grad(x, soft, **weights),
        lambda: fsm.cross_entropy_grad_hess(x, labels, out=(out, None), backend=name),
    ]
    errors: list[Callable[[], Any]] = [
        lambda: fsm.softmax(x, where=where, out=other, backend=name),
        lambda: fsm.softmax(x, 7, backend=name),
        lambda: fsm.cross_entropy(x, bad_labels, **weights),
        lambda: fsm.cross_entropy_grad(x, bad_labels, out=out, **weights),
        lambda: fsm.cross_entropy_grad(x, labels, out=out, reduction="max", **weights),
        lambda: fsm.cross_entropy_grad_hess(x, labels, out=(out, out), backend=name),
    ]

    def run_all() -> None:
        for call in calls:
            call()
        for call in errors:
            with pytest.raises((ValueError, TypeError, np.exceptions.AxisError)):
                call()

    run_all()
    before = [sys.getrefcount(array) for array in arrays]
    for _ in range(20):
        run_all()
    assert [sys.getrefcount(array) for array in arrays] == before


@pytest.mark.parametrize("shape", [(2**61,), (1000, 2**51)])
def test_views_larger_than_any_memory(backend: Variant, shape: tuple[int, ...]) -> None:
    """Of which every element lies in one place: their scratch memory must not be miscounted."""
    x = np.broadcast_to(np.zeros(1, np.float16), shape)
    options: dict[str, Any] = {"backend": backend.name, "num_threads": 1000}
    problems = (MemoryError,) if backend.name == "c" else (MemoryError, ValueError)  # NumPy's
    with pytest.raises(problems):
        fsm.logsumexp(x, **options)
    with pytest.raises(problems):
        fsm.cross_entropy(x, x, label_smoothing=0.1, **options)
