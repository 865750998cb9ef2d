"""The package imported a second time into one process, from the same place or from another."""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path

import pytest

import fastsoftmax as fsm

from .computing import installed_backends, run_with


@installed_backends
def test_reload(name: str) -> None:
    script = """
    import importlib
    expected = everything()
    for _ in range(3):
        f = importlib.reload(f)
        assert everything() == expected
    print(f.get_backend(), f.get_num_threads())
    """
    assert run_with(name, script) == f"{name} 3"


@installed_backends
def test_import_anew(name: str) -> None:
    """All modules new, the old functions still in use beside the new ones."""
    script = """
    expected, old = everything(), f
    for _ in range(3):
        for module in [m for m in sys.modules if m.partition(".")[0] == "fastsoftmax"]:
            del sys.modules[module]
        import fastsoftmax as f
        assert f is not old and f.softmax is not old.softmax
        with Busy(lambda: old.softmax(x)):
            for _ in range(5): assert everything() == expected
        if hasattr(os, "fork"): assert is_well(child(lambda: everything() == expected))
    print(f.get_backend())
    """
    assert run_with(name, script) == name


def copy_of_package(directory: Path) -> Path:
    """Copy the package, with its extension where that was built; return the extension."""
    extension = importlib.import_module("fastsoftmax._c")
    package = directory / "fastsoftmax"
    shutil.copytree(
        Path(str(fsm.__file__)).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    built = Path(str(extension.__file__))
    for file in (built, *built.parent.glob("*fastsoftmax.*")):
        shutil.copy(file, package)
    return package / built.name


OTHER_COPY = """
    expected, old = everything(), f
    for module in [m for m in sys.modules if m.partition(".")[0] == "fastsoftmax"]:
        del sys.modules[module]
    # An editable installation is found by a finder of its own.
    sys.meta_path[:] = [finder for finder in sys.meta_path if isinstance(finder, type)]
    sys.path.insert(0, {directory!r})
    import fastsoftmax as f
    assert f.__file__.startswith({directory!r}), f.__file__
"""

BUILD = re.compile(rb"[0-9a-f]{64}")
"""What a build is known by to the library and the extension."""

needs_c = pytest.mark.skipif(
    "c" not in fsm.available_backends(), reason="the extension is not built"
)


@needs_c
def test_two_copies(tmp_path: Path) -> None:
    """Of the same build they share the library and its threads."""
    copy_of_package(tmp_path)
    script = (
        OTHER_COPY.format(directory=str(tmp_path))
        + """
    assert everything() == expected
    assert old.softmax(x).tobytes() == f.softmax(x).tobytes()
    print(f.get_backend())
    """
    )
    assert run_with("c", script) == "c"


@needs_c
def test_a_copy_of_another_version(tmp_path: Path) -> None:
    """The library that is loaded first serves all: an extension built with another is refused."""
    extension = copy_of_package(tmp_path)
    library = next(iter(extension.parent.glob("libfastsoftmax.*"))).read_bytes()
    code = extension.read_bytes()
    (build,) = set(BUILD.findall(code)) & set(BUILD.findall(library))
    extension.write_bytes(code.replace(build, build[::-1]))
    script = (
        OTHER_COPY.format(directory=str(tmp_path))
        + """
    try:
        f.softmax(x)
    except ImportError as error:
        print(error)
    assert old.softmax(x).tobytes() in expected
    """
    )
    assert "another version of the library fastsoftmax" in run_with("c", script)
