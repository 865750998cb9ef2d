"""The caller's floating-point environment: as found after every call, and no result shows it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from . import cases
from .environments import ENVIRONMENTS, environment, needs_control, state
from .subprocesses import run_compiler, run_python
from .variants import INSTALLED, Variant

Array = npt.NDArray[Any]
Calls = dict[str, Callable[[], Any]]

pytestmark = [
    needs_control,
    pytest.mark.skipif("c" not in INSTALLED, reason="only the backend c promises this"),
]


@pytest.fixture
def only_c(backend: Variant) -> None:
    if backend.name != "c":
        pytest.skip("numba and numpy compute in the environment of the caller")


def calls_on(x: Array, **on: Any) -> Calls:
    """All functions on some logits, as functions of nothing: what they need is made beforehand."""
    labels, soft = cases.labels_for(x), cases.soft_targets_for(x).astype(x.dtype)
    generator = cases.rng("environment", x.shape)
    weight, sample_weight = generator.random(x.shape[1]), generator.random(len(x))
    both: dict[str, Any] = {"weight": weight, "sample_weight": sample_weight}
    where = generator.random(x.shape) < 0.7
    fortran, halves, integers = np.asfortranarray(x), x.astype(np.float16), np.arange(12) * 9
    layer = generator.standard_normal((7, x.shape[1])).astype(x.dtype)
    bias = np.ones(7, x.dtype)
    classes = cases.rng("classes").integers(0, 7, len(x))
    return {
        "softmax": lambda: fsm.softmax(x, **on),
        "softmax, Fortran order": lambda: fsm.softmax(fortran, **on),
        "softmax, masked": lambda: fsm.softmax(x, where=where, **on),
        "softmax of halves": lambda: fsm.softmax(halves, **on),
        "softmax of integers": lambda: fsm.softmax(integers, **on),
        "log_softmax": lambda: fsm.log_softmax(x, **on),
        "log_softmax along axis 0": lambda: fsm.log_softmax(x, 0, **on),
        "logsumexp": lambda: fsm.logsumexp(x, **on),
        "logsumexp of one row": lambda: fsm.logsumexp(x[0], **on),
        "logsumexp kept": lambda: fsm.logsumexp(x, keepdims=True, **on),
        "softmax_backward": lambda: fsm.softmax_backward(x, soft, **on),
        "log_softmax_backward": lambda: fsm.log_softmax_backward(soft, x, **on),
        "loss": lambda: fsm.cross_entropy(x, labels, **on),
        "loss of soft": lambda: fsm.cross_entropy(x, soft, **on),
        "losses": lambda: fsm.cross_entropy(x, labels, reduction="none", **on),
        "loss of one row": lambda: fsm.cross_entropy(x[0], labels[0], reduction="none", **on),
        "weighted": lambda: fsm.cross_entropy_value_and_grad(x, labels, **both, **on),
        "smoothed": lambda: fsm.cross_entropy_grad(x, labels, label_smoothing=0.1, **on),
        "value and grad": lambda: fsm.cross_entropy_value_and_grad(x, labels, **on),
        "mean grad": lambda: fsm.cross_entropy_mean_grad(x, labels, **on),
        "mean grad, weighted": lambda: fsm.cross_entropy_mean_grad(x, soft, **both, **on),
        "mean grad of halves": lambda: fsm.cross_entropy_value_and_mean_grad(halves, labels, **on),
        "grad_hess": lambda: fsm.cross_entropy_grad_hess(x, labels, **on),
        "grad_hess for lightgbm": lambda: fsm.cross_entropy_grad_hess(
            x, soft, hessian="lightgbm", sample_weight=sample_weight, **on
        ),
        "linear": lambda: fsm.linear_cross_entropy_value_and_grad(
            x, layer, classes, bias=bias, **on
        )[0],
    }


def bits(result: Any) -> bytes:
    parts = result if isinstance(result, tuple) else (result,)
    return b"".join(np.asarray(part).tobytes() for part in parts)


def answers(calls: Calls) -> dict[str, Any]:
    return {name: call() for name, call in calls.items()}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_results_do_not_show_it(only_c: None, dtype: str, name: str) -> None:
    """With spread logits, whose results are subnormal in part."""
    scale = 60 if dtype == "float32" else 500
    for num_classes in (4, 40):
        x = (cases.rng(num_classes).standard_normal((21, num_classes)) * scale).astype(dtype)
        calls = calls_on(x, num_threads=1)
        expected = answers(calls)
        with environment(name):
            actual = answers(calls)
        for call, value in expected.items():
            assert bits(actual[call]) == bits(value), call


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_it_is_as_found_after_each_call(only_c: None, dtype: str, name: str) -> None:
    x = (cases.rng("as found").standard_normal((21, 40)) * 60).astype(dtype)
    x[3, 5], x[4, 6], x[5] = np.nan, np.inf, -np.inf
    finite = np.where(np.isfinite(x), x, 0).astype(dtype)
    calls = {
        **calls_on(finite, num_threads=1),
        **{f"{name} of what is not finite": call for name, call in not_finite(x).items()},
    }
    changed: dict[str, tuple[int, int]] = {}
    calls["softmax"]()  # what a process finds out at its very first call may raise flags
    with environment(name):
        for call, function in calls.items():
            before = state()
            function()
            after = state()
            if after != before:
                changed[call] = (before, after)
    assert changed == {}


def not_finite(x: Array) -> Calls:
    labels = np.zeros(len(x), np.int64)
    return {
        "softmax": lambda: fsm.softmax(x),
        "loss": lambda: fsm.cross_entropy(x, labels),
        "mean grad": lambda: fsm.cross_entropy_mean_grad(x, labels),
    }


def test_it_is_as_found_after_an_error() -> None:
    wrong = np.array([[1.0, 2.0]])
    with environment("flushing"):
        before = state()
        try:
            fsm.cross_entropy(wrong, [7])
            raised = False
        except ValueError:
            raised = True
        after = state()
    assert raised
    assert after == before


def test_many_threads_do_not_show_it(only_c: None, dtype: str) -> None:
    scale = 60 if dtype == "float32" else 500
    x = (cases.rng("many").standard_normal((20_000, 10)) * scale).astype(dtype)
    long = (cases.rng("long").standard_normal((3, 70_001)) * scale).astype(dtype)
    expected, calls = answers(calls_on(x, num_threads=1)), calls_on(x, num_threads=3)
    expected["long rows"] = fsm.softmax(long, num_threads=1)
    calls["long rows"] = lambda: fsm.softmax(long, num_threads=3)
    del calls["linear"]  # BLAS may order its sums by the number of threads
    for name in ("up and flushing", "to zero"):
        with environment(name):
            actual = answers(calls)
        for call, value in actual.items():
            assert bits(value) == bits(expected[call]), (name, call)


STARTED_IN_ANOTHER = """
    import numpy as np, fastsoftmax as fsm
    from tests.environments import environment
    x = np.tile(np.array([[0, -90, -100, -95]], np.float32), (100_000, 1))
    expected = fsm.softmax(x, num_threads=1)
    assert 0 < expected.min() < 1e-42
    with environment("up and flushing"):
        first = fsm.softmax(x, num_threads=4)
    for _ in range(20):
        assert np.array_equal(fsm.softmax(x, num_threads=4), expected)
    assert first.tobytes() == expected.tobytes()
"""


def test_threads_started_in_another_environment() -> None:
    """A thread has the environment of the one that started it, and would keep it for ever."""
    run_python(STARTED_IN_ANOTHER)


IMPORT = """
    import sys, threading
    import numpy as np
    from tests.environments import state

    def subnormals_live():
        return state() & ~0x3F == 0x1F80 and np.float32(1e-40) * np.float32(0.5) != 0 != 5e-324 / 1

    def in_thread(function):
        results = []
        thread = threading.Thread(target=lambda: results.append(function()))
        thread.start(), thread.join()
        return results[0]

    go, answers = threading.Event(), []
    early = threading.Thread(target=lambda: (go.wait(), answers.append(subnormals_live())))
    early.start()
    import fastsoftmax as fsm
    for backend in fsm.available_backends():
        fsm.warmup(backend=backend)
        fsm.softmax(np.ones((40_000, 10), np.float32), backend=backend, num_threads=3)
        assert subnormals_live() and in_thread(subnormals_live), backend
    go.set(), early.join()
    assert answers == [True]
"""


def test_subnormals_survive_the_import_in_every_thread() -> None:
    run_python(IMPORT)


def loading_changes_the_environment(library: Path) -> bool:
    script = f"""
        import ctypes
        from tests.environments import state
        before = state()
        ctypes.CDLL({str(library)!r})
        print(before == state())
    """
    return run_python(script).stdout.strip() == "False"


def built_libraries() -> list[Path]:
    import fastsoftmax._c

    package = Path(fastsoftmax._c.__file__).parent
    found = [path for path in package.iterdir() if path.name.startswith(("_c.", "libfastsoftmax"))]
    assert len(found) >= 2
    return found


def test_no_start_up_object_sets_the_environment() -> None:
    """With -ffast-math gcc before 13 links crtfastmath.o, which flushes subnormals, to libraries.

    https://gcc.gnu.org/bugzilla/show_bug.cgi?id=55522
    """
    for library in built_libraries():
        if library.name.startswith("libfastsoftmax"):  # the extension wants Python's names
            assert not loading_changes_the_environment(library)
        assert b"set_fast_math" not in library.read_bytes(), library


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_such_an_object_would_be_found(tmp_path: Path) -> None:
    """And flags that the project sets last take it away again."""
    source = tmp_path / "nothing.c"
    source.write_text("int nothing(void) { return 0; }\n")
    changes = {}
    fast = ["-ffast-math"]
    for name, flags in {"fast": fast, "mended": [*fast, "-fno-fast-math"]}.items():
        library = tmp_path / f"{name}.so"
        run_compiler("gcc", "-shared", "-fPIC", *flags, "-o", library, source)
        changes[name] = loading_changes_the_environment(library)
    version = int(run_compiler("gcc", "-dumpversion").stdout.split(".")[0])
    assert changes == {"fast": version < 13, "mended": False}


ROOT = Path(__file__).parent.parent
UNSAFE = "-Ofast|-ffast-math|-funsafe-math-optimizations|-ffinite-math-only"


def test_no_flag_gives_arithmetic_up() -> None:
    files = [ROOT / "CMakeLists.txt", ROOT / "csrc" / "kernels.cmake", ROOT / "pyproject.toml"]
    for file in files:
        flags = re.sub(
            r"#.*|string\(REGEX REPLACE.*", "", file.read_text()
        )  # where they are taken out
        assert not re.findall(UNSAFE, flags), file
    assert "-fno-fast-math" in files[1].read_text()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-ffinite-math-only"])
def test_kernels_do_not_compile_without_it(flag: str) -> None:
    """Where other flags than the project's are used."""
    source = ROOT / "csrc" / "kernel" / "scalar_float32.c"
    done = run_compiler("gcc", flag, "-fsyntax-only", "-I", ROOT / "csrc", source, check=False)
    assert done.returncode != 0
    assert "do not survive -ffast-math" in done.stderr
