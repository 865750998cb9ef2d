"""XGBoost: the trees of multi:softprob from the objective given here, through both interfaces."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest

from fastsoftmax import softmax

from . import library
from .boosting import CLASSES, data, expected, scores_and_labels

xgboost = library("xgboost")

from fastsoftmax.xgboost import (  # noqa: E402 (after the check)
    SoftmaxObjective,
    merror,
    mlogloss,
    softmax_objective,
)

ROUNDS = 10
#: Margins of 10 rounds are sums of float32 leaves of up to 1, whose statistics are float32 too.
ROUNDING = 5e-6
PARAMETERS = {"num_class": CLASSES, "nthread": 1, "max_depth": 4}


def structure(booster: Any) -> list[Any]:
    """Return feature, children and threshold of each node; of a leaf the feature is 0."""
    model = json.loads(bytes(booster.save_raw("json")))
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    return [
        (
            tree["split_indices"],
            tree["left_children"],
            [c for c, left in zip(tree["split_conditions"], tree["left_children"], strict=True)
             if left >= 0],
        )
        for tree in trees
    ]  # fmt: skip


def base_score(labels: Any, weights: Any) -> list[float]:
    """Return what XGBoost starts multi:softprob from, if not told: centred log frequencies."""
    log = np.log(np.bincount(labels, weights))
    return (log - log.mean()).tolist()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("start", ["zero", "estimated"])
def test_the_same_trees(weighted: bool, start: str) -> None:
    x, labels, weights = data()
    train = xgboost.DMatrix(x, labels, weight=weights if weighted else None)
    zero = {"base_score": 0.0}
    parameters = {**PARAMETERS, "objective": "multi:softprob"}
    theirs = xgboost.train({**parameters, **(zero if start == "zero" else {})}, train, ROUNDS)
    given = zero if start == "zero" else {"base_score": base_score(
        labels, weights if weighted else None)}  # fmt: skip
    ours = xgboost.train({**parameters, **given}, train, ROUNDS, obj=softmax_objective)
    assert len(structure(ours)) == ROUNDS * CLASSES
    assert structure(ours) == structure(theirs)
    a, b = (booster.predict(train, output_margin=True) for booster in (ours, theirs))
    assert np.abs(a - b).max() < ROUNDING
    np.testing.assert_allclose(ours.predict(train), theirs.predict(train), rtol=1e-5)
    # The test could fail: other statistics make other trees.
    exact = xgboost.train(
        {**parameters, **given}, train, ROUNDS, obj=SoftmaxObjective(hessian="exact")
    )
    assert structure(exact) != structure(theirs)


def test_the_metrics_beside_the_built_in_ones() -> None:
    x, labels, weights = data()
    train = xgboost.DMatrix(x, labels, weight=weights)
    parameters = {**PARAMETERS, "objective": "multi:softprob", "base_score": 0.0}
    for metric in (mlogloss, merror):
        history: dict[str, Any] = {}
        xgboost.train(
            {**parameters, "disable_default_eval_metric": True},
            train, 3, obj=softmax_objective, custom_metric=metric, evals=[(train, "train")],
            evals_result=history, verbose_eval=False,
        )  # fmt: skip
        name = metric.__name__
        reference: dict[str, Any] = {}
        xgboost.train(
            {**parameters, "eval_metric": name}, train, 3, obj=softmax_objective,
            evals=[(train, "train")], evals_result=reference, verbose_eval=False,
        )  # fmt: skip
        values = history["train"][name]
        assert len(values) == 3
        np.testing.assert_allclose(values, reference["train"][name], rtol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_classifier(weighted: bool) -> None:
    x, labels, weights = data()
    options = {"n_estimators": ROUNDS, "max_depth": 4, "base_score": 0.0, "n_jobs": 1}
    fit = {"sample_weight": weights} if weighted else {}
    theirs = xgboost.XGBClassifier(**options).fit(x, labels, **fit)
    ours = xgboost.XGBClassifier(
        objective=softmax_objective, eval_metric=mlogloss, **options
    ).fit(x, labels, eval_set=[(x, labels)], verbose=False, **fit)  # fmt: skip
    assert structure(ours.get_booster()) == structure(theirs.get_booster())
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), rtol=1e-5)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))
    margins = ours.predict(x, output_margin=True)
    last = ours.evals_result()["validation_0"]["mlogloss"][-1]
    assert last == pytest.approx(expected(margins, labels, None)[2], rel=1e-5)
    np.testing.assert_allclose(ours.predict_proba(x), softmax(margins), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_statistics(dtype: str, order: Any, weighted: bool) -> None:
    scores, labels, weights = scores_and_labels(dtype, order)
    weights = weights if weighted else None
    before = scores.copy()
    grad, hess = expected(scores, labels, weights)[:2]
    tolerance = {"rtol": 4 * np.finfo(dtype).eps, "atol": np.finfo(dtype).tiny}
    for objective, factor in ((softmax_objective, 2), (SoftmaxObjective(hessian="exact"), 1)):
        g, h = objective(labels, scores, sample_weight=weights)
        assert g.dtype == h.dtype == dtype
        assert g.flags.f_contiguous == h.flags.f_contiguous == (order == "F")
        np.testing.assert_allclose(g, grad, **tolerance)
        np.testing.assert_allclose(h, np.maximum(factor * hess, 1e-16 * (factor == 2)), **tolerance)
        matrix = xgboost.DMatrix(np.zeros((len(labels), 1)), labels, weight=weights)
        native = objective(scores, matrix)
        if weights is None:
            np.testing.assert_array_equal(native, (g, h))
        else:  # a DMatrix keeps weights in float32
            np.testing.assert_allclose(native, (g, h), rtol=1e-6)
    np.testing.assert_array_equal(scores, before)


def test_wrong_labels_and_shapes() -> None:
    scores = np.zeros((3, CLASSES), np.float32)
    with pytest.raises(ValueError, match=r"label\[1\] = 4.0 must be an integer from 0 to 3"):
        softmax_objective(np.array([0.0, 4.0, 0.0]), scores)
    for wrong in (0.5, -1.0, np.nan, np.inf, 1e20):
        for function in (softmax_objective, mlogloss, merror):
            with pytest.raises(ValueError, match=r"label\[2\] = "):
                function(np.array([0.0, 1.0, wrong], np.float32), scores)
    with pytest.raises(ValueError, match=r"targets\[0\] = 7 is out of range"):
        softmax_objective(np.array([7, 0, 0]), scores)
    with pytest.raises(ValueError, match=r"\(samples, classes\), not \(3,\): set num_class"):
        softmax_objective(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="hessian"):
        SoftmaxObjective(hessian="approximate")


def test_an_objective_can_be_copied_and_pickled() -> None:
    objective = SoftmaxObjective(hessian="exact", backend="numpy", num_threads=1)
    text = "SoftmaxObjective(hessian='exact', backend='numpy', num_threads=1)"
    for other in (objective, copy.deepcopy(objective), pickle.loads(pickle.dumps(objective))):
        assert repr(other) == text
