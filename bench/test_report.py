"""The report, on times made up."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPORT = Path(__file__).with_name("report.py")


def _benchmark(implementation: str, shape: tuple[int, int], median: float) -> dict[str, Any]:
    info = {
        "operation": "softmax",
        "shape": list(shape),
        "dtype": "float32",
        "order": "C",
        "axis": -1,
        "outputs": "reused",
        "threads": 1,
        "implementation": implementation,
    }
    stats = {"median": median, "q1": 0.9 * median, "q3": 1.1 * median}
    return {"extra_info": info, "stats": stats}


@pytest.fixture
def times(tmp_path: Path) -> Path:
    """A file of times: c against three peers on one shape, and against nobody on another."""
    benchmarks = [
        _benchmark("c", (256, 1000), 1e-4),
        _benchmark("numba", (256, 1000), 0.5e-4),
        _benchmark("numpy", (256, 1000), 4e-4),
        _benchmark("torch", (256, 1000), 2e-4),
        _benchmark("scipy", (256, 1000), 5e-4),
        _benchmark("c", (1, 4), 2e-6),
    ]
    machine = {"cpu": {"brand_raw": "A CPU", "count": 2}, "system": "Linux"}
    machine["python_version"] = "3.12.0"
    file = tmp_path / "times.json"
    file.write_text(json.dumps({"machine_info": machine, "benchmarks": benchmarks}))
    return file


def _report(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPORT), *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_ratios(times: Path) -> None:
    """4 times as fast as NumPy and twice as fast as the fastest peer, which is not numba."""
    done = _report(times)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("A CPU, 2 CPUs, Linux, Python 3.12.0.\n")
    assert "### softmax, float32, C order, axis -1, reused outputs, 1 thread" in done.stdout
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    assert ["m × K", "c", "numpy", "numpy / c", "fastest / c", "fastest peer"] in rows
    large = ["256 × 1000", "100 µs ±10%", "400 µs ±10%", "4.00 (3.27–4.89)", "2.00 (1.64–2.44)"]
    assert [*large, "torch"] in rows
    assert ["1 × 4", "2 µs ±10%", "–", "–", "–", "–"] in rows


def test_another_backend_against_another_peer_in_plain_text(times: Path) -> None:
    done = _report(times, "--ours=numba", "--against=scipy", "--every", "--format=plain")
    assert done.returncode == 0, done.stderr
    assert "|" not in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("256 × 1000"))
    assert "10.00 (8.18–12.22)" in row
    assert "100 µs" in row


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the plot needs matplotlib"
)
@pytest.mark.parametrize("every", [[], ["--every"]])
def test_plot(times: Path, tmp_path: Path, every: list[str]) -> None:
    file = tmp_path / "ratios.png"
    done = _report(times, "--plot", file, *every)
    assert done.returncode == 0, done.stderr
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text("{}")
    done = _report(file)
    assert done.returncode == 2
    assert "is not a pytest-benchmark JSON file" in done.stderr
    assert "Traceback" not in done.stderr
