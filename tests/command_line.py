"""The command line in a process of its own: in pipes, on a terminal, without some module."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["TIMEOUT", "assert_plain", "command", "hide", "on_a_terminal", "run", "visible"]

TIMEOUT = 300

_CODE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fastsoftmax", *arguments]


def run(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line, its output in pipes."""
    return subprocess.run(
        command(*arguments),
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **(environment or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )


def on_a_terminal(environment: dict[str, str], *arguments: str) -> str:
    """What the command writes to a terminal of 80 columns."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    ours, theirs = pty.openpty()
    usual = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        command(*arguments),
        env={**usual, "TERM": "xterm-256color", "COLUMNS": "80", **environment},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    assert process.wait(TIMEOUT) == 0
    return b"".join(parts).decode("utf-8")


def visible(text: str) -> str:
    """A terminal's text without the codes for colours and moves."""
    return _CODE.sub("", text)


def assert_plain(text: str) -> None:
    """Assert that there are no terminal codes and no box drawings in a text."""
    assert not re.search(r"[\x1b\r━─│╸]", text)


def hide(module: str, folder: Path) -> dict[str, str]:
    """Return an environment in which a module cannot be imported."""
    stand_in = folder / "hidden" / module
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").write_text(f"raise ImportError('{module} is hidden')\n")
    path = os.pathsep.join(filter(None, (str(stand_in.parent), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path}
