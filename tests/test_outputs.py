"""Outputs: new ones, the caller's, the input's own memory, and memory that overlaps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastsoftmax as fsm
from fastsoftmax._accuracy import oracle

from . import cases
from .layouts import array, layouts
from .variants import Variant

Array = npt.NDArray[Any]

Operation = Callable[..., Array]


def operations(dtype: str) -> dict[str, Operation]:
    """Functions of one array of shape (6, 7) that return one, and take `out`."""
    other = array((6, 7), dtype)
    probabilities = oracle.softmax(other).to_float64().astype(dtype)
    labels = np.arange(6) % 7
    return {
        "softmax": fsm.softmax,
        "log_softmax": fsm.log_softmax,
        "softmax_backward of g": lambda x, **k: fsm.softmax_backward(x, probabilities, **k),
        "softmax_backward of p": lambda x, **k: fsm.softmax_backward(other, x, **k),
        "log_softmax_backward of g": lambda x, **k: fsm.log_softmax_backward(x, other, **k),
        "log_softmax_backward of log p": lambda x, **k: fsm.log_softmax_backward(other, x, **k),
        "cross_entropy_grad": lambda x, **k: fsm.cross_entropy_grad(x, labels, **k),
        "cross_entropy_grad of soft": lambda x, **k: fsm.cross_entropy_grad(other, x, **k),
        "value_and_grad": lambda x, **k: fsm.cross_entropy_value_and_grad(x, labels, **k)[1],
        "grad of everything": lambda x, **k: fsm.cross_entropy_grad(
            x, abs(other), label_smoothing=0.1, sample_weight=abs(other[:, 0]), **k
        ),
    }


every_operation = pytest.mark.parametrize("operation", list(operations("float32")))


def sample(dtype: str) -> Array:
    return np.asarray(abs(array((6, 7), dtype)))


@every_operation
def test_in_place(backend: Variant, dtype: str, operation: str) -> None:
    """The same bits, whether new memory, reused memory or the input's own receives them."""
    call = operations(dtype)[operation]
    x = sample(dtype)
    expected = call(x, backend=backend.name)
    for name, view in layouts(x).items():
        if name in ("read-only", "big-endian", "unaligned"):
            continue
        fresh = call(view, backend=backend.name)
        out = np.full_like(view, 5)
        assert call(view, out=out, backend=backend.name) is out
        np.testing.assert_array_equal(view, x)
        same = view[...]
        assert call(view, out=same, backend=backend.name) is same
        np.testing.assert_array_equal(same, out, err_msg=name)
        np.testing.assert_array_equal(fresh, out, err_msg=name)
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


@every_operation
@pytest.mark.parametrize("shift", [-9, -7, -3, -1, 1, 3, 7, 9])
def test_overlapping(backend: Variant, dtype: str, operation: str, shift: int) -> None:
    call = operations(dtype)[operation]
    x = sample(dtype)
    expected = call(x, backend=backend.name)
    memory = np.zeros(x.size + 2 * abs(shift), dtype)
    start = abs(shift)
    view = memory[start : start + x.size].reshape(x.shape)
    view[...] = x
    out = memory[start + shift : start + shift + x.size].reshape(x.shape)
    call(view, out=out, backend=backend.name)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("shift", [-500, -100, -1, 1, 100, 500])
def test_overlapping_over_many_rows(backend: Variant, dtype: str, shift: int) -> None:
    """More of them than are in work at a time, so that a result lands on rows still to be read."""
    x = array((3000, 100), dtype)
    labels = np.arange(3000) % 100
    calls: list[Operation] = [
        fsm.softmax,
        lambda x, **k: fsm.cross_entropy_grad(x, labels, **k),
        lambda x, **k: fsm.softmax_backward(x, x, **k),
    ]
    for call in calls:
        expected = call(x, backend=backend.name)
        memory = np.zeros(x.size + abs(shift), dtype)
        start, stop = max(0, -shift), max(0, shift)
        view = memory[start : start + x.size].reshape(x.shape)
        view[...] = x
        out = memory[stop : stop + x.size].reshape(x.shape)
        call(view, out=out, backend=backend.name)
        np.testing.assert_array_equal(out, expected)


@every_operation
def test_overlapping_with_other_strides(backend: Variant, dtype: str, operation: str) -> None:
    call = operations(dtype)[operation]
    x = sample(dtype)
    expected = call(x, backend=backend.name)
    for reorder in (lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a[::-1, ::-1]):
        view = x.copy()
        out = reorder(view)
        call(view, out=out, backend=backend.name)
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
    square = sample(dtype)[:, :6].copy()
    if operation not in ("softmax", "log_softmax"):
        return
    expected = call(square, backend=backend.name)
    call(square, out=square.T, backend=backend.name)
    np.testing.assert_allclose(square.T, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [6, 3000])
@pytest.mark.parametrize("name", ["weight", "sample_weight", "labels", "mask"])
def test_output_on_the_other_inputs(backend: Variant, name: str, rows: int) -> None:
    """Each of them at the start of the output's memory, where it is overwritten first."""
    num_classes = 100
    f = array((rows, num_classes), "float64")
    inputs: dict[str, Array] = {
        "weight": 1 + np.abs(f[0]),
        "sample_weight": 1 + np.abs(f[:, 0]),
        "labels": np.arange(rows) % num_classes,
        "mask": f > -1,
    }

    def call(out: Array | None = None, **replaced: Array) -> Array:
        given = inputs | replaced
        if name == "mask":
            return fsm.softmax(f, where=given["mask"], out=out, backend=backend.name)
        options = {k: given[k] for k in ("weight", "sample_weight")}
        labels = given["labels"]
        return fsm.cross_entropy_grad(f, labels, out=out, backend=backend.name, **options)

    expected = call()
    out = np.zeros_like(f)
    own = inputs[name]
    shared = out.reshape(-1).view(own.dtype)[: own.size].reshape(own.shape)
    shared[...] = own
    call(out, **{name: shared})
    np.testing.assert_array_equal(out, expected)


def test_outputs_of_the_hessian(backend: Variant, dtype: str) -> None:
    f = sample(dtype)
    labels = np.arange(6)
    grad, hess = fsm.cross_entropy_grad_hess(f, labels, backend=backend.name)
    for outputs in (
        (np.empty_like(f), np.empty_like(f)),
        (np.empty_like(f, order="F"), np.empty((6, 14), dtype)[:, ::2]),
        (None, np.empty_like(f)),
        (np.empty_like(f), None),
        (f.copy(), np.empty_like(f)),
    ):
        a, b = fsm.cross_entropy_grad_hess(f, labels, out=outputs, backend=backend.name)
        assert outputs[0] is None or a is outputs[0]
        assert outputs[1] is None or b is outputs[1]
        np.testing.assert_allclose(a, grad, rtol=1e-6)
        np.testing.assert_allclose(b, hess, rtol=1e-6)
    for place in (0, 1):  # one of the outputs on the logits
        mine = f.copy()
        outputs = (mine, np.empty_like(f)) if place == 0 else (np.empty_like(f), mine)
        a, b = fsm.cross_entropy_grad_hess(mine, labels, out=outputs, backend=backend.name)
        np.testing.assert_array_equal(a, grad)
        np.testing.assert_array_equal(b, hess)


def test_output_of_mean_gradients(backend: Variant, dtype: str) -> None:
    f, labels = sample(dtype), np.arange(6)
    expected = fsm.cross_entropy_mean_grad(f, labels, backend=backend.name)
    strided = np.empty(14, dtype)[::-2]
    for out in (np.empty(7, dtype), strided, f[2]):
        assert fsm.cross_entropy_mean_grad(f, labels, out=out, backend=backend.name) is out
        np.testing.assert_array_equal(out, expected)


def test_strange_outputs(backend: Variant, dtype: str) -> None:
    """Byte-swapped ones are refused by their dtype; unaligned ones and subclasses are taken."""
    x = sample(dtype)
    expected = fsm.softmax(x, backend=backend.name)
    with pytest.raises(TypeError, match="out must be of dtype"):
        fsm.softmax(x, out=np.empty(x.shape, x.dtype.newbyteorder()), backend=backend.name)
    unaligned = np.zeros(x.nbytes + 1, np.uint8)[1:].view(dtype).reshape(x.shape)
    assert fsm.softmax(x, out=unaligned, backend=backend.name) is unaligned
    np.testing.assert_array_equal(unaligned, expected)

    class Subclass(np.ndarray):
        pass

    out = np.empty(x.shape, dtype).view(Subclass)
    assert fsm.softmax(x.view(Subclass), out=out, backend=backend.name) is out
    np.testing.assert_array_equal(np.asarray(out), expected)
    assert type(fsm.softmax(x.view(Subclass), backend=backend.name)) is np.ndarray


def test_memory_mapped(backend: Variant, dtype: str, tmp_path: Any) -> None:
    x = sample(dtype)
    x.tofile(tmp_path / "logits")
    mapped = np.memmap(tmp_path / "logits", dtype, "r", shape=x.shape)
    target = np.memmap(tmp_path / "result", dtype, "w+", shape=x.shape)
    fsm.softmax(mapped, out=target, backend=backend.name)
    np.testing.assert_array_equal(target, fsm.softmax(x, backend=backend.name))


def test_nothing_outside_the_output_is_written(backend: Variant, dtype: str) -> None:
    """Every length around the widths of vectors, at any alignment, between untouched neighbours."""
    generator = cases.rng("guard")
    for num_classes in (*range(1, 36), 63, 64, 65, 127, 129):
        for rows in (1, 3):
            for start in range(4, 8):
                x = generator.standard_normal((rows, num_classes)).astype(dtype)
                memory = np.full(rows * num_classes + 40, -77, dtype)
                out = memory[start : start + x.size].reshape(x.shape)
                fsm.softmax(x, out=out, backend=backend.name)
                fsm.cross_entropy_grad(x, np.zeros(rows, int), out=out, backend=backend.name)
                assert (memory[:start] == -77).all()
                assert (memory[start + x.size :] == -77).all()
                assert np.isfinite(out).all()
