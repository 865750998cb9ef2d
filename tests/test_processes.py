"""Processes that fork, spawn and end while threads compute."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from .computing import installed_backends, needs_fork, repeats, run_file, run_with
from .variants import INSTALLED


@needs_fork
@installed_backends
def test_fork_before_the_first_call(name: str) -> None:
    """Parent and child each load the backend and start threads of their own."""
    script = """
    import hashlib
    read, write = os.pipe()
    process = child(lambda: os.write(write, hashlib.sha256(everything()).digest()))
    digest = hashlib.sha256(everything()).digest()
    assert is_well(process)
    assert os.read(read, 99) == digest
    print("done")
    """
    assert run_with(name, script) == "done"


@needs_fork
@installed_backends
def test_fork(name: str) -> None:
    """After threads were used: in the child, in the parent again, and in a grandchild."""
    script = """
    expected = everything()
    def has_children():
        good = everything() == expected
        process = child(lambda: everything() == expected)
        return good and is_well(process) and everything() == expected
    for generation in range(3):
        process = child(has_children)
        assert everything() == expected
        assert is_well(process)
    print("done")
    """
    assert run_with(name, script) == "done"


@needs_fork
@installed_backends
def test_fork_while_other_threads_compute(name: str) -> None:
    """In the midst of their calls; the parent calls right after, and so does the child."""
    script = f"""
    expected = everything()
    with Busy(everything) as busy:
        for _ in range({repeats(10)}):
            process = child(lambda: everything() == expected)
            assert everything() == expected
            assert is_well(process)
        works = busy.works
        while busy.works < works + 3: time.sleep(0.001)
    print("done")
    """
    assert run_with(name, script) == "done"


@needs_fork
@installed_backends
def test_fork_from_threads(name: str) -> None:
    """Several threads that each call, fork, and wait for a child that calls."""
    script = f"""
    expected, well = everything(), []
    def work():
        for _ in range({repeats(3)}):
            process = child(lambda: everything() == expected)
            well.append(everything() == expected and is_well(process))
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(well) == 3 * {repeats(3)} and all(well), well
    print("done")
    """
    assert run_with(name, script) == "done"


@needs_fork
@installed_backends
def test_fork_while_another_thread_loads_the_backend(name: str) -> None:
    """The child has what the other thread was importing whole, or can import it itself."""
    script = """
    class Slow:
        # the modules of the first call take their time to be found
        def find_spec(self, module, path=None, target=None):
            if module.startswith("fastsoftmax._backends.") or module == "fastsoftmax._cpu_count":
                begun.set()
                time.sleep(0.2)
    sys.meta_path.insert(0, Slow())
    begun = threading.Event()
    first = threading.Thread(target=everything)
    first.start()
    begun.wait()
    process = child(lambda: len(everything()) > 0)
    first.join()
    assert is_well(process)
    print("done")
    """
    assert run_with(name, script) == "done"


@needs_fork
@pytest.mark.skipif("numba" not in INSTALLED, reason="numba is not installed")
def test_fork_while_another_thread_compiles() -> None:
    """A fork waits for the lock of Numba's compiler, without which the child cannot call."""
    script = """
    import fastsoftmax._backends.jitted  # of which nothing is compiled yet
    from fastsoftmax._backends.numba_kernels.numba_api import global_compiler_lock
    def compile():
        with global_compiler_lock:
            begun.set()
            time.sleep(0.5)
    begun = threading.Event()
    threading.Thread(target=compile).start()
    begun.wait()
    process = child(lambda: len(everything()) > 0)
    assert is_well(process)
    with global_compiler_lock: pass
    print("done")
    """
    assert run_with("numba", script) == "done"


@needs_fork
@installed_backends
def test_fork_within_a_call(name: str) -> None:
    """An argument that forks when it is asked for its array: both go on with the call."""
    script = """
    expected, parent, processes = everything(), os.getpid(), []
    def fork():
        process = os.fork()
        if process: processes.append(process)
        else: processes.clear(), watch()
    class Forks:
        def __array__(self, dtype=None, copy=None):
            fork()
            return x
    class Threads:
        def __index__(self):
            fork()
            return 3
    result = f.softmax(Forks(), num_threads=Threads()).tobytes() == expected[:x.nbytes]
    result = result and everything() == expected
    well = all([is_well(process) for process in processes])
    if os.getpid() != parent: os._exit(0 if result and well else 1)
    assert len(processes) >= 2 and result and well
    print("done")
    """
    assert run_with(name, script) == "done"


@needs_fork
@installed_backends
def test_fork_in_a_handler_of_signals(name: str) -> None:
    """Wherever the call was interrupted, the child can go on with it."""
    script = f"""
    expected = everything()
    parent, processes = os.getpid(), []
    def handler(*args):
        if os.getpid() == parent and len(processes) < {repeats(20)}:
            processes.append(os.fork())
    signal.signal(signal.SIGPROF, handler)
    signal.setitimer(signal.ITIMER_PROF, 0.004, 0.004)
    while len(processes) < {repeats(20)} and os.getpid() == parent:
        assert everything() == expected
    signal.setitimer(signal.ITIMER_PROF, 0)
    if os.getpid() != parent:
        watch()
        os._exit(0 if everything() == expected else 1)
    assert all([is_well(process) for process in processes])
    print("done")
    """
    assert run_with(name, script) == "done"


@needs_fork
@installed_backends
def test_children_end_as_they_like(name: str) -> None:
    """With and without the interpreter's own end, and in a thread of theirs."""
    script = """
    expected = everything()
    def always():
        while True: everything()
    def end(way):
        good = everything() == expected
        if way == "exit": sys.exit(0 if good else 1)
        if way == "status": sys.exit(7)
        if way == "thread": threading.Thread(target=everything).start()
        if way == "daemon": threading.Thread(target=always, daemon=True).start()
        if way == "_exit": os._exit(0 if good else 1)
    statuses = {}
    for way in ("exit", "status", "thread", "daemon", "_exit", "falls off"):
        process = os.fork()
        if process == 0:
            watch()
            end(way)
            break
        statuses[way] = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    else:
        assert everything() == expected
        print(statuses)
    """
    expected = {"exit": 0, "status": 7, "thread": 0, "daemon": 0, "_exit": 0, "falls off": 0}
    assert run_with(name, script) == str(expected)


@needs_fork
@installed_backends
def test_short_lived_children_leave_nothing(name: str) -> None:
    """No thread, no open file, no memory; half of them call, half do nothing at all."""
    script = f"""
    import resource
    small = np.ones((2, 3), np.float32)
    def count():
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    def one(number):
        assert is_well(child(lambda: number % 2 or f.softmax(small).sum() > 1))
    has_proc = os.path.isdir("/proc/self/task")
    everything()
    for number in range(20): one(number)
    before = has_proc and count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range({repeats(100)}): one(number)
    after = has_proc and count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert before[0] == after[0], (before, after)
    assert after[1] - before[1] < 8192, (before, after)  # KiB
    print("done")
    """
    assert run_with(name, script) == "done"


@needs_fork
@installed_backends
def test_programs_started_while_threads_compute(name: str) -> None:
    """By vfork or posix_spawn, and by fork where something is to be done first."""
    script = f"""
    import subprocess
    expected = everything()
    with Busy(everything) as busy:
        for number in range({repeats(6)}):
            first = None if number % 2 else (lambda: None)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                subprocess.run(["true"], check=True, preexec_fn=first)
            os.waitpid(os.posix_spawn("/bin/true", ["true"], {{}}), 0)
            assert everything() == expected
    print("done")
    """
    assert run_with(name, script) == "done"


START_METHODS = ["fork", "forkserver", "spawn"]


@installed_backends
@pytest.mark.parametrize("method", START_METHODS)
def test_multiprocessing(name: str, method: str, tmp_path: Path) -> None:
    """A pool whose workers call when they begin, and an executor whose workers fork too."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform has no {method}")
    script = f"""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    def begin():
        global at_begin
        at_begin = everything()
    def work(_):
        return at_begin == everything() and at_begin
    def nested(_):
        return not hasattr(os, "fork") or is_well(child(lambda: everything() == at_begin))
    if __name__ == "__main__":
        expected = everything()
        context = multiprocessing.get_context({method!r})
        with context.Pool(2, begin) as pool:
            assert pool.map(work, range(4)) == [expected] * 4
        with ProcessPoolExecutor(2, context, begin) as pool:
            assert list(pool.map(work, range(4))) == [expected] * 4
            assert all(pool.map(nested, range(4)))
        assert everything() == expected
        print("done")
    """
    assert run_file(name, tmp_path, script) == "done"


@pytest.mark.parametrize("method", START_METHODS)
def test_processes_write_their_rows_to_shared_memory(method: str, tmp_path: Path) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform has no {method}")
    script = f"""
    import multiprocessing
    from multiprocessing.shared_memory import SharedMemory
    def work(name, begin, end):
        memory = SharedMemory(name=name)
        out = np.ndarray(x.shape, x.dtype, memory.buf)
        f.softmax(x[begin:end], out=out[begin:end])
        del out
        memory.close()
    if __name__ == "__main__":
        context = multiprocessing.get_context({method!r})
        expected = f.softmax(x)
        memory = SharedMemory(create=True, size=x.nbytes)
        ranges = [(0, 10), (10, 3500), (3500, 7000)]
        workers = [context.Process(target=work, args=(memory.name, *r)) for r in ranges]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        out = np.ndarray(x.shape, x.dtype, memory.buf)
        assert out.tobytes() == expected.tobytes()
        del out
        memory.close()
        memory.unlink()
        print("done")
    """
    assert run_file(INSTALLED[0], tmp_path, script) == "done"
