from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.labels import LabelSet
from deeplab.teach.marks import Box, Mark, Stroke, checked, draw, labels_of

SIZE = 40, 60
LABELS = LabelSet("own", ("background", "cat", "dog"))
STREETS = LabelSet("streets", ("road", "car"))


def drawn(marks: Any, size: tuple[int, int] = SIZE, at: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    return draw(checked(marks, size, LABELS), size, LABELS, at or size)


def distances(points: list[tuple[float, float]], size: tuple[int, int] = SIZE) -> NDArray[np.float64]:
    """From every pixel's centre to the nearest point of a line, by looking at a thousand points of it."""
    corners = np.array(points if len(points) > 1 else points * 2, np.float64)
    line = np.concatenate([np.linspace(*pair, 1000) for pair in pairwise(corners)])
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    distance: NDArray[np.float64] = np.hypot(x[..., None] - line[:, 0], y[..., None] - line[:, 1]).min(axis=2)
    return distance


@pytest.mark.parametrize(
    "points", [[(30.5, 20.5)], [(5, 5), (50, 30)], [(10, 30), (30, 10), (55, 35)], [(2, 2), (2, 38)]]
)
@pytest.mark.parametrize("width_px", [1, 4, 9])
def test_a_stroke_is_what_lies_within_half_its_width_of_a_line(
    points: list[tuple[float, float]], width_px: float
) -> None:
    labels, distance = drawn(Stroke("cat", points, width_px)), distances(points)
    own = np.zeros(SIZE, bool)
    own[tuple(np.array(points, np.int64).T[::-1])] = True  # the pixels that hold the line's corners
    certain = np.abs(distance - width_px / 2) > 0.05  # as far as a thousand points tell
    np.testing.assert_array_equal((labels == 1)[certain], ((distance <= width_px / 2) | own)[certain])


def test_a_stroke_that_leaves_the_photo_is_cut_off() -> None:
    labels = drawn(Stroke(2, [(50, 20), (500, 20)], 5))
    assert (labels[19:21, 50:] == 2).all()
    assert (labels[:, :47] == 255).all()


def test_the_later_stroke_lies_on_top() -> None:
    one, other = Stroke("cat", [(5, 5), (50, 30)], 5), Stroke("dog", [(5, 30), (50, 5)], 5)
    assert drawn([one, other])[17, 27] == 2
    assert drawn([other, one])[17, 27] == 1


def test_a_mask_is_itself_and_unknown_pixels_leave_what_lies_below() -> None:
    mask = np.full(SIZE, 255, np.int64)
    mask[10:20, 10:20] = 2
    np.testing.assert_array_equal(drawn(mask), mask)
    stroke = Stroke("cat", [(0, 15), (60, 15)], 3)
    (held,) = checked(mask, SIZE, LABELS)
    labels = drawn([stroke, held])
    assert labels[15, 15] == 2
    assert labels[15, 30] == 1


def test_a_box_is_its_class_in_its_middle_fifth_and_background_is_outside() -> None:
    labels = drawn(Box("cat", 10, 5, 50, 35))
    inside = np.zeros(SIZE, bool)
    inside[5:35, 10:50] = True
    assert (labels[~inside] == 0).all()
    assert set(np.unique(labels[inside])) == {1, 255}
    assert (labels == 1).sum() == pytest.approx(inside.sum() / 5, rel=0.1)
    rows, columns = np.nonzero(labels == 1)
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((20, 30), abs=0.5)
    smaller = draw(checked(Box(1, 10, 5, 50, 35), SIZE, STREETS), SIZE, STREETS, SIZE)
    assert set(np.unique(smaller)) == {1, 255}  # classes without a background say nothing of what lies outside


def test_smaller_boxes_lie_over_larger_ones_and_strokes_over_both() -> None:
    boxes = [Box("dog", 28, 18, 32, 22), Box("cat", 0, 0, 60, 40)]
    assert drawn(boxes)[20, 30] == 2
    assert drawn([Stroke("background", [(30, 20)], 3), *boxes])[20, 30] == 0
    assert drawn([Box("cat", 0, 0, 9, 9), Box("dog", 40, 20, 60, 40)])[4, 4] == 1  # no box is outside of its own


@pytest.mark.parametrize("at", [(20, 30), (80, 120), (13, 19), (1, 1)])
def test_marks_grow_and_shrink_with_the_photo(at: tuple[int, int]) -> None:
    mask = np.full(SIZE, 255, np.uint8)
    mask[:20, :30] = 2
    labels = drawn(mask, at=at)
    if at != (1, 1):
        assert (labels[: at[0] // 2 - 1, : at[1] // 2 - 1] == 2).all()
        assert (labels[at[0] // 2 + 1 :] == 255).all()
    for mark in (Stroke("cat", [(10, 20), (50, 20)], 8), Box("cat", 10, 10, 50, 30)):
        share = [(drawn(mark, at=size) == 1).mean() for size in (SIZE, at)]
        assert share[1] == pytest.approx(share[0], abs=0.1) or at == (1, 1)
        assert share[1] > 0


def test_the_labels_that_marks_give() -> None:
    mask = np.full(SIZE, 255, np.uint8)
    mask[0, 0] = 2

    def of(marks: Any, label_set: LabelSet = LABELS) -> set[int]:
        given: tuple[Mark, ...] = checked(marks, SIZE, label_set)
        return labels_of(given, label_set)

    assert of(mask) == {2}
    assert of(Stroke("cat", [(1, 1)])) == {1}
    assert of([Box("cat", 1, 1, 5, 5), Stroke("dog", [(1, 1)])]) == {0, 1, 2}
    assert of(Box("car", 1, 1, 5, 5), STREETS) == {1}


NOTHING = np.full(SIZE, 255, np.uint8)


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        (
            Stroke("cat", [(-20, 5), (-9, 50)]),
            "'cat' lies outside the photo: x -20 to -9, y 5 to 50 of 60x40 pixels; give",
        ),
        (Stroke("cat", [(70, 5)]), "lies outside"),
        (Stroke("cats", [(7, 5)]), r"unknown class 'cats': did you mean 'cat'\?"),
        (Stroke("<b>", [(7, 5)]), "unknown class '<b>': choose one of background, cat, dog"),
        (Stroke(3, [(7, 5)]), r"a label is 3; expected a class's name, or its number, 0–2"),
        (Stroke(-1, [(7, 5)]), "a label is -1"),
        (Stroke(True, [(7, 5)]), "a label is True"),
        (Stroke("cat", []), r"points are \[\]; expected 1 to 10,000 pairs of x and y"),
        (Stroke("cat", [(1, 2, 3)]), "pairs of x and y"),  # type: ignore[list-item]
        (Stroke("cat", [(np.nan, 2)]), "pairs of x and y"),
        (Stroke("cat", [(1e300, 2)]), "pairs of x and y"),
        (Stroke("cat", "here"), "pairs of x and y"),  # type: ignore[arg-type]
        (Stroke("cat", [(7, 5)], 0), "width_px is 0; expected a number above 0"),
        (Box("cat", 70, 0, 80, 9), "none of it in the photo of 60x40 pixels"),
        (Box("cat", 20, 9, 10, 20), "x0 below x1"),
        (Box("cat", np.nan, 9, 10, 20), "x0 below x1"),
        (Box("cat", "a", 9, 10, 20), "a box's edges are .*; expected x0, y0, x1, y1 in pixels"),  # type: ignore[arg-type]
        (NOTHING, "nothing but 255, unknown"),
        (NOTHING[:-1], r"a mask has shape \(39, 60\) .*expected \(40, 60\)"),
        (np.zeros((60, 40), np.uint8), "height comes before width"),
        (np.zeros(SIZE), "dtype float64; expected"),
        (np.full(SIZE, 3), "holds labels 3–3; expected 0–2, and 255"),
        (np.full(SIZE, -1), "holds labels -1–-1"),
        ("cat", "marks are 'cat'; expected strokes and boxes"),
        (None, "marks are None"),
        ([None], "a mark is None"),
    ],
)
def test_bad_marks(marks: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked(marks, SIZE, LABELS)


def test_a_stroke_of_no_class_rubs_out_what_lies_below() -> None:
    line, rubber = Stroke("cat", [(5, 15), (50, 15)], 5), Stroke(None, [(30, 15)], 9)
    labels = drawn([line, rubber])
    assert (labels[distances([(30, 15)]) < 4.4] == 255).all()
    assert labels[15, 10] == 1
    assert drawn([rubber, line])[15, 30] == 1
    assert (drawn([Box("dog", 5, 5, 50, 35), rubber])[15, 30]) == 255
    with pytest.raises(InputError, match="a stroke that rubs out lies outside the photo"):
        checked(Stroke(None, [(900, 5)]), SIZE, LABELS)
    assert labels_of(checked([line, rubber], SIZE, LABELS), LABELS) == {1}
