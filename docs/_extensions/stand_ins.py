"""Stand-ins for PyTorch and scikit-learn, so that docstrings of their adapters can be read without.

The other adapters are read with autodoc's own stand-ins. Those have no classes, and these adapters
derive from some. What is documented is the adapters': nothing in their docstrings comes from here.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

from sphinx.application import Sphinx

ADAPTERS = ("fastsoftmax.sklearn", "fastsoftmax.torch")
LIBRARIES = {"joblib", "scipy", "sklearn", "torch"}


class Applied:
    apply = None


class Function(Applied):
    class _backward_cls:
        apply = None


class CrossEntropyLoss:
    """With the signature of ``torch.nn.CrossEntropyLoss``, which the adapter's module takes on."""

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None: ...


class BaseEstimator: ...


class ClassifierMixin: ...


CrossEntropyLoss.__module__ = "torch.nn"
BaseEstimator.__module__ = ClassifierMixin.__module__ = "sklearn.base"

CLASSES = {
    "sklearn.base": {"BaseEstimator": BaseEstimator, "ClassifierMixin": ClassifierMixin},
    "torch.autograd": {"Function": Function},
    "torch.nn": {"CrossEntropyLoss": CrossEntropyLoss},
}


class StandIn(ModuleType):
    """A module with a submodule, a class or a mock of any name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        path = f"{self.__name__}.{name}"
        value = importlib.import_module(path) if path in CLASSES else MagicMock(name=path)
        setattr(self, name, value)
        return value


class Finder(MetaPathFinder, Loader):
    """Finds a stand-in for every module of the libraries, installed or not."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if of_library(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(CLASSES.get(module.__name__, {}))


def of_library(name: str) -> bool:
    """Whether a module belongs to a library that there is a stand-in for."""
    return name.split(".")[0] in LIBRARIES


def setup(app: Sphinx) -> dict[str, bool]:
    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        for adapter in ADAPTERS:
            importlib.import_module(adapter)
    finally:
        sys.meta_path.remove(finder)
        for name in filter(of_library, list(sys.modules)):
            del sys.modules[name]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
