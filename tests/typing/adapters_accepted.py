"""User code with the adapters that must type-check, against the libraries themselves."""

# Libraries whose own types are not complete:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any, assert_type

import dask.array as da
import jax
import jax.numpy as jnp
import lightgbm
import numpy as np
import torch
import xgboost
from numpy.typing import NDArray

import fastsoftmax as fs
import fastsoftmax.c_api
import fastsoftmax.dask as fsd
import fastsoftmax.jax as fsj
import fastsoftmax.lightgbm as fsl
import fastsoftmax.numba as fsn
import fastsoftmax.torch as fst
import fastsoftmax.xgboost as fsx
from fastsoftmax.sklearn import SoftmaxRegression

x: NDArray[np.float32] = np.zeros((4, 3), np.float32)
labels: NDArray[np.int64] = np.array([0, 1, 2, 0])


def tensors() -> None:
    t, target = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
    assert_type(fst.cross_entropy(t, target, label_smoothing=0.1), torch.Tensor)
    assert_type(fst.softmax(t, dim=1, dtype=torch.float64), torch.Tensor)
    assert_type(fst.log_softmax(t, 1), torch.Tensor)
    assert_type(fst.linear_cross_entropy(t, torch.zeros(5, 3), target), torch.Tensor)
    criterion: torch.nn.Module = fst.CrossEntropyLoss(weight=torch.ones(3), reduction="sum")
    criterion(t, target).backward()
    # Tensors where arrays are meant.
    assert_type(fs.softmax(t), NDArray[Any])
    assert_type(fs.cross_entropy(t, target, reduction="none"), NDArray[Any])
    assert_type(fs.softmax(x, out=t), NDArray[np.float32])


def jax_arrays() -> None:
    a = jnp.zeros((4, 3))
    assert_type(fsj.softmax(a, axis=(0, 1), where=a > 0), jax.Array)
    assert_type(fsj.log_softmax([1.0, 2.0]), jax.Array)
    assert_type(fsj.softmax_cross_entropy(a, a, None), jax.Array)
    assert_type(fsj.softmax_cross_entropy_with_integer_labels(a, labels), jax.Array)
    assert_type(fs.softmax(a), NDArray[Any])


def dask_arrays() -> None:
    d: da.Array = da.zeros((4, 3), chunks=2)
    assert_type(fsd.softmax(d, backend="numpy"), da.Array)
    assert_type(fsd.logsumexp(x, keepdims=True, where=d > 0), da.Array)
    assert_type(fsd.cross_entropy(d, labels, reduction="none", num_threads=2), da.Array)
    assert_type(fsd.cross_entropy_value_and_grad(d, d), tuple[da.Array, da.Array])
    assert_type(
        fsd.cross_entropy_value_and_mean_grad(d, labels, weight=[1, 2, 3], reduction="sum"),
        tuple[da.Array, da.Array],
    )


def boosting() -> None:
    matrix, data = xgboost.DMatrix(x, labels), lightgbm.Dataset(x, labels)
    objective = fsx.SoftmaxObjective(hessian="exact", num_threads=2)
    assert_type(objective(x, matrix), tuple[NDArray[Any], NDArray[Any]])
    assert_type(fsx.softmax_objective(labels, x, np.ones(4)), tuple[NDArray[Any], NDArray[Any]])
    assert_type(fsx.mlogloss(x, matrix), tuple[str, float])
    assert_type(fsx.merror(labels, x, sample_weight=None), float)
    xgboost.train({"num_class": 3}, matrix, 1, obj=objective, custom_metric=fsx.mlogloss)
    xgboost.train({"num_class": 3}, matrix, 1, obj=fsx.softmax_objective)
    xgboost.XGBClassifier(objective=fsx.softmax_objective, eval_metric=fsx.mlogloss)
    assert_type(fsl.multi_logloss(x, data), tuple[str, float, bool])
    assert_type(fsl.multi_error(labels, x), tuple[str, float, bool])
    lightgbm.train({"objective": fsl.softmax_objective}, data, feval=[fsl.multi_logloss])
    lightgbm.LGBMClassifier(objective=fsl.SoftmaxObjective(hessian="exact"))


def estimators() -> None:
    model = SoftmaxRegression(C=0.5, class_weight="balanced", backend="c").fit(x, labels)
    assert_type(model, SoftmaxRegression)
    assert_type(model.predict_proba(x), NDArray[Any])
    assert_type(model.coef_, NDArray[Any])
    assert_type(model.n_iter_, NDArray[np.int32])


def rows() -> None:
    out = np.empty(3, np.float32)
    fsn.softmax_row(x[0], out)
    assert_type(fsn.cross_entropy_value_and_grad_row(x[0], 1, out), float)
    assert_type(fsn.logsumexp_row(x[0]) + fsn.cross_entropy_row(x[0], x[1]), float)


def capsule() -> object:
    return fastsoftmax.c_api.C_API
