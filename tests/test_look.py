from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab import Segmenter
from deeplab import look as module
from deeplab.crf import CRFParams, CRFSettings, refine
from deeplab.images import shrunk
from deeplab.labels import LabelSet
from deeplab.look import Look
from deeplab.models import ModelInfo
from deeplab.preprocessing import PAPER
from deeplab.runtime import ScoreNetwork

INFO = ModelInfo("own", "largefov", LabelSet("own", ("a", "b", "c", "d", "e", "f")), PAPER)
RANDOM = np.random.default_rng(3)


@pytest.fixture
def segmenter(tiny_model: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model, threads=1)


def test_the_network_runs_once_whatever_is_asked(
    segmenter: Segmenter, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = segmenter.look(photo)
    expected = [segmenter.segment(photo, crf=crf) for crf in (False, True, CRFSettings(CRFParams(9, 40, 30)))]
    monkeypatch.delattr(ScoreNetwork, "scores")
    for _ in range(2):
        found = [look.unrefined(), look.refined(), look.refined(CRFSettings(CRFParams(9, 40, 30)))]
        for one, same in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.labels, same.labels)
            np.testing.assert_array_equal(one.confidence(), same.confidence())
            np.testing.assert_array_equal(one.probabilities, same.probabilities)
    np.testing.assert_array_equal(look.labels(), expected[0].labels)
    np.testing.assert_array_equal(look.probabilities(), expected[0].probabilities)


def test_probabilities_are_the_softmax_of_interpolated_scores(interpolated: Any) -> None:
    scores = RANDOM.normal(size=(6, 3, 4)).astype(np.float32)
    expected = np.exp(interpolated(scores, (20, 31), (10, 20)))
    look = Look(np.zeros((20, 31, 3), np.uint8), scores, (10, 20), INFO)
    np.testing.assert_allclose(look.probabilities(), expected / expected.sum(axis=0), atol=1e-6)
    np.testing.assert_array_equal(look.labels(), look.probabilities().argmax(axis=0))


def test_labels_that_cannot_win_stay_unlikely(photo: NDArray[np.uint8]) -> None:
    scores = RANDOM.normal(scale=2, size=(6, 9, 13)).astype(np.float32)
    scores[[1, 3, 4]] -= 15
    probabilities = Look(photo, scores, (60, 90), INFO, 1).refined(CRFSettings()).probabilities
    assert (probabilities[[1, 3, 4]] < 0.001).all()
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize(("seen", "factor"), [((4, 2), 1), ((2, 1), 2), ((8, 3), 0.5)])
def test_distances_grow_as_the_photo_is_larger_than_what_the_network_saw(seen: tuple[int, int], factor: float) -> None:
    """The longer sides give the factor, and three channels are no side, however small the photo."""
    photo = RANDOM.integers(0, 256, (4, 2, 3), np.uint8)
    look = Look(photo, RANDOM.normal(size=(6, 2, 2)).astype(np.float32), seen, INFO, 1)
    assert look.enlargement == factor
    crf = CRFSettings(CRFParams(4, 60, 70, 2, 5), 3, "symmetric")
    scaled = CRFParams(4, 60 * factor, 70, 2, 5 * factor)
    expected = refine(photo, look.probabilities(), scaled, iterations=3, normalization="symmetric", threads=1)
    np.testing.assert_array_equal(look.refined(crf).probabilities, expected)


def test_a_look_over_a_copy_has_the_same_scores(segmenter: Segmenter, photo: NDArray[np.uint8]) -> None:
    look = segmenter.look(photo)
    copy = look.at(shrunk(photo, 0.5))
    assert copy.scores is look.scores
    assert (look.enlargement, copy.enlargement) == (1, 0.5)
    assert copy.labels().shape == (30, 45)
    np.testing.assert_array_equal(copy.at(photo).refined().labels, look.refined().labels)


def test_beliefs_of_a_copy_are_labels_of_the_photo(
    segmenter: Segmenter, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CRF_PIXELS", 30 * 45)
    look = segmenter.look(photo)
    small = look.for_crf()
    assert small.photo.shape == (30, 45, 3)
    crf = replace(look.info.crf, params=look.info.crf.params.scaled(0.5))
    found = look.segmentation(refine(small.photo, small.probabilities(), crf, threads=1))
    assert found.image is look.photo
    np.testing.assert_array_equal(found.labels, look.refined().labels)
    np.testing.assert_array_equal(found.confidence(), look.refined().confidence())
