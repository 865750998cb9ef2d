"""The plots: colours that all can tell apart, labels that do not overlap, files that repeat."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from fastsoftmax.__main__ import main
from fastsoftmax._cli.timing import Spread
from fastsoftmax._plotting import bars, lines, look

from .command_line import hide, run

Array = np.ndarray[Any, Any]
Draw = Callable[[Path, str], None]

# From linear sRGB to what is left of it without one of the three kinds of cones: Machado, Oliveira
# & Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009),
# severity 1.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# From linear sRGB to CIE XYZ, white D65 (IEC 61966-2-1).
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
NAMES = ("c", "numba", "numpy", "NumPy", "SciPy", "PyTorch", "JAX", "ONNX Runtime")

themes = pytest.mark.parametrize("theme", look.THEMES)


def linear(color: str) -> Array:
    values = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: Array) -> Array:
    """CIELAB, where a distance of about 2.3 is just noticeable."""
    relative = XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(
        relative > 216 / 24389, np.cbrt(relative), (24389 / 27 * relative + 16) / 116
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of luminances."""
    darker, lighter = sorted(float(XYZ[1] @ linear(color)) for color in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


@themes
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colours_differ_for_the_colour_blind_too(theme: str, blindness: str) -> None:
    seen = [lab(BLINDNESS[blindness] @ linear(color)) for color in look.THEMES[theme].colors]
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(one - other) > 12


@themes
def test_colours_stand_out_from_the_background(theme: str) -> None:
    colors = look.THEMES[theme]
    assert contrast(colors.text, colors.background) > 7
    assert min(contrast(color, colors.background) for color in colors.colors) > 3


def test_the_legend_says_which_are_ours() -> None:
    """Of which one is called as NumPy is."""
    labels = {name: look.style_of(name, "light").label for name in NAMES}
    assert labels["numpy"] == "fastsoftmax, numpy"
    assert [n for n, label in labels.items() if "fastsoftmax" in label] == ["c", "numba", "numpy"]
    assert labels["NumPy"] == "NumPy"


@themes
def test_series_differ_without_colour(theme: str) -> None:
    styles = [look.style_of(name, theme) for name in NAMES]
    assert len({style.color for style in styles}) == len(NAMES)
    assert len({style.marker for style in styles}) == len(NAMES)
    both = [look.style_of(name, theme) for name in ("PyTorch", "PyTorch, autograd")]
    assert both[0].marker != both[1].marker
    assert both[0].dash != both[1].dash
    unknown = [look.style_of(f"series {place}", theme, place) for place in range(8)]
    assert len({(style.color, style.marker) for style in unknown}) == 8


def _curves(names: tuple[str, ...] = NAMES) -> list[lines.Curve]:
    x = np.geomspace(1, 1e6, 7)
    found = []
    for place, name in enumerate(names):
        y = (1 + place) * (1 + 1000 / x)
        values = [Spread(float(v), 0.9 * float(v), 1.2 * float(v)) for v in y]
        found.append(lines.Curve(name, x.tolist(), values))
    return found


def draw_lines(path: Path, theme: str, spread: Any = "bars") -> None:
    panels = [
        lines.Panel(
            f"{title}, float32, 10⁶ elements, 1 thread",
            "samples m",
            "time per element, ns",
            _curves(),
            xscale="log",
            yscale="log",
            guides=[lines.Guide(2, "a bound")],
        )
        for title in ("softmax", "loss + gradient")
    ]
    lines.line_chart(path, panels, theme, spread=spread)


def draw_ratios(path: Path, theme: str) -> None:
    shapes = ("1 × 4", "256 × 1000", "100000 × 10")
    series = ("c, 1 thread", "c, 2 threads", "numba, 1 thread", "numba, 2 threads")
    values = [[0.5 + 3 * i + j for j in range(len(series))] for i in range(len(shapes))]
    panels = {
        operation: {
            shape: {name: Spread(v, 0.8 * v, 1.3 * v) for name, v in zip(series, row, strict=True)}
            for shape, row in zip(shapes, values, strict=True)
        }
        for operation in ("softmax, float32", "value_and_mean_grad, float32")
    }
    bars.ratio_chart(path, panels, series, "times as fast as NumPy", theme)


def draw_roofline(path: Path, theme: str) -> None:
    groups = {
        f"{name}\n8 bytes per element": {"c": Spread(6, 5, 7), "numba": Spread(5, 4, 6)}
        for name in ("softmax", "loss + mean gradient")
    }
    limits = {label: [bars.Limit(11, "memory"), bars.Limit(34, "arithmetic")] for label in groups}
    bars.roofline(path, groups, limits, ("c", "numba"), "GB/s reached", theme)


CHARTS: dict[str, Draw] = {"lines": draw_lines, "ratios": draw_ratios, "roofline": draw_roofline}
every_chart = pytest.mark.parametrize("chart", CHARTS)


@every_chart
@themes
@pytest.mark.parametrize("kind", look.FORMATS)
def test_the_name_gives_the_format_and_the_bytes_repeat(
    tmp_path: Path, chart: str, theme: str, kind: str
) -> None:
    first, again = tmp_path / f"a.{kind}", tmp_path / f"b.{kind.upper()}"
    CHARTS[chart](first, theme)
    CHARTS[chart](again, theme)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == again.read_bytes()


@every_chart
@themes
def test_no_text_lies_on_another_or_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chart: str, theme: str
) -> None:
    from matplotlib.text import Text

    # What is drawn first is for the layout; the last time counts.
    last: dict[int, tuple[str, Any, Any]] = {}
    original = Text.draw

    def record(text: Any, renderer: Any) -> None:
        original(text, renderer)
        if text.get_text() and text.get_visible():
            page = text.get_figure(root=True).bbox.frozen()
            last[id(text)] = (text.get_text(), text.get_window_extent(renderer), page)

    monkeypatch.setattr(Text, "draw", record)
    CHARTS[chart](tmp_path / "x.png", theme)
    drawn = [(text, box) for text, box, _ in last.values()]
    assert len(drawn) > 10
    for text, box, page in last.values():
        assert page.x0 <= box.x0 < box.x1 <= page.x1, text
        assert page.y0 <= box.y0 < box.y1 <= page.y1, text
    for (one, a), (other, b) in itertools.combinations(drawn, 2):
        assert not a.overlaps(b), f"{one!r} lies on {other!r}"


def test_values_below_the_floor_are_drawn_on_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(lines, "save", lambda figure, path: figures.append(figure))
    curve = lines.Curve("c", [0, 1], [Spread(0, 0, 0), Spread(1, 0, 2)])
    panel = lines.Panel("", "", "", [curve], yscale="log", floor=0.1)
    lines.line_chart(tmp_path / "x.png", [panel], spread="band")
    (line,) = figures[0].axes[0].get_lines()
    assert list(line.get_ydata()) == [0.1, 2]


def test_users_settings_are_neither_used_nor_changed(tmp_path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 33, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        draw_roofline(tmp_path / "a.svg", "light")
        assert dict(matplotlib.rcParams) == before
    draw_roofline(tmp_path / "b.svg", "light")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_targets_are_checked(tmp_path: Path) -> None:
    look.check_target(tmp_path / "new.png")
    with pytest.raises(look.PlotError, match=r"must end in \.png, \.svg or \.pdf"):
        look.check_target(tmp_path / "new.gif")
    with pytest.raises(look.PlotError, match="there is no directory"):
        look.check_target(tmp_path / "none" / "new.png")


@pytest.mark.parametrize("kind", look.FORMATS)
@themes
def test_bench_draws(tmp_path: Path, kind: str, theme: str) -> None:
    file = tmp_path / f"ratios.{kind}"
    quick = ("--shapes", "3x4", "--rounds", "3", "--backends", "numpy")
    assert main(["bench", *quick, "--plot", str(file), "--theme", theme]) == 0
    assert file.stat().st_size > 1000


def test_accuracy_draws(tmp_path: Path) -> None:
    file = tmp_path / "errors.svg"
    rows = ("--rows", "saturated", "--dtypes", "float32", "--peers", "numpy")
    assert main(["accuracy", *rows, "--plot", str(file), "--theme", "dark"]) == 0
    assert look.THEMES["dark"].background in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["bench", "accuracy"])
def test_without_matplotlib_the_extra_is_named_first(tmp_path: Path, name: str) -> None:
    done = run(name, "--plot", "x.png", environment=hide("matplotlib", tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        "fastsoftmax: a plot needs Matplotlib, which is not installed; "
        'run: pip install "fastsoftmax[cli]"\n'
    )
    assert done.stdout == ""
