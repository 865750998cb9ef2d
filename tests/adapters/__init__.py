"""Tests of what works with other libraries, each against the real one."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

import pytest


def library(name: str) -> Any:
    """Import and return a library; skip the test module where it is not installed.

    FASTSOFTMAX_TEST_REQUIRE="jax,torch" turns the absence of a library from a skip into a failure.
    """
    if importlib.util.find_spec(name) is not None:
        return importlib.import_module(name)
    if name in os.environ.get("FASTSOFTMAX_TEST_REQUIRE", "").split(","):
        pytest.fail(f"{name} is required here, but not installed", pytrace=False)
    pytest.skip(f"{name} is not installed", allow_module_level=True)
