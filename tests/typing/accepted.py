"""User code that must type-check, and types that results must be known to have.

Type checkers read it, and the tests run it: what `assert_type` claims must be true as well.
"""

from __future__ import annotations

import array
import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, Unpack, assert_type

import numpy as np
from numpy.typing import NDArray

import fastsoftmax as fs
from fastsoftmax import sharded
from fastsoftmax.typing import (
    ArrayLike,
    BackendName,
    CrossEntropyOptions,
    Hessian,
    LinearCrossEntropyOptions,
    MeanOrSum,
    OutputArray,
    Reduction,
)

__all__ = ["FUNCTIONS"]

Float32Array: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]
AnyArray: TypeAlias = NDArray[Any]
Scalar: TypeAlias = np.floating[Any]

f32: Float32Array = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], np.float32)
f64: Float64Array = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
f16: NDArray[np.float16] = np.zeros((2, 3), np.float16)
integers: NDArray[np.int64] = np.arange(6).reshape(2, 3)
unknown: AnyArray = f32
labels: NDArray[np.int64] = np.array([1, 2])
lists = [[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]


def probabilities() -> None:
    assert_type(fs.softmax(f32), Float32Array)
    assert_type(fs.softmax(f64, 0), Float64Array)
    assert_type(fs.softmax(f16, axis=-1), NDArray[np.float16])
    assert_type(fs.softmax(integers), AnyArray)
    assert_type(fs.softmax(lists), AnyArray)
    assert_type(fs.softmax(unknown), AnyArray)
    assert_type(fs.log_softmax(f32, where=f32 > 0), Float32Array)
    assert_type(fs.log_softmax((1, 2.0, True), where=[True, False, True]), AnyArray)
    assert_type(fs.softmax(f32, out=np.empty_like(f32), backend="numpy"), Float32Array)
    assert_type(fs.softmax_backward(f32, fs.softmax(f32), num_threads=1), Float32Array)
    assert_type(fs.log_softmax_backward(f64, f64, 0, out=np.empty_like(f64)), Float64Array)
    assert_type(fs.softmax_backward(lists, f64), AnyArray)


def log_sum() -> None:
    assert_type(fs.logsumexp(f32, keepdims=True), Float32Array)
    assert_type(fs.logsumexp(lists, keepdims=True, where=[True, True, False]), AnyArray)
    assert_type(fs.logsumexp(lists, out=np.empty(2)), Float64Array)
    # An array or a scalar, as the number of axes decides, which is not known to type checkers.
    assert_type(fs.logsumexp(f32), Any)
    rows: Float32Array = fs.logsumexp(f32, axis=1, backend="c" if "c" in INSTALLED else None)
    one: np.float64 = fs.logsumexp(f64[0])
    print(rows[0], one + 1.0)


def losses(reduction: Reduction = "none") -> None:
    assert_type(fs.cross_entropy(f32, labels), np.float32)
    assert_type(fs.cross_entropy(f64, labels, reduction="sum"), np.float64)
    assert_type(fs.cross_entropy(f32, labels, reduction="none"), Float32Array)
    assert_type(fs.cross_entropy(lists, [0, 1]), Scalar)
    assert_type(fs.cross_entropy(lists, [0, 1], reduction="none"), AnyArray)
    assert_type(fs.cross_entropy(f32, f32, weight=[1, 2, 3], label_smoothing=0.1), np.float32)
    either = fs.cross_entropy(f32, labels, reduction=reduction)
    assert_type(either, np.float32 | Float32Array)
    print(float(fs.cross_entropy(lists, [0, 1])), either.sum())


def gradients() -> None:
    assert_type(fs.cross_entropy_grad(f32, labels, reduction="none"), Float32Array)
    assert_type(fs.cross_entropy_grad(lists, [0, 1], ignore_index=-1), AnyArray)
    assert_type(fs.cross_entropy_mean_grad(f64, labels, reduction="sum"), Float64Array)
    assert_type(fs.cross_entropy_mean_grad(lists, labels), AnyArray)
    assert_type(fs.cross_entropy_value_and_grad(f32, labels), tuple[np.float32, Float32Array])
    assert_type(
        fs.cross_entropy_value_and_grad(f64, labels, reduction="none", out=np.empty_like(f64)),
        tuple[Float64Array, Float64Array],
    )
    assert_type(fs.cross_entropy_value_and_grad(lists, [0, 1]), tuple[Scalar, AnyArray])
    assert_type(
        fs.cross_entropy_value_and_grad(lists, [0, 1], reduction="none"), tuple[AnyArray, AnyArray]
    )
    assert_type(
        fs.cross_entropy_value_and_mean_grad(f32, labels, sample_weight=[1.0, 0.5]),
        tuple[np.float32, Float32Array],
    )
    assert_type(fs.cross_entropy_value_and_mean_grad(lists, labels), tuple[Scalar, AnyArray])


def boosting(hessian: Hessian = "xgboost") -> None:
    grad, hess = fs.cross_entropy_grad_hess(f32, labels, hessian=hessian)
    assert_type(grad, Float32Array)
    assert_type(hess, Float32Array)
    out = np.empty_like(f64), None
    assert_type(
        fs.cross_entropy_grad_hess(f64, labels, hessian="exact", out=out),
        tuple[Float64Array, Float64Array],
    )
    assert_type(fs.cross_entropy_grad_hess(lists, [0, 1])[1], AnyArray)


def linear_layers() -> None:
    x, w, b = f32, np.ones((4, 3), np.float32), np.zeros(4, np.float32)
    assert_type(fs.linear_cross_entropy(x, w, labels), np.float32)
    assert_type(fs.linear_cross_entropy(x, w, labels, b, reduction="none"), Float32Array)
    assert_type(fs.linear_cross_entropy(lists, w, labels, workspace_bytes=1 << 20), Scalar)
    assert_type(fs.linear_cross_entropy(lists, w, labels, reduction="none"), AnyArray)
    loss, (dx, dw, db) = fs.linear_cross_entropy_value_and_grad(x, w, labels, b)
    assert_type(loss, np.float32)
    assert_type(dx, Float32Array)
    assert_type(dw, Float32Array)
    print(db.sum())
    some = fs.linear_cross_entropy_value_and_grad(
        x, w, labels, b, wrt=("weight", "bias"), out=(None, np.empty_like(w), None)
    )
    assert_type(some, tuple[Scalar, tuple[AnyArray | None, AnyArray | None, AnyArray | None]])
    each, _ = fs.linear_cross_entropy_value_and_grad(lists, w, labels, reduction="none")
    assert_type(each, AnyArray)


def shards() -> None:
    state = sharded.merge_states([sharded.partial_state(f32, labels), sharded.partial_state(f32)])
    assert_type(state, Float64Array)
    assert_type(sharded.softmax(f32, state), Float32Array)
    assert_type(sharded.log_softmax(lists, state, out=np.empty((2, 3))), AnyArray)
    assert_type(sharded.cross_entropy(state, labels), Scalar)
    assert_type(sharded.cross_entropy(state, labels, reduction="none", dtype="f4"), AnyArray)
    assert_type(
        sharded.cross_entropy_grad(f32, labels, state, num_classes=6, label_smoothing=0.1),
        Float32Array,
    )
    sums, grad = sharded.loss_sums_and_grad(f32, labels, divisor=2)
    assert_type(sums, Float64Array)
    assert_type(grad, Float32Array)
    assert_type(sharded.total_weight(labels, sample_weight=[1, 2]), float)
    assert_type(sharded.mean_loss(sharded.merge_sums([sums, sums])), Scalar)
    assert_type(sharded.mean_grad(sharded.loss_sums(f32, labels, mean_grad=True)), AnyArray)


def arrays_of_others() -> None:
    assert_type(fs.softmax(array.array("d", [1.0, 2.0])), AnyArray)
    place = array.array("d", [0.0, 0.0])
    assert_type(fs.softmax([1.0, 2.0], out=place), AnyArray)
    assert_type(fs.softmax(memoryview(place)), AnyArray)


def control(names: Sequence[BackendName] = ("numpy",)) -> None:
    assert_type(fs.get_backend(), BackendName)
    assert_type(fs.available_backends(), tuple[BackendName, ...])
    assert_type(fs.get_num_threads(), int)
    for name in (*fs.available_backends(), *names):
        with fs.use_backend(name), fs.use_num_threads(np.int64(2)):
            fs.softmax(f32, backend=name)
    fs.set_backend(fs.get_backend())
    fs.set_backend(None)
    fs.set_num_threads(None)
    assert_type(fs.show_config("dicts"), dict[str, Any])
    assert_type(fs.warmup("numpy", progress=False), dict[str, float])
    assert_type(fs.get_include(), str)
    assert_type(fs.__version__, str)


@fs.use_backend("numpy")
@fs.use_num_threads(1)
def decorated(x: Float32Array) -> Float32Array:
    return fs.softmax(x)


def decorators_keep_signatures() -> None:
    assert_type(decorated(f32), Float32Array)


async def task() -> Float32Array:
    with fs.use_num_threads(1):
        return fs.softmax(f32)


def tasks() -> None:
    assert_type(asyncio.run(task()), Float32Array)


def passed_on(
    x: ArrayLike,
    targets: ArrayLike,
    out: OutputArray | None,
    **options: Unpack[CrossEntropyOptions],
) -> tuple[Scalar, AnyArray]:
    """A function of a user's own that takes what those here take."""
    reduction: MeanOrSum = "sum"
    return fs.cross_entropy_value_and_grad(x, targets, out=out, reduction=reduction, **options)


def linear_passed_on(
    x: Float64Array, w: Float64Array, **options: Unpack[LinearCrossEntropyOptions]
) -> np.float64:
    return fs.linear_cross_entropy(x, w, labels, **options)


def wrappers() -> None:
    passed_on(f32, labels, None, weight=[1, 1, 2], backend="numpy", num_threads=1)
    linear_passed_on(f64, np.ones((3, 3)), class_weight=[1, 2, 1], workspace_bytes=1 << 20)
    options: CrossEntropyOptions = {"label_smoothing": 0.1, "ignore_index": None}
    assert_type(fs.cross_entropy(f32, labels, **options), np.float32)
    table: Mapping[str, BackendName] = {"readable": "numpy"}
    fs.set_backend(table["readable"])
    fs.set_backend(None)


INSTALLED = fs.available_backends()

FUNCTIONS = (
    probabilities, log_sum, losses, gradients, boosting, linear_layers, shards, arrays_of_others,
    control, decorators_keep_signatures, tasks, wrappers,
)  # fmt: skip
