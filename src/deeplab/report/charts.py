"""Line charts as inline SVG. Colours and dashes come from the page's style sheet, so they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from deeplab.report.markup import Html, tag

WIDTH, HEIGHT = 480, 320
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 30, 40  # margins
TICKS = 5


class Series(NamedTuple):
    """A curve.

    Attributes:
        title: its name in the legend.
        class_: its look in the style sheet: ``c0`` … ``c5`` or ``paper``; ``dashed`` for the network alone; ``apart``
            for points that no line joins.
        points: (x, y), both in the axes' units.
        band: (x, low, high), its interval; empty for none.
        dots: mark the points, where they are few.
    """

    title: str
    class_: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()
    dots: bool = False


def line_chart(title: str, x_title: str, y_title: str, series: Sequence[Series]) -> Html:
    """Draw curves over one pair of axes; `title` is what screen readers are told."""
    xs = [x for each in series for x, _ in each.points]
    ys = [y for each in series for _, y in each.points] + [y for each in series for _, *ends in each.band for y in ends]
    if not xs:
        return tag("p", "Nothing to draw.")
    across, up = _ticks(0, max(xs)), _ticks(min(ys), max(ys))
    plot = _Plot(across[0], across[-1], up[0], up[-1])
    grid = [
        *(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=plot.y(y), y2=plot.y(y), class_="grid") for y in up),
        *(_text(LEFT - 7, plot.y(y) + 4, f"{y:g}", "end") for y in up),
        *(_text(plot.x(x), HEIGHT - BOTTOM + 17, f"{x:g}", "middle") for x in across),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_title, "middle"),
        _text(0, 13, y_title, "start"),
    ]
    bands = [_band(plot, each) for each in series if each.band]
    curves = [_curve(plot, each) for each in series]
    content = [tag("title", title), *grid, *bands, *curves]
    return tag("svg", *content, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="chart", aria_label=title)


def legend(series: Sequence[Series]) -> Html:
    """Say which curve is which, below a chart."""
    return tag("ul", *(tag("li", _sample(each), each.title) for each in series), class_="legend")


class _Plot(NamedTuple):
    """The ranges of both axes."""

    left: float
    right: float
    bottom: float
    top: float

    def x(self, value: float) -> float:
        """The place of a value, in the picture's units."""
        return round(LEFT + (value - self.left) / (self.right - self.left) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """The height of a value, in the picture's units."""
        return round(HEIGHT - BOTTOM - (value - self.bottom) / (self.top - self.bottom) * (HEIGHT - TOP - BOTTOM), 1)


def _curve(plot: _Plot, series: Series) -> Html:
    places = [(plot.x(x), plot.y(y)) for x, y in series.points]
    dots = [tag("circle", cx=x, cy=y, r=3) for x, y in places] if series.dots else []
    line = tag("polyline", points=" ".join(f"{x},{y}" for x, y in places))
    return tag("g", line, *dots, class_=f"curve {series.class_}")


def _band(plot: _Plot, series: Series) -> Html:
    lower = [(plot.x(x), plot.y(low)) for x, low, _ in series.band]
    upper = [(plot.x(x), plot.y(high)) for x, _, high in reversed(series.band)]
    return tag("polygon", points=" ".join(f"{x},{y}" for x, y in lower + upper), class_=f"band {series.class_}")


def _sample(series: Series) -> Html:
    line = tag("polyline", points="0,6 26,6")
    dots = [tag("circle", cx=13, cy=6, r=3)] if series.dots else []
    curve = tag("g", line, *dots, class_=f"curve {series.class_}")
    return tag("svg", curve, viewBox="0 0 26 12", width=26, height=12, aria_hidden="true")


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers that hold a range between them."""
    rough = max(high - low, 1e-9) / TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * number, 10) for number in range(first, max(last, first + 1) + 1)]


def _text(x: float, y: float, words: str, anchor: str) -> Html:
    return tag("text", words, x=round(x, 1), y=round(y, 1), text_anchor=anchor)
