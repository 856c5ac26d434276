from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deeplab.evaluation.boundary_f1 import _within, boundary_f1
from deeplab.labels import LabelSet

FEW = LabelSet("few", ("a", "b", "c"), void=7)


def neighbours(place: tuple[int, int], shape: tuple[int, int]) -> list[tuple[int, int]]:
    y, x = place
    beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]  # what is above hands its label down first
    return [(a, b) for a, b in beside if 0 <= a < shape[0] and 0 <= b < shape[1]]


def closed(labels: Any, steps: int) -> Any:
    for _ in range(steps):
        before, labels = labels, labels.copy()
        for place in np.argwhere(before == 7):
            known = [before[other] for other in neighbours(tuple(place), before.shape) if before[other] != 7]
            labels[tuple(place)] = known[0] if known else 7
    return labels


def contour(labels: Any, label: int) -> list[tuple[int, ...]]:
    """The pixels of a label with a neighbour, of four, of another."""
    return [
        place
        for place in np.ndindex(labels.shape)
        if labels[place] == label and any(labels[other] not in (label, 7) for other in neighbours(place, labels.shape))
    ]


def plain(truth: Any, predicted: Any, label: int, radius: float) -> float:
    """The definition, pixel by pixel."""
    known = closed(truth, int(radius))
    true, found = contour(known, label), contour(np.where(known == 7, 7, predicted), label)
    if not (truth == label).any() or not (true or found):
        return math.nan

    def near(place: tuple[int, ...], others: list[tuple[int, ...]]) -> bool:
        return any(math.dist(place, other) < radius for other in others)

    hits, recalled = sum(near(place, true) for place in found), sum(near(place, found) for place in true)
    if not hits or not recalled:
        return 0.0
    precision, recall = hits / len(found), recalled / len(true)
    return 2 * precision * recall / (precision + recall)


@settings(max_examples=60)
@given(
    hnp.arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 0, 0, 0, 1, 2, 7])),
    hnp.arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 0, 0, 0, 1, 2])),
    st.sampled_from([0.01, 0.1, 0.25]),
)
def test_scores_are_those_of_the_definition(truth: Any, predicted: Any, tolerance: float) -> None:
    radius = tolerance * math.hypot(9, 11)
    expected = [plain(truth, predicted, label, radius) for label in range(3)]
    np.testing.assert_allclose(boundary_f1(truth, predicted, FEW, tolerance=tolerance), expected)


@pytest.mark.parametrize("radius", [0.7, 1.0, 4.5, 4.6875, 5.0, 30.0])
def test_what_is_near_is_scipys_distance_transform_below_the_radius(radius: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    marks = np.random.default_rng(1).random((40, 70)) < 0.01
    expected = ndimage.distance_transform_edt(~marks) < radius
    np.testing.assert_array_equal(_within(marks, radius), expected)


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (2, 3)])
def test_a_radius_beyond_the_photo_covers_it(shape: tuple[int, int]) -> None:
    marks = np.zeros(shape, np.bool_)
    marks[0, 0] = True
    assert _within(marks, 90.0).all()
    assert not _within(np.zeros(shape, np.bool_), 90.0).any()


def square(shift: int) -> Any:
    labels = np.zeros((360, 480), np.uint8)
    labels[100:200, 100 + shift : 200 + shift] = 1
    return labels


def test_camvids_tolerance_is_four_and_a_half_pixels() -> None:
    """0.75 % of the diagonal of 480x360, 600 px: contours 4 px apart match, those 5 px apart do not."""
    assert boundary_f1(square(0), square(4), FEW)[1] == 1.0
    upright_sides, others = 2 * 90, 4 * 99 - 2 * 90  # at 5 px, the sides that moved away from the truth miss
    assert boundary_f1(square(0), square(5), FEW)[1] == pytest.approx(others / (upright_sides + others), abs=0.03)


def test_a_labelling_that_is_right_wherever_the_truth_is_known_scores_one() -> None:
    """Whatever it says on void: an outline round an object, and an area that nobody labelled."""
    truth, predicted = square(0), square(0)
    truth[98:102, 98:202] = truth[198:202, 98:202] = 7
    truth[98:202, 98:102] = truth[98:202, 198:202] = 7
    truth[300:340, 20:90] = 7
    predicted[300:340, 20:90] = np.random.default_rng(2).integers(0, 3, (40, 70))
    predicted[300:304] = predicted[336:340] = 0  # what is close to known pixels is taken to be like them
    predicted[300:340, 20:24] = predicted[300:340, 86:90] = 0
    np.testing.assert_array_equal(boundary_f1(truth, predicted, FEW), [1, 1, np.nan])


def test_absent_classes_and_whole_photos_have_no_score() -> None:
    whole = np.zeros((20, 30), np.uint8)
    assert np.isnan(boundary_f1(whole, whole, FEW)).all()
    split = whole.copy()
    split[:, 15:] = 1
    np.testing.assert_array_equal(boundary_f1(whole, split, FEW), [0, np.nan, np.nan])  # a contour where there is none
    np.testing.assert_array_equal(boundary_f1(split, whole, FEW), [0, 0, np.nan])
    assert np.isnan(boundary_f1(np.full((20, 30), 7, np.uint8), split, FEW)).all()
