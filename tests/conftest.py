"""Fixtures: every backend, and every instruction set of the compiled one that this machine can run.

FASTSOFTMAX_TEST_REQUIRE="c,numba" turns the absence of a backend from a skip into a failure;
FASTSOFTMAX_TEST_EVERY="5" selects about one test in five, always the same, where there is no time
for all: under a sanitizer, for example.
"""

from __future__ import annotations

import importlib
import os
import zlib
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from . import recorder
from .parallel import mark_unsafe
from .variants import TESTED, VARIANTS, Variant

hypothesis.settings.register_profile(
    "default",
    deadline=None,
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("default"), derandomize=True, print_blob=True
)
hypothesis.settings.register_profile(
    "brief", hypothesis.settings.get_profile("ci"), max_examples=10
)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default")
)


def _params() -> list[Any]:
    return [
        pytest.param(variant, id=variant.id, marks=pytest.mark.skip(reason=variant.missing))
        if variant.missing and not variant.required
        else pytest.param(variant, id=variant.id)
        for variant in VARIANTS
    ]


@pytest.fixture(scope="module", params=_params())
def backend(request: pytest.FixtureRequest) -> Iterator[Variant]:
    """A backend by `name`, with its instruction set in use for as long as the test runs."""
    variant: Variant = request.param
    if variant.missing:
        pytest.fail(f"{variant.name} is required here, but {variant.missing}")
    if variant.instruction_set is None:
        yield variant
        return
    extension = importlib.import_module("fastsoftmax._c")
    previous = extension.use_instruction_set(variant.instruction_set)
    yield variant
    extension.use_instruction_set(previous)


@pytest.fixture(params=TESTED)
def any_backend(request: pytest.FixtureRequest) -> Variant:
    """A backend by `name`, for what does not depend on its instruction set."""
    return Variant(request.param)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    """The name of a natively supported dtype."""
    return str(request.param)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    every = int(os.environ.get("FASTSOFTMAX_TEST_EVERY", "1"))
    kept = [item for item in items if zlib.crc32(item.nodeid.encode()) % every == 0]
    if left_out := [item for item in items if item not in set(kept)]:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept
    mark_unsafe(items)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    recorder.summary(terminalreporter.section, terminalreporter.write_line)
