"""Multinomial logistic regression for scikit-learn, by L-BFGS over the fused loss and gradient."""

from __future__ import annotations

from .._extras import require

require("sklearn", "sklearn")

from ._estimator import SoftmaxRegression

__all__ = ["SoftmaxRegression"]


def __dir__() -> list[str]:
    return sorted(__all__)
