"""Every public name has a docstring, and every example in one gives what it says."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import fastsoftmax as fsm
from fastsoftmax import sharded

PUBLIC = [name for name in fsm.__all__ if not name.startswith("_")]
SHARDED = [f"sharded.{name}" for name in sharded.__all__ if name != "STATE_SIZE"]


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    """Examples may set a backend or a number of threads."""
    yield
    fsm.set_backend(None)
    fsm.set_num_threads(None)


def named(name: str) -> Any:
    *modules, name = name.split(".")
    return getattr(sharded if modules else fsm, name)


def examples(name: str) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(recurse=True, exclude_empty=True)
    found = finder.find(named(name), name, globs=dict(vars(fsm)))
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", PUBLIC + SHARDED)
def test_examples(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for test in examples(name):
        runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("name", PUBLIC + SHARDED)
def test_docstring(name: str) -> None:
    thing: Any = named(name)
    text = inspect.getdoc(thing)
    assert text
    assert examples(name), f"{name} has no example"
    signature = inspect.signature(thing)
    for parameter in signature.parameters:
        assert parameter in text, f"{name} does not say what {parameter} is"


def test_docstring_of_the_package() -> None:
    assert fsm.__doc__
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner()
    for test in finder.find(fsm, "fastsoftmax", globs={}):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
