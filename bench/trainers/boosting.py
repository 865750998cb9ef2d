"""Time boosting by the libraries' objectives and by ours: ``python -m bench.trainers.boosting``.

The third way is an objective that returns arrays which are ready: what the library's call costs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost

import fastsoftmax.lightgbm
import fastsoftmax.xgboost
from bench.figures.machine import describe
from bench.report import render
from fastsoftmax._cli.timing import Spread, duration, measure, ratio

__all__ = ["main"]

FEATURES = 20
Train = Callable[[Any], Any]


def main() -> None:
    """Print a row for each library and number of classes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=10, help="of boosting")
    parser.add_argument("--seconds", type=float, default=11.0, help="per row")
    arguments = parser.parse_args()
    machine = describe()
    print(f"{machine['cpu']}, {machine['cpus']} CPUs; {machine['versions']}")
    print(f"xgboost {xgboost.__version__}, lightgbm {lightgbm.__version__}\n")
    rows = [["", "classes", "built in", "ours", "ours / built in", "arrays ready / built in"]]
    for classes in (3, 10):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((arguments.samples, FEATURES)).astype(np.float32)
        noise = rng.gumbel(size=(arguments.samples, classes))
        y = (x[:, :classes] + noise).argmax(axis=1)
        for name, prepare in (("XGBoost", _xgboost), ("LightGBM", _lightgbm)):
            train, built_in, objective = prepare(x, y, classes, arguments.rounds)
            rows.append([name, str(classes), *_cells(train, built_in, objective, arguments)])
    print(render(rows, markdown=True))


def _cells(train: Train, built_in: Any, objective: Any, arguments: Any) -> list[str]:
    kept: list[Any] = []

    def keep(scores: Any, data: Any) -> Any:
        if not kept:
            kept.append(tuple(a.astype(np.float32) for a in objective(scores, data)))
        return kept[0]

    calls = {
        "built in": lambda: train(built_in),
        "ours": lambda: train(objective),
        "ready": lambda: train(keep),
    }
    for call in calls.values():
        call()
    times = measure(calls, 21, arguments.seconds)
    return [
        _time(times["built in"]),
        _time(times["ours"]),
        *(_share(ratio(times[name], times["built in"])) for name in ("ours", "ready")),
    ]


def _xgboost(x: Any, y: Any, classes: int, rounds: int) -> tuple[Train, Any, Any]:
    data = xgboost.DMatrix(x, y)
    parameters = {"num_class": classes, "objective": "multi:softprob", "base_score": 0.0}

    def train(objective: Any) -> Any:
        return xgboost.train(parameters, data, rounds, obj=objective)

    return train, None, fastsoftmax.xgboost.softmax_objective


def _lightgbm(x: Any, y: Any, classes: int, rounds: int) -> tuple[Train, Any, Any]:
    parameters = {"num_class": classes, "verbose": -1, "boost_from_average": False}
    parameters["force_row_wise"] = True
    data = lightgbm.Dataset(x, y)

    def train(objective: Any) -> Any:
        return lightgbm.train({**parameters, "objective": objective}, data, rounds)

    return train, "multiclass", fastsoftmax.lightgbm.softmax_objective


def _time(times: np.ndarray) -> str:
    spread = Spread.of(times)
    return f"{duration(spread.median)} ±{spread.percent:.0f}%"


def _share(value: Spread) -> str:
    return f"{value.median:.2f} ±{value.percent:.0f}%"


if __name__ == "__main__":
    main()
