"""Signals and profilers during calls: Ctrl-C, timers, handlers that call, stop and continue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from .computing import PRELUDE, WATCHDOG, installed_backends, needs_signals, repeats, run_with
from .interpreter import WITHOUT_GIL
from .variants import INSTALLED

pytestmark = needs_signals

STATE = """
    from threadpoolctl import threadpool_info
    from fastsoftmax._linear.blas import _limits
    features, weight = np.ones((800, 64), np.float32), np.ones((100, 64), np.float32)
    def linear(): return f.linear_cross_entropy_value_and_grad(
        features, weight, labels[:len(features)], num_threads=1, workspace_bytes=200_000)[0]
    def state():
        # what a call must leave as it was
        blas = [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]
        module = sys.modules.get("fastsoftmax._backends.numba_kernels.parallel")
        helpers = module and dict(module._pool._users)
        limits = list(_limits._calls), list(_limits._before)
        return f.get_backend(), f.get_num_threads(), blas, helpers, limits
"""


@installed_backends
def test_keyboard_interrupt(name: str) -> None:
    """At any moment of a call, or of a linear layer's: the process lives and computes on."""
    script = (
        STATE
        + f"""
    expected, loss = everything(), linear()
    before = state()
    signal.signal(signal.SIGPROF, signal.default_int_handler)
    interrupts = 0
    for number in range({repeats(40)}):
        work = linear if number % 2 else everything
        try:
            with f.use_num_threads(2):
                signal.setitimer(signal.ITIMER_PROF, 0.0001 + number % 37 * 0.0003)
                while True: work()
        except KeyboardInterrupt:
            interrupts += 1
        assert state() == before, (state(), before)
    assert interrupts == {repeats(40)}
    assert everything() == expected and linear() == loss
    print("done")
    """
    )
    assert run_with(name, script) == "done"


IN_THE_MIDST = """
    # Python looks for signals where a function of its own begins and where any other has returned:
    # a handler is called at each of these places in turn, of this package and of threadpoolctl.
    package = os.path.dirname(f.__file__)
    def in_the_midst(work, expected, handler):
        place = 0
        while True:
            left = place
            def profiler(frame, event, argument):
                nonlocal left
                file = frame.f_code.co_filename
                ours = file.startswith(package) or file.endswith("threadpoolctl.py")
                if ours and event in ("call", "c_return"):
                    left -= 1
                    if left < 0:
                        sys.setprofile(None)
                        handler()
            sys.setprofile(profiler)
            try:
                assert work() == expected, place
            except KeyboardInterrupt:
                pass
            sys.setprofile(None)
            assert state() == before, (place, state(), before)
            if left >= 0: return place
            place += 1
    def ctrl_c(): raise KeyboardInterrupt
"""


@installed_backends
@pytest.mark.parametrize("handler", ["ctrl_c", "everything", "linear"])
def test_a_handler_anywhere_leaves_all_as_it_was(name: str, handler: str) -> None:
    """Be it that it raises or that it calls: threads, helpers and BLAS are the next call's."""
    rows = 700 if name == "numpy" else 7000  # it is slow, and has no threads
    script = (
        STATE
        + IN_THE_MIDST
        + f"""
    x, labels = x[:{rows}], labels[:{rows}]
    features = features[:{rows}]
    expected, loss = everything(), linear()
    before = state()
    *_, helpers, limits = before
    assert not helpers and limits == ([], [])
    print(in_the_midst(everything, expected, {handler}) > 5,
          in_the_midst(linear, loss, {handler}) > 100)
    assert everything() == expected and linear() == loss
    """
    )
    assert run_with(name, script) == "True True"


@installed_backends
def test_handlers_that_call(name: str) -> None:
    """A timer's handler makes calls of its own, in the midst of the main thread's."""
    script = (
        STATE
        + f"""
    expected, loss, small = everything(), linear(), f.softmax(x[:9]).tobytes()
    before, nested, bad = state(), 0, 0
    def handler(*args):
        global nested, bad
        nested += 1
        if nested % 5 == 0: bad += everything() != expected or linear() != loss
        else: bad += f.softmax(x[:9]).tobytes() != small
        signal.setitimer(signal.ITIMER_PROF, 0.001)  # not again in the midst of this
    signal.signal(signal.SIGPROF, handler)
    signal.setitimer(signal.ITIMER_PROF, 0.001)
    with Busy(everything, 1):
        while nested < {repeats(15)}:
            assert everything() == expected and linear() == loss
    signal.setitimer(signal.ITIMER_PROF, 0)
    assert bad == 0 and state() == before, (bad, state())
    print("done")
    """
    )
    assert run_with(name, script) == "done"


@installed_backends
def test_storm_of_signals(name: str) -> None:
    """A timer every millisecond and children that end: no wait of ours is cut short."""
    script = f"""
    expected, count = everything(), 0
    def handler(*args):
        global count
        count += 1
    for number in (signal.SIGPROF, signal.SIGUSR1, signal.SIGCHLD): signal.signal(number, handler)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    while count < {repeats(30)}:
        process = os.posix_spawn("/bin/true", ["true"], {{}})
        os.kill(os.getpid(), signal.SIGUSR1)
        assert everything() == expected
        os.waitpid(process, 0)
    signal.setitimer(signal.ITIMER_PROF, 0)
    print("done")
    """
    assert run_with(name, script) == "done"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc says which are blocked")
@pytest.mark.parametrize("name", [name for name in INSTALLED if name != "numpy"])
def test_signals_are_not_for_helpers(name: str) -> None:
    """But for those of faults, for which a helper needs the process's handlers as any thread."""
    script = """
    before = set(os.listdir("/proc/self/task"))
    everything()
    time.sleep(0.1)
    for thread in set(os.listdir("/proc/self/task")) - before:
        lines = open(f"/proc/self/task/{thread}/status").read().splitlines()
        (blocked,) = (int(line.split()[1], 16) for line in lines if line.startswith("SigBlk"))
        open_to = [number.name for number in signal.valid_signals()
                   if isinstance(number, signal.Signals) and not blocked >> (number - 1) & 1]
        print(*sorted(open_to))
    """
    # Two that nothing can block, two threads.
    faults = "SIGBUS SIGFPE SIGILL SIGKILL SIGSEGV SIGSTOP SIGSYS SIGTRAP"
    assert run_with(name, script).splitlines() == [faults] * 2


def start(name: str) -> subprocess.Popen[str]:
    """Start a process that says when it computes, and after ten more calls that they were right."""
    script = textwrap.dedent(PRELUDE) + textwrap.dedent("""
    expected = everything()
    print("ready", flush=True)
    for _ in range(10): assert everything() == expected
    print("done", flush=True)
    """)
    settings = {"FASTSOFTMAX_BACKEND": name, "FASTSOFTMAX_NUM_THREADS": "3"}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        text=True,
    )


@installed_backends
def test_stopped_and_continued(name: str) -> None:
    with start(name) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(5):
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.01)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.01)
        assert process.communicate(timeout=WATCHDOG)[0] == "done\n"
    assert process.returncode == 0


@installed_backends
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ended_by_a_signal(name: str, number: signal.Signals) -> None:
    """As a process that has no handler of its own for it.

    But for Python's own of SIGINT, which shells have ignored by what they start in the background.
    """
    script = f"""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    everything()
    threading.Timer(0.05, os.kill, (os.getpid(), {int(number)})).start()
    while True: everything()
    """
    environment = {"FASTSOFTMAX_BACKEND": name, "FASTSOFTMAX_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PRELUDE) + textwrap.dedent(script)],
        env=os.environ | environment,
        stderr=subprocess.DEVNULL,
        timeout=WATCHDOG,
        check=False,
    )
    assert done.returncode == -number


@pytest.mark.skipif(
    WITHOUT_GIL, reason="faulthandler walks frames that other threads run just then"
)
@installed_backends
def test_profilers(name: str) -> None:
    """In all threads, which are also asked where they are."""
    script = """
    import cProfile
    expected = everything()
    events = []
    def profiler(frame, event, argument): events.append(event)
    threading.setprofile(profiler)
    profile = cProfile.Profile()
    dump = open(os.devnull, "w")
    with Busy(everything, 2):
        for _ in range(5):
            assert profile.runcall(everything) == expected
            faulthandler.dump_traceback(dump, all_threads=True)
    threading.setprofile(None)
    assert "call" in events
    print("done")
    """
    assert run_with(name, script) == "done"
