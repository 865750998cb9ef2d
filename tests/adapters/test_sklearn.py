"""scikit-learn: its checks of estimators, and the coefficients of LogisticRegression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastsoftmax

from . import library

sklearn = library("sklearn")

from scipy import sparse  # noqa: E402 (after the check)
from sklearn.datasets import load_digits, load_iris, load_wine  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402
from threadpoolctl import threadpool_info  # noqa: E402

from fastsoftmax.sklearn import SoftmaxRegression, _objective  # noqa: E402

# Both then stop where the loss no longer falls in float64 (ftol), which leaves some 1e-6 of a
# coefficient open, and more of an unpenalised intercept.
TIGHT = {"tol": 1e-9, "max_iter": 20_000}


# One of the checks fits iris as it is, for which 100 iterations are too few.
@pytest.mark.filterwarnings("ignore:L-BFGS stopped after 100 iterations")
@parametrize_with_checks(
    [SoftmaxRegression(), SoftmaxRegression(class_weight="balanced", warm_start=True, n_jobs=1)]
)
def test_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


def digits() -> tuple[Any, Any]:
    x, y = load_digits(return_X_y=True)
    return x / 16, y


def standardised(load: Any) -> tuple[Any, Any]:
    x, y = load(return_X_y=True)
    return StandardScaler().fit_transform(x), y


def synthetic(samples: int, features: int = 50, classes: int = 20) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, features))
    logits = x @ rng.normal(scale=0.5, size=(features, classes))
    return x, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def same(ours: Any, theirs: Any, tolerance: float = 1e-5) -> None:
    """Compare coefficients; intercepts up to what no loss and no penalty determines."""
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.coef_.dtype == theirs.coef_.dtype
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=tolerance)
    a, b = ours.intercept_, theirs.intercept_
    assert a.shape == b.shape
    if len(a) > 1:
        a, b = a - a.mean(), b - b.mean()
    np.testing.assert_allclose(a, b, rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize(
    "load",
    [
        digits,
        lambda: load_iris(return_X_y=True),
        lambda: standardised(load_wine),
        lambda: synthetic(200_000),
        lambda: (lambda x, y: (x, y == 1))(*load_iris(return_X_y=True)),
    ],
    ids=["digits", "iris", "wine-standardised", "200000x50x20", "two-classes"],
)
def test_the_coefficients_of_logistic_regression(load: Any) -> None:
    x, y = load()
    ours = SoftmaxRegression(**TIGHT).fit(x, y)
    theirs = LogisticRegression(**TIGHT).fit(x, y)
    same(ours, theirs)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_array_equal(ours.predict(x[:500]), theirs.predict(x[:500]))
    np.testing.assert_allclose(
        ours.predict_proba(x[:500]), theirs.predict_proba(x[:500]), atol=1e-4
    )


@pytest.mark.parametrize(
    "options",
    [
        {"C": 0.1},
        {"fit_intercept": False},
        {"class_weight": "balanced"},
        {"class_weight": {0: 3.0, 2: 0.5}},
        {"C": 0.1, "class_weight": "balanced", "fit_intercept": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_options_as_in_logistic_regression(options: dict[str, Any], weighted: bool) -> None:
    x, y = standardised(load_wine)
    weights = np.random.default_rng(1).uniform(0, 3, len(y)) if weighted else None
    ours = SoftmaxRegression(**TIGHT, **options).fit(x, y, sample_weight=weights)
    same(ours, LogisticRegression(**TIGHT, **options).fit(x, y, sample_weight=weights))


@pytest.mark.parametrize("kind", ["labels", "probabilities"])
def test_the_gradient_at_the_solution_is_zero(kind: str) -> None:
    """In float64, with plain formulas and nothing of what was fitted with."""
    x, y = standardised(load_wine)
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.5, 2, len(y))
    t = np.eye(3)[y] if kind == "labels" else rng.dirichlet(np.ones(3), len(y))
    model = SoftmaxRegression(C=0.5, **TIGHT).fit(
        x, y if kind == "labels" else t, sample_weight=weights
    )
    e = np.exp(x @ model.coef_.T + model.intercept_)
    difference = weights[:, np.newaxis] * (e / e.sum(axis=1, keepdims=True) - t)
    assert np.abs(difference.sum(axis=0)).max() < 1e-5
    assert np.abs(difference.T @ x + model.coef_ / 0.5).max() < 1e-5


@pytest.mark.parametrize("classes", [2, 3])
def test_one_hot_probabilities_are_labels(classes: int) -> None:
    x, y = standardised(load_iris)
    x, y = x[y < classes], y[y < classes]
    weights = np.random.default_rng(3).uniform(0.5, 2, len(y))
    for options in ({}, {"class_weight": "balanced"}, {"class_weight": {0: 2.0}}):
        model = SoftmaxRegression(**TIGHT, **options)
        a = model.fit(x, y, sample_weight=weights).coef_
        b = model.fit(x, np.eye(classes)[y], sample_weight=weights).coef_
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
        assert model.classes_.tolist() == list(range(classes))


def test_probabilities_that_are_none_are_refused() -> None:
    x = np.arange(6.0).reshape(3, 2)
    for y, message in (
        ([[0.5, 0.5], [1, 0], [1, 1]], "Row 2 has the sum 2"),
        ([[0.5, 0.5], [1.5, -0.5], [1, 0]], "Row 1 has the sum 1 and the smallest entry -0.5"),
        ([["a", "b"]] * 3, "must hold probabilities"),
    ):
        with pytest.raises(ValueError, match=message):
            SoftmaxRegression().fit(x, y)


def test_many_blocks_are_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastsoftmax.sklearn import _objective

    x, y = synthetic(5000, 7, 4)
    weights = np.random.default_rng(4).uniform(0, 2, len(y))
    whole = SoftmaxRegression(**TIGHT).fit(x, y, weights)
    monkeypatch.setattr(_objective, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(_objective, "_FEWEST_ROWS", 333)
    for samples in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
        blocks = SoftmaxRegression(**TIGHT).fit(samples, y, weights)
        np.testing.assert_allclose(blocks.coef_, whole.coef_, rtol=0, atol=1e-5)
    two = SoftmaxRegression(**TIGHT).fit(x, y > 1, weights)
    same(two, LogisticRegression(**TIGHT).fit(x, y > 1, weights))


@pytest.mark.parametrize("classes", [2, 3])
def test_sparse_samples(classes: int) -> None:
    x, y = digits()
    dense = SoftmaxRegression(**TIGHT).fit(x, y % classes)
    for kind in (sparse.csr_array, sparse.csc_matrix):
        model = SoftmaxRegression(**TIGHT).fit(kind(x), y % classes)
        np.testing.assert_allclose(model.coef_, dense.coef_, rtol=0, atol=1e-5)
        np.testing.assert_allclose(
            model.predict_proba(kind(x)), dense.predict_proba(x), rtol=0, atol=1e-5
        )


def test_float32_stays_and_is_as_near() -> None:
    x, y = synthetic(20_000)
    exact = SoftmaxRegression(**TIGHT).fit(x, y).coef_
    narrow = x.astype(np.float32)
    ours = SoftmaxRegression(tol=1e-5).fit(narrow, y)
    assert ours.coef_.dtype == ours.intercept_.dtype == np.float32
    assert ours.predict_proba(narrow).dtype == np.float32
    theirs = LogisticRegression(tol=1e-5).fit(narrow, y)
    assert np.abs(ours.coef_ - exact).max() < max(1e-3, np.abs(theirs.coef_ - exact).max())


def test_warm_start() -> None:
    x, y = digits()
    cold = SoftmaxRegression(tol=1e-6, max_iter=5000).fit(x, y)
    warm = SoftmaxRegression(tol=1e-6, max_iter=5000, warm_start=True).fit(x, y)
    assert warm.n_iter_[0] == cold.n_iter_[0] > 20
    assert warm.fit(x, y).n_iter_[0] <= 1
    with pytest.raises(ValueError, match=r"warm_start: coef_ of shape \(10, 64\) does not fit"):
        warm.fit(x[:, :60], y)


@pytest.mark.parametrize("name", fastsoftmax.available_backends())
def test_backends_and_threads(name: str) -> None:
    x, y = digits()
    model = SoftmaxRegression(backend=name, n_jobs=2, **TIGHT).fit(x, y)
    np.testing.assert_allclose(
        model.coef_, SoftmaxRegression(**TIGHT).fit(x, y).coef_, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["labels", "two classes", "probabilities", "weighted", "sparse"])
def test_threads_share_the_samples(kind: str) -> None:
    """Each its own; the sums are those of one thread but for rounding."""
    generator = np.random.default_rng(5)
    x = generator.standard_normal((30_000, 40))
    classes = 2 if kind == "two classes" else 12
    logits = x @ generator.standard_normal((40, classes))
    y: Any = fastsoftmax.softmax(logits) if kind == "probabilities" else logits.argmax(axis=1)
    weight = generator.uniform(0.5, 2, len(x)) if kind == "weighted" else None
    data = sparse.csr_matrix(x) if kind == "sparse" else x
    limits = threadpool_info()
    alone, shared = (
        SoftmaxRegression(n_jobs=n, max_iter=500, tol=1e-8).fit(data, y, weight) for n in (1, 3)
    )
    np.testing.assert_allclose(shared.coef_, alone.coef_, rtol=0, atol=1e-6)
    again = SoftmaxRegression(n_jobs=3, max_iter=500, tol=1e-8).fit(data, y, weight)
    assert again.coef_.tobytes() == shared.coef_.tobytes()
    assert threadpool_info() == limits


def test_shares_use_the_backend_in_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[object] = []
    evaluate = _objective.cross_entropy_value_and_grad

    def note(*args: Any, **options: Any) -> Any:
        used.append(options["backend"])
        return evaluate(*args, **options)

    monkeypatch.setattr(_objective, "cross_entropy_value_and_grad", note)
    x = np.random.default_rng(6).standard_normal((30_000, 40))
    with fastsoftmax.use_backend("numpy"):
        SoftmaxRegression(n_jobs=2, tol=1e-2).fit(x, np.arange(len(x)) % 7)
    assert set(used) == {"numpy"}


def test_small_probabilities_have_logarithms() -> None:
    x = np.array([[-1.0], [1.0]])
    model = SoftmaxRegression(C=np.inf, tol=1e-9).fit(x, [0, 1])
    far = model.predict_log_proba(1e3 * x)
    assert np.isfinite(far).all()
    assert far.min() < -1000
    probabilities = model.predict_proba(2 * x)
    assert 0 < probabilities.min() < 1e-6


def test_it_says_when_it_did_not_converge() -> None:
    x, y = digits()
    with pytest.warns(ConvergenceWarning, match=r"stopped after 3 iterations .* above tol=0.0001"):
        model = SoftmaxRegression(max_iter=3).fit(x, y)
    assert model.n_iter_.tolist() == [3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"C": 0}, "C must be a positive number, not 0"),
        ({"C": "1"}, "C must be"),
        ({"tol": -1}, "tol must be a number, not negative, not -1"),
        ({"max_iter": 1.5}, "max_iter must be an integer"),
        ({"n_jobs": 0}, "n_jobs must be an integer but 0"),
        ({"class_weight": "equal"}, "class_weight must be"),
        ({"class_weight": {0: 1, 7: 1}}, r"class_weight has \[7\]"),
        ({"class_weight": {0: -1}}, r"class_weight\[0\] = -1 must be finite"),
        ({"backend": "fortran"}, "backend"),
    ],
)
def test_wrong_parameters(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SoftmaxRegression(**options).fit([[0.0], [1.0], [2.0]], [0, 1, 2])


def test_a_class_missing_from_a_fold_may_have_a_weight() -> None:
    model = SoftmaxRegression(class_weight={0: 1, 1: 2, 2: 3}).fit([[0.0], [1.0]], [0, 1])
    assert model.classes_.tolist() == [0, 1]
