"""The documentation's figures: what is kept of them, and the way from data to files."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = ROOT / "bench" / "plots" / "data"
FIGURES = ROOT / "docs" / "figures"
NAMES = ("error-softmax", "error-gradient", "time-over-classes", "time-over-samples", "roofline")
LARGEST = 60_000  # bytes

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the figures need matplotlib"
)


def _plots(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.plots", *arguments],
        cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_the_kept_figures_are_small_and_without_a_date(name: str, theme: str) -> None:
    file = FIGURES / f"{name}-{theme}.svg"
    assert file.stat().st_size < LARGEST
    text = file.read_text(encoding="utf-8")
    assert "<dc:date>" not in text


def test_the_data_names_its_machine() -> None:
    for file in DATA.glob("*.json"):
        machine = json.loads(file.read_text(encoding="utf-8"))["machine"]
        assert machine["cpu"]
        assert machine["versions"]["fastsoftmax"]


@needs_matplotlib
def test_all_figures_are_drawn_from_the_kept_data(tmp_path: Path) -> None:
    done = _plots("draw", "--to", str(tmp_path))
    assert done.returncode == 0, done.stderr
    drawn = {file.name for file in tmp_path.iterdir()}
    assert drawn == {f"{name}-{theme}.svg" for name in NAMES for theme in ("light", "dark")}
    assert drawn == {file.name for file in FIGURES.glob("*.svg")}


def test_measuring_tells_what_it_knows() -> None:
    done = _plots("measure", "nothing")
    assert done.returncode == 2
    assert "no data 'nothing': choose from errors, classes-softmax" in done.stderr


def test_measuring_and_drawing_fit_together(tmp_path: Path) -> None:
    """Speeds of the few small cases alone: the others differ in their sizes."""
    done = _plots("measure", "samples-softmax", "--quick", "--data", str(tmp_path))
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "samples-softmax.json").read_text(encoding="utf-8"))
    kept = json.loads((DATA / "samples-softmax.json").read_text(encoding="utf-8"))
    assert document.keys() == kept.keys()
    assert [r["shape"] for r in document["records"]] == [r["shape"] for r in kept["records"]]
    for record in document["records"]:
        assert {"c", "numpy"} <= record["times"].keys()
        for found in record["times"].values():
            assert 0 < found["seconds"]["low"] <= found["seconds"]["median"]
