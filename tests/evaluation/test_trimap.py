from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deeplab.errors import InputError
from deeplab.evaluation.confusion import Confusion
from deeplab.evaluation.trimap import band_tallies, boundary_distance
from deeplab.labels import VOC, LabelSet

FEW = LabelSet("few", ("a", "b", "c"), void=7)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)
TRUTHS = SHAPES.flatmap(lambda shape: hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 1, 2, 7])))


def brute_force(marks: Any, shape: tuple[int, ...], start: int, reach: int) -> Any:
    """Each pixel's chessboard distance to the nearest of the marks, plus `start`."""
    distance = np.full(shape, reach + 1)
    for place in np.ndindex(shape):
        for mark in marks:
            steps = max(abs(place[0] - mark[0]), abs(place[1] - mark[1])) + start
            distance[place] = min(distance[place], steps)
    return distance


@settings(max_examples=60)
@given(TRUTHS, st.integers(1, 5))
def test_distance_to_void_is_brute_forces(truth: Any, reach: int) -> None:
    expected = brute_force(np.argwhere(truth == 7), truth.shape, 0, reach)
    np.testing.assert_array_equal(boundary_distance(truth, FEW, reach=reach), expected)


@settings(max_examples=60)
@given(TRUTHS, st.integers(1, 5))
def test_distance_between_classes_is_brute_forces(truth: Any, reach: int) -> None:
    def beside_another(place: tuple[int, ...]) -> bool:
        around = truth[max(place[0] - 1, 0) : place[0] + 2, max(place[1] - 1, 0) : place[1] + 2]
        return bool(truth[place] != 7 and ((around != truth[place]) & (around != 7)).any())

    marks = [place for place in np.ndindex(truth.shape) if beside_another(place)]
    expected = brute_force(marks, truth.shape, 1, reach)
    np.testing.assert_array_equal(boundary_distance(truth, FEW, "classes", reach=reach), expected)


def test_distance_is_scipys_chessboard_transform() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    truth = np.zeros((90, 130), np.uint8)
    truth[np.random.default_rng(0).random(truth.shape) < 0.001] = VOC.void
    expected = ndimage.distance_transform_cdt(truth != VOC.void, metric="chessboard")
    np.testing.assert_array_equal(boundary_distance(truth, VOC), np.minimum(expected, 41))


@settings(max_examples=40)
@given(TRUTHS, st.integers(0, 2**32 - 1), st.sampled_from(["void", "classes"]))
def test_a_band_counts_what_a_confusion_matrix_of_its_pixels_counts(truth: Any, seed: int, around: str) -> None:
    predicted = np.random.default_rng(seed).integers(0, 3, truth.shape, dtype=np.uint8)
    distance = boundary_distance(truth, FEW, around, reach=6)
    tallies = band_tallies(truth, predicted, distance, FEW, widths=6)
    for width in range(1, 7):
        band = np.where(distance <= width, truth, 7).astype(np.uint8)
        np.testing.assert_array_equal(tallies[width - 1], Confusion.of(band, predicted, FEW).tally)


def test_the_band_is_the_dilation_by_a_square_without_the_void_itself() -> None:
    """The authors' definition, drawn out: void at one pixel, bands of 3x3 and 5x5 around it."""
    truth = np.zeros((9, 9), np.uint8)
    truth[4, 4] = VOC.void
    tallies = band_tallies(truth, truth * 0, boundary_distance(truth, VOC), VOC)
    np.testing.assert_array_equal(tallies[:5, 1, 0], [8, 24, 48, 80, 80])


def test_without_a_boundary_there_is_no_band() -> None:
    truth = np.zeros((4, 5), np.uint8)
    for around in ("void", "classes"):
        assert not band_tallies(truth, truth, boundary_distance(truth, VOC, around), VOC).any()


def test_other_boundaries_are_refused() -> None:
    with pytest.raises(InputError, match="around is 'edges'; expected one of 'void', 'classes'"):
        boundary_distance(np.zeros((2, 2), np.uint8), VOC, "edges")
