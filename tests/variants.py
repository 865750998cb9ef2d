"""The backends to be tested, and why one of them cannot be.

FASTSOFTMAX_TEST_BACKENDS="c" leaves out the others, where they have nothing to say: under a
sanitizer that sees the compiled backend alone, for example.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """A backend, with one instruction set of the compiled one."""

    name: str
    instruction_set: str | None = None
    missing: str | None = None

    @property
    def id(self) -> str:
        return f"{self.name}-{self.instruction_set}" if self.instruction_set else self.name

    @property
    def required(self) -> bool:
        return self.name in os.environ.get("FASTSOFTMAX_TEST_REQUIRE", "").split(",")


def _discover() -> tuple[Variant, ...]:
    found: list[Variant] = []
    try:
        extension = importlib.import_module("fastsoftmax._c")
    except ImportError as error:
        found.append(Variant("c", missing=f"the extension is not built ({error})"))
    else:
        found.extend(Variant("c", name) for name in extension.instruction_sets())
    missing = None if importlib.util.find_spec("numba") else "numba is not installed"
    found.append(Variant("numba", missing=missing))
    found.append(Variant("numpy"))
    return tuple(found)


def _wanted(found: tuple[Variant, ...]) -> tuple[Variant, ...]:
    wanted = os.environ.get("FASTSOFTMAX_TEST_BACKENDS")
    if not wanted:
        return found
    names = set(wanted.split(","))
    if unknown := names - {variant.name for variant in found}:
        raise ValueError(f"FASTSOFTMAX_TEST_BACKENDS: no backends are named {sorted(unknown)}")
    return tuple(variant for variant in found if variant.name in names)


_ALL = _discover()
INSTALLED = tuple(dict.fromkeys(v.name for v in _ALL if not v.missing))
VARIANTS = _wanted(_ALL)
TESTED = tuple(name for name in INSTALLED if name in {v.name for v in VARIANTS})
