from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deeplab.evaluation import figures

LABELS = hnp.arrays(np.uint8, (6, 9), elements=st.integers(0, 3))


@settings(max_examples=50)
@given(LABELS, LABELS)
def test_figures_are_scikit_learns(truth: Any, predicted: Any) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    y, x = truth.ravel(), predicted.ravel()
    counts = metrics.confusion_matrix(y, x, labels=range(4))
    tally = figures.tally(counts)
    occurs = np.unique(y)
    assert figures.mean_iou(tally) == pytest.approx(metrics.jaccard_score(y, x, labels=occurs, average="macro"))
    assert figures.pixel_accuracy(tally) == pytest.approx(metrics.accuracy_score(y, x))
    recall = metrics.recall_score(y, x, labels=occurs, average="macro", zero_division=0)
    assert figures.mean_class_accuracy(tally) == pytest.approx(recall)
    by_class = metrics.jaccard_score(y, x, labels=occurs, average=None)
    np.testing.assert_allclose(figures.iou(tally)[occurs], by_class)


@settings(max_examples=30)
@given(hnp.arrays(np.int64, (2, 3, 4, 4), elements=st.integers(0, 9)))
def test_many_tallies_at_once_are_each_alone(counts: Any) -> None:
    tallies = figures.tally(counts)
    for figure in (figures.iou, figures.class_accuracy, figures.pixel_accuracy, figures.mean_iou,
                   figures.mean_class_accuracy):  # fmt: skip
        together = figure(tallies)
        for place in np.ndindex(2, 3):
            np.testing.assert_array_equal(together[place], figure(figures.tally(counts[place])))


def test_a_mean_over_some_labels_leaves_out_those_without_true_pixels() -> None:
    tally = figures.tally(np.array([[8, 2, 0], [0, 10, 0], [0, 0, 0]]))
    assert figures.mean_iou(tally, [1, 2]) == pytest.approx(10 / 12)
    assert np.isnan(figures.mean_iou(tally, [2]))
