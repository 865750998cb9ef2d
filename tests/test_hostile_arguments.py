"""Objects that are not what they seem, in every array argument of every function.

Each is refused with an exception that says something, with every output as it was before; or the
result has the bits that an ordinary array of the same values gives.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fs

from . import hostile
from .hostile import FUNCTIONS, SENTINEL, Function, Nobody
from .variants import Variant

Array = npt.NDArray[Any]

REFUSALS = (TypeError, ValueError, MemoryError, BufferError, Nobody)
every_function = pytest.mark.parametrize("name", list(FUNCTIONS))


@pytest.fixture(autouse=True)
def _matrices_without_advice() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning, module="numpy")
        yield


def assert_same_bits(actual: Any, expected: Any, what: str) -> None:
    if isinstance(expected, tuple):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same_bits(one, other, what)
        return
    if expected is None:
        assert actual is None, what
        return
    one, other = np.asarray(actual), np.asarray(expected)
    assert one.dtype == other.dtype, what
    assert one.shape == other.shape, what
    assert one.tobytes() == other.tobytes(), what


def refused(
    function: Function, changes: dict[str, Any], backend: str, what: str, **options: Any
) -> None:
    """The call raises something that says something, and leaves its outputs as they were."""
    outs = function.outputs()
    with pytest.raises(REFUSALS) as error:
        raise AssertionError(
            f"taken: {what}: {function(changes, outs, backend=backend, **options)}"
        )
    assert str(error.value) or isinstance(error.value, Nobody), what
    for out in outs:
        assert (out == SENTINEL).all(), what


@every_function
def test_what_is_right_in_another_guise(any_backend: Variant, name: str) -> None:
    function = FUNCTIONS[name]
    expected = function({}, [], backend=any_backend.name)
    for argument, values in function.arrays.items():
        for kind, make in {**hostile.SUBCLASSES, **hostile.PROTOCOLS}.items():
            if (argument, kind) == ("state", "big-endian"):
                continue  # a state is float64 of this machine
            given = make(values)
            what = f"{argument}: {kind}"
            actual = function({argument: given}, [], backend=any_backend.name)
            assert_same_bits(actual, expected, what)
            outs = function.outputs()
            actual = function({argument: make(values)}, outs, backend=any_backend.name)
            assert_same_bits(actual, expected, f"{what}, with out")


@every_function
def test_what_is_refused_everywhere(any_backend: Variant, name: str) -> None:
    function = FUNCTIONS[name]
    for argument, values in function.arrays.items():
        for kind, make in hostile.BAD.items():
            refused(function, {argument: make(values)}, any_backend.name, f"{argument}: {kind}")


@every_function
def test_what_a_subclass_says_of_itself_does_not_count(any_backend: Variant, name: str) -> None:
    """One element that claims the shape of the logits is one element."""
    function = FUNCTIONS[name]
    for argument in function.arrays:
        one = np.ones((1, 1), np.float32).view(hostile.LYING)
        if argument == "where" or set(function.arrays) == {"x"}:
            continue  # one element is right there: a mask of another kind, or a row of one class
        refused(function, {argument: one}, any_backend.name, f"{argument}: lying")
    if "x" in function.arrays and len(function.arrays) == 1:
        one = np.ones((1, 1), np.float32).view(hostile.LYING)
        result = function({"x": one}, [], backend=any_backend.name)
        assert np.asarray(result).tolist() == [[1.0]]


@every_function
def test_an_interface_that_changes(any_backend: Variant, name: str) -> None:
    """It is asked once: whatever it says then is what it is."""
    function = FUNCTIONS[name]
    for argument, values in function.arrays.items():
        other = np.ones((2, 5, 7))
        first = function({argument: values.copy()}, [], backend=any_backend.name)
        given = hostile.Changing(values.copy(), other)
        assert_same_bits(function({argument: given}, [], backend=any_backend.name), first, argument)
        given = hostile.Changing(np.full((2, 2, 7), 1j), values.copy())
        refused(function, {argument: given}, any_backend.name, argument)


@every_function
def test_outputs_that_are_refused(any_backend: Variant, name: str) -> None:
    function = FUNCTIONS[name]
    for place, shape in enumerate(function.outs):
        for kind, make in hostile.BAD_OUTS.items():
            outs: list[Any] = [*function.outputs()]
            outs[place] = bad = make(shape)
            memory = bad
            while isinstance(memory, np.ndarray) and isinstance(memory.base, np.ndarray):
                memory = memory.base
            before = memory.tobytes() if isinstance(memory, np.ndarray) else repr(memory)
            with pytest.raises(REFUSALS) as error:
                raise AssertionError(
                    f"{kind} taken: {function({}, outs, backend=any_backend.name)}"
                )
            assert str(error.value), kind
            after = memory.tobytes() if isinstance(memory, np.ndarray) else repr(memory)
            assert before == after, kind
            for other in range(len(outs)):
                assert other == place or (outs[other] == SENTINEL).all(), kind


@every_function
def test_outputs_of_other_kinds(any_backend: Variant, name: str) -> None:
    """They are filled, and they are what comes back."""
    function = FUNCTIONS[name]
    results = function({}, function.outputs(), backend=any_backend.name)
    for place, shape in enumerate(function.outs):
        for kind, make in hostile.GOOD_OUTS.items():
            outs: list[Any] = [*function.outputs()]
            outs[place] = make(shape)
            again = function({}, outs, backend=any_backend.name)
            assert_same_bits(again, results, kind)
            gradients = again[-1] if name.startswith("linear") else again
            returned = gradients if isinstance(gradients, tuple) else (gradients,)
            assert any(each is outs[place] for each in returned), kind


@every_function
def test_outputs_whose_elements_share_memory(any_backend: Variant, name: str) -> None:
    function = FUNCTIONS[name]
    for place, shape in enumerate(function.outs):
        if len(shape) < 2:
            continue  # elements side by side are apart
        outs: list[Any] = [*function.outputs()]
        outs[place] = hostile.OVERLAPPING(shape)
        with pytest.raises(ValueError, match="shares memory between its own elements"):
            function({}, outs, backend=any_backend.name)
        assert (outs[place] == SENTINEL).all()


def test_outputs_whose_elements_lie_between_each_other(any_backend: Variant) -> None:
    """Steps that cross, and no two elements in one place."""
    memory = np.full(64, SENTINEL, np.float32)
    out = np.lib.stride_tricks.as_strided(memory, (2, 3), (8, 12))
    x = hostile.X[:2]
    assert fs.softmax(x, out=out, backend=any_backend.name) is out
    assert_same_bits(out.copy(), fs.softmax(x, backend=any_backend.name), "crossing steps")
    assert (memory != SENTINEL).sum() == 6


class _Index:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __index__(self) -> Any:
        if isinstance(self.value, type):
            raise self.value("no index")
        return self.value


NUMBERS: dict[str, Any] = {
    "nan": float("nan"), "inf": float("inf"), "float": 1.0, "numpy float": np.float32(1),
    "decimal": Decimal(1), "fraction": Fraction(1), "complex": 1j, "text": "1", "bytes": b"1",
    "list": [1], "array": np.array([1, 2]), "bool": True, "an index that raises": _Index(Nobody),
    "an index that is none": _Index("1"), "object": object(), "dict": {},
}  # fmt: skip


@every_function
@pytest.mark.parametrize("option", ["axis", "num_threads", "ignore_index"])
def test_integers_that_are_none(any_backend: Variant, name: str, option: str) -> None:
    function = FUNCTIONS[name]
    for kind, value in NUMBERS.items():
        refused(function, {}, any_backend.name, f"{option}: {kind}", **{option: value})


@every_function
def test_integers_beyond_everything(any_backend: Variant, name: str) -> None:
    function = FUNCTIONS[name]
    expected = function({}, [], backend=any_backend.name, num_threads=1)
    for value in (2**31, 2**63, 2**64, 2**200, np.uint64(2**63), _Index(2**70)):
        actual = function({}, [], backend=any_backend.name, num_threads=value)
        assert_same_bits(actual, expected, f"num_threads={value}")
    for bad in (0, -1, -(2**31), -(2**63), -(2**200)):
        refused(function, {}, any_backend.name, str(bad), num_threads=bad)
    if not name.startswith("linear"):
        for axis in (2, -3, 2**31, -(2**31), 2**63, -(2**64), 2**200):
            refused(function, {}, any_backend.name, str(axis), axis=axis)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if "cross_entropy" in n or "loss" in n])
def test_labels_to_ignore_beyond_everything(any_backend: Variant, name: str) -> None:
    function = FUNCTIONS[name]
    without = "cross_entropy_grad_hess", "cross_entropy of soft", "cross_entropy_value_and_grad"
    if name in without:
        return  # has no such option, or no labels
    expected = function({}, [], backend=any_backend.name)
    for value in (-1, 2**31, 2**63, -(2**63), -(2**63) - 1, 2**64, 2**200, _Index(-(2**70))):
        actual = function({}, [], backend=any_backend.name, ignore_index=value)
        assert_same_bits(actual, expected, f"ignore_index={value}")


class _Float(float):
    def __float__(self) -> float:
        raise Nobody

    def __le__(self, other: object) -> bool:
        return True

    __ge__ = __le__


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_grad", "linear_cross_entropy"])
def test_smoothing_that_is_none(any_backend: Variant, name: str) -> None:
    values: list[Any] = [
        float("nan"), float("inf"), -float("inf"), -1e-300, 1.0000001, 10**400, -(10**400),
        Fraction(10**400), np.longdouble("1e400"), Decimal("0.5"), "0.5", [0.5], True, None, 0.5j,
        np.array([0.5]), _Float("nan"), object(),
    ]  # fmt: skip
    for value in values:
        refused(FUNCTIONS[name], {}, any_backend.name, repr(value), label_smoothing=value)


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_mean_grad", "sharded.loss_sums"])
def test_weights_that_are_none(any_backend: Variant, name: str) -> None:
    for argument, count in (("weight", hostile.K), ("sample_weight", hostile.M)):
        for bad in (np.nan, -np.inf, -1e-320, 1j, "1", None):
            values = np.ones(count, type(bad) if isinstance(bad, complex) else object)
            values[-1] = bad
            if isinstance(bad, float):
                values = values.astype(float)
            refused(FUNCTIONS[name], {argument: values}, any_backend.name, f"{argument}: {bad}")


def _resize(x: Array) -> None:
    x.resize((40, 3), refcheck=False)


def _reshape(x: Array) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of setting a shape, in newer NumPy
        x.shape = (x.size, 1)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if len(FUNCTIONS[n].arrays) > 1])
@pytest.mark.parametrize("change", [_reshape, _resize])
def test_an_argument_that_changes_another_one(
    any_backend: Variant, name: str, change: Callable[[Array], None]
) -> None:
    """Its `__array__` gives an argument before it another shape, in place."""
    function = FUNCTIONS[name]
    names = list(function.arrays)
    for victim in names:
        for actor in names:
            if actor == victim:
                continue
            memory = np.array(function.arrays[victim])  # owns its memory, so that it can be resized
            values = function.arrays[actor].copy()

            def change_and_return(
                memory: Array = memory, values: Array = values, shape: Any = memory.shape
            ) -> Array:
                if memory.shape == shape and memory.ndim == 2:
                    change(memory)
                return values

            changes = {victim: memory, actor: hostile.AsArray(change_and_return)}
            outs = function.outputs()
            try:
                result = function(changes, outs, backend=any_backend.name)
            except (*REFUSALS, IndexError):
                for out in outs:
                    assert (out == SENTINEL).all(), (victim, actor)
            else:
                assert result is not None


def test_shapes_whose_product_overflows(any_backend: Variant) -> None:
    """More elements than memory can have, all of them in one place."""
    one = np.zeros((), np.int8)
    # of 2^62 elements; in float32 these would be 2^64 bytes
    for shape in ((2**62,), (2**31, 2**31), (2**62, 1), (1, 2**62), (2**20, 2**20, 2**22)):
        x = np.broadcast_to(one, shape)
        samples = np.broadcast_to(one, shape[:-1])
        for call in (
            lambda x=x, t=samples: fs.softmax(x, backend=any_backend.name),
            lambda x=x, t=samples: fs.logsumexp(x, backend=any_backend.name),
            lambda x=x, t=samples: fs.softmax_backward(x, x, backend=any_backend.name),
            lambda x=x, t=samples: fs.cross_entropy(x, t, backend=any_backend.name),
            lambda x=x, t=samples: fs.cross_entropy_grad(x, x, backend=any_backend.name),
            lambda x=x, t=samples: fs.cross_entropy_grad_hess(x, t, backend=any_backend.name),
        ):
            with pytest.raises((MemoryError, ValueError)):
                call()


def test_as_many_axes_as_there_can_be(any_backend: Variant) -> None:
    for ndim in (9, 32, hostile.MOST_AXES):
        x = hostile.X.reshape((1,) * (ndim - 2) + (hostile.M, hostile.K))
        labels = hostile.LABELS.reshape(x.shape[:-1])
        p = fs.softmax(x, backend=any_backend.name)
        assert_same_bits(p, fs.softmax(hostile.X, backend=any_backend.name).reshape(x.shape), "p")
        columns = fs.softmax(x, -2, backend=any_backend.name)
        expected = fs.softmax(hostile.X, 0, backend=any_backend.name).reshape(x.shape)
        assert_same_bits(columns, expected, "axis")
        loss, grad = fs.cross_entropy_value_and_grad(x, labels, backend=any_backend.name)
        again = fs.cross_entropy_value_and_grad(hostile.X, hostile.LABELS, backend=any_backend.name)
        assert_same_bits((loss, grad.reshape(hostile.X.shape)), again, "loss")
        where = np.broadcast_to(hostile.WHERE[0], x.shape)
        fs.log_softmax(x, where=where, backend=any_backend.name)
