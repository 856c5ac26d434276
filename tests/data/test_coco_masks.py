"""COCO's outlines against brute force, an encoder of the other direction, and pycocotools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab.data.coco_masks import check_outlines, decompress_runs, draw_polygons, draw_runs, draw_shape, pack_shape
from deeplab.errors import ImageError, InputError

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
        ([[0, 0, 1e30, 0, 1e30, 1e38]], "lies far from any photo"),
        ([[0, 0, -2e7, 0, 1, 1]], "lies far from any photo"),
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


def test_both_kinds_of_shapes_are_drawn_in_the_box_that_they_lie_in() -> None:
    outline, runs = [[1, 1, 9, 1, 9, 2, 1, 2]], {"size": [3, 4], "counts": [4, 1, 2, 1, 2, 1, 1]}
    for segmentation in (outline, runs):
        mask = np.zeros((3, 4), dtype=bool)
        box, drawn = draw_shape(pack_shape(segmentation, (3, 4)), (3, 4))
        mask[box] = drawn
        assert drawn.shape == (1, 3)
        np.testing.assert_array_equal(mask, [[0, 0, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]])


@pytest.mark.parametrize("segmentation", [[[-9, -9, -5, -9, -5, -5]], {"size": [3, 4], "counts": [12]}])
def test_a_shape_of_no_pixels_is_drawn_nowhere(segmentation: Any) -> None:
    _, drawn = draw_shape(pack_shape(segmentation, (3, 4)), (3, 4))
    assert drawn.size == 0


def test_a_small_object_of_a_large_photo_takes_little_room() -> None:
    _, drawn = draw_shape(pack_shape([[5000, 5000, 5003, 5000, 5003, 5002, 5000, 5002]], (9000, 9000)), (9000, 9000))
    assert drawn.shape == (2, 3)
    assert drawn.base is None or drawn.base.size < 100
    _, drawn = draw_shape(pack_shape({"size": [900, 900], "counts": [900, 1, 809_099]}, (900, 900)), (900, 900))
    assert drawn.base is None


def test_an_outline_is_drawn_alike_in_pieces_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    outline = np.random.default_rng(0).uniform(-5, 45, (200, 2))
    whole = draw_polygons([outline], (40, 40))
    monkeypatch.setattr("deeplab.data.coco_masks._CROSSINGS_AT_ONCE", 7)
    np.testing.assert_array_equal(draw_polygons([outline], (40, 40)), whole)


def test_outlines_that_wind_beyond_drawing_are_refused() -> None:
    down_and_up = np.array([(column, row) for column in range(10_000) for row in (0, 8000)])
    with pytest.raises(ImageError, match=r"a\.json: the outlines .* wind through more than 50,000,000 rows; simplify"):
        check_outlines(Path("a.json"), [down_and_up], 8000)
    check_outlines(Path("a.json"), [down_and_up, np.empty((0, 2))], 80)
    with pytest.raises(ImageError, match="wind through"):
        check_outlines(Path("a.json"), [down_and_up[:10]] * 1000, 8000)


@pytest.mark.parametrize("text", ["o" * 100_000, "o" * 13 + "0", "o" * 20])
def test_a_compressed_number_without_end_is_refused_at_once(text: str) -> None:
    with pytest.raises(InputError, match="a number that does not end"):
        decompress_runs(text)


def test_compressed_runs_beyond_64_bits_are_refused() -> None:
    with pytest.raises(InputError, match="add up to 23"):
        decompress_runs(compress([0, 0, 0] + [2**59 * (n + 1) for n in range(40)]))
