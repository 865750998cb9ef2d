"""The figures: ratios, verdicts, tables and places in a document, on times made up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.figures.document import fill, keys, part
from bench.figures.judging import Comparison, Record, Target, contenders, fastest
from bench.figures.lines import LINES, verdicts
from bench.figures.machine import SHARES, noise_text
from bench.figures.measuring import Noise
from bench.figures.memory import COPIES, READS, copies, reads, split
from bench.figures.tables import compact, full, summary

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"

# Every round of a call takes its median times these.
_ROUNDS = np.array([0.9, 1.0, 1.1])


def _record(
    line: int,
    medians: dict[str, float],
    threads: int = 1,
    shape: tuple[int, int] = (4096, 4096),
) -> Record:
    times = {name: median * _ROUNDS for name, median in medians.items()}
    return Record(line, "softmax", shape, "float32", threads, times)


def _cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_the_fastest_peer_counts() -> None:
    """1.6 times as fast as ONNX Runtime: enough for line 1, not for line 2."""
    times = {"ours": 1e-2, "numpy": 8e-2, "torch": 2e-2, "onnxruntime": 1.6e-2}
    (first,) = verdicts(_record(1, times))
    (second,) = verdicts(_record(2, times))
    assert (first.fastest, first.reached, second.reached) == ("onnxruntime", "yes", "no")
    assert first.ratios["numpy"].median == pytest.approx(8)
    assert first.nanoseconds == pytest.approx(1e7 / 4096**2)


def test_ratios_are_of_the_same_rounds() -> None:
    """A round in which the machine was slow for both has the usual ratio."""
    ours, reference = np.array([1.0, 1.0, 5.0, 1.0]), np.array([2.0, 2.0, 10.0])
    ratio = Target("faster", 2).ratio(ours, reference)
    assert (ratio.low, ratio.median, ratio.high) == (2, 2, 2)


@pytest.mark.parametrize(
    ("threads", "ours", "reached"), [(1, 1.45, "yes"), (1, 1.55, "no"), (2, 1.45, "no")]
)
def test_the_target_beside_a_copy_depends_on_the_threads(
    threads: int, ours: float, reached: str
) -> None:
    (verdict,) = verdicts(_record(3, {"ours": ours, "copyto": 1}, threads))
    assert verdict.reached == reached
    assert verdict.ratios["copyto"].median == pytest.approx(ours)


@pytest.mark.parametrize(
    ("one_thread", "copyto", "reached"),
    [(1.9, 0.1, "yes"), (1.5, 0.1, "no"), (1.5, 0.8, "memory"), (0.9, 0.8, "no")],
)
def test_threads_count_unless_memory_is_the_limit(
    one_thread: float, copyto: float, reached: str
) -> None:
    record = _record(12, {"ours": 1, "one thread": one_thread, "copyto": copyto}, 2)
    assert [v.reached for v in verdicts(record)] == [reached]


def test_threads_on_a_tiny_array_need_only_not_be_slower() -> None:
    record = _record(12, {"ours": 1, "one thread": 0.97, "copyto": 1}, 2, (1, 4))
    assert [v.reached for v in verdicts(record)] == ["yes"]


def test_our_own_variants_are_compared_with_the_plain_one() -> None:
    """bfloat16 is missing, so it is left out."""
    (verdict,) = verdicts(_record(11, {"ours": 1, "float16": 1.05}))
    assert (verdict.label, verdict.fastest, verdict.reached) == ("softmax, float16", "ours", "yes")


def test_nothing_to_compare_with() -> None:
    assert verdicts(_record(1, {"ours": 1})) == []
    assert fastest({}, ("numpy",)) is None


def test_who_stays_in_the_race() -> None:
    times = {name: t * _ROUNDS for name, t in {"ours": 9, "a": 1, "b": 1.4, "c": 1.6}.items()}
    comparison = Comparison("ours", ("a", "b", "c", "d"), Target("faster", 2))
    assert contenders(times, [comparison]) == {"ours", "a", "b"}


def test_records_survive_json() -> None:
    record = _record(1, {"ours": 1 / 3, "numpy": 1})
    again = Record.from_json(json.loads(json.dumps(record.to_json())))
    assert (again.line, again.shape, again.threads) == (1, (4096, 4096), 1)
    np.testing.assert_allclose(again.times["ours"], record.times["ours"], rtol=1e-5)


def test_tables() -> None:
    found = [
        v
        for threads, ours in ((1, 1e-2), (2, 5e-3))
        for v in verdicts(_record(1, {"ours": ours, "numpy": 2e-2, "torch": 1.2e-2}, threads))
    ]
    head, _, *rows = _cells(full(found))
    assert head[3:] == ["threads", "ours", "ns/element", "numpy", "torch", "target", "reached"]
    assert rows[0][2:5] == ["float32", "1", "10 ms ±5%"]
    assert rows[0][6:] == ["2.00 ±0%", "1.20 ±0%", "≥ 1.5", "no"]
    head, _, *rows = _cells(compact(found))
    assert head[3::4] == ["1 thread", "2 threads"]
    one = ["softmax", "4096 × 4096", "float32", "10 ms ±5%", "0.596", "1.20 ±0% (torch)", "no"]
    assert rows == [[*one, "5 ms ±5%", "0.298", "2.40 ±0% (torch)", "yes"]]
    assert _cells(summary({1: found}))[2] == ["1", "[probabilities](#probabilities)", "1", "0", "2"]


def test_noise() -> None:
    """Threads that do not have their CPUs all the time: another process is there."""
    quiet = {"exp": [2.0, 2.0, 2.2], "exp, split": [1.0, 1.0, 1.1], SHARES: [1.0, 0.99, 0.5]}
    text = noise_text({"2": quiet})
    assert "2 threads, from 3 repeats" in text
    assert "`exp` ±2.5%, at worst +10%" in text
    assert "together were 2.00 times as fast as one." in text
    assert "do not count" not in text
    assert "had its CPU for 99% of the time" in text
    assert "do not count" in noise_text({"2": {**quiet, SHARES: [0.6, 0.5, 1.0]}})


def test_noise_of_another_process() -> None:
    """A thread that shares its CPU with a busy process has about half of it."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs a process that can be kept to a CPU")
    before = os.sched_getaffinity(0)
    cpu = min(before)
    spin = f"import os; os.sched_setaffinity(0, {{{cpu}}}); print(flush=True)\nwhile True: pass"
    os.sched_setaffinity(0, {cpu})
    other = subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        noise = Noise(1)
        noise.listen()
    finally:
        other.kill()
        other.communicate()
        os.sched_setaffinity(0, before)
    assert noise.shares[0] < 0.9


def test_places_of_a_document() -> None:
    document = "a\n<!-- figures:one -->\nold\n<!-- end -->\nb\n<!-- figures:two -->\n<!-- end -->\n"
    assert keys(document) == ["one", "two"]
    filled = fill(document, {"two": "| new \\1 |"})
    assert filled == document.replace("two -->\n", "two -->\n| new \\1 |\n")
    assert fill(filled, {"two": ""}).count("new") == 0
    with pytest.raises(ValueError, match="no place for three"):
        fill(document, {"three": ""})


def test_the_document_has_a_place_for_every_line() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    wanted = ["machine", "summary", *(line.key for line in LINES.values())]
    assert sorted(keys(document)) == sorted(wanted)
    # The summary links to the headings.
    for line in LINES.values():
        assert f'<a id="{line.key}"></a>' in document


@pytest.mark.parametrize("threads", [1, 3])
def test_moving_memory(threads: int) -> None:
    x = np.arange(10.0).reshape(2, 5)
    moving = {**copies(x, threads, 2), **reads(x, threads)}
    assert len(moving) == (3 if threads == 1 else 6)
    assert set(moving) <= {*COPIES, *READS}
    for call in moving.values():
        call()
    out = np.zeros_like(x)
    if threads > 1:
        split(lambda a, b: np.copyto(b, a), (x, out), threads)()
        np.testing.assert_array_equal(out, x)


def _figures(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.figures", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A file of figures: one record."""
    machine: dict[str, Any] = {"cpu": "A CPU", "cpus": 2, "system": "Linux", "python": "3.12.0"}
    machine |= {"instruction set": "avx2", "versions": {"numpy": "2.0"}, "missing": ["jax"]}
    settings = {"ours": "c", "effort": {"rounds": 3, "seconds": 1.0, "quick": True}}
    document = {
        "machine": machine,
        "settings": settings,
        "noise": {"1": {"exp": [1.0, 1.1]}},
        "records": [_record(1, {"ours": 1e-2, "numpy": 2e-2}).to_json()],
    }
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(document))
    return file


def test_recorded_figures_are_written_into_the_document(recorded: Path, tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    file.write_text(DOCUMENT.read_text(encoding="utf-8"), encoding="utf-8")
    done = _figures("--read", recorded, "--write", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "A CPU, 2 usable CPUs, Linux, instruction set avx2; Python 3.12.0"
    )
    assert "### 1. At least 1.5 times as fast" in done.stdout
    written = file.read_text(encoding="utf-8")
    assert "2.00 ±0% (numpy)" in written
    assert "not installed: jax" in written


def test_a_part_of_the_lines_leaves_the_rest_of_the_document(
    recorded: Path, tmp_path: Path
) -> None:
    """It says where it was measured, and the summary has the others' counts of before."""
    file = tmp_path / "performance.md"
    before = DOCUMENT.read_text(encoding="utf-8")
    file.write_text(before, encoding="utf-8")
    assert _figures("--read", recorded, "--write", file).returncode == 0
    after = file.read_text(encoding="utf-8")
    assert "Measured apart from the other tables: A CPU, 2" in part(after, "probabilities")
    for key in keys(before):
        if key not in ("summary", "probabilities"):
            assert part(after, key) == part(before, key)
    old, new = (_cells(part(text, "summary")) for text in (before, after))
    assert new[2] == ["1", "[probabilities](#probabilities)", "1", "0", "1"]
    assert new[3:] == old[3:]


def test_files_of_another_kind(recorded: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    for arguments in (["--read", other], ["--read", recorded, "--write", other]):
        done = _figures(*arguments)
        assert done.returncode == 2
        assert str(other) in done.stderr
        assert "Traceback" not in done.stderr


def test_a_line_that_does_not_exist() -> None:
    done = _figures("--lines", "1,99")
    assert done.returncode == 2
    assert "'99' is not a line" in done.stderr


def test_a_quick_run() -> None:
    """The smallest line, really measured, in a process of its own; its times are not judged."""
    done = _figures("--quick", "--lines=3", "--threads=1", "--rounds=3", "--json=-")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (record,) = document["records"]
    assert record["shape"] == [256, 4096]
    assert set(record["times"]) == {"ours", "copyto"}
