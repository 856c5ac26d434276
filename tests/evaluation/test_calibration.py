from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab.crf import CRFSettings
from deeplab.data.samples import Sample, load_mask
from deeplab.evaluation.calibration import BINS, calibration_sums, expected_calibration_error
from deeplab.evaluation.evaluate import evaluate_scores, load_scored
from deeplab.evaluation.stored_scores import StoredScores
from deeplab.evaluation.tables import format_table, to_json


def by_hand(truth: np.ndarray, labels: np.ndarray, confidence: np.ndarray) -> float:
    """Guo et al.'s equation 3, pixel by pixel."""
    bins: dict[int, list[tuple[bool, float]]] = {}
    for true, label, sure in zip(truth.ravel(), labels.ravel(), confidence.ravel(), strict=True):
        if true != 255:
            number = next(m for m in range(1, 16) if sure <= m / 15)
            bins.setdefault(number, []).append((true == label, float(sure)))
    count = sum(map(len, bins.values()))
    error = 0.0
    for pixels in bins.values():
        right, sure = np.mean([right for right, _ in pixels]), np.mean([sure for _, sure in pixels])
        error += len(pixels) / count * abs(right - sure)
    return error


def error_of(truth: np.ndarray, labels: np.ndarray, confidence: np.ndarray) -> float:
    return float(expected_calibration_error(calibration_sums(truth, labels, confidence, 255)))


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 5))
def test_it_is_the_sum_over_bins(seed: int, power: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.choice([0, 1, 2, 255], (7, 9)).astype(np.uint8)
    truth[0, 0] = 0
    labels = random.integers(0, 3, (7, 9), dtype=np.uint8)
    confidence = random.random((7, 9)) ** power
    assert error_of(truth, labels, confidence) == pytest.approx(by_hand(truth, labels, confidence), abs=1e-12)


def test_known_errors() -> None:
    truth = np.zeros((10, 10), np.uint8)
    labels = np.zeros((10, 10), np.uint8)
    labels[:4] = 1  # six in ten are right
    assert error_of(truth, labels, np.full((10, 10), 0.6)) == pytest.approx(0)
    assert error_of(truth, labels, np.full((10, 10), 1.0)) == pytest.approx(0.4)
    assert error_of(truth, labels, np.full((10, 10), 0.0)) == pytest.approx(0.6)
    assert error_of(truth, labels, np.where(labels == 0, 1.0, 0.0)) == pytest.approx(0)


def test_it_falls_to_nothing_where_labels_are_drawn_by_their_confidence() -> None:
    random = np.random.default_rng(3)
    confidence = random.random((1000, 1000))
    right = random.random((1000, 1000)) < confidence
    assert error_of(np.zeros((1000, 1000), np.uint8), (~right).astype(np.uint8), confidence) < 0.005


def test_sums_of_photos_are_those_of_the_set() -> None:
    random = np.random.default_rng(4)
    truth, labels = random.integers(0, 3, (2, 20, 30), dtype=np.uint8)
    confidence = random.random((20, 30))
    parts = [calibration_sums(truth[rows], labels[rows], confidence[rows], 2) for rows in (slice(9), slice(9, 20))]
    whole = calibration_sums(truth, labels, confidence, 2)
    np.testing.assert_allclose(parts[0] + parts[1], whole)
    assert whole.shape == (3, BINS)
    assert whole[0].sum() == (truth != 2).sum()


def test_nothing_but_void_has_no_error() -> None:
    assert np.isnan(error_of(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), np.ones((2, 2))))


def test_an_evaluation_measures_both_ways(samples: Sequence[Sample], scores: StoredScores) -> None:
    evaluation = evaluate_scores(samples, scores, crf=CRFSettings())
    truths, found, sure = [], [], []
    for sample in samples:
        probabilities = load_scored(sample, scores)[0].probabilities()
        truths.append(load_mask(sample).ravel())
        found.append(probabilities.argmax(axis=0).ravel())
        sure.append(probabilities.max(axis=0).ravel())
    expected = by_hand(np.concatenate(truths), np.concatenate(found), np.concatenate(sure))
    figures = to_json(evaluation, resamples=0)
    assert figures["results"]["network"]["calibration_error"] == pytest.approx(expected, abs=1e-6)
    refined = figures["results"]["network + CRF"]["calibration_error"]
    assert figures["gain"]["calibration_error"][0] == pytest.approx(refined - expected, abs=1e-6)
    sums = np.array(figures["results"]["network"]["calibration"])
    assert float(expected_calibration_error(sums)) == pytest.approx(expected, abs=1e-6)
    assert "calibration error" in format_table(evaluation, resamples=0)
