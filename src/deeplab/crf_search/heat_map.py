"""A CRF search as a picture: the best figure reached at every pair of parameter values, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from xml.sax.saxutils import escape

from deeplab.crf import CRFParams
from deeplab.crf.params import PARAMETERS
from deeplab.crf_search.results import describe, objective_name
from deeplab.crf_search.search import Search

_AXES = {
    name: PARAMETERS[name].symbol + (", px" if name.endswith("_px") else "")
    for name in ("bilateral_xy_std_px", "bilateral_rgb_std", "bilateral_weight")
}
_CELL = (38, 20)  # px, wide enough for four digits
_MARGIN = 56
_TITLE_LETTER = 7.5  # px, the width of a letter of the title, generously
_LEGEND = 140  # px, its height
_COLOURS = ("#f7fbff", "#c6dbef", "#6baed6", "#2171b5", "#08306b")
_WORST_SHOWN = (
    0.1  # the share of trials that all take the palest colour, so that a few bad ones do not flatten the rest
)

Panel = Mapping[tuple[float, float], float]


def heat_map_svg(search: Search) -> str:
    """Draw three panels: σβ over σα, w1 over σα, w1 over σβ, each cell the best over the third parameter, in percent.

    Only parameters tried on all photos are drawn; the best of all is framed in every panel.
    """
    values = {params: 100 * search.value(params) for params in search.complete()}
    ordered = sorted(values.values())
    span = (ordered[int(_WORST_SHOWN * (len(ordered) - 1))], ordered[-1])
    best = search.best()
    title = f"{objective_name(search)}, % on {len(search.trials.samples)} photos — best: {describe(best)}"
    parts, right = [], float(_MARGIN)
    height = 0.0
    for across, down in combinations(_AXES, 2):
        panel = _profile(values, across, down)
        framed = (best.numbers()[across], best.numbers()[down])
        drawn, width, tall = _panel(panel, (_AXES[across], _AXES[down]), framed, span, right)
        parts += drawn
        right += width + _MARGIN
        height = max(height, tall)
    parts += _legend(span, right)
    wide = max(right + 60, 2 * _MARGIN + _TITLE_LETTER * len(title))
    tall = _MARGIN + max(height + _MARGIN, _LEGEND)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{tall:.0f}" '
        f'viewBox="0 0 {wide:.0f} {tall:.0f}" font-family="sans-serif" font-size="11">'
        '<rect width="100%" height="100%" fill="white"/>'
        f'<text x="{_MARGIN}" y="22" font-size="14">{escape(title)}</text>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _profile(values: Mapping[CRFParams, float], across: str, down: str) -> Panel:
    """The best value at each pair of two parameters' values."""
    cells: dict[tuple[float, float], float] = {}
    for params, value in values.items():
        place = (params.numbers()[across], params.numbers()[down])
        cells[place] = max(value, cells.get(place, value))
    return cells


def _panel(
    panel: Panel, titles: tuple[str, str], framed: tuple[float, float], span: tuple[float, float], left: float
) -> tuple[list[str], float, float]:
    """Draw one panel from `left` on; return it with its width and height."""
    columns, rows = (sorted({place[axis] for place in panel}) for axis in (0, 1))
    (wide, tall), top = _CELL, _MARGIN
    width, height = wide * len(columns), tall * len(rows)
    drawn = []
    for (x, y), value in panel.items():
        at_x, at_y = left + wide * columns.index(x), top + height - tall * (rows.index(y) + 1)
        shade = _shade(value, span)
        frame = ' stroke="#d62728" stroke-width="2.5"' if (x, y) == framed else ' stroke="white"'
        drawn.append(
            f'<rect x="{at_x}" y="{at_y}" width="{wide}" height="{tall}" fill="{_colour(shade)}"{frame}/>'
            f'<text x="{at_x + wide / 2}" y="{at_y + 14}" text-anchor="middle" '
            f'fill="{"white" if shade > 0.55 else "black"}">{value:.2f}</text>'
        )
    drawn.sort(key=lambda cell: "#d62728" in cell)  # the frame above its neighbours
    for number, x in enumerate(columns):
        drawn.append(_text(left + wide * (number + 0.5), top + height + 15, f"{x:g}", "middle"))
    for number, y in enumerate(rows):
        drawn.append(_text(left - 5, top + height - tall * (number + 0.5) + 4, f"{y:g}", "end"))
    drawn.append(_text(left + width / 2, top + height + 34, titles[0], "middle"))
    drawn.append(_text(left - 5, top - 8, titles[1], "end"))
    return drawn, width, height


def _legend(span: tuple[float, float], left: float) -> list[str]:
    low, high = span
    steps = 20
    drawn = []
    for number in range(steps + 1):
        share = number / steps
        y = _MARGIN + 6 * (steps - number)
        drawn.append(f'<rect x="{left - 30}" y="{y}" width="14" height="6" fill="{_colour(share)}"/>')
    drawn.append(_text(left - 12, _MARGIN + 8, f"{high:.2f}", "start"))
    drawn.append(_text(left - 12, _MARGIN + 6 * steps + 6, f"≤ {low:.2f}", "start"))
    return drawn


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _shade(value: float, span: tuple[float, float]) -> float:
    low, high = span
    return min(max((value - low) / (high - low), 0), 1) if high > low else 1.0


def _colour(share: float) -> str:
    """Interpolate between the colours, 0–1."""
    place = share * (len(_COLOURS) - 1)
    index = min(int(place), len(_COLOURS) - 2)
    one, other = (_rgb(colour) for colour in _COLOURS[index : index + 2])
    mixed = [round(a + (b - a) * (place - index)) for a, b in zip(one, other, strict=True)]
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _rgb(colour: str) -> Sequence[int]:
    return bytes.fromhex(colour[1:])
