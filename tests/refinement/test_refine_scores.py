"""Scores in, refined labels out: the CRF's own result, whatever form the scores came in."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.crf import CRFParams, CRFSettings, refine
from deeplab.errors import InputError
from deeplab.labels import VOC, LabelSet
from deeplab.refinement import refine_scores

SKY_AND_GROUND = LabelSet("own", ("sky", "ground"))


@pytest.fixture
def probabilities(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(2, 60, 90): sky above ground, but the model's border is ten pixels too low."""
    ground = np.full((60, 90), 0.3, np.float32)
    ground[40:] = 0.8
    return np.stack([1 - ground, ground])


def test_it_is_the_crf_of_the_probabilities(photo: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> None:
    crf = CRFSettings(CRFParams(bilateral_weight=8, bilateral_rgb_std=20), iterations=7, normalization="symmetric")
    expected = refine(photo, probabilities, crf.params, iterations=7, normalization="symmetric")
    logits = np.log(probabilities) + 1
    for scores in (probabilities, logits, logits[1] - logits[0], logits.transpose(1, 2, 0)[None], probabilities[1]):
        result = refine_scores(photo, scores, crf, threads=1)
        np.testing.assert_allclose(result.probabilities, expected, atol=1e-4)
        assert result.labels.dtype == np.uint8
        assert (result.labels == expected.argmax(axis=0)).mean() > 0.999
        np.testing.assert_array_equal(result.before, probabilities.argmax(axis=0))
        assert not result.undecided.any()


def test_a_border_moves_to_the_photos_edge(photo: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> None:
    truth = np.repeat([[0], [1]], 30, axis=0).repeat(90, axis=1)
    for scores in (probabilities, probabilities.argmax(axis=0), probabilities[:, 2::5, 2::5]):
        result = refine_scores(photo, scores, CRFSettings(CRFParams(bilateral_weight=10, bilateral_rgb_std=30)))
        assert (result.before == truth).mean() < 0.87
        assert (result.labels == truth).mean() > 0.99
        assert result.changed == pytest.approx((result.labels != result.before).mean())
        shares = result.shares()
        assert sum(after for _, after in shares.values()) == pytest.approx(1)
        assert shares[1][1] == pytest.approx((result.labels == 1).mean())


def test_labels_keep_their_numbers_and_void_is_filled(photo: NDArray[np.uint8]) -> None:
    labels = np.repeat([[700], [40]], 30, axis=0).repeat(90, axis=1)
    labels[25:35] = 255
    result = refine_scores(photo, labels, CRFSettings(CRFParams(bilateral_rgb_std=30)))
    assert result.labels.dtype == np.uint16
    assert (result.labels[:30] == 700).mean() > 0.99
    assert (result.labels[30:] == 40).mean() > 0.99
    assert result.filled == pytest.approx(1 / 6)
    assert result.changed == 0
    assert list(result.shares()) == [700, 40] or list(result.shares()) == [40, 700]
    assert sum(before for before, _ in result.shares().values()) == pytest.approx(5 / 6)


def test_one_label_beside_void_takes_all(photo: NDArray[np.uint8]) -> None:
    labels = np.full((60, 90), 255)
    labels[3, 4] = 6
    result = refine_scores(photo, labels)
    assert (result.labels == 6).all()
    assert result.filled == pytest.approx(1 - 1 / 5400)


def test_scores_are_checked_against_the_label_set(photo: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> None:
    assert refine_scores(photo, probabilities, label_set=SKY_AND_GROUND).label_set is SKY_AND_GROUND
    with pytest.raises(InputError, match="of 2 labels, but label set 'voc' has 21"):
        refine_scores(photo, probabilities, label_set=VOC)
    with pytest.raises(InputError, match=r"label 21, but label set 'voc' ends at 20.*--void 21"):
        refine_scores(photo, np.full((60, 90), 21), label_set=VOC)


def test_no_iterations_give_the_scores_own_labels(photo: NDArray[np.uint8]) -> None:
    scores = np.random.default_rng(2).normal(size=(4, 60, 90))
    result = refine_scores(photo, scores, CRFSettings(iterations=0))
    np.testing.assert_array_equal(result.labels, scores.argmax(axis=0))
    assert result.changed == 0
