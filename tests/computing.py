"""Scripts that compute in a process of their own, and the processes forked from it."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

import pytest

from .subprocesses import run_python
from .variants import TESTED

WATCHDOG = 300
"""Seconds after which a process of a script says where it hangs, and ends."""

PRELUDE = f"""
    import os, sys, threading, time, traceback, warnings, faulthandler, signal
    import numpy as np, fastsoftmax as f
    # Python itself warns of forking with threads, from 3.12
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    x = (np.arange(280_000, dtype=np.float32) % 37).reshape(7000, 40)
    labels = np.arange(7000) % 40
    def everything():
        loss, grad = f.cross_entropy_value_and_grad(x, labels)
        mean_grad = f.cross_entropy_mean_grad(x, labels)
        return b"".join(a.tobytes() for a in (f.softmax(x), grad, mean_grad, loss))
    def watch():
        if hasattr(signal, "alarm"):
            faulthandler.register(signal.SIGALRM, chain=True)
            signal.alarm({WATCHDOG})
    watch()
    def child(check):
        process = os.fork()
        if process: return process
        status = 1
        try:
            watch()
            status = 0 if check() else 2
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    def is_well(process):
        return os.waitpid(process, 0)[1] == 0
    class Busy:
        # threads that call `work` until the block is left
        def __init__(self, work, number=3):
            self.works, self.stop = 0, False
            def go():
                while not self.stop:
                    work()
                    self.works += 1
            self.threads = [threading.Thread(target=go) for _ in range(number)]
        def __enter__(self):
            for thread in self.threads: thread.start()
            return self
        def __exit__(self, *error):
            self.stop = True
            for thread in self.threads: thread.join()
"""

installed_backends = pytest.mark.parametrize("name", TESTED)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
needs_signals = pytest.mark.skipif(os.name != "posix", reason="these are the signals of POSIX")


def repeats(number: int) -> int:
    """Return how often something is tried whose failure is a matter of chance.

    FASTSOFTMAX_TEST_REPEATS multiplies it.
    """
    return number * int(os.environ.get("FASTSOFTMAX_TEST_REPEATS", "1"))


def run_with(name: str, script: str, num_threads: int = 3) -> str:
    """Run a script after the prelude, with this backend; return what it printed."""
    environment: dict[str, str | None] = {
        "FASTSOFTMAX_BACKEND": name,
        "FASTSOFTMAX_NUM_THREADS": str(num_threads),
    }
    return run_python(PRELUDE + script, environment=environment).stdout.strip()


def run_file(name: str, directory: Path, script: str) -> str:
    """Do the same with a file, which processes that are spawned import."""
    main = directory / "main.py"
    main.write_text(dedent(PRELUDE) + dedent(script))
    environment: dict[str, str | None] = {
        "FASTSOFTMAX_BACKEND": name,
        "FASTSOFTMAX_NUM_THREADS": "2",
    }
    return run_python(main, environment=environment).stdout.strip()
