from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deeplab.errors import InputError
from deeplab.evaluation import figures
from deeplab.evaluation.confusion import Confusion
from deeplab.labels import CAMVID, LabelSet

FEW = LabelSet("few", ("a", "b", "c"), void=7)
SHAPE = (5, 7)


def labels_of(choices: list[int]) -> st.SearchStrategy[Any]:
    return hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from(choices))


truths, predictions = labels_of([0, 1, 2, 7]), labels_of([0, 1, 2])


@given(truths, predictions)
def test_counts_are_those_of_a_plain_loop(truth: Any, predicted: Any) -> None:
    expected = np.zeros((3, 3), dtype=np.int64)
    for row in range(SHAPE[0]):
        for column in range(SHAPE[1]):
            if truth[row, column] != 7:
                expected[truth[row, column], predicted[row, column]] += 1
    np.testing.assert_array_equal(Confusion.of(truth, predicted, FEW).counts, expected)


@given(truths, predictions)
def test_figures_are_those_of_sets_of_pixels(truth: Any, predicted: Any) -> None:
    confusion = Confusion.of(truth, predicted, FEW)
    valid = {place for place in np.ndindex(SHAPE) if truth[place] != 7}
    ious, accuracies = [], []
    for label in range(3):
        true = {place for place in valid if truth[place] == label}
        found = {place for place in valid if predicted[place] == label}
        ious.append(len(true & found) / len(true | found) if true else np.nan)
        accuracies.append(len(true & found) / len(true) if true else np.nan)
    np.testing.assert_allclose(confusion.iou, ious)
    np.testing.assert_allclose(confusion.class_accuracy, accuracies)
    if valid:
        right = sum(truth[place] == predicted[place] for place in valid)
        assert confusion.pixel_accuracy == pytest.approx(right / len(valid))
        assert confusion.mean_iou == pytest.approx(
            np.mean([x for x, y in zip(ious, accuracies, strict=True) if y == y])
        )
        assert confusion.mean_class_accuracy == pytest.approx(np.nanmean(accuracies))


@given(truths, predictions, st.integers(0, SHAPE[0]))
def test_parts_add_up_to_the_whole(truth: Any, predicted: Any, cut: int) -> None:
    parts = Confusion.of(truth[:cut], predicted[:cut], FEW) + Confusion.of(truth[cut:], predicted[cut:], FEW)
    np.testing.assert_array_equal(parts.counts, Confusion.of(truth, predicted, FEW).counts)


def test_one_matrix_over_the_set_differs_from_a_mean_over_photos() -> None:
    large = Confusion.of(np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8), FEW)
    small = Confusion.of(np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint8), FEW)
    assert (large + small).iou[0] == pytest.approx(100 / 101)


def test_a_class_that_never_occurs_is_left_out_of_the_means() -> None:
    truth = np.array([[0, 0, 1, 1]], dtype=np.uint8)
    confusion = Confusion.of(truth, np.array([[0, 1, 1, 1]], dtype=np.uint8), FEW)
    np.testing.assert_allclose(confusion.iou, [1 / 2, 2 / 3, np.nan])
    assert confusion.mean_iou == pytest.approx(7 / 12)
    assert figures.mean_iou(confusion.tally, FEW.labels_of(("b", "c"))) == pytest.approx(2 / 3)
    assert np.isnan(figures.mean_iou(confusion.tally, FEW.labels_of(("c",))))


def test_a_class_that_is_only_predicted_counts_by_the_pixels_it_takes_from_others() -> None:
    confusion = Confusion.of(np.array([[0, 0]], dtype=np.uint8), np.array([[0, 2]], dtype=np.uint8), FEW)
    np.testing.assert_allclose(confusion.iou, [1 / 2, np.nan, np.nan])
    assert confusion.mean_iou == 1 / 2


def test_nothing_counted_gives_nan() -> None:
    empty = Confusion.empty(FEW)
    assert np.isnan([empty.mean_iou, empty.pixel_accuracy, empty.mean_class_accuracy]).all()


def test_the_label_sets_own_void_is_skipped() -> None:
    truth = np.array([[11, 0]], dtype=np.uint8)
    assert Confusion.of(truth, np.array([[3, 0]], dtype=np.uint8), CAMVID).counts.sum() == 1
    with pytest.raises(InputError, match="true label 11 is out of range"):
        Confusion.of(truth, np.array([[0, 0]], dtype=np.uint8), FEW)


@pytest.mark.parametrize("truth", [0, 7])
def test_a_predicted_label_out_of_range_is_an_error_even_on_void(truth: int) -> None:
    with pytest.raises(InputError, match="predicted label 7 is out of range"):
        Confusion.of(np.full((2, 2), truth, np.uint8), np.full((2, 2), 7, np.uint8), FEW)


def test_sizes_must_agree() -> None:
    with pytest.raises(InputError, match=r"truth is \(2, 3\) but the prediction \(3, 2\)"):
        Confusion.of(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), FEW)


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(InputError, match="unknown class 'kat': choose one of a, b, c"):
        FEW.labels_of(("a", "kat"))
