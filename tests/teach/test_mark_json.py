"""Marks as JSON and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.labels import LabelSet
from deeplab.teach.mark_json import marks_from_json, marks_to_json
from deeplab.teach.marks import Box, Mark, Mask, Stroke, checked, draw, relabelled, scaled

SIZE = 40, 60
LABELS = LabelSet("own", ("background", "cat", "dog"))


def drawn(marks: Any, at: tuple[int, int] = SIZE, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    return draw(checked(marks, size, LABELS), size, LABELS, at)


sides = st.integers(-20, 80)
labels = st.integers(0, 2)
strokes = st.builds(
    Stroke, labels | st.none(), st.lists(st.tuples(sides, sides), min_size=1, max_size=4), st.integers(1, 30)
)
boxes = st.builds(Box, labels, st.integers(0, 20), st.integers(0, 20), st.integers(21, 60), st.integers(21, 40))


@st.composite
def masks(draw: Any) -> Mask:
    values = np.full(SIZE, 255, np.uint8)
    for label in range(3):
        top, left = draw(st.integers(0, 35)), draw(st.integers(0, 50))
        values[top : top + draw(st.integers(1, 20)), left : left + draw(st.integers(1, 20))] = label
    return Mask.of(values)


def usable(mark: Mark) -> bool:
    try:
        checked(mark, SIZE, LABELS)
    except InputError:
        return False
    return True


marks = st.lists((strokes | boxes | masks()).filter(usable), min_size=1, max_size=5)


@given(marks)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_what_is_written_and_read_draws_the_same(given: list[Mark]) -> None:
    as_json = json.loads(json.dumps(marks_to_json(checked(given, SIZE, LABELS), LABELS.void)))
    again = marks_from_json(as_json, SIZE, LABELS)
    np.testing.assert_array_equal(draw(again, SIZE, LABELS, SIZE), drawn(given))
    assert marks_to_json(again, LABELS.void) == as_json


@given(marks, st.permutations(range(3)))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_permuted_classes_permute_what_is_drawn(given: list[Mark], order: list[int]) -> None:
    """Boxes say that what is around them is background, whose number stays."""
    alone = [mark for mark in checked(given, SIZE, LABELS) if not isinstance(mark, Box)]
    table = np.array([*order, *range(3, 256)], np.uint8)
    moved = relabelled(alone, dict(enumerate(order)), LABELS.void)
    np.testing.assert_array_equal(draw(moved, SIZE, LABELS, SIZE), table[draw(alone, SIZE, LABELS, SIZE)])


@given(marks)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_a_copys_marks_are_usable_and_draw_as_the_photos_do(given: list[Mark]) -> None:
    half = (20, 30)
    halved = [scaled(mark, 0.5, 0.5) for mark in checked(given, SIZE, LABELS)]
    found = draw(checked(halved, half, LABELS), half, LABELS, half)
    np.testing.assert_array_equal(found, drawn(given, half))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["kind", "label", "points", "width_px", "box", "size", "runs"]), inner)
    ),
    max_leaves=12,
)
nearly = st.fixed_dictionaries(
    {"kind": st.sampled_from(["stroke", "box", "region"]), "label": labels | values},
    optional=dict.fromkeys(("points", "width_px", "box", "size", "runs"), values),
)


@given(values | st.lists(values | nearly, max_size=3))
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_whatever_comes_is_refused_in_words_or_is_marks(given: Any) -> None:
    try:
        found = marks_from_json(given, SIZE, LABELS)
    except InputError:
        return
    draw(found, SIZE, LABELS, SIZE)


def test_marks_that_were_read_before_are_not_read_again() -> None:
    forms = marks_to_json(checked([Stroke(1, [(5, 5)]), Box(2, 1, 2, 30, 20)], SIZE, LABELS), LABELS.void)
    first = marks_from_json(forms, SIZE, LABELS)
    more = marks_from_json([*forms[1:], *forms], SIZE, LABELS, first, forms)
    assert [id(mark) for mark in more] == [id(first[1]), id(first[0]), id(first[1])]


def test_there_is_an_end_to_marks() -> None:
    dot = {"kind": "stroke", "label": 1, "points": [[5, 5]], "width_px": 1}
    region = {"kind": "region", "label": 1, "size": [60, 40], "runs": [0, 1]}
    for forms, said in (
        ([dot] * 10_001, "marks are 10001 of them; expected a list of at most 10,000"),
        ([{**dot, "points": [[5, 5]] * 9000}] * 23, "207,000 points; expected at most 200,000"),
        ([region] * 501, "501 regions; expected at most 500"),
    ):
        with pytest.raises(InputError, match=said):
            marks_from_json(forms, SIZE, LABELS)


def test_a_large_mask_becomes_regions_of_a_smaller_raster() -> None:
    values = np.full((1500, 2000), 255, np.uint8)
    values[:, 1000:] = 2
    (form,) = marks_to_json([Mask.of(values)], LABELS.void)
    assert form["size"][0] * form["size"][1] <= 1 << 20
    again = marks_from_json([form], values.shape, LABELS)
    assert (draw(again, values.shape, LABELS, values.shape) == values).mean() > 0.999
