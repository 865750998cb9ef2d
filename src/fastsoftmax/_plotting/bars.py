"""Bar charts of ratios, by Matplotlib, which is imported only here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .timing import Spread

__all__ = ["bar_chart", "require_matplotlib"]

_PANELS_A_COLUMN = 6
# The space between groups, in bars.
_GAP = 1.0

# In the order of the series; told apart in grey print and by the colour-blind too.
_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999", "#000000")


def require_matplotlib() -> Any:
    """Return ``matplotlib.pyplot``, drawing to files; an `ImportError` says how to get it."""
    try:
        import matplotlib
    except ImportError:
        raise ImportError(
            'a plot needs Matplotlib, which is not installed; run: pip install "fastsoftmax[cli]"'
        ) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def bar_chart(
    path: str,
    panels: Mapping[str, Mapping[str, Mapping[str, Spread]]],
    series: Sequence[str],
    xlabel: str,
) -> None:
    """Draw one panel of horizontal bars for each title and save it.

    Parameters
    ----------
    path : str
        File to write; its suffix gives the format.
    panels : mapping
        Panel's title to label of the group of bars to name of the series to its value.
    series : sequence of str
        All names, in the order of their bars and of the legend.
    xlabel : str
        What the bars measure; the axis is logarithmic, with a line at 1.
    """
    pyplot = require_matplotlib()
    from matplotlib.patches import Patch

    colors = dict(zip(series, itertools.cycle(_COLORS), strict=False))
    columns = math.ceil(len(panels) / _PANELS_A_COLUMN)
    order = list(panels.items())
    stacks = [order[i : i + columns] for i in range(0, len(order), columns)]
    heights = [max(1.0, *(_units(groups) for _, groups in stack)) for stack in stacks]
    figure, axes = pyplot.subplots(
        len(stacks),
        columns,
        figsize=(1 + 7 * columns, 1.3 + sum(0.7 + 0.16 * height for height in heights)),
        sharex=True,
        squeeze=False,
        layout="constrained",
        height_ratios=heights,
    )
    for axis in axes.flat[len(order) :]:
        axis.remove()
    for axis, (title, groups) in zip(axes.flat, order, strict=False):
        _panel(axis, groups, colors)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel(xlabel)
        axis.label_outer()
    handles = [Patch(color=color, label=name) for name, color in colors.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=min(4, len(series)))
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _units(groups: Mapping[str, Mapping[str, Spread]]) -> float:
    """Return how many bars high the groups and the gaps between them are."""
    return sum(len(group) + _GAP for group in groups.values())


def _panel(
    axis: Any, groups: Mapping[str, Mapping[str, Spread]], colors: Mapping[str, str]
) -> None:
    """Draw the groups one below the other, only the bars that each has."""
    from matplotlib.ticker import LogLocator, NullLocator

    ticks, place = [], 0.0
    for group in groups.values():
        ticks.append(place + (len(group) - 1) / 2)
        for name in filter(group.__contains__, colors):
            _bar(axis, place, group[name], colors[name])
            place += 1
        place += _GAP
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_yticks(ticks, list(groups))
    axis.set_ylim(place - 0.5, -0.5 - _GAP / 2)
    axis.margins(x=0.15)
    axis.spines[["top", "right"]].set_visible(False)


def _bar(axis: Any, place: float, value: Spread, color: str) -> None:
    """Draw a bar from 1, the same speed, to the median, with the quartiles as a whisker."""
    axis.barh(place, value.median - 1, 0.9, left=1, color=color)
    axis.plot([value.low, value.high], [place, place], color="#555555", linewidth=1)
    axis.annotate(
        f"{value.median:.3g}",
        (max(value.high, 1), place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
    )
