"""Tests of the adapters, each against the real library."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

import pytest


def library(name: str) -> Any:
    """Import a library, or skip the module; FASTSOFTMAX_TEST_REQUIRE makes that a failure."""
    if importlib.util.find_spec(name) is None:
        if name in os.environ.get("FASTSOFTMAX_TEST_REQUIRE", "").split(","):
            pytest.fail(f"{name} is required here, but it is not installed", pytrace=False)
        pytest.skip(f"{name} is not installed", allow_module_level=True)
    return importlib.import_module(name)
