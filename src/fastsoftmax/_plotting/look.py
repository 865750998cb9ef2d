"""Colours, marks and themes of all plots, and how they are saved."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .._backends import NAMES as BACKENDS

__all__ = [
    "FORMATS",
    "THEMES",
    "Interval",
    "PlotError",
    "Style",
    "Theme",
    "check_target",
    "figure_of",
    "require_matplotlib",
    "save",
    "style_of",
]

#: What a plot may be saved as, by the suffix of its file.
FORMATS = ("png", "svg", "pdf")

# Of the names below: dash pattern (on, off, ... in points; empty for a full line) and marker.
_MARKS: tuple[tuple[tuple[float, ...], str], ...] = (
    ((), "o"),
    ((5, 1.5), "s"),
    ((1.2, 1.2), "d"),
    ((), "^"),
    ((6, 1.5, 1.2, 1.5), "v"),
    ((3, 1), "D"),
    ((1.2, 1.2), "X"),
    ((8, 2), "P"),
)

# Which of the colours and marks belongs to whom, in every plot. Those that share one are never in
# the same plot, but for PyTorch's two ways, which differ by their marks.
_PLACES = {
    "c": (0, 0),
    "numba": (1, 1),
    "numpy": (2, 2),
    "scikit-learn": (2, 2),
    "NumPy": (3, 3),
    "SciPy": (4, 4),
    "PyTorch": (5, 5),
    "PyTorch, autograd": (5, 4),
    "JAX": (6, 6),
    "ONNX Runtime": (7, 7),
}


class PlotError(Exception):
    """A plot cannot be drawn or saved; the message says why and what would help."""


class Interval(Protocol):
    """A value with its spread."""

    @property
    def median(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


@dataclass(frozen=True)
class Theme:
    """What is behind a plot, its text and rules, and eight colours for what it shows."""

    background: str
    text: str
    rule: str
    colors: tuple[str, ...]


#: Hues after Okabe & Ito, "Color Universal Design" (2008), made darker or lighter until all stand
#: out from the background (contrast of at least 3, WCAG 2.2) and from each other, for the
#: colour-blind too, as simulated after Machado, Oliveira & Fernandes (IEEE TVCG 15(6), 2009).
THEMES = {
    "light": Theme(
        background="#ffffff",
        text="#1a1c1e",
        rule="#d4d7da",
        colors=(
            "#013794", "#0194ff", "#792365", "#1a1c1e", "#bd6507", "#007945", "#bb6fb0", "#900000"
        ),
    ),
    "dark": Theme(
        background="#131416",
        text="#f2f0ec",
        rule="#3a3d41",
        colors=(
            "#79c8f5", "#2a86d0", "#f0e442", "#ffffff", "#e69f00", "#009e73", "#cc79a7", "#d55e00"
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """How one series looks: by its colour, and without it by dash and marker.

    `label` is its name for a legend.
    """

    label: str
    color: str
    dash: tuple[float, ...]
    marker: str
    width: float = 1.6

    @property
    def line(self) -> dict[str, Any]:
        """The arguments of a line."""
        return {
            "color": self.color,
            "linestyle": (0, self.dash) if self.dash else "-",
            "marker": self.marker,
            "markersize": 4.5,
            "linewidth": self.width,
        }


def style_of(name: str, theme: str, place: int = 0) -> Style:
    """Return the style of a series: that of its name, or of its place if the name has none."""
    color, mark = _PLACES.get(name, (place % 8, place % 8))
    dash, marker = _MARKS[mark]
    # One of our backends is called as NumPy is.
    label = f"fastsoftmax, {name}" if name in BACKENDS else name
    return Style(label, THEMES[theme].colors[color], dash, marker, 2.4 if name == "c" else 1.6)


def require_matplotlib() -> None:
    """Raise `PlotError` unless Matplotlib is there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise PlotError(
            'a plot needs Matplotlib, which is not installed; run: pip install "fastsoftmax[cli]"'
        ) from None


def check_target(path: str | Path) -> None:
    """Raise `PlotError` if a plot could not be saved there, before anything is measured for it."""
    path = Path(path)
    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise PlotError(
            f"cannot draw {path}: the file's name must end in "
            f"{', '.join('.' + name for name in FORMATS[:-1])} or .{FORMATS[-1]}"
        )
    if not path.absolute().parent.is_dir():
        raise PlotError(f"cannot draw {path}: there is no directory {path.parent}")
    require_matplotlib()


@contextmanager
def figure_of(width: float, height: float, theme: str) -> Iterator[Any]:
    """Give an empty figure, in inches, with the theme in effect while it is drawn and saved."""
    require_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_settings(THEMES[theme])):
        yield Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: str | Path) -> None:
    """Save a figure in the format that its name ends in; the same figure gives the same bytes."""
    check_target(path)
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=150, metadata=date)
    written = _compact(content.getvalue()) if kind == "svg" else content.getvalue()
    try:
        path.write_bytes(written)
    except OSError as error:
        raise PlotError(f"cannot write {path}: {error.strerror}") from error


def _compact(svg: bytes) -> bytes:
    """Return an SVG file in half the size: without comments and indents, to 1/100 of a point."""
    nothing = r'<!--.*?-->|^\s+| transform="rotate\(-?0 [^"]*"'
    text = re.sub(nothing, "", svg.decode(), flags=re.DOTALL | re.MULTILINE)
    # Numbers below 1 are scales.
    return re.sub(r"-?[1-9]\d*\.\d{3,}", lambda n: f"{float(n[0]):.2f}", text).encode()


def _settings(theme: Theme) -> dict[str, Any]:
    """Return Matplotlib's settings; all else is as it comes, whatever the user's own are."""
    import matplotlib

    defaults = {k: v for k, v in matplotlib.rcParamsDefault.items() if k not in _KEPT}
    return {
        **defaults,
        "figure.facecolor": theme.background,
        "axes.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        "text.color": theme.text,
        "axes.labelcolor": theme.text,
        "axes.edgecolor": theme.text,
        "axes.titlecolor": theme.text,
        "xtick.color": theme.text,
        "ytick.color": theme.text,
        "grid.color": theme.rule,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "legend.handlelength": 3.2,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.axisbelow": True,
        "font.size": 9.5,
        # Text stays text, which is small and can be read out. Room is kept for DejaVu Sans: what
        # a reader may have in its place is not wider, so nothing runs into anything.
        "svg.fonttype": "none",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
        "svg.hashsalt": "fastsoftmax",
    }


# Not to be set while a program runs, or of no effect here.
_KEPT = frozenset({"backend", "backend_fallback", "interactive", "toolbar", "timezone"})
