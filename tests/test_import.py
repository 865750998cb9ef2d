"""What an import brings with it, and what stays out until it is used."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

import fastsoftmax as fsm

from .subprocesses import run_python

HEAVY = (
    "numba",
    "llvmlite",
    "torch",
    "jax",
    "dask",
    "scipy",
    "sklearn",
    "pandas",
    "matplotlib",
    "rich",
    "ml_dtypes",
    "numpy.testing",
    "asyncio",
    "multiprocessing",
    "importlib.metadata",
    "threadpoolctl",
)

FUNCTIONS = (
    "available_backends",
    "get_backend",
    "set_backend",
    "use_backend",
    "get_num_threads",
    "set_num_threads",
    "use_num_threads",
    "show_config",
    "get_include",
    "get_library_dir",
    "warmup",
    "softmax",
    "log_softmax",
    "logsumexp",
    "softmax_backward",
    "log_softmax_backward",
    "cross_entropy",
    "cross_entropy_grad",
    "cross_entropy_mean_grad",
    "cross_entropy_value_and_grad",
    "cross_entropy_value_and_mean_grad",
    "cross_entropy_grad_hess",
    "linear_cross_entropy",
    "linear_cross_entropy_value_and_grad",
)


def loaded_after(script: str, **environment: str | None) -> set[str]:
    script = script + "\nimport sys; print(*sys.modules)"
    return set(run_python(script, environment=environment).stdout.split())


def test_import_loads_nothing_but_numpy_and_itself() -> None:
    before = loaded_after("import numpy")
    added = loaded_after("import fastsoftmax") - before
    assert "fastsoftmax" in added
    foreign = {name for name in added if name.partition(".")[0] != "fastsoftmax"}
    heavy = {name for name in foreign if name in HEAVY or name.partition(".")[0] in HEAVY}
    assert not heavy
    # no more than a few small modules of the standard library
    assert len({name.partition(".")[0] for name in foreign}) <= 10, sorted(foreign)


@pytest.mark.parametrize("backend", [b for b in fsm.available_backends() if b != "numba"])
def test_a_call_on_one_backend_does_not_load_the_others(backend: str) -> None:
    script = f"import fastsoftmax as f; f.cross_entropy([[1.0, 2.0]], [0], backend={backend!r})"
    loaded = loaded_after(script)
    assert not {"numba", "torch", "scipy"} & loaded
    assert any(name.startswith("fastsoftmax._backends.") for name in loaded)


def test_asking_which_backends_there_are_loads_none() -> None:
    loaded = loaded_after("import fastsoftmax as f; f.available_backends()")
    assert not {"numba", "fastsoftmax._c", "fastsoftmax._backends.reference"} & loaded


def test_names_of_the_face() -> None:
    for name in FUNCTIONS:
        assert callable(getattr(fsm, name)), name
    assert set(FUNCTIONS) <= set(fsm.__all__)
    for name in fsm.__all__:
        assert hasattr(fsm, name), name


def test_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+([a-z.+-].*)?", fsm.__version__)
    try:
        installed = importlib.metadata.version("fastsoftmax")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("run from the source tree without installation")
    assert installed == fsm.__version__


def test_citation_is_of_this_version() -> None:
    citation = Path(__file__).parent.parent / "CITATION.cff"
    assert f"\nversion: {fsm.__version__}\n" in citation.read_text("utf-8")


def test_typed() -> None:
    import importlib.resources

    assert importlib.resources.files("fastsoftmax").joinpath("py.typed").is_file()
