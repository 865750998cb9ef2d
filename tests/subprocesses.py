"""Running a piece of Python in a process of its own, with a watchdog."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

TIMEOUT = 600  # seconds; a script that hangs is killed and fails its test


def run_python(
    script: str | Path, *, environment: dict[str, str | None] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a script, given as text or by its path, with these environment variables set.

    fastsoftmax's own are cleared before; a variable given as None is removed.
    """
    variables = {k: v for k, v in os.environ.items() if not k.startswith("FASTSOFTMAX_")}
    for name, value in (environment or {}).items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    program = [script] if isinstance(script, Path) else ["-c", textwrap.dedent(script)]
    done = subprocess.run(
        [sys.executable, "-W", "error", *program],
        env=variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(
            f"exit status {done.returncode}\n--- output\n{done.stdout}\n--- errors\n{done.stderr}"
        )
    return done


def run_compiler(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a compiler, without what is loaded into the tests' own process, as sanitizers may be."""
    variables = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=check)
