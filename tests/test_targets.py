"""Labels and probabilities: which dtypes and shapes are taken, and labels out of range."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm

from . import cases
from .variants import Variant

SENTINEL = -77.0
CLASSES = 10

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4", ">i8")


def logits(rows: int = 24, dtype: str = "float32") -> npt.NDArray[Any]:
    return cases.rng("targets", rows).standard_normal((rows, CLASSES)).astype(dtype)


def good_labels(rows: int = 24) -> npt.NDArray[np.int64]:
    return np.arange(rows) * 7 % CLASSES


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cross_entropy": fsm.cross_entropy,
    "cross_entropy_grad": fsm.cross_entropy_grad,
    "cross_entropy_mean_grad": fsm.cross_entropy_mean_grad,
    "cross_entropy_value_and_grad": fsm.cross_entropy_value_and_grad,
    "cross_entropy_value_and_mean_grad": fsm.cross_entropy_value_and_mean_grad,
    "cross_entropy_grad_hess": fsm.cross_entropy_grad_hess,
}
every_function = pytest.mark.parametrize("function", list(FUNCTIONS))


@every_function
@pytest.mark.parametrize("dtype", INTEGERS)
def test_labels_of_every_integer_dtype(backend: Variant, function: str, dtype: str) -> None:
    call = FUNCTIONS[function]
    expected = call(logits(), good_labels(), backend=backend.name)
    actual = call(logits(), good_labels().astype(dtype), backend=backend.name)
    assert_same(actual, expected)
    assert_same(call(logits(), good_labels().tolist(), backend=backend.name), expected)


def assert_same(actual: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        for a, b in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    else:
        np.testing.assert_array_equal(actual, expected)


BAD_LABELS: list[Any] = [
    (-1, "int64"),
    (-1, "int32"),
    (-1, "int8"),
    (CLASSES, "int64"),
    (CLASSES, "int32"),
    (CLASSES, "uint8"),
    (2**40, "int64"),
    (2**31 - 1, "int32"),
    (-(2**31), "int32"),
    (2**32, "int64"),
    (2**32 + 3, "int64"),
    (2**63 - 1, "int64"),
    (-(2**63), "int64"),
    (2**63, "uint64"),
    (2**63 + 3, "uint64"),
    (2**64 - 1, "uint64"),
    (2**31, "uint32"),
    (2**32 - 1, "uint32"),
    (-129, ">i2"),
    (2**40, ">i8"),
]


@every_function
@pytest.mark.parametrize(("value", "dtype"), BAD_LABELS)
def test_label_out_of_range(backend: Variant, function: str, value: int, dtype: str) -> None:
    labels = good_labels().astype(dtype)
    labels[17] = value
    message = rf"^targets\[17\] = {value} is out of range for 10 classes"
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[function](logits(), labels, backend=backend.name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("value", "label_dtype"), BAD_LABELS[:16])
def test_outputs_are_untouched_by_a_bad_label(
    backend: Variant, dtype: str, value: int, label_dtype: str
) -> None:
    """It is found before anything is written, also as the very last label of a large array."""
    for rows in (3, 2000):
        x = logits(rows, dtype)
        labels = good_labels(rows).astype(label_dtype)
        labels[-1] = value
        for options in ({}, {"weight": np.ones(CLASSES)}, {"sample_weight": np.ones(rows)}):
            out = np.full_like(x, SENTINEL)
            for function in (fsm.cross_entropy_grad, fsm.cross_entropy_value_and_grad):
                with pytest.raises(ValueError, match=rf"targets\[{rows - 1}\] = {value} "):
                    function(x, labels, out=out, backend=backend.name, **options)
            assert (out == SENTINEL).all()


def test_labels_of_many_axes(backend: Variant) -> None:
    """More than the iterators of NumPy go through."""
    logits = np.zeros((1,) * 40 + (3,), np.float32)
    labels = np.full((1,) * 40, 3)
    with pytest.raises(ValueError, match=r"= 3 is out of range for 3 classes"):
        fsm.cross_entropy(logits, labels, backend=backend.name)
    with pytest.raises(ValueError, match=r"= 3 is out of range for 3 classes"):
        fsm.cross_entropy(logits, labels.astype(np.uint64), backend=backend.name)


def test_an_interface_that_claims_objects(backend: Variant) -> None:
    """Its pointers are not followed: they may lead anywhere."""

    class Claim:
        def __init__(self, memory: Any) -> None:
            self.memory = memory
            self.__array_interface__ = {**memory.__array_interface__, "typestr": "|O"}

    with pytest.raises(TypeError, match="integer dtype"):
        fsm.cross_entropy(np.zeros((3, 2)), Claim(np.arange(1, 4)), backend=backend.name)


def test_first_bad_label_is_named_at_its_place(backend: Variant) -> None:
    x = np.zeros((4, CLASSES, 6), np.float32)
    labels = np.zeros((4, 6), np.int64)
    labels[2, 3], labels[3, 0] = 12, -5
    with pytest.raises(ValueError, match=r"^targets\[2, 3\] = 12 is out of range for 10 classes"):
        fsm.cross_entropy(x, labels, axis=1, backend=backend.name)
    with pytest.raises(ValueError, match=r"^targets\[2, 3\] = 12 "):
        fsm.cross_entropy(x, np.asfortranarray(labels), axis=1, backend=backend.name)
    with pytest.raises(ValueError, match=r"^targets = 3 is out of range for 3 classes"):
        fsm.cross_entropy([1.0, 2.0, 3.0], 3, backend=backend.name)
    with pytest.raises(ValueError, match=r"^targets\[0\] = 1 is out of range for 1 class$"):
        fsm.cross_entropy([[1.0]], [1], backend=backend.name)


def test_bad_label_beside_ignored_ones(backend: Variant) -> None:
    labels = good_labels()
    labels[3], labels[20] = -100, -99
    with pytest.raises(ValueError, match=re.escape("targets[20] = -99 is out of range")):
        fsm.cross_entropy(logits(), labels, ignore_index=-100, backend=backend.name)
    with pytest.raises(ValueError, match=re.escape("targets[3] = -100 is out of range")):
        fsm.cross_entropy(logits(), labels, ignore_index=-99, backend=backend.name)
    # one that the labels' dtype cannot hold does not make the others good
    with pytest.raises(ValueError, match=re.escape("targets[3] = -100 is out of range")):
        fsm.cross_entropy(logits(), labels, ignore_index=2**70, backend=backend.name)


def test_labels_that_no_dtype_holds(backend: Variant) -> None:
    labels: list[Any] = good_labels().tolist()
    labels[5] = 10**30
    with pytest.raises(ValueError, match=re.escape(f"targets[5] = {10**30} is out of range")):
        fsm.cross_entropy(logits(), labels, backend=backend.name)
    loss = fsm.cross_entropy(logits(), labels, ignore_index=10**30, backend=backend.name)
    kept = np.arange(24) != 5
    assert loss == fsm.cross_entropy(logits()[kept], good_labels()[kept], backend=backend.name)


def test_ignored_label_in_uint64(backend: Variant) -> None:
    labels = good_labels().astype(np.uint64)
    labels[5] = 2**64 - 1
    loss = fsm.cross_entropy(logits(), labels, ignore_index=2**64 - 1, backend=backend.name)
    kept = np.arange(24) != 5
    assert loss == fsm.cross_entropy(logits()[kept], good_labels()[kept], backend=backend.name)
    with pytest.raises(ValueError, match=re.escape(f"targets[5] = {2**64 - 1} is out of range")):
        fsm.cross_entropy(logits(), labels, ignore_index=-1, backend=backend.name)


@every_function
@pytest.mark.parametrize(
    "labels",
    [
        np.full(24, np.nan),
        good_labels().astype(np.float32),
        good_labels().astype(bool),
        good_labels().astype(complex),
        good_labels().astype(object),
        good_labels().astype(str),
        good_labels().astype("datetime64[s]"),
    ],
    ids=lambda labels: labels.dtype.name,
)
def test_labels_of_another_kind(backend: Variant, function: str, labels: npt.NDArray[Any]) -> None:
    with pytest.raises(TypeError, match=r"targets of shape .* must be of an integer dtype, not "):
        FUNCTIONS[function](logits(), labels, backend=backend.name)


@every_function
@pytest.mark.parametrize(
    "dtype", ["int64", "bool", "uint8", "float16", "float32", "float64", ">f4"]
)
def test_one_hot_targets_of_every_dtype(backend: Variant, function: str, dtype: str) -> None:
    one_hot = np.eye(CLASSES)[good_labels()].astype(dtype)
    call = FUNCTIONS[function]
    actual = call(logits(), one_hot, backend=backend.name)
    expected = call(logits(), one_hot.astype(np.float32), backend=backend.name)
    parts = zip(
        actual if isinstance(actual, tuple) else (actual,),
        expected if isinstance(expected, tuple) else (expected,),
        strict=True,
    )
    for ours, reference in parts:
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, reference, rtol=1e-6, atol=1e-30)


def test_one_hot_gives_the_bits_of_labels(backend: Variant, dtype: str) -> None:
    for num_classes in (2, 3, 7, 8, 17, 64, 1000):
        x = cases.random_logits(dtype, num_classes, 20.0)[:50]
        labels = cases.labels_for(x)
        one_hot = np.eye(num_classes, dtype=dtype)[labels]
        for name, call in FUNCTIONS.items():
            by_label = call(x, labels, backend=backend.name)
            by_vector = call(x, one_hot, backend=backend.name)
            if not isinstance(by_label, tuple):
                by_label, by_vector = (by_label,), (by_vector,)
            for a, b in zip(by_label, by_vector, strict=True):
                np.testing.assert_array_equal(a, b, err_msg=f"{name}, K={num_classes}")


@every_function
@pytest.mark.parametrize(
    "shape", [(), (23,), (25,), (24, 1), (1, 24), (24, 9), (10, 24), (24, 10, 1), (0,), (10,)]
)
def test_targets_of_another_shape(backend: Variant, function: str, shape: tuple[int, ...]) -> None:
    message = re.escape(
        "targets must be labels of shape (24,) or probabilities of shape (24, 10), not an array of "
        f"shape {shape}"
    )
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[function](logits(), np.zeros(shape, np.int64), backend=backend.name)


@pytest.mark.parametrize("strided", ["reversed", "every other", "broadcast", "byte-offset"])
def test_labels_at_any_strides(backend: Variant, strided: str) -> None:
    labels = good_labels()
    if strided == "reversed":
        view = labels[::-1].copy()[::-1]
    elif strided == "every other":
        view = np.repeat(labels, 2)[::2]
    elif strided == "broadcast":
        labels = np.full(24, 3)
        view = np.broadcast_to(np.int64(3), 24)
    else:
        buffer = np.zeros(24 * 8 + 1, np.uint8)
        view = buffer[1:].view(np.int64)
        view[:] = labels
    expected = fsm.cross_entropy_value_and_grad(logits(), labels, backend=backend.name)
    assert_same(fsm.cross_entropy_value_and_grad(logits(), view, backend=backend.name), expected)
