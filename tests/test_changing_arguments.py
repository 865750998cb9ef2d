"""Arrays that other threads write to, or give another shape, while a call reads them.

What comes out is then nobody's business, but nothing is read or written outside of the arrays: a
label or a target that was checked is not read again to be used, and a shape is not asked for twice.
"""

from __future__ import annotations

import pytest

from .subprocesses import run_python
from .variants import TESTED

CHANGERS = {
    "labels": """
        while not stop:
            labels.fill(-7)
            labels.fill(classes + 1000)
            labels.fill(2**62)
            labels.fill(1)
    """,
    "soft targets": """
        column = soft[:, classes // 2]
        while not stop:
            column.fill(0)
            column.fill(1)
    """,
    "logits": """
        while not stop:
            x.fill(np.nan)
            x.fill(np.inf)
            x[:, -1] = 1e30
            x.fill(0)
    """,
    "weights": """
        while not stop:
            weight.fill(-1)
            sample_weight.fill(np.nan)
            weight.fill(1)
            sample_weight.fill(1)
    """,
    "shapes": """
        while not stop:
            for array in (x, soft, out):
                array.shape = (classes, rows)
                array.shape = (rows * classes, 1)
                array.shape = (rows, classes)
    """,
}
"""What another thread does until it is told to stop."""


@pytest.mark.parametrize("changer", list(CHANGERS))
@pytest.mark.parametrize("backend", TESTED)
def test_arrays_that_change_during_a_call(backend: str, changer: str) -> None:
    """Every kernel that looks for something: labels, only targets, maxima."""
    run_python(
        f"""
    import threading, time, warnings
    import numpy as np, fastsoftmax as fs

    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of setting a shape
    NAME, stop, calls, errors = {backend!r}, False, 0, 0
    # Of the slower backends' kernels, which are the same in both, one dtype will do.
    DTYPES = (np.float32, np.float64) if NAME == "c" else (np.float32,)

    def change():
{CHANGERS[changer]}
    sizes = [(3000, 3), (60, 1000)]
    for dtype in DTYPES:
        for number, (rows, classes) in enumerate(sizes):
            x = np.zeros((rows, classes), dtype)
            soft = np.zeros((rows, classes), dtype)
            soft[:, classes // 2] = 1
            out = np.zeros((rows, classes), dtype)
            labels = np.ones(rows, np.int64)
            weight, sample_weight = np.ones(classes), np.ones(rows)
            weights = {{"weight": weight, "sample_weight": sample_weight}}
            o = {{"backend": NAME, "num_threads": 2}}
            work = [
                lambda: fs.cross_entropy_value_and_grad(x, labels, out=out, **o),
                lambda: fs.cross_entropy_value_and_grad(x, labels, **weights, **o),
                lambda: fs.cross_entropy_grad(x, labels, label_smoothing=0.1, **o),
                lambda: fs.cross_entropy_value_and_mean_grad(x, labels, ignore_index=-7, **o),
                lambda: fs.cross_entropy_value_and_grad(x, soft, out=out, **o),
                lambda: fs.cross_entropy_mean_grad(x, soft, **weights, **o),
                lambda: fs.cross_entropy_grad_hess(x, labels, **o),
                lambda: fs.cross_entropy_grad_hess(x, soft, **o),
                lambda: fs.log_softmax(x, out=out, **o),
                lambda: fs.softmax_backward(x, soft, **o),
            ]
            for call in work:
                call()  # compiled, where it has to be
            stop = False
            thread = threading.Thread(target=change)
            thread.start()
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                for call in work:
                    calls += 1
                    try:
                        call()
                    except (ValueError, TypeError, IndexError) as error:
                        errors += 1
            stop = True
            thread.join()
            for array in (x, soft, out):
                array.shape = (rows, classes)
            x.fill(0), labels.fill(1), weight.fill(1), sample_weight.fill(1)
            loss = fs.cross_entropy(x, labels, **o)
            assert abs(loss - np.log(classes)) < 1e-5 * classes, loss
    print(calls, errors)
    """
    )
