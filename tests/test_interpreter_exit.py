"""Calls while the interpreter ends, and after."""

from __future__ import annotations

import pytest

from .computing import installed_backends, repeats, run_with


@installed_backends
def test_daemon_threads_in_the_midst_of_calls(name: str) -> None:
    """They compute on in compiled code, with the interpreter going; and an exit handler calls."""
    script = """
    import atexit
    expected = everything()
    atexit.register(lambda: print(everything() == expected, flush=True))
    def busy():
        while True:
            everything()
    for _ in range(3): threading.Thread(target=busy, daemon=True).start()
    """
    for _ in range(repeats(2)):
        assert run_with(name, script) == "True"


@installed_backends
@pytest.mark.parametrize("pause", [0, 0.05])
def test_helpers_that_look_for_work_or_sleep(name: str, pause: float) -> None:
    script = f"""
    everything()
    print("done", flush=True)
    time.sleep({pause})
    """
    for _ in range(repeats(1)):
        assert run_with(name, script) == "done"


@installed_backends
@pytest.mark.parametrize("way", ["os._exit(0)", "sys.exit(0)", "raise SystemExit"])
def test_ends_in_a_thread(name: str, way: str) -> None:
    """While others compute, who are waited for unless the process ends at once."""
    script = f"""
    expected = everything()
    others = [threading.Thread(target=lambda: [everything() for _ in range(20)]) for _ in range(2)]
    for other in others: other.start()
    def end():
        assert everything() == expected
        print("done", flush=True)
        {way}
    threading.Thread(target=end).start()
    """
    for _ in range(repeats(1)):
        assert run_with(name, script) == "done"


@installed_backends
def test_first_call_in_an_exit_handler(name: str) -> None:
    """When no thread can be started any more."""
    script = """
    import atexit
    def late():
        out = everything()
        with f.use_num_threads(1):
            print(out == everything(), flush=True)
    atexit.register(late)
    """
    assert run_with(name, script) == "True"


@installed_backends
def test_handlers_of_all_kinds(name: str) -> None:
    """Of the process, of the threads' end, of an object that is collected; in their order."""
    script = """
    import atexit, weakref
    expected = everything()
    def say(what): print(what, everything() == expected, flush=True)
    class Thing: pass
    thing = Thing()
    if hasattr(threading, "_register_atexit"):  # as concurrent.futures does
        threading._register_atexit(say, "threads")
    else:
        print("threads True")
    weakref.finalize(thing, say, "finalizer")
    atexit.register(say, "handler")
    """
    lines = run_with(name, script).splitlines()
    assert sorted(lines) == ["finalizer True", "handler True", "threads True"]


@installed_backends
def test_globals_that_call_when_they_are_collected(name: str) -> None:
    """Modules may be half gone by then: right, or an exception that Python reports; no crash."""
    script = """
    expected = everything()
    class Last:
        def __del__(self, call=everything, expected=expected, write=os.write):
            try:
                good = call() == expected
            except Exception:
                good = True
            write(1, b"good\\n" if good else b"wrong\\n")
    last, sys.last = Last(), Last()
    """
    for _ in range(repeats(2)):
        assert set(run_with(name, script).split()) == {"good"}
