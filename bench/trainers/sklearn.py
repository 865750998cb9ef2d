"""Time fits of SoftmaxRegression and LogisticRegression: ``python -m bench.trainers.sklearn``."""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression

from bench.figures.machine import describe
from bench.report import render
from fastsoftmax._cli.timing import Spread, duration, measure, ratio
from fastsoftmax.sklearn import SoftmaxRegression

__all__ = ["main"]

FEATURES, CLASSES = 50, 20


def main() -> None:
    """Print a row for each dtype and number of classes, and what bounds the fit from below."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=12.0, help="per row")
    parser.add_argument("--dtypes", default="float64,float32")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((arguments.samples, FEATURES))
    logits = x @ rng.normal(scale=0.5, size=(FEATURES, CLASSES))
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    machine = describe()
    print(f"{machine['cpu']}, {machine['cpus']} CPUs; {machine['versions']}\n")
    head = ["dtype", "classes", "iterations", "SoftmaxRegression", "LogisticRegression"]
    rows = [[*head, "ratio", "products alone", "coef_ differ by"]]
    for dtype in arguments.dtypes.split(","):
        for labels in (y, y % 2):
            rows.append(_row(x.astype(dtype), labels, arguments.seconds))
    print(render(rows, markdown=True))


def _row(x: np.ndarray, y: np.ndarray, seconds: float) -> list[str]:
    ours, theirs = (model(max_iter=1000).fit(x, y) for model in _MODELS)
    weight = np.ascontiguousarray(ours.coef_.T)
    logits, product = x @ weight, np.empty_like(weight)

    def products() -> None:
        np.matmul(x, weight, out=logits)
        np.matmul(x.T, logits, out=product)

    products()
    calls = {
        model.__name__: lambda model=model: model(max_iter=1000).fit(x, y) for model in _MODELS
    }
    times = measure({**calls, "products": products}, 21, seconds)
    mine, others = (times[model.__name__] for model in _MODELS)
    share = ratio(mine, others)
    # One evaluation for each iteration and one to start from are the least that L-BFGS makes.
    floor = (ours.n_iter_[0] + 1) * Spread.of(times["products"]).median
    return [
        str(x.dtype),
        str(len(ours.classes_)),
        f"{ours.n_iter_[0]}, {theirs.n_iter_[0]}",
        _time(mine),
        _time(others),
        f"{share.median:.2f} ±{share.percent:.0f}%",
        duration(floor),
        f"{np.abs(ours.coef_ - theirs.coef_).max():.0e}",
    ]


def _time(times: np.ndarray) -> str:
    spread = Spread.of(times)
    return f"{duration(spread.median)} ±{spread.percent:.0f}%"


_MODELS = (SoftmaxRegression, LogisticRegression)

if __name__ == "__main__":
    main()
