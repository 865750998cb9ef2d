"""The examples in the adapters' docstrings give what they say."""

from __future__ import annotations

import doctest
import inspect
from typing import Any

import pytest

from . import library

# The adapters, with the library and the names of each that have an example.
ADAPTERS = {
    "torch": (
        "cross_entropy",
        "CrossEntropyLoss",
        "linear_cross_entropy",
        "softmax",
        "log_softmax",
    ),
    "jax": (
        "softmax",
        "log_softmax",
        "softmax_cross_entropy",
        "softmax_cross_entropy_with_integer_labels",
    ),
    "sklearn": ("SoftmaxRegression",),
    "xgboost": ("SoftmaxObjective", "mlogloss", "merror"),
    "lightgbm": ("SoftmaxObjective", "multi_logloss", "multi_error"),
    "dask": (
        "softmax",
        "log_softmax",
        "logsumexp",
        "cross_entropy",
        "cross_entropy_value_and_grad",
        "cross_entropy_value_and_mean_grad",
    ),
}
NAMES = [(adapter, name) for adapter, names in ADAPTERS.items() for name in names]


def adapter_of(name: str) -> Any:
    library(name)
    return __import__(f"fastsoftmax.{name}", fromlist=["__all__"])


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_public_name_is_here(adapter: str) -> None:
    module = adapter_of(adapter)
    instances = {"softmax_objective"}  # documented where its class is
    assert set(module.__all__) - instances == set(ADAPTERS[adapter])


@pytest.mark.parametrize(("adapter", "name"), NAMES)
def test_examples(adapter: str, name: str) -> None:
    module = adapter_of(adapter)
    thing = getattr(module, name)
    assert inspect.getdoc(thing)
    finder = doctest.DocTestFinder(exclude_empty=True, recurse=False)
    tests = [test for test in finder.find(thing, name, globs={}) if test.examples]
    assert tests, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for test in tests:
        runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
