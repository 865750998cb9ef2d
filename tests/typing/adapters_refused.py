"""User code with the adapters that type checkers must refuse, as in `refused`."""

# Libraries whose own types are not complete:
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import dask.array as da
import jax.numpy as jnp
import numpy as np
import torch
import xgboost

import fastsoftmax.dask as fsd
import fastsoftmax.jax as fsj
import fastsoftmax.lightgbm as fsl
import fastsoftmax.numba as fsn
import fastsoftmax.torch as fst
import fastsoftmax.xgboost as fsx
from fastsoftmax.sklearn import SoftmaxRegression

x, labels = np.zeros((4, 3)), np.zeros(4, np.int64)


# fmt: off
def tensors() -> None:
    t = torch.zeros(4, 3)
    fst.cross_entropy(x, t)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fst.softmax(t, axis=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    fst.cross_entropy(t, t, reduction=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def jax_arrays() -> None:
    a = jnp.zeros((4, 3))
    fsj.softmax(a, axis="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fsj.softmax_cross_entropy(a)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    fsj.softmax_cross_entropy_with_integer_labels(a, None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def dask_arrays() -> None:
    d: da.Array = da.zeros((4, 3), chunks=2)
    fsd.softmax(d, backend="gpu")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fsd.cross_entropy(d, labels, reduction="average")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fsd.cross_entropy_value_and_mean_grad(d, labels, reduction="none")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fsd.cross_entropy(d, labels, num_threads=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def boosting() -> None:
    fsx.SoftmaxObjective(hessian="lightgbm")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fsl.SoftmaxObjective("exact")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    fsl.SoftmaxObjective(backend="gpu")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fsx.mlogloss(x, xgboost.DMatrix(x), x)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def estimators() -> None:
    SoftmaxRegression(1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    SoftmaxRegression(penalty="l1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def rows() -> None:
    fsn.softmax_row(x[0])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    fsn.cross_entropy_row(x[0], 1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
