"""Charts put every point where its values say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab.report.charts import HEIGHT, WIDTH, Series, legend, line_chart

VALUES = st.lists(st.floats(0, 100, allow_subnormal=False), min_size=1, max_size=40)


def places(chart: str) -> list[tuple[float, float]]:
    curves = re.findall(r'<polyline points="(.*?)"', chart)
    return [(float(x), float(y)) for curve in curves for x, y in (point.split(",") for point in curve.split())]


def ticks(chart: str, anchor: str) -> dict[float, float]:
    """Axis labels by value: the y of those at the left, the x of those below."""
    found = re.findall(r'<text x="(\S+)" y="(\S+)" text-anchor="(\w+)">(-?[\d.]+)</text>', chart)
    return {float(words): float(x if anchor == "middle" else y) for x, y, which, words in found if which == anchor}


@given(VALUES)
def test_all_points_are_within_the_picture_and_in_order(values: list[float]) -> None:
    chart = line_chart("t", "x", "y", [Series("s", "c0", list(enumerate(values, start=1)))])
    found = places(chart)
    assert len(found) == len(values)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in found)
    assert [x for x, _ in found] == sorted(x for x, _ in found)
    for (_, one), (_, other), low, high in zip(found, found[1:], values, values[1:], strict=False):
        assert (one - other) * (high - low) >= 0  # higher values stand higher


def test_a_point_on_a_grid_line_is_drawn_on_it() -> None:
    chart = line_chart("t", "x", "y", [Series("s", "c0", [(10, 40), (20, 60), (40, 80)])])
    across, up = ticks(chart, "middle"), ticks(chart, "end")
    for (x, y), (at_x, at_y) in zip([(10, 40), (20, 60), (40, 80)], places(chart), strict=True):
        assert at_x == pytest.approx(across[x])
        assert at_y == pytest.approx(up[y] - 4)  # words stand a little below their line


def test_nothing_to_draw_is_said() -> None:
    assert "Nothing to draw" in line_chart("t", "x", "y", [Series("s", "c0", [])])


def test_the_legend_names_every_curve_in_its_look() -> None:
    made = legend([Series("ours & theirs", "c1 dashed", [(1, 1)])])
    assert "ours &amp; theirs" in made
    assert "curve c1 dashed" in made
