"""Tests against the libraries that fastsoftmax adapts to."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def library(name: str) -> Any:
    """Import a library, or skip the module; fail where it is said to be there."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if name in os.environ.get("FASTSOFTMAX_TEST_REQUIRE", "").split(","):
            raise
        pytest.skip(f"{name} is not installed ({error})", allow_module_level=True)
