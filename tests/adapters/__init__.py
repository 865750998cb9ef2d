"""Adapters, tested against the libraries that they are for."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

import pytest


def library(name: str) -> Any:
    """Return a library; skip the module that asks where it is not installed.

    Fail instead where FASTSOFTMAX_TEST_REQUIRE names it, as it may name backends.
    """
    if importlib.util.find_spec(name) is None:
        if name in os.environ.get("FASTSOFTMAX_TEST_REQUIRE", "").split(","):
            pytest.fail(f"{name} is required here, but not installed", pytrace=False)
        pytest.skip(f"{name} is not installed", allow_module_level=True)
    return importlib.import_module(name)
