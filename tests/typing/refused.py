"""User code that type checkers must refuse: a line that they accept is an error of theirs.

They say so themselves, of each comment that nothing needs. The tests call the functions in
`REFUSED`, which have to raise as well; what is beside them is only about the types of results.
"""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import fastsoftmax as fs
from fastsoftmax import sharded
from fastsoftmax.typing import CrossEntropyOptions, Reduction

__all__ = ["REFUSED"]

f32: NDArray[np.float32] = np.zeros((2, 3), np.float32)
labels: NDArray[np.int64] = np.array([0, 1])

# fmt: off
REFUSED: tuple[Callable[[], object], ...] = (
    # Options by names that there are not.
    lambda: fs.softmax(f32, dim=-1),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    lambda: fs.cross_entropy(f32, labels, smoothing=0.1),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    lambda: fs.linear_cross_entropy(f32, f32, labels, weights=None),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    # Options that are given by name only, and arguments that have to be there.
    lambda: fs.cross_entropy(f32, labels, -1, None, None),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    lambda: fs.cross_entropy(f32),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    # Reductions, backends and Hessians that are unknown.
    lambda: fs.cross_entropy(f32, labels, reduction="average"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.cross_entropy_grad(f32, labels, reduction="max"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.cross_entropy_value_and_grad(f32, labels, reduction=None),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.cross_entropy_grad_hess(f32, labels, hessian="catboost"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: sharded.cross_entropy(np.zeros((2, 8)), labels, reduction="all"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.softmax(f32, backend="cuda"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.set_backend("torch"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lambda: fs.use_backend("C"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lambda: fs.show_config("json"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    # No reduction over the samples, where the result is one.
    lambda: fs.cross_entropy_mean_grad(f32, labels, reduction="none"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.cross_entropy_value_and_mean_grad(f32, labels, reduction="none"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    # Values of the wrong kind.
    lambda: fs.softmax(f32, axis="classes"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.softmax(f32, axis=(0, 1)),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.softmax(f32, num_threads=1.5),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.softmax(None),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.softmax({1.0, 2.0}),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.softmax(f32, out=[[0.0] * 3] * 2),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.cross_entropy(f32, labels, label_smoothing=None),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.cross_entropy(f32, labels, ignore_index=1.0),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.cross_entropy_grad_hess(f32, labels, out=f32),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.linear_cross_entropy_value_and_grad(f32, f32, labels, wrt=["x", "w"]),  # type: ignore[list-item]  # pyright: ignore[reportCallIssue, reportArgumentType]
    lambda: fs.set_num_threads("all"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lambda: fs.use_num_threads(None),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lambda: sharded.loss_sums_and_grad(f32, labels),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
)


def results(name: str, option: Reduction) -> None:
    one: NDArray[np.float32] = fs.cross_entropy(f32, labels)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    each: np.float32 = fs.cross_entropy(f32, labels, reduction="none")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    # mypy takes the overload for whatever an array is made of, where that fits what is wanted.
    wide: NDArray[np.float64] = fs.softmax(f32)  # pyright: ignore[reportAssignmentType]
    either = fs.cross_entropy(f32, labels, reduction=option)
    both = fs.cross_entropy_value_and_grad(f32, labels)
    both.sum()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    print(either[0])  # type: ignore[index]  # pyright: ignore
    _, (dx, _, _) = fs.linear_cross_entropy_value_and_grad(f32, f32, labels, wrt=["x"])
    dx.sum()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    fs.set_backend(name)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fs.cross_entropy(f32, labels, reduction=name)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    with fs.use_backend("numpy") as entered:
        print(entered.name)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    options: CrossEntropyOptions = {"class_weight": [1]}  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportAssignmentType]
    print(fs.softmax_grad)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    print(one, each, wide, options)
# fmt: on
