"""Users' compiled code around the functions: its cache, threads, the entry point, rows."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from . import cases
from .subprocesses import TIMEOUT, run_python

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="numba is not installed"
)

Array = npt.NDArray[Any]

CACHED = """
import numpy as np
from numba import njit
import fastsoftmax as fs
from fastsoftmax.numba import softmax_row

@njit(cache=True)
def losses(x, t):
    loss, grad = fs.cross_entropy_value_and_grad(x, t)
    row = np.empty_like(x[0])
    softmax_row(x[0], row)
    return loss + fs.logsumexp(x[0]), fs.softmax(x), grad, row

@njit(cache=True)
def around(x, t):
    return losses(x, t)

if __name__ == "__main__":
    x = np.random.default_rng(0).standard_normal((6, 9))
    t = np.arange(6)
    result = around(x, t)
    expected = fs.cross_entropy_value_and_grad(x, t, backend="numba")
    assert result[0] == expected[0] + fs.logsumexp(x[0])
    np.testing.assert_array_equal(result[1], fs.softmax(x))
    np.testing.assert_array_equal(result[2], expected[1])
    np.testing.assert_array_equal(result[3], fs.softmax(x[0]))
    print(sum(around.stats.cache_hits.values()), sum(around.stats.cache_misses.values()))
"""


def run_cached(folder: Path, before: str = "") -> str:
    """Run the script, or other lines and then the script; what it prints of its cache."""
    script = folder / "cached.py"
    if not script.exists():
        script.write_text(CACHED)
    start = f"{before}\nimport runpy, sys; sys.path.insert(0, {str(folder)!r})\n"
    return run_python(start + f"runpy.run_path({str(script)!r}, run_name='__main__')").stdout


def test_cached_code_is_used_by_the_next_process(tmp_path: Path) -> None:
    assert run_cached(tmp_path).split() == ["0", "1"]
    assert run_cached(tmp_path).split() == ["1", "0"]


def test_cached_code_of_other_sources_is_compiled_anew(tmp_path: Path) -> None:
    """Numba itself looks at the user's file only."""
    assert run_cached(tmp_path).split() == ["0", "1"]
    other = """
    from fastsoftmax._in_jitted import linking
    linking.stamp = lambda: "others"
    """
    assert run_cached(tmp_path, other.replace("\n    ", "\n")).split() == ["0", "1"]
    assert run_cached(tmp_path, other.replace("\n    ", "\n")).split() == ["1", "0"]
    assert run_cached(tmp_path).split() == ["0", "1"]


# --- threads ---------------------------------------------------------------------------------


def test_several_threads_at_once_without_the_gil() -> None:
    from numba import njit

    @njit(nogil=True)
    def total(x: Any, t: Any, times: Any) -> Any:
        loss = 0.0
        for _ in range(times):
            loss += fsm.cross_entropy_value_and_mean_grad(x, t)[0]
        return loss

    problems = [cases.rng("threads", i).standard_normal((400, 10)) for i in range(4)]
    t = np.arange(400) % 10
    expected = [total(x, t, 20) for x in problems]
    found: dict[int, float] = {}

    def work(i: int) -> None:
        found[i] = total(problems[i], t, 20)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(4)] == expected


def test_the_gil_is_released() -> None:
    """Another thread runs while the compiled function waits for what it does."""
    from numba import njit

    @njit(nogil=True)
    def wait(x: Any, flag: Any) -> Any:
        rounds = 0
        while flag[0] == 0 and rounds < 50_000_000:
            flag[1] += fsm.softmax(x)[0]
            rounds += 1
        return flag[0]

    x, flag = np.zeros(4), np.zeros(2)
    wait(x, np.ones(2))  # compiled
    setter = threading.Timer(0.05, lambda: flag.__setitem__(0, 1.0))
    setter.start()
    assert wait(x, flag) == 1.0
    setter.join()


PARALLEL = """
import numpy as np
from numba import njit, prange
import fastsoftmax as fs
from fastsoftmax.numba import cross_entropy_value_and_grad_row

@njit(parallel=True)
def each(x, t, grad):
    losses = np.empty(x.shape[0])
    for i in prange(x.shape[0]):
        losses[i] = cross_entropy_value_and_grad_row(x[i], t[i], grad[i])
    return losses

@njit(parallel=True)
def blocks(x, out):
    for i in prange(x.shape[0]):
        out[i] = fs.softmax(x[i]) + fs.cross_entropy(x[i], x[i])

x = np.random.default_rng(0).standard_normal((64, 5, 9))
t = np.arange(64) % 9
grad = np.empty((64, 9))
losses = each(x[:, 0], t, grad)
np.testing.assert_array_equal(losses, fs.cross_entropy(x[:, 0], t, reduction="none"))
np.testing.assert_array_equal(grad, fs.cross_entropy_grad(x[:, 0], t, reduction="sum"))
out = np.empty_like(x)
blocks(x, out)
for i in range(64):
    np.testing.assert_array_equal(out[i], fs.softmax(x[i]) + fs.cross_entropy(x[i], x[i]))
print("same")
"""


def test_inside_prange() -> None:
    """In a process of its own: Numba's threading layer is chosen once."""
    done = run_python(PARALLEL, environment={"NUMBA_NUM_THREADS": "2"}, check=False)
    if "No threading layer could be loaded" in done.stderr:
        pytest.skip("Numba has no threading layer here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["same"]


# --- the entry point -------------------------------------------------------------------------


def test_the_entry_point_is_registered() -> None:
    try:
        importlib.metadata.version("fastsoftmax")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("run from the source tree without installation")
    points = importlib.metadata.entry_points(group="numba_extensions", name="init")
    (point,) = [each for each in points if each.value.startswith("fastsoftmax.")]
    assert callable(point.load())


def test_code_that_does_not_use_the_functions_loads_nothing_of_them() -> None:
    script = """
    import sys
    from numba import njit
    assert "fastsoftmax" not in sys.modules
    assert njit(lambda x: x + 1)(1) == 2
    assert "fastsoftmax._numba_extension" in sys.modules
    heavy = "_in_jitted", "_c", "_backends.numba_kernels", "_backends.jitted", "numba"
    assert not {f"fastsoftmax.{name}" for name in heavy} & set(sys.modules)
    """
    run_python(script)


# --- rows ------------------------------------------------------------------------------------


def test_rows(dtype: str) -> None:
    from fastsoftmax import numba as rows

    assert set(rows.__all__) <= set(vars(rows))
    memory = (cases.rng("rows").standard_normal((10, 22)) * 4).astype(dtype)
    for x in (memory[0, :10].copy(), memory[1, ::2], memory[:, 3]):
        out = np.zeros_like(x)
        rows.softmax_row(x, out)
        np.testing.assert_array_equal(out, fsm.softmax(x))
        rows.log_softmax_row(x, out)
        np.testing.assert_array_equal(out, fsm.log_softmax(x))
        assert rows.logsumexp_row(x) == fsm.logsumexp(x)
        soft = fsm.softmax(x + 1)
        for target in (3, soft):
            loss, grad = fsm.cross_entropy_value_and_grad(x, target)
            assert rows.cross_entropy_row(x, target) == loss
            assert rows.cross_entropy_value_and_grad_row(x, target, out) == loss
            np.testing.assert_array_equal(out, grad)


def test_rows_refuse_what_is_wrong() -> None:
    from numba.core.errors import TypingError

    from fastsoftmax import numba as rows

    x, out = np.zeros(4), np.ones(4)
    with pytest.raises(ValueError, match="targets = 4 is out of range for 4 classes"):
        rows.cross_entropy_value_and_grad_row(x, 4, out)
    with pytest.raises(ValueError, match="targets = -1 is out of range"):
        rows.cross_entropy_row(x, -1)
    with pytest.raises(ValueError, match=r"out must be of shape \(4,\), not \(3,\)"):
        rows.cross_entropy_value_and_grad_row(x, 1, out[:3])
    with pytest.raises(ValueError, match=r"out must be of shape \(4,\), not \(3,\)"):
        rows.softmax_row(x, out[:3])
    with pytest.raises(ValueError, match="no classes"):
        rows.logsumexp_row(x[:0])
    with pytest.raises(TypingError, match="must be one row"):
        rows.softmax_row(np.zeros((2, 2)), np.zeros((2, 2)))
    assert (out == 1).all()


def test_without_numba_the_module_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "hide.py").write_text("")
    script = """
    import importlib.util, sys
    find = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *a: None if name == "numba" else find(name, *a)
    try:
        import fastsoftmax.numba
    except ImportError as error:
        assert "fastsoftmax[numba]" in str(error), error
    else:
        raise AssertionError("imported")
    """
    run_python(script)


def test_docstrings_of_rows() -> None:
    import doctest

    from fastsoftmax import numba as rows

    for name in rows.__all__:
        function = getattr(rows, name).py_func
        for part in ("Parameters", "Raises", "Examples"):
            assert f"{part}\n" in function.__doc__, name
        runner = doctest.DocTestRunner()
        for test in doctest.DocTestFinder().find(function, name, globs={}):
            runner.run(test)
        assert runner.summarize(verbose=False).failed == 0, name


# --- the example -----------------------------------------------------------------------------

TRAINER = Path(__file__).parent.parent / "examples" / "numba_trainer.py"


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="the example needs sklearn")
def test_the_trainer_learns(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(TRAINER), "--epochs", "12"],
        cwd=tmp_path,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.endswith("%")]
    assert [int(line[0]) for line in lines] == list(range(1, 13))
    assert float(lines[-1][1]) < 0.2 < float(lines[0][1])
    assert float(lines[-1][3]) > 94
