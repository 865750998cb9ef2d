"""warmup, and that nothing is compiled after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fastsoftmax as fsm

from .numba_processes import RECORD
from .subprocesses import run_python
from .variants import INSTALLED

needs_numba = pytest.mark.skipif("numba" not in INSTALLED, reason="numba is not installed")

CONTROL = {
    "__version__", "available_backends", "get_backend", "get_include", "get_library_dir",
    "get_num_threads", "set_backend", "set_num_threads", "show_config", "use_backend",
    "use_num_threads", "warmup",
}  # fmt: skip

# `called` is what was called, in every dtype and with every kind of targets and option.
EVERY_CALL = """
called = set()
def call(name, *args, **options):
    called.add(name)
    getattr(fastsoftmax, name)(*args, backend="numba", **options)

def call_everything():
    for dtype in ("float16", "float32", "float64", "int64"):
        for m, num_classes in ((3, 4), (5, 700), (3000, 100)):
            x = np.arange(m * num_classes).reshape(m, num_classes) % 7
            call_all_on(x.astype(dtype), num_classes)
            call_all_on(np.asfortranarray(x.astype(dtype)), num_classes)

def call_all_on(x, num_classes):
    for options in ({}, {"where": x != 3}):
        for name in ("softmax", "log_softmax", "logsumexp"):
            call(name, x, **options)
    call("softmax_backward", x, x)
    call("log_softmax_backward", x, x)
    labels = np.arange(len(x)) % num_classes
    soft = np.full(x.shape, 1 / num_classes)
    weights = {"sample_weight": np.ones(len(x))}
    for targets in (labels, labels.astype(np.int32), labels.astype(np.uint8), soft):
        for name in fastsoftmax.__all__:
            if name == "cross_entropy_grad_hess":
                for hessian in ("exact", "xgboost", "lightgbm"):
                    call(name, x, targets, hessian=hessian, **weights)
            elif name.startswith("linear_cross_entropy"):
                weight = np.ones((num_classes, num_classes), x.dtype)
                call(name, x, weight, targets)
                call(name, x, weight, targets, np.ones(num_classes), workspace_bytes=1 << 16)
            elif name.startswith("cross_entropy"):
                call(name, x, targets)
                call(name, x, targets, label_smoothing=0.1, num_threads=2, **weights)
                call(name, x, targets, weight=np.ones(num_classes))
                if targets is not soft:
                    call(name, x, targets, ignore_index=1)
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A cache that was empty before a warmup, and what that wrote."""
    folder = tmp_path_factory.mktemp("warm")
    script = (
        RECORD
        + EVERY_CALL
        + """
seconds = fastsoftmax.warmup(progress=True)
assert all(t > 0 for t in seconds.values()), seconds
print(*seconds, sep=",")
assert compiled  # the cache was empty, so the listener has heard of something
compiled.clear()
call_everything()
print(*sorted(compiled))
print(*sorted(called))
"""
    )
    return folder, in_cache(folder, script)


def in_cache(folder: Path, script: str) -> str:
    done = run_python(script, environment={"NUMBA_CACHE_DIR": str(folder)})
    return f"{done.stdout}\n{done.stderr}"


@needs_numba
@pytest.mark.slow  # compiles every kernel
def test_after_a_warmup_nothing_is_compiled(warm: tuple[Path, str]) -> None:
    names, compiled, called, *_ = warm[1].splitlines()
    assert compiled == ""
    assert set(called.split()) == set(fsm.__all__) - CONTROL
    assert {"softmax 32 bit", "softmax 64 bit", "check_labels 32 bit"} <= set(names.split(","))


@needs_numba
@pytest.mark.slow
def test_progress_without_a_terminal_is_a_line_for_each_kernel(warm: tuple[Path, str]) -> None:
    names = warm[1].splitlines()[0].split(",")
    lines = [line for line in warm[1].splitlines() if line.startswith("compiling ")]
    assert lines == [f"compiling {i}/{len(names)} {name}" for i, name in enumerate(names, 1)]


@needs_numba
@pytest.mark.slow
def test_another_process_compiles_nothing(warm: tuple[Path, str]) -> None:
    """Neither when it warms up again nor in any call without that; nor does it import SciPy."""
    script = (
        RECORD
        + EVERY_CALL
        + """
import sys
fastsoftmax.softmax(np.ones(3), backend="numba")
print("scipy.linalg" in sys.modules)
call_everything()
fastsoftmax.warmup()
print(*compiled, "none")
"""
    )
    assert in_cache(warm[0], script).split() == ["False", "none"]


@needs_numba
@pytest.mark.slow
def test_a_kernel_that_is_forgotten_is_found(warm: tuple[Path, str], tmp_path: Path) -> None:
    """The test of the first of these tests."""
    script = (
        RECORD
        + EVERY_CALL
        + """
from fastsoftmax._backends import jitted
from fastsoftmax._backends.numba_kernels.compilation import KERNELS
KERNELS[:] = [kernel for kernel in KERNELS if kernel.name == "check_labels"]
fastsoftmax.warmup()
compiled.clear()
call("logsumexp", np.ones(3, np.float32))
print(*compiled)
"""
    )
    assert "logsumexp_float32" in in_cache(tmp_path, script).split()


@needs_numba
@pytest.mark.slow
def test_users_functions_compile_after_code_was_read(warm: tuple[Path, str]) -> None:
    """Numba's own preparation, which reading passes over, is made up for when it is needed."""
    script = (
        RECORD
        + """
import numba
fastsoftmax.softmax(np.ones(3), backend="numba")
assert not compiled
@numba.njit
def f(x):
    return np.sort(x)[::-1].cumsum() + np.linalg.norm(x) + len({1: "a"})
print(f(np.array([3.0, 4.0])).tolist())
assert "f" in compiled
"""
    )
    assert in_cache(warm[0], script).strip() == "[10.0, 13.0]"


@needs_numba
@pytest.mark.slow
def test_the_command(warm: tuple[Path, str]) -> None:
    command = [sys.executable, "-m", "fastsoftmax", "warmup"]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(warm[0])}
    options: dict[str, Any] = {"env": environment, "capture_output": True, "text": True}
    done = subprocess.run(command, check=True, **options)
    assert done.stderr == ""
    for name in warm[1].splitlines()[0].split(","):
        assert f"\n{name} " in done.stdout
    assert f"Kept in {warm[0]}" in done.stdout
    done = subprocess.run([*command, "--quiet"], check=True, **options)
    assert done.stdout == done.stderr == ""


@pytest.mark.parametrize("name", [name for name in INSTALLED if name != "numba"])
def test_other_backends_have_nothing_to_compile(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fsm.warmup(name, progress=True) == {}
    with fsm.use_backend(name):
        assert fsm.warmup(None) == {}
    assert capsys.readouterr() == ("", "")


def test_errors() -> None:
    with pytest.raises(ValueError, match="unknown backend 'fortran'; the backends are 'c', "):
        fsm.warmup("fortran")
    with pytest.raises(TypeError, match="backend must be a name or None, not int"):
        fsm.warmup(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="progress must be True, False or None, not str"):
        fsm.warmup("numpy", progress="yes")  # type: ignore[arg-type]


def test_without_numba(tmp_path: Path) -> None:
    script = """
        import importlib.util
        find_spec = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *a: None if name == "numba" else find_spec(name, *a)
        import fastsoftmax
        from fastsoftmax.__main__ import main
        try:
            fastsoftmax.warmup()
        except ImportError as error:
            print(error)
        print(main(["warmup"]))
    """
    done = run_python(script)
    message, code = done.stdout.splitlines()
    assert 'pip install "fastsoftmax[numba]"' in message
    assert code == "2"
    assert 'pip install "fastsoftmax[numba]"' in done.stderr
