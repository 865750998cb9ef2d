"""``--json`` on every subcommand: valid, alone on standard output, and what the text says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fs
from fastsoftmax.__main__ import main
from fastsoftmax._cli import checks, commands, documents
from fastsoftmax._cli.commands import COMMANDS
from fastsoftmax._cli.errors import RequestError
from fastsoftmax._warmup import Compiled

from .command_line import run

ACCURACY = ("accuracy", "--rows", "saturated", "--dtypes", "float32", "--peers", "numpy")
BENCH = ("bench", "--shapes", "3x4", "--rounds", "3", "--backends", "numpy")

# A call of each subcommand, and the keys of its answer.
CALLS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "info": (("info",), set(fs.show_config(mode="dicts"))),
    "check": (("check", "--seed", "4"), {"config", "example", "checks", "passed", "seed"}),
    "bench": (BENCH, {"config", "rounds", "results"}),
    "accuracy": (
        ACCURACY,
        {"config", "passed", "unit", "implementations", "results", "saturation"},
    ),
    "config": (("config", "--cflags"), {"cflags"}),
}


def strictly(text: str) -> Any:
    """Parse JSON, and nothing that Python alone takes for it."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_no_subcommand_is_left_out() -> None:
    assert set(CALLS) >= set(COMMANDS) - {"overview", "warmup"}


@pytest.mark.parametrize("name", CALLS)
def test_alone_on_standard_output(name: str) -> None:
    arguments, keys = CALLS[name]
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert set(strictly(done.stdout)) == keys
    assert done.stderr == ""
    assert done.stdout.isascii()


def test_warmup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Without the minutes of compiling, which test_warmup is about."""
    parts = [Compiled("softmax", 0.5, str(tmp_path)), Compiled("mean", 0.25, None)]
    monkeypatch.setattr(commands, "compile_all", lambda backend, show: parts)
    assert main(["warmup", "--json"]) == 1
    shown = capsys.readouterr()
    assert strictly(shown.out) == {
        "kernels": [
            {"name": "softmax", "seconds": 0.5, "directory": str(tmp_path)},
            {"name": "mean", "seconds": 0.25, "directory": None},
        ],
        "kept": False,
    }
    assert "1 of 2 kernels could not be kept on disk" in shown.err


def test_the_main_job() -> None:
    done = run("--json")
    assert done.returncode == 0, done.stderr
    document = strictly(done.stdout)
    assert document["passed"] is True
    assert document["config"]["version"] == fs.__version__
    assert len(document["checks"]) >= 7
    compiled = {name for name in fs.available_backends() if name != "numpy"}
    timed = {record["implementation"] for record in document["speed"]["results"]}
    assert timed == ({"NumPy", *compiled} if compiled else set())
    grad = document["example"]["one sample"]["backends"]["numpy"]["gradient"]
    np.testing.assert_allclose(grad, [[0.08537, 0.23206, -0.36920, 0.05178]], atol=5e-6)


@pytest.mark.parametrize("place", [("--json", "info"), ("info", "--json"), ("info", "--json", "-")])
def test_before_or_after_the_subcommand(
    place: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(place) == 0
    assert strictly(capsys.readouterr().out)["version"] == fs.__version__


@pytest.mark.parametrize("name", ["check", "accuracy", "config"])
def test_to_a_file_beside_the_text(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answer.json"
    arguments, keys = CALLS[name]
    assert main([*arguments, "--json", str(file)]) == 0
    assert set(strictly(file.read_text(encoding="utf-8"))) == keys
    shown = capsys.readouterr().out
    assert shown
    assert "{" not in shown


def test_a_failed_check_is_in_the_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def undefined(*args: Any, **options: Any) -> Any:
        return np.nan * fs.cross_entropy_grad(*args, **options)

    monkeypatch.setattr(checks, "cross_entropy_grad", undefined)
    assert main(["check", "--backends", "numpy", "--json"]) == 1
    document = strictly(capsys.readouterr().out)
    assert document["passed"] is False
    (failed,) = [c for c in document["checks"] if c["what"] == "∂J/∂f, one sample"]
    assert (failed["worst"], failed["passed"]) == (None, False)


def test_types_that_json_lacks(tmp_path: Path) -> None:
    file = tmp_path / "types.json"
    values = {
        "array": np.eye(2, dtype=np.float32),
        "number": np.float32(0.5),
        "infinite": [np.inf, -np.inf, np.nan, np.array([1, np.nan])],
        "pair": (1, True),
        "none": None,
        3: "key",
    }
    documents.write(str(file), values)
    assert strictly(file.read_text()) == {
        "array": [[1, 0], [0, 1]],
        "number": 0.5,
        "infinite": [None, None, None, [1, None]],
        "pair": [1, True],
        "none": None,
        "3": "key",
    }


def test_a_file_that_cannot_be_written_is_found_first(tmp_path: Path) -> None:
    documents.check_target(None)
    documents.check_target("-")
    documents.check_target(str(tmp_path / "new.json"))
    with pytest.raises(RequestError, match="it is a directory"):
        documents.check_target(str(tmp_path))
    with pytest.raises(RequestError, match="there is no directory"):
        documents.check_target(str(tmp_path / "none" / "new.json"))
