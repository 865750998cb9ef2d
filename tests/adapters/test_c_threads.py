"""Threads of C programs that call the library."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .test_c_abi import build

PROGRAM = Path(__file__).parent / "cancelled_threads.c"


def test_cancelled_in_the_midst_of_calls(tmp_path: Path) -> None:
    """A thread that waits for the others is not cancelled there, holding what they need."""
    flags = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O1", "-pthread", "-Wall", "-Wextra"]
    build("gcc", PROGRAM, tmp_path / "program", *flags, "-Werror")
    done = subprocess.run(
        [tmp_path / "program"],
        env={"FASTSOFTMAX_NUM_THREADS": "4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done
