"""The command line, run as its users run it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fastsoftmax as fs
from fastsoftmax.__main__ import main
from fastsoftmax._cli import benchmark, checks, numpy_baseline, problems
from fastsoftmax._cli.commands import COMMANDS
from fastsoftmax._cli.console import Output, Table

from .command_line import assert_plain, run

BACKENDS = fs.available_backends()
FAST = [name for name in BACKENDS if name != "numpy"]
QUICK = ("--shapes", "3x4", "--rounds", "3", "--backends", "numpy")

needs_fast_backend = pytest.mark.skipif(not FAST, reason="neither c nor numba is available")


@pytest.fixture(scope="module")
def overview() -> subprocess.CompletedProcess[str]:
    """What the command says without an argument."""
    return run()


def test_overview_passes_and_is_plain(overview: subprocess.CompletedProcess[str]) -> None:
    assert overview.returncode == 0, overview.stdout + overview.stderr
    assert re.search(r"^all \d+ checks: pass$", overview.stdout, re.MULTILINE)
    assert overview.stderr == ""
    assert_plain(overview.stdout)


def test_overview_shows_the_configuration(overview: subprocess.CompletedProcess[str]) -> None:
    assert f"fastsoftmax {fs.__version__}" in overview.stdout
    assert np.__version__ in overview.stdout
    assert ", ".join(BACKENDS) in overview.stdout


@pytest.mark.parametrize("backend", BACKENDS)
def test_overview_works_the_example(
    overview: subprocess.CompletedProcess[str], backend: str
) -> None:
    """The numbers were worked out with exp and log alone, on paper as it were."""
    lines = [re.sub(r" +", " ", line) for line in overview.stdout.splitlines()]
    assert f"{backend} p 0.08537 0.23206 0.63080 0.05178 0.46077" in lines
    assert f"{backend} p − t +0.08537 +0.23206 -0.36920 +0.05178 ++−+" in lines
    assert f"{backend} p − t, sample 1 +0.09942 +0.05456 +0.24454 -0.39853 +++−" in lines
    mean = f"{backend} (1/3) Σ (p − t) +0.22991 +0.14623 -0.34414 -0.03200 1.11749 ++−−"
    assert mean in lines
    assert f"backend {backend} 1.000000000000 6.183461e-09 -6.183461e-09" in lines
    assert "the formulas as written 1.000000000000 0.000000e+00 0.000000e+00" in lines
    assert any(line.startswith(f"{backend} ∂J/∂f, three samples") for line in lines)


@needs_fast_backend
def test_overview_times_against_numpy(overview: subprocess.CompletedProcess[str]) -> None:
    for operation in ("softmax", "value_and_grad", "value_and_mean_grad"):
        assert f"\n{operation}, float32\n" in overview.stdout
    for backend in FAST:
        assert f"NumPy / {backend}" in overview.stdout
    assert re.search(r"256 × 1000 +1 .*\d\.\d\d ±\d+%", overview.stdout)


def test_info_as_text_and_as_json() -> None:
    text, document = run("info"), run("info", "--json")
    assert text.returncode == document.returncode == 0
    assert_plain(text.stdout)
    assert json.loads(document.stdout)["version"] == fs.__version__
    assert fs.__version__ in text.stdout


def test_check_compares_every_backend() -> None:
    done = run("check", "--seed", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_plain(done.stdout + done.stderr)
    if FAST:
        header = next(line for line in done.stdout.splitlines() if line.startswith("function"))
        assert header.split()[1:-1] == [
            word for name in FAST for dtype in ("float32", "float64") for word in (name, dtype)
        ]
    assert "FAIL" not in done.stdout


def test_a_failed_check_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        checks, "cross_entropy_grad", lambda *args, **kw: -fs.cross_entropy_grad(*args, **kw)
    )
    assert main(["check", "--backends", "numpy"]) == 1
    shown = capsys.readouterr().out
    assert re.search(r"numpy +∂J/∂f, one sample.* FAIL\n", shown)
    assert re.search(r"numpy +\(1/m\) Σ \(p − t\), one sample.* pass\n", shown)
    assert re.search(r"\d+ of \d+ checks: FAIL\n$", shown)


def test_nan_fails_a_check() -> None:
    assert not checks.Check("", "", float("nan"), 1).passed


def test_bench_writes_json_and_tables(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    done = run("bench", *QUICK, "--ops", "softmax,grad_hess", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert_plain(done.stdout + done.stderr)
    assert "grad_hess, float32" in done.stdout
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["config"]["version"] == fs.__version__
    results = document["results"]
    assert [(r["operation"], r["implementation"]) for r in results] == [
        (operation, name) for operation in ("softmax", "grad_hess") for name in ("NumPy", "numpy")
    ]
    for result in results:
        low, high = result["quartiles_seconds"]
        assert 0 < low <= result["median_seconds"] <= high
        assert len(result["rounds"]) == 3


def test_bench_json_alone_on_standard_output() -> None:
    done = run("bench", *QUICK, "--ops", "softmax", "--dtypes", "float64", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert {r["dtype"] for r in json.loads(done.stdout)["results"]} == {"float64"}
    assert done.stderr == ""


@needs_fast_backend
def test_bench_leaves_the_reference_backend_out() -> None:
    done = run("bench", "--shapes", "2x3", "--rounds", "3", "--ops", "softmax", "--threads", "1,2")
    assert done.returncode == 0, done.stderr
    header = next(line for line in done.stdout.splitlines() if line.startswith("shape"))
    assert re.split(r"  +", header) == [
        "shape", "threads", "NumPy", *FAST, *(f"NumPy / {name}" for name in FAST)
    ]  # fmt: skip
    assert len(re.findall(r"^2 × 3 +[12] ", done.stdout, re.MULTILINE)) == 2


def test_bench_reports_a_wrong_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "prepare", lambda problem, *_: lambda: problem.logits)
    assert main(["bench", *QUICK, "--ops", "softmax"]) == 1
    assert re.search(r"wrong answer by numpy: result 0 of softmax is off", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "--shapes", "256"], "'256' is not of the form MxK"),
        (["bench", "--shapes", "0x3"], "'0x3' is not of the form MxK with positive numbers"),
        (["bench", "--ops", "sofmax"], "unknown operation 'sofmax'; choose from softmax, "),
        (["bench", "--dtypes", "int8"], "unknown dtype 'int8'; choose from float32, float64"),
        (["bench", "--threads", "0"], "'0' is not a positive whole number"),
        (["bench", "--rounds", "x"], "'x' is not a positive whole number"),
        (["check", "--backends", "cuda"], "unknown backend 'cuda'; choose from c, numba, numpy"),
        (["bench", "--shapes", ","], "argument --shapes: expected at least one value"),
        (["bench", "--json", "no/such/folder/x.json"], "cannot write no/such/folder/x.json: there"),
        (["info", "--json", "."], "cannot write .: it is a directory"),
        (["bench", "--plot", "x.bmp"], "the file's name must end in .png, .svg or .pdf"),
        (["bench", "--plot", "no/such/folder/x.png"], "there is no directory no/such/folder"),
        (["bench", "--theme", "blue"], "invalid choice: 'blue'"),
        (["accuracy", "--functions", "softmin"], "unknown function 'softmin'; choose from softmax"),
        (["accuracy", "--rows", "odd"], "unknown kind 'odd'; choose from random, saturated, host"),
        (["accuracy", "--peers", "theano"], "unknown library 'theano'; choose from numpy, scipy"),
        (
            ["accuracy", "--dtypes", "float16"],
            "unknown dtype 'float16'; choose from float32",
        ),
        (
            ["accuracy", "--functions", "cross_entropy_mean_grad", "--plot", "x.png"],
            "--plot draws errors of single rows, which cross_entropy_mean_grad has not",
        ),
        (["wrong"], "invalid choice: 'wrong'"),
    ],
)
def test_bad_requests_are_explained(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(arguments)
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), *((name,) for name in COMMANDS if name != "overview")])
def test_help(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main([*arguments, "--help"])
    assert exit_info.value.code == 0
    shown = capsys.readouterr().out
    assert "usage: fastsoftmax" in shown
    assert "--json" in shown
    assert "examples:\n  " in shown
    assert shown.isascii()
    if arguments == ("bench",):
        options = "--shapes --dtypes --ops --backends --threads --rounds --json --plot --theme"
        assert all(option in shown for option in options.split())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"fastsoftmax {fs.__version__}\n"


def test_table_aligns_its_columns(tmp_path: Path) -> None:
    table = Table("Title", ("name", "value"), note="A note.")
    table.add("a", "1")
    table.add("long name", "-12.5")
    file = tmp_path / "table.txt"
    with file.open("w", encoding="utf-8") as stream:
        Output(stream).table(table)
    assert file.read_text(encoding="utf-8").splitlines() == [
        "",
        "Title",
        "name       value",
        "---------  -----",
        "a              1",
        "long name  -12.5",
        "A note.",
    ]


@pytest.mark.parametrize("operation", problems.OPERATIONS)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("reuse", [True, False])
def test_numpy_baseline_is_right(operation: str, order: str, axis: int, reuse: bool) -> None:
    """What ratios are taken to: on few and many classes, called again on its own output."""
    for shape in ((1, 4), (3, 40), (70, 5), (400, 3), (300, 20)):
        for dtype in problems.DTYPES:
            problem = problems.make_problem(
                operation, shape, dtype, axis=axis, order=order, reuse=reuse
            )
            untouched = problem.logits.copy()
            call = numpy_baseline.prepare(problem)
            first, second = call(), call()
            problems.verify(problem, second)
            np.testing.assert_array_equal(problem.logits, untouched)
            if operation == "softmax":
                assert (first is second) == reuse
                assert first.dtype == dtype


def test_verify_finds_wrong_answers() -> None:
    problem = problems.make_problem("softmax", (3, 4), "float32")
    (right,) = problems.expected(problem)
    problems.verify(problem, right.astype(np.float32))
    with pytest.raises(problems.WrongAnswerError, match="result 0 of softmax is off by"):
        problems.verify(problem, right * 1.001)
    with pytest.raises(problems.WrongAnswerError, match=r"has shape \(4, 3\), not \(3, 4\)"):
        problems.verify(problem, right.T)
    with pytest.raises(problems.WrongAnswerError, match="off by nan"):
        problems.verify(problem, np.full((3, 4), np.nan))
    with pytest.raises(problems.WrongAnswerError, match="returned 2 results, not 1"):
        problems.verify(problem, (right, right))
