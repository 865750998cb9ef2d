"""threadpoolctl sees our threads and limits them, like those of BLAS and OpenMP."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

import fastsoftmax as fs

from .subprocesses import run_python
from .variants import INSTALLED

pytestmark = pytest.mark.skipif(
    "c" not in INSTALLED, reason="threadpoolctl finds us by the library of the backend c"
)


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    fs.set_num_threads(None)
    yield
    fs.set_num_threads(None)


def ours() -> dict[str, Any]:
    (entry,) = (one for one in threadpool_info() if one["internal_api"] == "fastsoftmax")
    return dict(entry)


def source() -> str:
    return str(fs.show_config("dicts")["threads"]["chosen by"])


def test_info() -> None:
    fs.set_num_threads(3)
    entry = ours()
    assert entry["num_threads"] == 3
    assert entry["user_api"] == "fastsoftmax"
    assert entry["version"] == fs.__version__
    assert entry["architecture"] == importlib.import_module("fastsoftmax._c").instruction_set()
    assert fs.get_library_dir() in entry["filepath"]


def test_limits_reach_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = importlib.import_module("fastsoftmax._backends.reference")
    asked: list[int] = []
    monkeypatch.setattr(reference, "softmax", lambda x, where, out, threads: asked.append(threads))
    fs.set_num_threads(7)
    with threadpool_limits(2):
        assert fs.get_num_threads() == 2
        fs.softmax([1.0, 2.0], backend="numpy")
    fs.softmax([1.0, 2.0], backend="numpy")
    assert asked == [2, 7]


@pytest.mark.parametrize("limits", [{"fastsoftmax": 2}, {"libfastsoftmax": 2}])
def test_by_name(limits: dict[str, int]) -> None:
    before = fs.get_num_threads()
    with threadpool_limits(limits):
        assert fs.get_num_threads() == 2
    with threadpool_limits(1, user_api="fastsoftmax"):
        assert fs.get_num_threads() == 1
    with threadpool_limits(5, user_api="blas"):
        assert fs.get_num_threads() == before


def test_what_was_chosen_before_comes_back() -> None:
    number, by = fs.get_num_threads(), source()
    with threadpool_limits(number + 1):
        assert source() == "threadpoolctl"
        with threadpool_limits(number + 2):
            assert fs.get_num_threads() == number + 2
        assert fs.get_num_threads() == number + 1
    assert (fs.get_num_threads(), source()) == (number, by)
    fs.set_num_threads(5)
    with threadpool_limits(2):
        pass
    assert (fs.get_num_threads(), source()) == (5, "set_num_threads")


def test_the_inner_of_limits_and_blocks_counts() -> None:
    fs.set_num_threads(6)
    with fs.use_num_threads(4):
        with threadpool_limits(2):
            assert fs.get_num_threads() == 2
            with fs.use_num_threads(3):
                assert fs.get_num_threads() == 3
            assert fs.get_num_threads() == 2
        assert fs.get_num_threads() == 4
    assert fs.get_num_threads() == 6


def test_limits_hold_for_all_threads_but_those_in_a_block() -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(fs.get_num_threads())
        with fs.use_num_threads(3):
            seen.append(fs.get_num_threads())

    with threadpool_limits(2):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [2, 3]


def test_limits_that_stay() -> None:
    fs.set_num_threads(6)
    limiter = threadpool_limits(2)
    assert fs.get_num_threads() == 2
    fs.set_num_threads(4)
    assert fs.get_num_threads() == 4
    limiter.restore_original_limits()
    assert fs.get_num_threads() == 6


def test_no_number() -> None:
    (controller,) = ThreadpoolController().select(internal_api="fastsoftmax").lib_controllers
    with pytest.raises(ValueError, match="at least 1, not 0"):
        controller.set_num_threads(0)


USE = """
from threadpoolctl import threadpool_info, threadpool_limits
with threadpool_limits(3):
    print(fs.get_num_threads())
print([one["internal_api"] for one in threadpool_info()].count("fastsoftmax"))
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import fastsoftmax as fs, sys; assert 'threadpoolctl' not in sys.modules",
        "import threadpoolctl; import fastsoftmax as fs",
        "import importlib, fastsoftmax as fs; importlib.reload(fs); import threadpoolctl",
        "import threadpoolctl, importlib; import fastsoftmax as fs; importlib.reload(fs)",
        # What is asked for by name alone, and not there, is still not there.
        "import fastsoftmax as fs, importlib.util as u; u.find_spec('threadpoolctl')",
    ],
)
def test_in_either_order(imports: str) -> None:
    assert run_python(imports + USE).stdout.split() == ["3", "1"]


def test_without_threadpoolctl() -> None:
    script = """
import importlib.machinery, sys, fastsoftmax as fs
sys.path[:] = []
sys.path_importer_cache.clear()
sys.meta_path[1:] = [importlib.machinery.BuiltinImporter]  # none but ours
try:
    import threadpoolctl
except ImportError:
    print("missing", fs.__version__ != "")
"""
    assert run_python(script).stdout.split() == ["missing", "True"]
