"""The examples, run as their users run them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastsoftmax as fs

TIMEOUT = 300
DIGITS = Path(__file__).parent.parent / "examples" / "digits.py"

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec(module) is None, reason=f"the example needs {module}"
    )
    for module in ("sklearn", "scipy")
]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the example of the digits in a folder."""
    return run_python(folder, str(DIGITS), *arguments)


def run_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in a folder, its output in pipes."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )


def epochs(text: str) -> list[tuple[int, float, float, float]]:
    """Return the lines of epochs: number, loss, held-out loss, accuracy in percent."""
    lines = re.findall(r"^ *(\d+) +([\d.]+) +([\d.]+) +([\d.]+) %$", text, re.MULTILINE)
    return [(int(n), float(a), float(b), float(c)) for n, a, b, c in lines]


@pytest.mark.parametrize(
    ("model", "count", "loss", "accuracy"),
    [("gd", 50, 0.4, 92), ("lbfgs", 30, 0.06, 96), ("network", 30, 0.01, 97)],
)
def test_models_learn(tmp_path: Path, model: str, count: int, loss: float, accuracy: float) -> None:
    done = run(tmp_path, "--model", model, "--no-plot")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    lines = epochs(done.stdout)
    assert [line[0] for line in lines] == list(range(1, count + 1))
    assert lines[-1][1] < loss < lines[0][1]
    assert lines[-1][3] > accuracy
    assert list(tmp_path.iterdir()) == []


def test_all_backends_give_the_same_curves(tmp_path: Path) -> None:
    done = run(tmp_path, "--all-backends", "--epochs", "8", "--no-plot")
    assert done.returncode == 0, done.stdout + done.stderr
    others = [name for name in fs.available_backends() if name != fs.get_backend()]
    found = re.findall(r"^largest relative difference, (\w+) from (\w+): (\S+)$", done.stdout, re.M)
    assert [name for name, _, _ in found] == others * 3
    assert all(reference == fs.get_backend() for _, reference, _ in found)
    assert all(float(difference) < 1e-9 for _, _, difference in found)
    assert len(epochs(done.stdout)) == 3 * 8


def test_a_run_can_be_repeated(tmp_path: Path) -> None:
    arguments = ("--model", "network", "--backend", "numpy", "--epochs", "3", "--no-plot")
    first, second = (epochs(run(tmp_path, *arguments).stdout) for _ in range(2))
    assert len(first) == 3
    assert first == second


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the plot needs matplotlib"
)
def test_a_plot_is_saved(tmp_path: Path) -> None:
    done = run(tmp_path, "--epochs", "2", "--plot", "losses.png")
    assert done.returncode == 0, done.stderr
    assert "losses drawn to losses.png" in done.stdout
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_bad_epochs_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "--epochs", "0")
    assert done.returncode == 2
    assert "--epochs must be at least 1" in done.stderr


def run_without(module: str, example: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an example, by its name, as where a module is not installed."""
    code = (
        f"import runpy, sys; sys.modules[{module!r}] = None; sys.argv = sys.argv[1:];"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return run_python(folder, "-c", code, str(DIGITS.with_name(f"{example}.py")))


@pytest.mark.parametrize("name", ["digits", "confident"])
def test_without_scikit_learn_the_message_says_what_to_install(name: str, tmp_path: Path) -> None:
    done = run_without("sklearn", name, tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    message = 'the digits come with scikit-learn: pip install "fastsoftmax[examples]"'
    assert done.stderr == f"{message}\n"


@pytest.mark.parametrize(
    ("name", "module", "install"),
    [
        ("numba_trainer", "numba", '"fastsoftmax[numba,examples]"'),
        ("dask_softmax_regression", "dask", '"fastsoftmax[dask]" distributed scipy'),
        ("mpi_trainer", "mpi4py", 'mpi4py mpich "fastsoftmax[examples]"'),
    ],
)
def test_without_its_library_an_example_says_what_to_install(
    name: str, module: str, install: str, tmp_path: Path
) -> None:
    done = run_without(module, name, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert module in done.stderr
    assert done.stderr.endswith(f": pip install {install}\n")


def test_confident_samples_keep_their_gradient(tmp_path: Path) -> None:
    """At the end of a short run some samples have a margin of 17, and each still has a gradient."""
    example = DIGITS.with_name("confident.py")
    done = run_python(tmp_path, str(example), "--epochs", "60", "--no-plot")
    assert done.returncode == 0, done.stderr
    header, *lines = [line.split() for line in done.stdout.splitlines()[2:]]
    assert header[:2] == ["epoch", "loss"]
    shares = [dict(zip(header[2:], line[2::2], strict=True)) for line in lines]
    assert all(share["fastsoftmax"] == "0.0" for share in shares)
    for other in {"PyTorch", "JAX"} & set(header):
        assert float(shares[0][other]) == 0
        assert float(shares[-1][other]) > 0
    assert not list(tmp_path.iterdir())
