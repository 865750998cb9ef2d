"""Choosing the backend, the number of threads and the instruction set."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fsm

from .subprocesses import run_python
from .variants import INSTALLED, VARIANTS, Variant

ORDER = ("c", "numba", "numpy")
OTHER = INSTALLED[0] if INSTALLED[0] != "numpy" else "numpy"


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    """Each test starts and ends without a choice."""
    fsm.set_backend(None)
    fsm.set_num_threads(None)
    yield
    fsm.set_backend(None)
    fsm.set_num_threads(None)


class TestBackend:
    def test_available(self) -> None:
        assert fsm.available_backends() == tuple(name for name in ORDER if name in INSTALLED)

    def test_default_is_the_first_available(self) -> None:
        done = run_python("import fastsoftmax; print(fastsoftmax.get_backend())")
        assert done.stdout.strip() == fsm.available_backends()[0]

    @pytest.mark.parametrize("name", INSTALLED)
    def test_set_and_get(self, name: str) -> None:
        fsm.set_backend(name)
        assert fsm.get_backend() == name
        fsm.set_backend(None)
        assert fsm.get_backend() in INSTALLED

    def test_a_call_uses_the_backend_in_effect(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reference = importlib.import_module("fastsoftmax._backends.reference")
        calls: list[str] = []
        original = reference.softmax

        def spy(*args: Any) -> None:
            calls.append("numpy")
            original(*args)

        monkeypatch.setattr(reference, "softmax", spy)
        fsm.set_backend("numpy")
        fsm.softmax([1.0, 2.0])
        with fsm.use_backend("numpy"):
            fsm.softmax([1.0, 2.0])
        fsm.set_backend(None)
        fsm.softmax([1.0, 2.0], backend="numpy")
        assert calls == ["numpy"] * 3

    def test_nested_blocks(self) -> None:
        fsm.set_backend("numpy")
        with fsm.use_backend(OTHER):
            assert fsm.get_backend() == OTHER
            with fsm.use_backend("numpy"):
                assert fsm.get_backend() == "numpy"
                fsm.set_backend(OTHER)  # does not reach into the block
                assert fsm.get_backend() == "numpy"
            assert fsm.get_backend() == OTHER
        assert fsm.get_backend() == OTHER

    def test_block_ends_with_an_exception(self) -> None:
        before = fsm.get_backend()
        with contextlib.suppress(ZeroDivisionError), fsm.use_backend("numpy"):
            raise ZeroDivisionError
        assert fsm.get_backend() == before

    def test_block_can_be_reused(self) -> None:
        before = fsm.get_backend()
        block = fsm.use_backend("numpy")
        for _ in range(2):
            with block, block:
                assert fsm.get_backend() == "numpy"
            assert fsm.get_backend() == before

    @pytest.mark.parametrize("function", [fsm.set_backend, fsm.use_backend])
    def test_errors(self, function: Any) -> None:
        with pytest.raises(ValueError, match="unknown backend 'fortran'; the backends are 'c', "):
            function("fortran")
        with pytest.raises(TypeError, match="backend must be a name or None, not int"):
            function(3)
        for missing in set(ORDER) - set(INSTALLED):
            with pytest.raises(ImportError, match=f"the backend '{missing}' is not available"):
                function(missing)

    @pytest.mark.parametrize("name", INSTALLED)
    def test_environment(self, name: str) -> None:
        script = "import fastsoftmax as f; print(f.get_backend()); f.softmax([1.0])"
        done = run_python(script, environment={"FASTSOFTMAX_BACKEND": name})
        assert done.stdout.strip() == name

    def test_environment_is_overruled(self) -> None:
        script = f"""
            import fastsoftmax as f
            f.set_backend({OTHER!r}); print(f.get_backend())
            with f.use_backend("numpy"): print(f.get_backend())
            f.set_backend(None); print(f.get_backend())
        """
        done = run_python(script, environment={"FASTSOFTMAX_BACKEND": "numpy"})
        assert done.stdout.split() == [OTHER, "numpy", "numpy"]

    def test_unknown_in_the_environment(self) -> None:
        script = "import fastsoftmax as f; f.softmax([1.0])"
        done = run_python(script, environment={"FASTSOFTMAX_BACKEND": "fortran"}, check=False)
        assert done.returncode
        assert "FASTSOFTMAX_BACKEND=fortran" in done.stderr
        assert "unknown backend" in done.stderr


class TestThreads:
    def test_default_is_what_the_process_may_use(self) -> None:
        assert 1 <= fsm.get_num_threads() <= (os.cpu_count() or 1)

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
    def test_default_respects_the_affinity(self) -> None:
        script = """
            import os
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            import fastsoftmax; print(fastsoftmax.get_num_threads())
        """
        assert run_python(script).stdout.strip() == "1"

    @pytest.mark.parametrize("n", [1, 2, 7, np.int64(3)])
    def test_set_and_get(self, n: Any) -> None:
        default = fsm.get_num_threads()
        fsm.set_num_threads(n)
        assert fsm.get_num_threads() == n
        fsm.set_num_threads(None)
        assert fsm.get_num_threads() == default

    def test_nested_blocks(self) -> None:
        fsm.set_num_threads(5)
        with fsm.use_num_threads(3):
            assert fsm.get_num_threads() == 3
            with fsm.use_num_threads(1):
                assert fsm.get_num_threads() == 1
            assert fsm.get_num_threads() == 3
        assert fsm.get_num_threads() == 5

    @pytest.mark.parametrize("function", [fsm.set_num_threads, fsm.use_num_threads])
    def test_errors(self, function: Any) -> None:
        for n in (0, -3):
            with pytest.raises(ValueError, match=f"num_threads must be at least 1, not {n}"):
                function(n)
        for wrong in (2.0, "2", True, [1]):
            with pytest.raises(TypeError, match="num_threads must be an integer of at least 1"):
                function(wrong)
        assert fsm.get_num_threads() >= 1

    def test_environment(self) -> None:
        script = "import fastsoftmax as f; print(f.get_num_threads())"
        done = run_python(script, environment={"FASTSOFTMAX_NUM_THREADS": "3"})
        assert done.stdout.strip() == "3"

    @pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
    def test_nonsense_in_the_environment(self, text: str) -> None:
        script = "import fastsoftmax as f; f.softmax([1.0])"
        done = run_python(script, environment={"FASTSOFTMAX_NUM_THREADS": text}, check=False)
        assert done.returncode
        assert f"FASTSOFTMAX_NUM_THREADS={text}" in done.stderr
        assert "must be an integer of at least 1" in done.stderr

    def test_more_threads_than_rows_or_cpus(self, backend: Variant) -> None:
        x = np.random.default_rng(0).standard_normal((3, 5000)).astype(np.float32)
        expected = fsm.softmax(x, backend=backend.name, num_threads=1)
        for n in (64, 10**6):
            actual = fsm.softmax(x, backend=backend.name, num_threads=n)
            np.testing.assert_array_equal(actual, expected)


class TestScope:
    """Blocks hold for their own thread and their own task."""

    def test_other_threads_do_not_see_a_block(self) -> None:
        seen: list[tuple[str, int]] = []
        fsm.set_backend(OTHER)
        fsm.set_num_threads(4)
        with fsm.use_backend("numpy"), fsm.use_num_threads(1):
            thread = threading.Thread(
                target=lambda: seen.append((fsm.get_backend(), fsm.get_num_threads()))
            )
            thread.start()
            thread.join()
        inherited = getattr(sys.flags, "thread_inherit_context", False)
        assert seen == [("numpy", 1) if inherited else (OTHER, 4)]

    def test_process_wide_settings_reach_every_thread(self) -> None:
        seen: list[tuple[str, int]] = []
        fsm.set_backend("numpy")
        fsm.set_num_threads(3)
        thread = threading.Thread(
            target=lambda: seen.append((fsm.get_backend(), fsm.get_num_threads()))
        )
        thread.start()
        thread.join()
        assert seen == [("numpy", 3)]

    def test_many_threads_in_blocks_of_their_own(self) -> None:
        """Entered and left in any order, no thread's choice leaks into another."""
        barrier = threading.Barrier(8)
        wrong: list[str] = []

        def work(number: int) -> None:
            name = INSTALLED[number % len(INSTALLED)]
            for round_ in range(20):
                barrier.wait()
                with fsm.use_backend(name), fsm.use_num_threads(number + 1):
                    barrier.wait()
                    seen = fsm.get_backend(), fsm.get_num_threads()
                    if seen != (name, number + 1):
                        wrong.append(f"thread {number}, round {round_}: {seen}")

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_async_tasks(self) -> None:
        async def task(number: int) -> list[tuple[str, int]]:
            name = INSTALLED[number % len(INSTALLED)]
            seen = []
            for _ in range(10):
                with fsm.use_backend(name), fsm.use_num_threads(number + 1):
                    await asyncio.sleep(0)
                    seen.append((fsm.get_backend(), fsm.get_num_threads()))
                await asyncio.sleep(0)
            return seen

        async def main() -> list[list[tuple[str, int]]]:
            return await asyncio.gather(*(task(n) for n in range(6)))

        before = fsm.get_backend(), fsm.get_num_threads()
        for number, seen in enumerate(asyncio.run(main())):
            assert set(seen) == {(INSTALLED[number % len(INSTALLED)], number + 1)}
        assert (fsm.get_backend(), fsm.get_num_threads()) == before

    def test_tasks_inherit_the_block_they_start_in(self) -> None:
        async def child() -> str:
            return fsm.get_backend()

        async def main() -> str:
            with fsm.use_backend("numpy"):
                return await asyncio.create_task(child())

        fsm.set_backend(OTHER)
        assert asyncio.run(main()) == "numpy"

    def test_decorator(self) -> None:
        @fsm.use_backend("numpy")
        @fsm.use_num_threads(1)
        def decorated() -> tuple[str, int]:
            return fsm.get_backend(), fsm.get_num_threads()

        fsm.set_num_threads(6)
        assert decorated() == ("numpy", 1)
        assert fsm.get_num_threads() == 6


@pytest.mark.skipif("c" not in INSTALLED, reason="the extension is not built")
class TestInstructionSets:
    @pytest.fixture
    def extension(self) -> Any:
        return importlib.import_module("fastsoftmax._c")

    def test_best_is_in_use_by_default(self, extension: Any) -> None:
        sets = extension.instruction_sets()
        script = "import fastsoftmax._c as c; print(c.instruction_set())"
        assert run_python(script).stdout.strip() == sets[0]
        assert len(set(sets)) == len(sets) >= 1

    def test_use(self, extension: Any) -> None:
        before = extension.instruction_set()
        for name in extension.instruction_sets():
            previous = extension.use_instruction_set(name)
            assert extension.instruction_set() == name
            assert extension.use_instruction_set(previous) == name
        assert extension.instruction_set() == before
        with pytest.raises(ValueError, match="mmx"):
            extension.use_instruction_set("mmx")
        assert extension.instruction_set() == before

    @pytest.mark.parametrize(
        "name", [v.instruction_set for v in VARIANTS if v.instruction_set] or ["none"]
    )
    def test_environment(self, name: str) -> None:
        script = """
            import fastsoftmax as f, fastsoftmax._c as c
            print(c.instruction_set())
            assert abs(f.softmax([1.0, 1.0], backend="c") - 0.5).max() < 1e-15
        """
        done = run_python(script, environment={"FASTSOFTMAX_ISA": name})
        assert done.stdout.strip() == name

    def test_nonsense_in_the_environment(self) -> None:
        script = "import fastsoftmax as f; f.softmax([1.0], backend='c')"
        done = run_python(script, environment={"FASTSOFTMAX_ISA": "mmx"}, check=False)
        assert "mmx" in done.stderr
        assert "FASTSOFTMAX_ISA" in done.stderr


class TestConfiguration:
    def test_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert fsm.show_config() is None
        printed = capsys.readouterr().out
        for text in (fsm.__version__, np.__version__, "numpy", *INSTALLED, "threads"):
            assert text in printed

    def test_names_what_was_chosen_and_how(self) -> None:
        script = "import fastsoftmax as f; f.show_config()"
        environment: dict[str, str | None] = {
            "FASTSOFTMAX_BACKEND": "numpy",
            "FASTSOFTMAX_NUM_THREADS": "3",
        }
        printed = run_python(script, environment=environment).stdout
        assert "FASTSOFTMAX_BACKEND" in printed
        assert "FASTSOFTMAX_NUM_THREADS" in printed
        assert " 3\n" in printed

    def test_as_dictionaries(self) -> None:
        with fsm.use_backend("numpy"), fsm.use_num_threads(2):
            config = fsm.show_config(mode="dicts")
        assert config["version"] == fsm.__version__
        assert config["backends"]["in use"] == "numpy"
        assert config["threads"]["number"] == 2
        assert set(config["backends"]["available"]) == set(INSTALLED)

    def test_what_a_report_needs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "5")
        config = fsm.show_config(mode="dicts")
        machine = config["machine"]
        assert machine["CPUs of the machine"] == os.cpu_count()
        assert machine["CPU"]
        assert machine["architecture"] in machine["system"]
        assert config["environment"]["OMP_NUM_THREADS"] == "5"
        versions = config["versions"]
        assert versions["numpy"] == np.__version__
        assert versions["threadpoolctl"]
        assert versions["BLAS of numpy"]
        for name in fsm.available_backends():
            assert f"why not {name}" not in config["backends"]

    @pytest.mark.skipif("c" not in INSTALLED, reason="there is nothing that was built")
    def test_the_build(self) -> None:
        build = fsm.show_config(mode="dicts")["build"]
        name, version = build["compiler"].split()
        assert name
        assert version[0].isdigit()
        assert "contract" in build["flags"] or "/fp:precise" in build["flags"]

    @pytest.mark.skipif(sys.platform != "linux", reason="features are known on Linux alone")
    @pytest.mark.parametrize("name", ["avx2", "avx512"])
    def test_features_are_those_that_instruction_sets_need(self, name: str) -> None:
        config = fsm.show_config(mode="dicts")
        needed = {"avx2": ("avx2", "fma", "f16c"), "avx512": ("avx512f", "avx512bw", "avx512dq")}
        if name in config["instruction sets"].get("detected", ()):
            assert set(needed[name]) <= set(config["machine"]["CPU features"])

    def test_why_a_backend_is_missing(self) -> None:
        script = """
import sys; sys.modules["numba"] = None
import fastsoftmax as f; f.show_config()"""
        printed = run_python(script).stdout
        assert 'pip install "fastsoftmax[numba]"' in printed

    def test_unknown_mode(self) -> None:
        with pytest.raises(ValueError, match="mode must be 'stdout' or 'dicts', not 'xml'"):
            fsm.show_config(mode="xml")  # type: ignore[call-overload]
