"""Processes that use the numba backend: what each compiled, and where it may write."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import fastsoftmax

from .subprocesses import run_python

PACKAGE = Path(fastsoftmax.__file__).parent

# `compiled` is what Numba compiles from here on, by name.
RECORD = """
import numpy as np
from numba.core import event
compiled = []
class _Listener(event.Listener):
    def on_start(self, happened):
        compiled.append(happened.data["dispatcher"].py_func.__name__)
    def on_end(self, happened):
        pass
event.register("numba:compile", _Listener())
import fastsoftmax
"""

# To root, permissions mean something only without the capabilities to pass them over.
OBEY_PERMISSIONS = """
import os, sys
if sys.platform == "linux" and os.geteuid() == 0:
    import ctypes
    libc = ctypes.CDLL(None)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, sets) == 0:
        sets[0] &= ~0b1110  # DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER
        libc.capset(header, sets)
"""


def copy_of_the_package(folder: Path) -> Path:
    """Copy the Python sources, without what was compiled, to a folder of their own."""
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    return Path(shutil.copytree(PACKAGE, folder / "fastsoftmax", ignore=ignored))


def use(folder: Path) -> str:
    """The lines of a script that let it import the copy in a folder, whatever is installed."""
    return f"""
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, {str(folder)!r})
sys.meta_path[:] = [f for f in sys.meta_path if not type(f).__module__.startswith("_editable")]
"""


def set_writable(folder: Path, writable: bool) -> None:
    """Allow or forbid writing to a folder and all within."""
    for place in (folder, *folder.rglob("*")):
        mode = place.stat().st_mode
        place.chmod(mode | 0o200 if writable else mode & ~0o222)


def run_without_writing_to(folder: Path, script: str, environment: dict[str, str | None]) -> str:
    """Run a script to which a folder is read-only; skip the test where that cannot be had."""
    set_writable(folder, False)
    attempt = f"""
try:
    open({str(folder / "written")!r}, "w").close()
except OSError:
    pass
else:
    sys.exit("permissions do not bind")
"""
    try:
        done = run_python(OBEY_PERMISSIONS + attempt + script, environment=environment, check=False)
    finally:
        set_writable(folder, True)
    if "permissions do not bind" in done.stderr:
        pytest.skip(f"a read-only directory cannot be had here ({sys.platform})")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()
