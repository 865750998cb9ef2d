"""The estimator: scikit-learn's conventions around the objective and SciPy's L-BFGS."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from scipy import optimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from .._api.probabilities import log_softmax, softmax
from .._control import get_backend, get_num_threads
from .._typing import Array, BackendName, Float64Array
from ._objective import Objective
from ._targets import check_targets, weigh

__all__ = ["SoftmaxRegression"]

_DTYPES = (np.float64, np.float32)


class SoftmaxRegression(ClassifierMixin, BaseEstimator):
    r"""Multinomial logistic regression with an L2 penalty, from labels or from probabilities.

    Minimises, as `sklearn.linear_model.LogisticRegression` does with its solver "lbfgs",

    .. math:: \frac 1 S \sum_i s_i L_i + \frac{1}{2 C S} \lVert W \rVert^2

    with L the cross-entropy of the logits W x + b with the target, s the weight of a sample and S
    their sum. Parameters with a name known from there mean the same, coefficients come out the
    same, and L-BFGS stops by the same rule.

    Parameters
    ----------
    C : float, default 1.0
        Inverse strength of the penalty, positive. ``np.inf`` is no penalty.
    fit_intercept : bool, default True
        Whether there is b, which is not penalised.
    tol : float, default 1e-4
        L-BFGS stops where no entry of the gradient is larger than this.
    max_iter : int, default 100
        The most iterations of L-BFGS.
    class_weight : dict or "balanced", optional
        Weights of the classes, by label; 1 for those not named. "balanced" gives each class the
        same total weight. A sample's weight is multiplied by that of its class; with
        probabilities, each of them is multiplied by the weight of its class.
    warm_start : bool, default False
        Whether `fit` starts from the coefficients that are there, if any, and not from zero.
    n_jobs : int, optional
        The number of threads; -1 is all CPUs. By default that of `fastsoftmax.get_num_threads`.
        While `fit` works on many samples, each thread has its share of them, and products of
        matrices in the whole process have one thread each. What is summed over the shares, and so
        the last bits of the coefficients, depends on their number.
    backend : {"c", "numba", "numpy"}, optional
        By default the one in effect, see `fastsoftmax.get_backend`.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        The labels in order; 0 to K-1 after learning from probabilities.
    coef_ : ndarray of shape (K, n_features), or (1, n_features) for two classes
        W, in the dtype of X.
    intercept_ : ndarray of shape (K,), or (1,) for two classes
        b; zeros without `fit_intercept`.
    n_iter_ : ndarray of shape (1,)
        Iterations of L-BFGS.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if X had names that are all strings.

    Notes
    -----
    Two classes are a softmax whose first class has the logit 0: one row of coefficients, with which
    `decision_function` gives the log-odds of the second class, and the same penalty as in
    LogisticRegression. Two rows, each penalised, would be the same model at half of `C`.

    Probabilities as targets have shape (m, K), K > 1: rows that are not negative and add up to 1
    (within 0.001). `predict` then returns the number of the column with the largest probability,
    and `score` compares with such numbers.

    X may be a sparse matrix; it is used as CSR. float32 samples are computed with in float32.

    The samples are worked through in blocks of some megabytes, so that no array of the size (m, K)
    is made in `fit` but that of the targets, if those are probabilities.

    References
    ----------
    .. [1] R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, "A limited memory algorithm for bound constrained
       optimization", SIAM Journal on Scientific Computing 16(5), 1995.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsoftmax.sklearn import SoftmaxRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegression(max_iter=200).fit(X, y)
    >>> model.predict(X[[0, 50, 100]])
    array([0, 1, 2])
    >>> round(model.score(X, y), 2)
    0.97
    """

    classes_: Array
    coef_: Array
    intercept_: Array
    n_iter_: NDArray[np.int32]
    n_features_in_: int

    def __init__(
        self,
        *,
        C: float = 1.0,
        fit_intercept: bool = True,
        tol: float = 1e-4,
        max_iter: int = 100,
        class_weight: Mapping[Any, float] | str | None = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        backend: BackendName | None = None,
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.backend = backend

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)
            The samples.
        y : array-like of shape (m,) or (m, K)
            Labels of any kind that can be sorted, or the probabilities of K > 1 classes.
        sample_weight : array-like of shape (m,), optional
            Weights of the samples, not negative; by default 1.

        Returns
        -------
        SoftmaxRegression
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter of the estimator or an array is not what it has to be, there is only one
            class, or all weights are zero.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If L-BFGS stops before the gradient is small enough.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=_DTYPES, multi_output=True)
        if isinstance(X, np.ndarray) and not X.flags.forc:
            X = np.ascontiguousarray(X)
        targets = check_targets(y, X.dtype)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
        learned, weights, total = weigh(targets, self.class_weight, sample_weight)
        self.classes_ = targets.classes
        classes = len(self.classes_)
        threads = self._num_threads()
        objective = Objective(
            X,
            learned,
            weights,
            total_weight=total,
            num_classes=classes,
            free=1 if classes == 2 else classes,
            fit_intercept=self.fit_intercept,
            penalty=1.0 / self.C,
            backend=get_backend() if self.backend is None else self.backend,
            num_threads=get_num_threads() if threads is None else threads,
        )
        start = self._start(objective.shape)
        with _threads_of(objective, threads):
            parameters = self._minimise(objective, start)
        matrix = parameters.reshape(objective.shape).astype(X.dtype)
        features = X.shape[1]
        self.coef_ = np.ascontiguousarray(matrix[:features].T)
        self.intercept_ = (
            matrix[features].copy() if self.fit_intercept else np.zeros(matrix.shape[1], X.dtype)
        )
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (m, K), or (m,) for two classes
            The logits; for two classes the log-odds of the second.
        """
        logits = self._free_logits(X)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (m,)
            Entries of `classes_`.
        """
        logits = self._free_logits(X)
        one = logits.shape[1] == 1
        positions = (logits[:, 0] > 0).astype(np.intp) if one else logits.argmax(axis=1)
        labels: Array = self.classes_[positions]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (m, K)
            In the order of `classes_`, in the dtype of the logits.
        """
        logits = self._logits(X)
        return softmax(logits, out=logits, backend=self.backend, num_threads=self._num_threads())

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of the probabilities of the classes.

        Not the logarithms of rounded probabilities: small ones do not become -inf.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (m, K)
            In the order of `classes_`, in the dtype of the logits.
        """
        logits = self._logits(X)
        return log_softmax(
            logits, out=logits, backend=self.backend, num_threads=self._num_threads()
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_parameters(self) -> None:
        """Raise if a parameter is not what it has to be."""
        checks = (
            ("C", isinstance(self.C, Real) and self.C > 0, "a positive number"),
            ("tol", isinstance(self.tol, Real) and self.tol >= 0, "a number, not negative"),
            (
                "max_iter",
                isinstance(self.max_iter, Integral) and self.max_iter >= 0,
                "an integer, not negative",
            ),
            (
                "n_jobs",
                self.n_jobs is None or (isinstance(self.n_jobs, Integral) and self.n_jobs != 0),
                "an integer but 0, or None",
            ),
        )
        for name, right, wanted in checks:
            if not right:
                raise ValueError(f"{name} must be {wanted}, not {getattr(self, name)!r}")

    def _num_threads(self) -> int | None:
        return None if self.n_jobs is None else int(effective_n_jobs(self.n_jobs))

    def _start(self, shape: tuple[int, int]) -> Float64Array:
        """Return the parameters to start from."""
        if not (self.warm_start and hasattr(self, "coef_")):
            return np.zeros(shape)
        rows = [self.coef_.T]
        if self.fit_intercept:
            rows.append(self.intercept_[np.newaxis])
        start = np.concatenate(rows).astype(np.float64)
        if start.shape != shape:
            features = shape[0] - bool(self.fit_intercept)
            raise ValueError(
                f"warm_start: coef_ of shape {self.coef_.shape} does not fit these samples, which "
                f"need coefficients of shape {(shape[1], features)}; fit a new estimator"
            )
        return start

    def _minimise(self, objective: Objective, start: Float64Array) -> Float64Array:
        result = optimize.minimize(
            objective,
            start.ravel(),
            method="L-BFGS-B",
            jac=True,
            options={
                "maxiter": self.max_iter,
                "gtol": self.tol,
                # As LogisticRegression has them: patient, and no stop for slow progress alone.
                "maxls": 50,
                "ftol": 64 * np.finfo(np.float64).eps,
            },
        )
        self.n_iter_ = np.array([min(int(result.nit), self.max_iter)], dtype=np.int32)
        if result.status != 0:
            warnings.warn(
                f"L-BFGS stopped after {int(result.nit)} iterations with a gradient of up to "
                f"{np.abs(result.jac).max():.1e}, above tol={self.tol:g}: {result.message}. "
                "Scale the features (sklearn.preprocessing), or raise max_iter",
                ConvergenceWarning,
                stacklevel=3,
            )
        parameters: Float64Array = result.x
        return parameters

    def _free_logits(self, X: Any) -> Array:
        """Return the logits of the classes that have coefficients."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_DTYPES, reset=False)
        logits: Array = safe_sparse_dot(X, self.coef_.T, dense_output=True)
        logits += self.intercept_
        return logits

    def _logits(self, X: Any) -> Array:
        logits = self._free_logits(X)
        if logits.shape[1] > 1:
            return logits
        return np.concatenate([np.zeros_like(logits), logits], axis=1)


@contextmanager
def _threads_of(objective: Objective, threads: int | None) -> Iterator[None]:
    """Give each share of the samples a thread, or all threads to the only one's products."""
    if objective.shares > 1:
        with (
            ThreadPoolExecutor(objective.shares) as executor,
            threadpool_limits(1, user_api="blas"),
        ):
            objective.map = executor.map
            yield
    elif threads is None:
        yield
    else:
        with threadpool_limits(threads, user_api="blas"):
            yield
