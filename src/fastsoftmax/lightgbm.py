"""Softmax objective and metrics for LightGBM, for `lightgbm.train` and for `LGBMClassifier`.

::

    lightgbm.train({"num_class": 10, "objective": softmax_objective}, data, feval=multi_logloss)
    LGBMClassifier(objective=softmax_objective).fit(X, y, eval_metric=multi_logloss, ...)

The metrics are for raw scores, which is what LightGBM passes on where the objective is custom.
"""

from __future__ import annotations

from typing import Any, Literal, SupportsIndex

from ._extras import require

require("lightgbm", "lightgbm")

import numpy as np
from lightgbm import Dataset

from . import _boosting
from ._typing import Array, ArrayLike, BackendName

__all__ = ["SoftmaxObjective", "multi_error", "multi_logloss", "softmax_objective"]


class SoftmaxObjective(_boosting.Objective):
    r"""The objective ``multiclass``, to be called by LightGBM.

    Parameters
    ----------
    hessian : {"lightgbm", "exact"}, default "lightgbm"
        ``"lightgbm"`` is LightGBM's own :math:`\frac{K}{K-1} w p (1 - p)`, which gives the trees of
        ``multiclass``; ``"exact"`` is :math:`w p (1 - p)`. See
        `fastsoftmax.cross_entropy_grad_hess`.
    backend, num_threads
        As in `fastsoftmax.cross_entropy`.

    See Also
    --------
    softmax_objective : the same with the defaults, ready for use.

    Examples
    --------
    >>> import numpy as np, lightgbm
    >>> from fastsoftmax.lightgbm import SoftmaxObjective
    >>> data = lightgbm.Dataset(np.arange(90.0).reshape(90, 1), np.arange(90) // 30)
    >>> booster = lightgbm.train({"num_class": 3, "objective": SoftmaxObjective(hessian="exact"),
    ...                           "verbose": -1}, data, 5)
    >>> booster.predict(np.array([[5.0], [45.0], [85.0]])).argmax(axis=1).tolist()
    [0, 1, 2]
    """

    def __init__(
        self,
        *,
        hessian: Literal["lightgbm", "exact"] = "lightgbm",
        backend: BackendName | None = None,
        num_threads: SupportsIndex | None = None,
    ) -> None:
        super().__init__(hessian, backend, num_threads)

    def __call__(
        self,
        first: ArrayLike | None,  # LightGBM says None of labels that a dataset has not
        second: ArrayLike | Dataset,
        sample_weight: ArrayLike | None = None,
    ) -> tuple[Array, Array]:
        """Return gradient and Hessian, each of shape (m, K) and in the order of the scores.

        Parameters
        ----------
        first, second
            The scores of shape (m, K) and a Dataset, as `lightgbm.train` calls an objective; or the
            labels of shape (m,) and the scores, as the scikit-learn interface does.
        sample_weight : array_like of shape (m,), optional
            Only with the latter.
        """
        return self._grad_hess(*_arguments(first, second, sample_weight))


softmax_objective: SoftmaxObjective = SoftmaxObjective()
"""The objective ``multiclass``, with LightGBM's Hessian."""


def multi_logloss(
    first: ArrayLike | None, second: ArrayLike | Dataset, sample_weight: ArrayLike | None = None
) -> tuple[str, float, bool]:
    """Compute the mean cross-entropy of raw scores, as LightGBM's metric of this name.

    Not as there, no probability is replaced by 1e-15 where it is smaller.

    Parameters
    ----------
    first, second, sample_weight
        As `SoftmaxObjective` takes them.

    Returns
    -------
    (str, float, bool)
        Name, value, and False, as less is better.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.lightgbm import multi_logloss
    >>> name, value, _ = multi_logloss(np.array([0.0, 1.0]), np.array([[0.0, 0.0], [2.0, 2.0]]))
    >>> name, round(value, 6)
    ('multi_logloss', 0.693147)
    """
    value = _boosting.log_loss(*_arguments(first, second, sample_weight))
    return "multi_logloss", value, False


def multi_error(
    first: ArrayLike | None, second: ArrayLike | Dataset, sample_weight: ArrayLike | None = None
) -> tuple[str, float, bool]:
    """Compute the share of samples that have another score as large as that of their label.

    Parameters
    ----------
    first, second, sample_weight
        As `SoftmaxObjective` takes them.

    Returns
    -------
    (str, float, bool)
        Name, value, and False, as less is better.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.lightgbm import multi_error
    >>> multi_error(np.array([0.0, 1.0]), np.array([[0.0, 0.0], [2.0, 3.0]]))
    ('multi_error', 0.5, False)
    """
    scores, labels, weights = _arguments(first, second, sample_weight)
    scores = _boosting.as_scores(scores)
    positions = _boosting.as_labels(labels, scores.shape[1])
    own = np.take_along_axis(scores, positions[:, np.newaxis], axis=1)
    wrong = (scores >= own).sum(axis=1) > 1
    return "multi_error", _boosting.mean(wrong, weights), False


def _arguments(first: Any, second: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Return scores, labels and weights out of what either interface passes."""
    if isinstance(second, Dataset):
        return first, second.get_label(), second.get_weight()
    return second, first, sample_weight


def __dir__() -> list[str]:
    return sorted(__all__)
