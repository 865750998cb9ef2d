"""Bar charts of ratios, and of speeds below their limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .look import THEMES, Interval, Style, figure_of, save, style_of

__all__ = ["Limit", "ratio_chart", "roofline"]

_PANELS_A_COLUMN = 6
# The space between groups, in bars.
_GAP = 1.0
_BAR_INCHES = 0.17
# Of the bars, in the order of the series: told apart without colour.
_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "----", "++++", "oooo")

_Groups = Mapping[str, Mapping[str, Interval]]


@dataclass(frozen=True)
class Limit:
    """What a group of bars cannot pass: where, and what it is."""

    value: float
    name: str


def ratio_chart(
    path: str | Path,
    panels: Mapping[str, _Groups],
    series: Sequence[str],
    xlabel: str,
    theme: str = "light",
) -> None:
    """Draw one panel of horizontal bars for each title and save it.

    Parameters
    ----------
    path : str or Path
        File to write; its suffix gives the format.
    panels : mapping
        Panel's title to label of the group of bars to name of the series to its value.
    series : sequence of str
        All names, in the order of their bars and of the legend.
    xlabel : str
        What the bars measure; the axis is logarithmic, with a line at 1.
    theme : {"light", "dark"}
        The background that it is for.
    """
    styles = _styles(series, theme)
    columns = math.ceil(len(panels) / _PANELS_A_COLUMN)
    order = list(panels.items())
    stacks = [order[i : i + columns] for i in range(0, len(order), columns)]
    heights = [max(1.0, *(_bars(groups) for _, groups in stack)) for stack in stacks]
    legend = 0.25 * math.ceil(len(series) / 4)
    inches = legend + 0.45 + sum(0.55 + _BAR_INCHES * height for height in heights)
    with figure_of(0.6 + 6.6 * columns, inches, theme) as figure:
        axes = figure.subplots(
            len(stacks), columns, sharex=True, squeeze=False, height_ratios=heights
        )
        for axis in axes.flat[len(order) :]:
            axis.remove()
        for axis, (title, groups) in zip(axes.flat, order, strict=False):
            _group_axis(axis, groups, styles, start=1)
            _log_axis(axis)
            axis.axvline(1, color=THEMES[theme].text, linewidth=0.9)
            axis.margins(x=0.15)
            axis.set_title(title)
            axis.set_xlabel(xlabel)
            axis.label_outer()
        _legend(figure, styles)
        save(figure, path)


def roofline(
    path: str | Path,
    groups: _Groups,
    limits: Mapping[str, Sequence[Limit]],
    series: Sequence[str],
    xlabel: str,
    theme: str = "light",
) -> None:
    """Draw what each operation reaches, with a mark where memory and arithmetic end it.

    Parameters
    ----------
    path : str or Path
        File to write; its suffix gives the format.
    groups : mapping
        Operation to name of the series to its value.
    limits : mapping
        Operation to its limits.
    series : sequence of str
        All names, in the order of their bars and of the legend.
    xlabel : str
        What the bars measure.
    theme : {"light", "dark"}
        The background that it is for.
    """
    styles = _styles(series, theme)
    names = list(dict.fromkeys(limit.name for found in limits.values() for limit in found))
    colors = THEMES[theme].colors
    marks = {name: (colors[(4, 7, 5)[i]], ("D", "^", "v")[i]) for i, name in enumerate(names)}
    with figure_of(7.6, 0.95 + _BAR_INCHES * 1.4 * _bars(groups), theme) as figure:
        axis = figure.subplots()
        places = _group_axis(axis, groups, styles, start=0)
        for label, (first, last) in places.items():
            for limit in limits[label]:
                color, marker = marks[limit.name]
                axis.plot(
                    [limit.value] * 2,
                    [first - 0.5, last + 0.5],
                    color=color,
                    marker=marker,
                    markersize=5,
                    linewidth=2,
                )
        axis.set_xlim(left=0)
        axis.set_xlabel(xlabel)
        axis.margins(x=0.08)
        _legend(figure, styles, marks)
        save(figure, path)


def _styles(series: Sequence[str], theme: str) -> dict[str, tuple[Style, str]]:
    return {
        name: (style_of(name, theme, place), _HATCHES[place % len(_HATCHES)])
        for place, name in enumerate(series)
    }


def _bars(groups: _Groups) -> float:
    """Return how many bars high the groups and the gaps between them are."""
    return sum(len(group) + _GAP for group in groups.values())


def _group_axis(
    axis: Any, groups: _Groups, styles: Mapping[str, tuple[Style, str]], start: float
) -> dict[str, tuple[float, float]]:
    """Draw the groups one below the other, only the bars that each has; return their places."""
    places, place = {}, 0.0
    for label, group in groups.items():
        first = place
        for name in filter(group.__contains__, styles):
            _bar(axis, place, group[name], *styles[name], start)
            place += 1
        places[label] = (first, place - 1)
        place += _GAP
    axis.set_yticks([(a + b) / 2 for a, b in places.values()], list(places))
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(place - 0.5, -0.5 - _GAP / 2)
    axis.grid(visible=True, axis="x")
    return places


def _bar(axis: Any, place: float, value: Interval, style: Style, hatch: str, start: float) -> None:
    """Draw a bar from the start to the median, with the quartiles as a whisker."""
    background, text = axis.get_facecolor(), axis.xaxis.label.get_color()
    axis.barh(
        place,
        value.median - start,
        0.86,
        left=start,
        color=style.color,
        hatch=hatch,
        edgecolor=background,
        linewidth=0,
    )
    axis.plot([value.low, value.high], [place, place], color=text, linewidth=1.2)
    # Beside the bar; or, where the marks of limits may be there, within it.
    within = start == 0
    axis.annotate(
        f"{value.median:.3g}",
        (start if within else max(value.high, start), place),
        xytext=(5 if within else 3, 0),
        textcoords="offset points",
        va="center_baseline",
        fontsize=7.5,
        bbox={"facecolor": background, "linewidth": 0, "pad": 1} if within else None,
    )


def _log_axis(axis: Any) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}")
    axis.xaxis.set_minor_locator(NullLocator())


def _legend(
    figure: Any,
    styles: Mapping[str, tuple[Style, str]],
    marks: Mapping[str, tuple[str, str]] | None = None,
) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    background = figure.get_facecolor()
    handles: list[Any] = [
        Patch(
            facecolor=style.color, hatch=hatch, edgecolor=background, linewidth=0, label=style.label
        )
        for style, hatch in styles.values()
    ]
    handles += [
        Line2D([], [], color=color, marker=marker, markersize=5, linewidth=2, label=name)
        for name, (color, marker) in (marks or {}).items()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(4, len(handles)))
