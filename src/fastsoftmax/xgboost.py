"""Softmax objective and metrics for XGBoost, for `xgboost.train` and for `XGBClassifier`.

::

    xgboost.train({"num_class": 10, "base_score": 0.0}, data, obj=softmax_objective,
                  custom_metric=mlogloss)
    XGBClassifier(objective=softmax_objective, base_score=0.0, eval_metric=mlogloss)

The metrics are for raw scores, which is what XGBoost passes on where the objective is custom.
"""

from __future__ import annotations

from typing import Any, Literal, SupportsIndex, overload

from ._extras import require

require("xgboost", "xgboost")

import numpy as np
from xgboost import DMatrix

from . import _boosting
from ._typing import Array, ArrayLike, BackendName

__all__ = ["SoftmaxObjective", "merror", "mlogloss", "softmax_objective"]


class SoftmaxObjective(_boosting.Objective):
    r"""The objective of ``multi:softprob``, to be called by XGBoost.

    Parameters
    ----------
    hessian : {"xgboost", "exact"}, default "xgboost"
        ``"xgboost"`` is XGBoost's own :math:`\max(2 w p (1 - p), 10^{-16})`, which gives the trees
        of ``multi:softprob``; ``"exact"`` is :math:`w p (1 - p)`, whose steps are twice as long.
        See `fastsoftmax.cross_entropy_grad_hess`.
    backend, num_threads
        As in `fastsoftmax.cross_entropy`.

    See Also
    --------
    softmax_objective : the same with the defaults, ready for use.

    Examples
    --------
    >>> import numpy as np, xgboost
    >>> from fastsoftmax.xgboost import SoftmaxObjective
    >>> data = xgboost.DMatrix(np.arange(6.0).reshape(6, 1), [0, 0, 1, 1, 2, 2])
    >>> booster = xgboost.train({"num_class": 3, "base_score": 0.0, "min_child_weight": 0}, data,
    ...                         5, obj=SoftmaxObjective(hessian="exact"))
    >>> booster.predict(data, output_margin=True).argmax(axis=1).tolist()
    [0, 0, 1, 1, 2, 2]
    """

    def __init__(
        self,
        *,
        hessian: Literal["xgboost", "exact"] = "xgboost",
        backend: BackendName | None = None,
        num_threads: SupportsIndex | None = None,
    ) -> None:
        super().__init__(hessian, backend, num_threads)

    def __call__(
        self, first: ArrayLike, second: ArrayLike | DMatrix, sample_weight: ArrayLike | None = None
    ) -> tuple[Array, Array]:
        """Return gradient and Hessian, each of shape (m, K) and in the order of the scores.

        Parameters
        ----------
        first, second
            The scores of shape (m, K) and a DMatrix, as `xgboost.train` calls an objective; or the
            labels of shape (m,) and the scores, as the scikit-learn interface does.
        sample_weight : array_like of shape (m,), optional
            Only with the latter.
        """
        return self._grad_hess(*_arguments(first, second, sample_weight))


softmax_objective: SoftmaxObjective = SoftmaxObjective()
"""The objective of ``multi:softprob``, with XGBoost's Hessian."""


@overload
def mlogloss(first: ArrayLike, second: DMatrix) -> tuple[str, float]: ...


@overload
def mlogloss(
    first: ArrayLike, second: ArrayLike, sample_weight: ArrayLike | None = None
) -> float: ...


def mlogloss(
    first: ArrayLike, second: ArrayLike | DMatrix, sample_weight: ArrayLike | None = None
) -> tuple[str, float] | float:
    """Compute the mean cross-entropy of raw scores, as XGBoost's metric of this name.

    Not as there, no probability is replaced by 1e-16 where it is smaller.

    Parameters
    ----------
    first, second, sample_weight
        As `SoftmaxObjective` takes them.

    Returns
    -------
    (str, float) or float
        Name and value for `xgboost.train`, the value alone for the scikit-learn interface.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.xgboost import mlogloss
    >>> round(mlogloss(np.array([0.0, 1.0]), np.array([[0.0, 0.0], [2.0, 2.0]])), 6)
    0.693147
    """
    return _named("mlogloss", second, _boosting.log_loss(*_arguments(first, second, sample_weight)))


@overload
def merror(first: ArrayLike, second: DMatrix) -> tuple[str, float]: ...


@overload
def merror(
    first: ArrayLike, second: ArrayLike, sample_weight: ArrayLike | None = None
) -> float: ...


def merror(
    first: ArrayLike, second: ArrayLike | DMatrix, sample_weight: ArrayLike | None = None
) -> tuple[str, float] | float:
    """Compute the share of samples whose first largest score is not that of their label.

    Parameters
    ----------
    first, second, sample_weight
        As `SoftmaxObjective` takes them.

    Returns
    -------
    (str, float) or float
        Name and value for `xgboost.train`, the value alone for the scikit-learn interface.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.xgboost import merror
    >>> merror(np.array([0.0, 1.0]), np.array([[0.0, 0.0], [2.0, 2.0]]))
    0.5
    """
    scores, labels, weights = _arguments(first, second, sample_weight)
    scores = _boosting.as_scores(scores)
    wrong = scores.argmax(axis=1) != _boosting.as_labels(labels, scores.shape[1])
    return _named("merror", second, _boosting.mean(wrong, weights))


def _arguments(first: Any, second: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Return scores, labels and weights out of what either interface passes."""
    if isinstance(second, DMatrix):
        weights: Array = np.asarray(second.get_weight())
        return first, second.get_label(), weights if weights.size else None
    return second, first, sample_weight


def _named(name: str, second: Any, value: float) -> tuple[str, float] | float:
    return (name, value) if isinstance(second, DMatrix) else value


def __dir__() -> list[str]:
    return sorted(__all__)
