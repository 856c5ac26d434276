from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab import views
from deeplab.batch import Settings
from deeplab.errors import InputError
from deeplab.runtime import ScoreNetwork
from deeplab.segment import Segmenter


@pytest.fixture
def network(tiny_model: Path) -> ScoreNetwork:
    return ScoreNetwork(tiny_model, threads=1)


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (49, 73, 3), dtype=np.uint8)


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    grown = np.exp(scores.astype(np.float64) - scores.max(axis=0))
    return np.asarray(grown / grown.sum(axis=0))


def test_at_one_size_it_is_the_mean_of_the_photo_and_its_mirror(
    network: ScoreNetwork, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SCALES", (1.0,))
    mirrored = network.scores(photo[:, ::-1])[:, :, ::-1]  # 8n + 1 pixels: cells mirror onto cells
    expected = (softmax(network.scores(photo)) + softmax(mirrored)) / 2
    np.testing.assert_allclose(np.exp(views.mean_scores(network, photo)), expected, atol=1e-5)


def test_a_mirrored_photo_has_mirrored_scores(network: ScoreNetwork, photo: NDArray[np.uint8]) -> None:
    found = views.mean_scores(network, photo[:, ::-1])
    np.testing.assert_allclose(found, views.mean_scores(network, photo)[:, :, ::-1], atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (9, 2), (30, 41), (50, 74)])
def test_the_grid_is_that_of_one_look(network: ScoreNetwork, size: tuple[int, int]) -> None:
    photo = np.full((*size, 3), 90, np.uint8)
    found = views.mean_scores(network, photo)
    assert found.shape == network.scores(photo).shape
    np.testing.assert_allclose(np.exp(found).sum(axis=0), 1, atol=1e-4)


def test_the_best_quality_reaches_the_label_map(tiny_model: Path, photo: NDArray[np.uint8]) -> None:
    segmenter = Segmenter.from_pretrained(tiny_model, threads=1)
    best = segmenter.segment(photo, crf=False, quality="best")
    fast = segmenter.segment(photo, crf=False)
    assert np.abs(best.probabilities - fast.probabilities).max() > 1e-3
    expected = np.exp(views.mean_scores(segmenter.network, photo))
    np.testing.assert_allclose(best.probabilities[:, ::8, ::8], expected, atol=1e-4)


def test_an_unknown_quality_is_named(tiny_model: Path, photo: NDArray[np.uint8], run: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"quality must be one of fast, best|quality .*best"):
        Segmenter.from_pretrained(tiny_model, threads=1).segment(photo, quality="bset")
    with pytest.raises(InputError, match="quality"):
        replace(Settings(), quality="bset")
    Image.fromarray(photo).save(tmp_path / "a.png")
    result = run("segment", str(tmp_path / "a.png"), "--quality", "bset", "-o", str(tmp_path))  # type: ignore[operator]
    assert result.status == 1
    assert "bset" in result.err
    result = run("segment", "clip.mp4", "--quality", "best", "-o", str(tmp_path))  # type: ignore[operator]
    assert result.status == 1
    assert "--quality best is for photos" in result.err
