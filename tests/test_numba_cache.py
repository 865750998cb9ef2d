"""The numba backend's code on disk: read-only directories, several processes, damaged files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .numba_processes import RECORD, copy_of_the_package, run_without_writing_to, use
from .subprocesses import run_python
from .variants import INSTALLED

pytestmark = pytest.mark.skipif("numba" not in INSTALLED, reason="numba is not installed")

# Two of the quick kernels; says what was compiled, and where it is.
CALLS = """
x = np.arange(12, dtype=np.float32).reshape(3, 4)
expected = np.log(np.exp(x.astype(float)).sum(axis=1))
result = fastsoftmax.logsumexp(x, backend="numba")
assert abs(result - expected).max() < 1e-5, result
assert fastsoftmax.cross_entropy.__module__.startswith("fastsoftmax")
from fastsoftmax._backends.numba_kernels.probabilities import LOGSUMEXP
print(sum(name == "logsumexp_float32" for name in compiled), LOGSUMEXP.prepare(4))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package without compiled code, in a folder to import it from."""
    folder = tmp_path / "site"
    folder.mkdir()
    copy_of_the_package(folder)
    return folder


def environment(home: Path | None, cache: Path | None = None) -> dict[str, str | None]:
    return {
        "HOME": None if home is None else str(home),
        "XDG_CACHE_HOME": None,
        "NUMBA_CACHE_DIR": None if cache is None else str(cache),
    }


def script_in(package: Path) -> str:
    return use(package) + RECORD + CALLS


def beside_the_sources(package: Path) -> str:
    return str(package / "fastsoftmax" / "_backends" / "numba_kernels" / "__pycache__")


def test_code_is_kept_beside_the_sources(package: Path, tmp_path: Path) -> None:
    for number in (1, 0):
        done = run_python(script_in(package), environment=environment(tmp_path))
        assert done.stdout.split() == [str(number), beside_the_sources(package)]


def test_read_only_installation(package: Path, tmp_path: Path) -> None:
    """The code is kept in the home directory."""
    home = tmp_path / "home"
    home.mkdir()
    for expected in ("1", "0"):
        number, folder = run_without_writing_to(
            package, script_in(package), environment(home)
        ).split()
        assert number == expected
        assert Path(folder).is_relative_to(home)


def test_read_only_installation_with_code(package: Path, tmp_path: Path) -> None:
    """What was compiled when it could be written is used, and no home directory wanted."""
    run_python(script_in(package), environment=environment(tmp_path))
    nowhere = package / "no" / "home"
    shown = run_without_writing_to(package, script_in(package), environment(nowhere))
    assert shown.split() == ["0", beside_the_sources(package)]


def test_read_only_cache_directory_with_code(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    run_python(script_in(package), environment=environment(tmp_path, cache))
    assert list(cache.rglob("*.nbc"))
    shown = run_without_writing_to(cache, script_in(package), environment(tmp_path, cache))
    number, folder = shown.split()
    assert number == "0"
    assert Path(folder).is_relative_to(cache)


@pytest.mark.parametrize("home", ["missing", "not a directory", "read-only"])
def test_nowhere_to_write(package: Path, home: str) -> None:
    """It is compiled in memory, by every process, without a word."""
    place = package / "home"
    if home == "not a directory":
        place.touch()
    elif home == "read-only":
        place.mkdir()
    for _ in range(2):
        shown = run_without_writing_to(package, script_in(package), environment(place))
        assert shown.split() == ["1", "None"]
    assert not list(package.rglob("*.nbc"))


def test_threads_that_call_first_at_once_compile_once(package: Path) -> None:
    """With no cache to hand the code from one to the other."""
    script = (
        use(package)
        + RECORD
        + """
import threading
barrier = threading.Barrier(4)
def work():
    barrier.wait()
    fastsoftmax.logsumexp(np.ones((3, 4), np.float32), backend="numba")
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(name == "logsumexp_float32" for name in compiled))
"""
    )
    # Capabilities are those of a thread, and handed on to those that it starts.
    assert run_without_writing_to(package, script, environment(package / "home")) == "1"


def test_home_unset(package: Path) -> None:
    """The system's own idea of the home directory counts then: one to write to, or not."""
    shown = run_without_writing_to(package, script_in(package), environment(None))
    number, folder = shown.split()
    assert number == "1"
    if folder != "None":
        shutil.rmtree(folder)  # of this copy of the package alone


def test_the_command_says_that_nothing_is_kept(package: Path) -> None:
    script = (
        use(package)
        + """
from fastsoftmax.__main__ import main
from fastsoftmax._backends import jitted
from fastsoftmax._backends.numba_kernels.compilation import KERNELS
KERNELS[:] = [kernel for kernel in KERNELS if kernel.name == "check_labels"]
sys.stderr = sys.stdout
print(main(["warmup"]))
"""
    )
    shown = run_without_writing_to(package, script, environment(package / "home"))
    assert "2 of 2 kernels could not be kept on disk; set NUMBA_CACHE_DIR to a dir" in shown
    assert "Kept in" not in shown
    assert shown.splitlines()[-1] == "1"


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["empty", "cut", "garbage"])
def test_damaged_files_are_replaced(
    package: Path, tmp_path: Path, suffix: str, damage: str
) -> None:
    variables = environment(tmp_path)
    run_python(script_in(package), environment=variables)
    (file,) = Path(beside_the_sources(package)).glob(f"*.logsumexp_float32_*.{suffix}")
    content = file.read_bytes()
    damaged = {"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\x00garbage" * 9}
    file.write_bytes(damaged[damage])
    numbers = [
        run_python(script_in(package), environment=variables).stdout.split()[0] for _ in range(2)
    ]
    assert numbers == ["1", "0"]


def test_several_processes_fill_an_empty_cache_at_once(package: Path, tmp_path: Path) -> None:
    """All give the right result, and what they leave behind can be used."""
    start = "\nimport fastsoftmax._backends.jitted\nprint('ready', flush=True)\ninput()\n"
    script = use(package) + RECORD + start + CALLS
    cache = tmp_path / "cache"
    variables = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert errors == ""
        assert Path(output.split()[1]).is_relative_to(cache)
    assert not list(cache.rglob("*.tmp.*"))
    done = run_python(script_in(package), environment={"NUMBA_CACHE_DIR": str(cache)})
    assert done.stdout.split()[0] == "0"
