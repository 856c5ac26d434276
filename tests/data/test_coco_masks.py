"""COCO's outlines against brute force, an encoder of the other direction, and pycocotools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab.data.coco_masks import decompress_runs, draw_polygons, draw_runs, draw_shape, pack_shape
from deeplab.errors import InputError

COORDINATES = st.one_of(st.integers(-3, 12).map(float), st.floats(-3, 12, width=32))
POLYGONS = st.lists(st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=7), min_size=1, max_size=3)


def holds(polygon: list[tuple[float, float]], x: float, y: float) -> bool:
    """Whether an odd number of edges crosses the ray from a point to the left."""
    inside = False
    for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) <= x:
            inside = not inside
    return inside


@given(polygons=POLYGONS)
def test_a_polygon_takes_the_pixels_whose_centres_it_holds(polygons: list[list[tuple[float, float]]]) -> None:
    size = (8, 9)
    expected = np.array(
        [[any(holds(p, column + 0.5, row + 0.5) for p in polygons) for column in range(9)] for row in range(8)]
    )
    np.testing.assert_array_equal(draw_polygons(polygons, size), expected)


def test_a_rectangle_on_the_grid_has_its_own_area() -> None:
    mask = draw_polygons([[(2, 1), (7, 1), (7, 5), (2, 5)]], (8, 9))
    assert mask.sum() == 5 * 4
    assert mask[1:5, 2:7].all()


def compress(runs: list[int]) -> str:
    """The other direction of `decompress_runs`, by COCO's description."""
    text = ""
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        while True:
            group, value = value & 31, value >> 5
            more = value != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
            if not more:
                break
    return text


@given(runs=st.lists(st.integers(0, 300_000), min_size=1, max_size=12))
def test_compressed_runs_come_back(runs: list[int]) -> None:
    assert decompress_runs(compress(runs)).tolist() == runs


def test_a_compressed_mask_of_pycocotools_is_read() -> None:
    # what pycocotools.mask.encode gives for a 5x6 mask with rows 1–3 of columns 2–4 set
    assert decompress_runs(";320004").tolist() == [11, 3, 2, 3, 2, 3, 6]


@given(bits=st.lists(st.booleans(), min_size=12, max_size=12))
def test_runs_go_down_the_columns(bits: list[bool]) -> None:
    runs, current = [0], False
    for bit in bits:
        if bit != current:
            runs.append(0)
            current = bit
        runs[-1] += 1
    mask = draw_runs(np.array(runs), (3, 4))
    assert [bool(mask[i % 3, i // 3]) for i in range(12)] == bits


@pytest.mark.filterwarnings("ignore::DeprecationWarning:pycocotools")
def test_pycocotools_draws_nearly_the_same() -> None:
    cocotools = pytest.importorskip("pycocotools.mask", reason="a comparison with pycocotools")
    random, size = np.random.default_rng(4), (120, 160)
    for _ in range(30):
        angles = np.sort(random.uniform(0, 2 * np.pi, 20))
        outline = np.stack([80 + 50 * np.cos(angles), 60 + 40 * np.sin(angles)], axis=1) + random.normal(0, 2, (20, 2))
        encoded = cocotools.frPyObjects([outline.ravel().tolist()], *size)[0]
        theirs = cocotools.decode(encoded).astype(bool)
        ours = draw_polygons([outline], size)
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.98
        assert ours.sum() == pytest.approx(theirs.sum(), rel=0.01)
        np.testing.assert_array_equal(draw_runs(decompress_runs(encoded["counts"].decode()), size), theirs)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "no outline"),
        ([[]], "fewer than three points"),
        ([1, 2, 3, 4], "fewer than three points"),
        (None, "no outline"),
        ([[1, 2, 3, 4]], "fewer than three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "a polygon of it is no list of numbers"),
        ([[1, 2, 3, "x", 5, 6]], "a polygon of it is no list of numbers"),
        ([[1, 2, 3, float("nan"), 5, 6]], "a polygon of it is no list of numbers"),
        ({"size": [2, 3], "counts": [2, 3]}, "do not fill the photo's 3x2 px"),
        ({"size": [3, 2], "counts": [2, 4]}, "do not fill"),
        ({"size": [2, 3], "counts": [7, -1]}, "do not fill"),
        ({"size": [2, 3], "counts": "o"}, "end within a number"),
        ({"size": [2, 3], "counts": "~"}, "hold the character '~'"),
        ({"counts": [6]}, "no outline"),
    ],
)
def test_damaged_outlines_are_errors(segmentation: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pack_shape(segmentation, (2, 3))


def test_both_kinds_of_shapes_are_drawn() -> None:
    whole = np.ones((2, 3), dtype=bool)
    np.testing.assert_array_equal(draw_shape(pack_shape([[0, 0, 3, 0, 3, 2, 0, 2]], (2, 3)), (2, 3)), whole)
    np.testing.assert_array_equal(draw_shape(pack_shape({"size": [2, 3], "counts": [0, 6]}, (2, 3)), (2, 3)), whole)
