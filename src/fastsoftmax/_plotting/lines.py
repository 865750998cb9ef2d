"""Curves with their spread, in panels with one legend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .look import THEMES, Interval, figure_of, save, style_of

__all__ = ["Curve", "Guide", "Panel", "line_chart"]

# Of one panel in inches: beside others, and alone.
_WIDTH, _HEIGHT = 4.3, 3.1
_WIDE, _HIGH = 7.0, 3.4

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Curve:
    """The values of one series, each with its spread."""

    name: str
    x: Sequence[float]
    values: Sequence[Interval]

    @classmethod
    def exact(cls, name: str, x: Sequence[float], values: Sequence[float]) -> Curve:
        """Return a curve of values without a spread."""
        return cls(name, x, [_Exactly(value) for value in values])


@dataclass(frozen=True)
class _Exactly:
    """A value without a spread."""

    median: float

    @property
    def low(self) -> float:
        return self.median

    @property
    def high(self) -> float:
        return self.median


@dataclass(frozen=True)
class Guide:
    """A horizontal line to compare with, and what it is called in the legend."""

    y: float
    text: str


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes
    ----------
    title, xlabel, ylabel : str
        What is written on it; the label of the other axis has its unit.
    curves : sequence of Curve
        In the order of the legend.
    xscale, yscale : {"linear", "log"}
        How the axes are divided.
    guides : sequence of Guide
        Lines to compare with.
    floor : float or None
        Smaller values are drawn there, for a logarithm of 0 has no place.
    """

    title: str
    xlabel: str
    ylabel: str
    curves: Sequence[Curve]
    xscale: Literal["linear", "log"] = "linear"
    yscale: Literal["linear", "log"] = "linear"
    guides: Sequence[Guide] = ()
    floor: float | None = None


def line_chart(
    path: str | Path,
    panels: Sequence[Panel],
    theme: str = "light",
    *,
    columns: int = 2,
    spread: Literal["band", "bars"] | None = "bars",
) -> None:
    """Draw the panels beside and below each other, with one legend above, and save them.

    Parameters
    ----------
    path : str or Path
        File to write; its suffix gives the format.
    panels : sequence of Panel
        What to draw.
    theme : {"light", "dark"}
        The background that it is for.
    columns : int
        The largest number of panels side by side.
    spread : {"band", "bars"} or None
        How the spread is drawn: the curve through the medians with bars, or the curve through the
        upper ends with a band down to the medians. None for values without one.
    """
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves))
    guides = list(dict.fromkeys(guide.text for panel in panels for guide in panel.guides))
    per_line = 5 if columns > 1 else 4
    legend = 0.25 * math.ceil((len(names) + len(guides)) / per_line)
    width, height = (_WIDTH, _HEIGHT) if columns > 1 else (_WIDE, _HIGH)
    with figure_of(0.4 + width * columns, legend + height * rows, theme) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, panel in zip(axes, panels, strict=False):
            _draw(axis, panel, names, theme, spread)
        for axis in axes[len(panels) :]:
            axis.remove()
        styles = [style_of(name, theme, place) for place, name in enumerate(names)]
        handles = [_handle(style.label, style.line) for style in styles]
        handles += [_handle(text, _guide_line(theme)) for text in guides]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(per_line, len(handles)))
        save(figure, path)


def _handle(label: str, style: Mapping[str, Any]) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **style)


def _guide_line(theme: str) -> dict[str, Any]:
    return {"color": THEMES[theme].text, "linewidth": 1, "linestyle": (0, (1, 2))}


def _draw(axis: Any, panel: Panel, names: Sequence[str], theme: str, spread: str | None) -> None:
    axis.set_xscale(panel.xscale)
    axis.set_yscale(panel.yscale)
    # The last is drawn first, so that the first is on top.
    for curve in reversed(panel.curves):
        _curve(axis, curve, panel, names.index(curve.name), theme, spread)
    axis.set_title(panel.title)
    axis.set_xlabel(panel.xlabel)
    axis.set_ylabel(panel.ylabel)
    axis.grid(visible=True)
    for guide in panel.guides:
        axis.axhline(guide.y, **_guide_line(theme))
    _ticks(axis, panel)


def _curve(
    axis: Any, curve: Curve, panel: Panel, place: int, theme: str, spread: str | None
) -> None:
    def drawn(values: Sequence[float]) -> list[float]:
        return list(values) if panel.floor is None else [max(panel.floor, v) for v in values]

    high = drawn([v.high for v in curve.values])
    middle = drawn([v.median for v in curve.values])
    style = style_of(curve.name, theme, place)
    if spread != "bars":
        axis.fill_between(curve.x, middle, high, color=style.color, alpha=0.13, linewidth=0)
        every = max(1, len(curve.x) // 10)
        # Marks are set off against each other, so that curves on one another all show.
        axis.plot(curve.x, high, markevery=(place % every, every), **style.line)
        return
    low = drawn([v.low for v in curve.values])
    below = [m - v for m, v in zip(middle, low, strict=True)]
    above = [v - m for m, v in zip(middle, high, strict=True)]
    axis.errorbar(curve.x, middle, yerr=[below, above], elinewidth=1.2, **style.line)


def _ticks(axis: Any, panel: Panel) -> None:
    """Set numbers that people read: 0.5, 100, 10⁶; and no more of them than have room."""
    from matplotlib.ticker import LogLocator, NullLocator

    if panel.yscale == "log":
        low, high = axis.get_ylim()
        decades = math.log10(high / low)
        subs = (1, 2, 5) if decades < 2.5 else (1,)
        axis.yaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
        axis.yaxis.set_major_formatter(_number)
        axis.yaxis.set_minor_locator(NullLocator())
    if panel.xscale == "log":
        axis.xaxis.set_major_locator(LogLocator(numticks=9))
        axis.xaxis.set_major_formatter(_number)
        axis.xaxis.set_minor_locator(NullLocator())


def _number(value: float, _: object = None) -> str:
    """Return a number as it is written on an axis."""
    if value and not 1e-3 <= value < 1e4:
        exponent = math.floor(math.log10(value) + 1e-9)
        mantissa = value / 10**exponent
        power = "10" + str(exponent).translate(_RAISED)
        return power if f"{mantissa:g}" == "1" else f"{mantissa:g}·{power}"
    return f"{value:g}"
