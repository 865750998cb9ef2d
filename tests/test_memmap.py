"""Files mapped into memory, larger than the memory that the process may have.

Reads and writes go through the file's pages, which the system takes back when it needs them. What
the process may have of its own is limited (RLIMIT_DATA counts private memory that can be written
to), to less than the logits; a copy of them is shown to fail.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fs

from .subprocesses import run_python
from .variants import TESTED, Variant

MEBIBYTE = 1 << 20

SCRIPT = """
    import pathlib, resource, sys
    import numpy as np
    import fastsoftmax as fs

    folder, dtype, rows, classes, limit = VALUES
    shape = rows, classes

    def sparse(name, shape, dtype, mode="r"):
        return np.memmap(f"{folder}/{name}", dtype, mode, shape=shape)

    x = sparse("logits", shape, dtype, "w+")  # zeros that take no room on the disk...
    row = np.linspace(-2, 3, classes).astype(dtype)
    where = [0, rows // 2, rows - 1]  # ...but for these rows
    for i, number in enumerate(where):
        x[number] = row * (i + 1)
    labels = sparse("labels", (rows,), np.int32, "w+")
    labels[where] = classes - 1
    weight = sparse("weight", (rows,), np.float64, "w+")
    weight[:] = 1
    x, labels, weight = sparse("logits", shape, dtype), sparse("labels", (rows,), np.int32), \\
        sparse("weight", (rows,), np.float64)
    out = sparse("out", shape, dtype, "w+")
    other = sparse("other", shape, dtype, "w+")

    def functions(x, labels, weight, out, other):
        return {
            "logsumexp": lambda: fs.logsumexp(x),
            "losses": lambda: fs.cross_entropy(x, labels, reduction="none"),
            "loss": lambda: fs.cross_entropy(x, labels, sample_weight=weight),
            "mean gradient": lambda: fs.cross_entropy_value_and_mean_grad(x, labels)[1],
            "of soft targets": lambda: fs.cross_entropy_mean_grad(x, x),
            "softmax": lambda: fs.softmax(x, out=out),
            "log_softmax": lambda: fs.log_softmax(x, out=out),
            "softmax_backward": lambda: fs.softmax_backward(x, x, out=out),
            "grad": lambda: fs.cross_entropy_grad(x, labels, reduction="sum", out=out),
            "hess": lambda: fs.cross_entropy_grad_hess(x, labels, out=(out, other))[1],
        }

    few = np.array(x[where]), np.array(labels[where]), np.array(weight[where])
    small = functions(*few, np.empty_like(few[0]), np.array(few[0]))
    # First what the calls need of memory whatever they are given: compiled kernels, threads.
    expected = {name: np.copy(call()) for name, call in small.items()}
    many = {name: call for name, call in functions(x[:5000], labels[:5000], weight[:5000],
                                                  out[:5000], other[:5000]).items()}
    for call in many.values():
        call()
    status = dict(line.split(":", 1) for line in pathlib.Path(
        "/proc/self/status").read_text().splitlines())
    own = int(status["VmData"].split()[0]) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (own + limit, own + limit))
    try:
        np.array(x)
    except MemoryError:
        pass
    else:
        sys.exit("the limit does not hold")

    other[:] = 0
    for i, number in enumerate(where):
        other[number] = few[0][i]
    fs.log_softmax(other, out=other)
    assert other[where].tobytes() == expected["log_softmax"].tobytes(), "in place"
    calls = functions(x, labels, weight, out, other)
    for name, call in calls.items():
        result = call()
        if name in ("softmax", "log_softmax", "softmax_backward", "grad"):
            assert result is out, name
        if np.shape(result)[:1] == (rows,):
            assert np.asarray(result[where]).tobytes() == expected[name].tobytes(), name
    loss, mean, soft = (calls[name]() for name in ("loss", "mean gradient", "of soft targets"))
    # In float64: rows of zeros, and the three others.
    f = few[0].astype(np.float64)
    log_sums = np.log(np.exp(f).sum(axis=1))
    p = np.exp(f - log_sums[:, None])
    zeros = rows - len(where)
    tolerance = {"rtol": 2e-3 if x.itemsize == 2 else 2e-6}
    np.testing.assert_allclose(
        loss, (zeros * np.log(classes) + (log_sums - f[:, -1]).sum()) / rows, **tolerance)
    sums = zeros / classes + p.sum(axis=0)
    sums[0] -= zeros
    sums[-1] -= len(where)
    np.testing.assert_allclose(mean, sums / rows, **tolerance)
    np.testing.assert_allclose(
        soft, (p * f.sum(axis=1)[:, None] - f).sum(axis=0) / rows, atol=1e-7, **tolerance)
    out.flush()
    again = sparse("out", shape, dtype)
    assert again[where].tobytes() == out[where].tobytes()
    print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts mapped memory on Linux")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", TESTED)
def test_arrays_larger_than_the_memory(tmp_path: Path, name: str, dtype: str) -> None:
    logits = 64 if name == "numpy" else 256  # MiB; NumPy takes thirty times as long
    classes = 250
    rows = logits * MEBIBYTE // (classes * np.dtype(dtype).itemsize)
    limit = 24 if name == "c" or dtype == "float32" else 48  # with a block of halves in float32
    values = (str(tmp_path), dtype, rows, classes, limit * MEBIBYTE)
    script = SCRIPT.replace("VALUES", repr(values))
    done = run_python(
        script, environment={"FASTSOFTMAX_BACKEND": name, "FASTSOFTMAX_NUM_THREADS": "2"}
    )
    assert done.stdout == "done\n"
    used = sum((tmp_path / file).stat().st_blocks * 512 for file in ("logits", "labels"))
    assert used < MEBIBYTE * 2  # nothing was written there


def test_a_read_only_file_cannot_be_written_to(tmp_path: Path, backend: Variant) -> None:
    np.zeros((4, 3), np.float32).tofile(tmp_path / "x")
    x: Any = np.memmap(tmp_path / "x", np.float32, "r", shape=(4, 3))
    with pytest.raises(ValueError, match="out is read-only"):
        fs.softmax(x, out=x, backend=backend.name)
    assert fs.softmax(x, backend=backend.name)[0, 0] == np.float32(1 / 3)
