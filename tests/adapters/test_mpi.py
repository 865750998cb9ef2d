"""The trainer on several processes: what one process gets, whichever way the work is shared.

The samples are scikit-learn's digits where that is installed, else made up ones.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from . import library

Array = npt.NDArray[Any]

EXAMPLE = Path(__file__).parents[2] / "examples" / "mpi_trainer.py"
TIMEOUT = 120  # seconds; processes that wait for each other are killed and fail the test
STEPS = 8
MADE_UP = ("--samples", "1797", "--classes", "10")
DIGITS = () if importlib.util.find_spec("sklearn") else MADE_UP

# Sums of the same terms in another order: a rounding here and there, over so many steps. Of the
# largest entry the differences are 8e-16 and 2e-7 where that was measured.
TOLERANCE = {"float64": 1e-14, "float32": 2e-6}


def file_of(package: str, name: str) -> Path | None:
    """Return a file that an installed package came with."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())).resolve() for file in files if file.name == name), None)


def find_mpiexec() -> str | None:
    """Look beside the interpreter, in the package from PyPI, and on the PATH."""
    beside = Path(sys.executable).parent / "mpiexec"
    installed = file_of("mpich", "mpiexec")
    for path in (beside, installed):
        if path is not None and path.exists():
            return str(path)
    return shutil.which("mpiexec")


def environment() -> dict[str, str]:
    """Tell mpi4py of the library from PyPI where it is not beside the interpreter."""
    variables = {**os.environ, "PYTHONWARNINGS": "error"}
    installed = file_of("mpich", "libmpi.so.12")
    if installed is not None and "MPI4PY_LIBMPI" not in variables:
        variables["MPI4PY_LIBMPI"] = str(installed)
    return variables


if importlib.util.find_spec("mpi4py") is None:
    library("mpi4py")
MPIEXEC = find_mpiexec()
if MPIEXEC is None:
    if "mpi4py" in os.environ.get("FASTSOFTMAX_TEST_REQUIRE", "").split(","):
        pytest.fail("mpi4py is required here, but there is no mpiexec", pytrace=False)
    pytest.skip("there is no mpiexec", allow_module_level=True)


def run(processes: int, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the example on so many processes of this machine."""
    command = [str(MPIEXEC), "-n", str(processes), sys.executable, str(EXAMPLE), *arguments]
    with subprocess.Popen(
        command,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        try:
            out, errors = started.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, 9)
            out, errors = started.communicate()
            pytest.fail(f"still running after {TIMEOUT} s\n{out}\n{errors}")
    if check and started.returncode:
        pytest.fail(f"exit status {started.returncode}\n{out}\n{errors}")
    return subprocess.CompletedProcess(command, started.returncode, out, errors)


def trained(folder: Path, processes: int, *arguments: str) -> dict[str, Array]:
    """Return the losses before each step, and the parameters after the last."""
    file = folder / "run.npz"
    run(processes, "--steps", str(STEPS), "--save", str(file), *arguments)
    with np.load(file) as saved:
        return dict(saved)


def assert_close(actual: dict[str, Array], expected: dict[str, Array], tolerance: float) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        error = np.abs(actual[name].astype(np.float64) - value).max() / np.abs(value).max()
        assert error <= tolerance, f"{name} differs by {error:.1e}"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("hidden", ["0", "24"], ids=["regression", "network"])
def test_any_number_of_processes_trains_alike(tmp_path: Path, dtype: str, hidden: str) -> None:
    arguments = ("--dtype", dtype, "--hidden", hidden, *(MADE_UP if hidden != "0" else DIGITS))
    one = trained(tmp_path, 1, *arguments)
    assert len(one["losses"]) == STEPS
    assert one["losses"][-1] < 0.9 * one["losses"][0]
    for parallel, processes in (("data", 2), ("data", 4), *(("classes", n) for n in (1, 2, 4))):
        many = trained(tmp_path, processes, "--parallel", parallel, *arguments)
        assert many["weight"].dtype == dtype
        assert_close(many, one, TOLERANCE[dtype])


def test_one_process_is_plain_gradient_descent(tmp_path: Path) -> None:
    """With the formulas as a textbook has them."""
    made_up = ("--samples", "500", "--features", "7", "--classes", "5", "--rate", "0.5")
    file = tmp_path / "run.npz"
    run(1, "--steps", "6", "--save", str(file), *made_up)
    # The same samples and first parameters, from the seeds that the example names.
    centres = np.random.default_rng(0).standard_normal((5, 7))
    rng = np.random.default_rng([1, 0])
    labels = rng.integers(0, 5, 4096)
    x = (centres[labels] + rng.standard_normal((4096, 7)))[:500] / 7**0.5
    labels = labels[:500]
    weight, bias = 0.01 * np.random.default_rng(2).standard_normal((5, 7)), np.zeros(5)
    losses = []
    for _ in range(6):
        f = x @ weight.T + bias
        p = np.exp(f) / np.exp(f).sum(axis=1, keepdims=True)
        losses.append(-np.log(p[np.arange(500), labels]).mean())
        g = (p - np.eye(5)[labels]) / 500
        weight, bias = weight - 0.5 * g.T @ x, bias - 0.5 * g.sum(axis=0)
    with np.load(file) as saved:
        assert_close(
            dict(saved), {"losses": np.array(losses), "weight": weight, "bias": bias}, 1e-13
        )


@pytest.mark.parametrize("parallel", ["data", "classes"])
def test_the_same_bits_whoever_is_late(tmp_path: Path, parallel: str) -> None:
    arguments = ("--parallel", parallel, "--hidden", "8", "--dtype", "float32", *MADE_UP)
    first, second, late = (
        trained(tmp_path, 4, *arguments, "--stagger", stagger) for stagger in ("0", "0", "0.02")
    )
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name
        assert value.tobytes() == late[name].tobytes(), name


def test_times_and_bytes_are_reported() -> None:
    sizes = ("--samples", "600", "--features", "16", "--classes", "50", "--steps", "3", "--time")
    data = run(2, "--parallel", "data", *sizes).stdout
    classes = run(2, "--parallel", "classes", *sizes).stdout
    pattern = r"2 processes, 2 steps after the first: [\d.]+ ms ±\d+%, .* of ([\d.e+]+) bytes"
    by_data, by_classes = (re.search(pattern, text) for text in (data, classes))
    assert by_data is not None
    assert by_classes is not None
    # Weights and biases in float64 and both processes' four numbers; their states of 8 numbers.
    assert float(by_data[1]) == pytest.approx(50 * 17 * 8 + 2 * 4 * 8, rel=0.01)
    assert float(by_classes[1]) == pytest.approx(2 * 600 * 8 * 8, rel=0.01)


def test_what_cannot_be_shared_is_refused() -> None:
    done = run(4, "--parallel", "classes", "--samples", "20", "--classes", "3", check=False)
    assert done.returncode != 0
    assert "4 processes cannot share 3 classes" in done.stderr


def test_a_process_that_fails_ends_all() -> None:
    done = run(2, "--samples", "20", "--classes", "3", "--save", "/nowhere/run", check=False)
    assert done.returncode != 0
    assert "FileNotFoundError" in done.stderr
