from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.teach.classifier import fit

RANDOM = np.random.default_rng(8)
MEAN, STD = np.full(5, 2, np.float32), np.array((1, 2, 3, 4, 5), np.float32)


def clouds(count: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    labels = np.arange(count) % classes
    rows = RANDOM.normal(0, 1, (count, 5)) * STD + MEAN + 2 * STD * np.eye(5)[labels]
    return rows.astype(np.float32), labels


def objective(
    weight: NDArray[np.float64], bias: NDArray[np.float64], rows: NDArray[np.float32], labels: NDArray[np.intp]
) -> float:
    """The loss that `fit` says it makes least, written out in float64 on the features as they are."""
    scores = rows.astype(np.float64) @ weight.T + bias
    log_sums = np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1)) + scores.max(1)
    each = log_sums - scores[np.arange(len(labels)), labels]
    counts = np.bincount(labels)[labels]
    own_scale = weight * STD * np.sqrt(5)
    return float((each / counts).sum() / (1 / counts).sum() + 3e-5 / 2 * (own_scale**2).sum())


def test_no_other_weights_have_a_smaller_loss() -> None:
    rows, labels = clouds(200, 3)
    weight, bias = (array.astype(np.float64) for array in fit(rows, labels, 3, MEAN, STD))
    least = objective(weight, bias, rows, labels)
    for size in (1e-1, 1e-2):
        for _ in range(50):
            step = RANDOM.normal(0, size, weight.shape), RANDOM.normal(0, size, bias.shape)
            assert objective(weight + step[0], bias + step[1], rows, labels) > least - 1e-6


def test_what_can_be_told_apart_is_told_apart() -> None:
    rows, labels = clouds(400, 4)
    weight, bias = fit(rows[:200] + 9 * np.eye(5, dtype=np.float32)[labels[:200]], labels[:200], 4, MEAN, STD)
    told = (rows[200:] + 9 * np.eye(5)[labels[200:]]) @ weight.T + bias
    assert (told.argmax(1) == labels[200:]).mean() > 0.95


def test_the_same_marks_give_the_same_bits_and_labels_may_be_permuted() -> None:
    rows, labels = clouds(90, 3)
    first, again = fit(rows, labels, 3, MEAN, STD), fit(rows.copy(), labels.copy(), 3, MEAN, STD)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    weight, _ = fit(rows, np.array((2, 0, 1))[labels], 3, MEAN, STD)
    np.testing.assert_allclose(weight[[2, 0, 1]], first[0], atol=2e-3)


def test_a_class_that_was_not_marked_never_wins() -> None:
    rows, labels = clouds(60, 2)
    weight, bias = fit(rows, labels * 2 + 1, 5, MEAN, STD)
    scores = 100 * RANDOM.normal(size=(500, 5)).astype(np.float32) @ weight.T + bias
    assert set(np.unique(scores.argmax(1))) <= {1, 3}
    assert not weight[[0, 2, 4]].any()


@pytest.mark.parametrize("rows", [np.zeros((2, 5), np.float32), np.full((2, 5), 255, np.float32)])
def test_places_that_are_all_alike_and_contradict_leave_it_open(rows: NDArray[np.float32]) -> None:
    weight, bias = fit(rows, np.array((0, 1)), 2, MEAN, STD)
    scores = rows @ weight.T + bias
    np.testing.assert_allclose(scores[:, 0], scores[:, 1], atol=1e-3)


def test_from_where_another_fit_ended_it_comes_to_the_same_place() -> None:
    rows, labels = clouds(300, 3)
    start = fit(rows[:250], labels[:250], 3, MEAN - 1, 2 * STD)
    cold, warm = fit(rows, labels, 3, MEAN, STD), fit(rows, labels, 3, MEAN, STD, start)
    losses = [objective(weight.astype(float), bias.astype(float), rows, labels) for weight, bias in (cold, warm)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    only_two = labels < 2
    later = fit(rows, labels, 3, MEAN, STD, fit(rows[only_two], labels[only_two], 3, MEAN, STD))  # a class joins
    assert objective(later[0].astype(float), later[1].astype(float), rows, labels) == pytest.approx(losses[0], abs=1e-5)
