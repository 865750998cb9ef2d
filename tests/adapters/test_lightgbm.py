"""LightGBM: the trees of multiclass from the objective given here, through both interfaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastsoftmax import softmax

from . import library
from .boosting import CLASSES, data, expected, scores_and_labels

lightgbm = library("lightgbm")

from fastsoftmax.lightgbm import (  # noqa: E402 (after the check)
    SoftmaxObjective,
    multi_error,
    multi_logloss,
    softmax_objective,
)

pytestmark = [
    # LightGBM's own, of what it says of itself and of NumPy.
    pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning"),
    # Its newer name is not in all releases that are supported.
    pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated"),
    pytest.mark.filterwarnings("ignore:Cannot compute class probabilities:UserWarning"),
]

ROUNDS = 10
PARAMETERS = {
    "num_class": CLASSES, "num_threads": 1, "verbose": -1, "num_leaves": 15,
    "deterministic": True, "force_row_wise": True, "boost_from_average": False,
}  # fmt: skip


def structure(booster: Any) -> list[Any]:
    """Return feature and threshold of each split, depth first."""

    def splits(node: Any) -> list[Any]:
        if "split_feature" not in node:
            return []
        here = (node["split_feature"], node["threshold"])
        return [here, *splits(node["left_child"]), *splits(node["right_child"])]

    return [splits(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]


def train(objective: Any, x: Any, labels: Any, weights: Any, init: Any = None, **more: Any) -> Any:
    dataset = lightgbm.Dataset(x, labels, weight=weights, init_score=init)
    return lightgbm.train({**PARAMETERS, "objective": objective, **more}, dataset, ROUNDS)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_trees(weighted: bool) -> None:
    x, labels, weights = data()
    weights = weights if weighted else None
    theirs = train("multiclass", x, labels, weights)
    ours = train(softmax_objective, x, labels, weights)
    assert len(structure(ours)) == ROUNDS * CLASSES
    assert structure(ours) == structure(theirs)
    # Statistics in float64, rounded to float32 once, on both sides.
    scores = ours.predict(x, raw_score=True)
    np.testing.assert_allclose(scores, theirs.predict(x, raw_score=True), rtol=0, atol=1e-6)
    np.testing.assert_allclose(softmax(scores), theirs.predict(x), rtol=1e-6)
    assert structure(train(SoftmaxObjective(hessian="exact"), x, labels, weights)) != structure(
        theirs
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_from_the_classes_frequencies(weighted: bool) -> None:
    x, labels, weights = data()
    weights = weights if weighted else None
    theirs = train("multiclass", x, labels, weights, boost_from_average=True)
    counts = np.bincount(labels, weights)
    start = np.log(counts / counts.sum())
    ours = train(softmax_objective, x, labels, weights, np.tile(start, (len(x), 1)))
    assert structure(ours) == structure(theirs)
    scores = ours.predict(x, raw_score=True) + start
    np.testing.assert_allclose(scores, theirs.predict(x, raw_score=True), rtol=0, atol=1e-5)


def test_the_metrics_beside_the_built_in_ones() -> None:
    x, labels, weights = data()
    dataset = lightgbm.Dataset(x, labels, weight=weights)
    histories: list[dict[str, Any]] = [{}, {}]
    names = ["multi_logloss", "multi_error"]
    for history, objective, metric, feval in (
        (histories[0], softmax_objective, "none", [multi_logloss, multi_error]),
        (histories[1], "multiclass", names, None),
    ):
        lightgbm.train(
            {**PARAMETERS, "objective": objective, "metric": metric}, dataset, 3,
            valid_sets=[dataset], valid_names=["train"], feval=feval,
            callbacks=[lightgbm.record_evaluation(history)],
        )  # fmt: skip
    for name in names:
        ours, theirs = (history["train"][name] for history in histories)
        assert len(ours) == 3
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_classifier(weighted: bool) -> None:
    x, labels, weights = data()
    options = {name: value for name, value in PARAMETERS.items() if name != "num_class"}
    options |= {"n_estimators": ROUNDS}
    fit = {"sample_weight": weights} if weighted else {}
    theirs = lightgbm.LGBMClassifier(**options).fit(x, labels, **fit)
    ours = lightgbm.LGBMClassifier(objective=softmax_objective, **options).fit(
        x, labels, eval_set=[(x, labels)], eval_metric=multi_logloss, **fit
    )
    assert structure(ours.booster_) == structure(theirs.booster_)
    scores = ours.predict(x, raw_score=True)
    np.testing.assert_allclose(softmax(scores), theirs.predict_proba(x), rtol=1e-6)
    (history,) = ours.evals_result_.values()
    # LightGBM knows its own training samples again, and with them their weights.
    wanted = expected(scores, labels, weights if weighted else None)[2]
    assert history["multi_logloss"][-1] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_statistics(order: Any, weighted: bool) -> None:
    scores, labels, weights = scores_and_labels("float64", order)
    weights = weights if weighted else None
    grad, hess = expected(scores, labels, weights)[:2]
    for objective, factor in (
        (softmax_objective, CLASSES / (CLASSES - 1)),
        (SoftmaxObjective(hessian="exact"), 1),
    ):
        g, h = objective(labels, scores, weights)
        assert g.flags.f_contiguous == h.flags.f_contiguous == (order == "F")
        np.testing.assert_allclose(g, grad, rtol=1e-15)
        np.testing.assert_allclose(h, factor * hess, rtol=1e-15)


def test_the_error_counts_ties() -> None:
    scores = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0], [3.0, 0.0, 1.0]])
    labels = np.array([0, 1, 2], np.float32)
    assert multi_error(labels, scores) == ("multi_error", pytest.approx(2 / 3), False)
    assert multi_error(labels, scores, np.array([2.0, 1.0, 1.0]))[1] == pytest.approx(3 / 4)


def test_wrong_labels_and_shapes() -> None:
    scores = np.zeros((3, CLASSES))
    for function in (softmax_objective, multi_logloss, multi_error):
        with pytest.raises(ValueError, match=r"label\[2\] = 4.0 must be an integer from 0 to 3"):
            function(np.array([0.0, 1.0, 4.0], np.float32), scores)
        with pytest.raises(ValueError, match=r"\(samples, classes\), not \(3,\): set num_class"):
            function(np.zeros(3), np.zeros(3))
