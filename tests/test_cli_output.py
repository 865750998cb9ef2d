"""Where the command line's output goes: terminals, pipes, streams that end; interrupts."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fastsoftmax as fs

from .command_line import TIMEOUT, assert_plain, command, hide, on_a_terminal, run, visible

BENCH = ("bench", "--shapes", "3x4", "--rounds", "3", "--backends", "numpy", "--ops", "softmax")
CHECK = ("check", "--backends", "numpy")
ACCURACY = (
    "accuracy", "--rows", "saturated", "--dtypes", "float32", "--functions", "softmax",
    "--backends", "numpy", "--peers", "numpy",
)  # fmt: skip
UTF8 = {"PYTHONIOENCODING": "utf-8"}

needs_rich = pytest.mark.skipif(
    importlib.util.find_spec("rich") is None, reason="rich is not installed"
)
needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals and pipes are POSIX's here")


@needs_rich
@pytest.mark.parametrize(("arguments", "doing"), [(BENCH, "timing"), (ACCURACY, "judging")])
def test_a_terminal_gets_rich_tables_and_a_bar(arguments: tuple[str, ...], doing: str) -> None:
    shown = on_a_terminal(UTF8, *arguments)
    assert "\x1b[" in shown
    assert f"{doing} ━" in visible(shown)
    assert "────" in shown
    assert max(map(len, visible(shown).splitlines())) <= 80


def test_a_terminal_without_rich_gets_plain_tables(tmp_path: Path) -> None:
    shown = on_a_terminal({**UTF8, **hide("rich", tmp_path)}, *BENCH)
    assert "timing 1/1 softmax" in shown
    assert "shape  threads" in shown
    assert "━" not in shown


@needs_rich
def test_no_color_leaves_the_colours_out() -> None:
    """Bold and the moves of a progress bar are no colours; 30 to 49 and 90 to 107 are."""
    colour = re.compile(r"\x1b\[(?:\d+;)*(?:[34]\d|9\d|10\d)(?:;\d+)*m")
    assert colour.search(on_a_terminal(UTF8, *CHECK))
    assert not colour.search(on_a_terminal({**UTF8, "NO_COLOR": "1"}, *CHECK))


def test_a_dumb_terminal_gets_plain_text() -> None:
    assert_plain(on_a_terminal({**UTF8, "TERM": "dumb"}, *BENCH).replace("\r\n", "\n"))


@needs_rich
def test_a_terminal_for_ascii_gets_ascii() -> None:
    shown = on_a_terminal({"PYTHONIOENCODING": "ascii"}, *CHECK)
    assert shown.isascii()
    assert "(p - t)" in visible(shown)


@pytest.mark.parametrize("name", ["FASTSOFTMAX_BACKEND", "FASTSOFTMAX_NUM_THREADS"])
@pytest.mark.parametrize("arguments", [CHECK, ("info",), ("info", "--json")])
def test_a_variable_without_a_meaning_is_exit_code_2(arguments: tuple[str, ...], name: str) -> None:
    done = run(*arguments, environment={name: "0.5"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"fastsoftmax: {name}=0.5 ")
    assert done.stderr.count("\n") == 1


def test_an_instruction_set_that_is_none_is_exit_code_2() -> None:
    if "c" not in fs.available_backends():
        pytest.skip("the variable is of the C extension")
    environment = {"FASTSOFTMAX_ISA": "mmx", "FASTSOFTMAX_BACKEND": ""}
    done = run("info", environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fastsoftmax: FASTSOFTMAX_ISA=mmx is not an instruction set")


def test_variables_are_shown_by_their_names() -> None:
    done = run("info", environment={"FASTSOFTMAX_NUM_THREADS": "1"})
    assert re.search("^environment: FASTSOFTMAX_NUM_THREADS +1$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("arguments", [BENCH, CHECK, ACCURACY, ("info",)])
def test_pipes_get_plain_text_whatever_is_asked(arguments: tuple[str, ...]) -> None:
    environment = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TTY_COMPATIBLE": "1"}
    done = run(*arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    assert_plain(done.stdout + done.stderr)
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [CHECK, ("--help",), ("accuracy", "--help")])
def test_an_ascii_stream_gets_ascii(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, environment={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    if arguments == CHECK:
        assert "(1/m) sum (p - t), one sample" in done.stdout


@needs_posix
@pytest.mark.parametrize("unbuffered", [True, False])
@pytest.mark.parametrize("arguments", [CHECK, (*CHECK, "--json"), ("--help",), ("info",)])
def test_a_reader_may_leave(arguments: tuple[str, ...], unbuffered: bool) -> None:
    """As in ``fastsoftmax check | head -1``: the exit code of a program that ends by SIGPIPE."""
    process = subprocess.Popen(
        command(*arguments),
        env={**os.environ, **({"PYTHONUNBUFFERED": "1"} if unbuffered else {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    # argparse itself keeps silent on a help text that nobody reads
    assert process.wait(TIMEOUT) in ({0, 141} if arguments == ("--help",) else {141})
    assert errors == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_explained() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            command("info"), stdout=full, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"fastsoftmax: cannot write the output: ")
    assert done.stderr.count(b"\n") == 1


@needs_posix
def test_output_may_be_closed() -> None:
    shell = f'exec "{sys.executable}" -m fastsoftmax info >&-'
    done = subprocess.run(
        ["/bin/sh", "-c", shell], capture_output=True, timeout=TIMEOUT, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@needs_posix
@pytest.mark.parametrize("json", [True, False])
def test_an_interrupt_is_exit_code_130(json: bool) -> None:
    """While it times a case that takes minutes."""
    slow = ("bench", "--shapes", "20000x1000", "--ops", "softmax", "--backends", "numpy")
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, sys, time\n"
            # Shells have it ignored by what they start in the background, as these tests may be.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from fastsoftmax.__main__ import main\n"
            "from fastsoftmax._cli import benchmark\n"
            "def begin(*_):\n    print('begun', file=sys.stderr, flush=True)\n    time.sleep(60)\n"
            "benchmark.measure = begin\n"
            "sys.exit(main(sys.argv[1:]))\n",
            *slow,
            *(["--json"] if json else []),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert errors == "fastsoftmax: interrupted\n"
    assert out == ""
