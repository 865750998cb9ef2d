"""What the types say is true: of results as of refusals; and overloads say all that is there.

Whether type checkers see it so as well is for `.ci/types` to find out.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, get_args, get_origin

import numpy as np
import pytest

import fastsoftmax as fs
from fastsoftmax import sharded

from .typing import accepted, refused


def check_type(value: object, claimed: Any) -> Any:
    """`typing.assert_type`, but that it looks: at classes, dtypes and the parts of tuples."""
    origin, arguments = get_origin(claimed), get_args(claimed)
    if isinstance(origin, getattr(typing, "TypeAliasType", ())):  # NumPy 2.5's NDArray is one
        claimed = origin.__value__[arguments]
        origin, arguments = get_origin(claimed), get_args(claimed)
    if claimed is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        assert any(matches(value, one) for one in arguments), f"{value!r} is not {claimed}"
    elif origin is np.ndarray:
        assert isinstance(value, np.ndarray), f"{value!r} is not {claimed}"
        (wanted,) = get_args(arguments[1])
        assert wanted is Any or value.dtype == wanted, f"{value.dtype} is not {wanted}"
    elif origin is tuple:
        assert isinstance(value, tuple)
        if arguments[-1] is Ellipsis:
            arguments = arguments[:1] * len(value)
        for part, of_part in zip(value, arguments, strict=True):
            check_type(part, of_part)
    elif origin is typing.Literal:
        assert value in arguments, f"{value!r} is not {claimed}"
    elif origin is not None:
        assert isinstance(value, origin), f"{value!r} is not {claimed}"
    else:
        assert value is None if claimed is None else isinstance(value, claimed)
    return value


def matches(value: object, claimed: Any) -> bool:
    try:
        check_type(value, claimed)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("function", accepted.FUNCTIONS, ids=lambda f: f.__name__)
def test_accepted(function: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepted, "assert_type", check_type)
    function()


@pytest.mark.parametrize(
    ("value", "claimed"),
    [
        (np.zeros(2), np.float64),
        (np.zeros(2), accepted.Float32Array),
        (np.float32(0), np.float64),
        ((np.float64(0), np.zeros(1)), tuple[np.float64, accepted.Float32Array]),
        (None, np.float32 | accepted.Float32Array),
    ],
)
def test_claims_that_are_wrong_are_found(value: object, claimed: Any) -> None:
    with pytest.raises(AssertionError):
        check_type(value, claimed)


@pytest.mark.parametrize("number", range(len(refused.REFUSED)))
def test_refused(number: int) -> None:
    with pytest.raises((TypeError, ValueError)):
        refused.REFUSED[number]()


def overloaded() -> list[Any]:
    public = [getattr(m, name) for m in (fs, sharded) for name in m.__all__]
    return [f for f in public if inspect.isfunction(f) and typing.get_overloads(f)]


@pytest.mark.parametrize("function", overloaded(), ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_overloads_have_the_parameters_of_the_function(function: Any) -> None:
    """With their defaults, in the function's order up to those that are given by name."""
    real = inspect.signature(function).parameters
    named = {name for name, p in real.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    for one in typing.get_overloads(function):
        declared = dict(inspect.signature(one).parameters)
        names = set()
        if declared.pop("options", None):
            (unpacked,) = get_args(typing.get_type_hints(one)["options"])
            names = set(typing.get_type_hints(unpacked))
        assert names | set(declared) == set(real)
        positional = [name for name in declared if name not in named]
        assert positional == [name for name in real if name not in named]
        for name, parameter in declared.items():
            assert parameter.kind is real[name].kind
            if parameter.default is not inspect.Parameter.empty:
                assert parameter.default == real[name].default


def test_most_functions_have_overloads() -> None:
    assert len(overloaded()) >= 16
