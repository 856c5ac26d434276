from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab import Segmentation, Segmenter, scores
from deeplab.errors import DeepLabError, ImageError, InputError, ModelError, OutputError
from deeplab.images import read_label_map
from deeplab.labels import VOC
from deeplab.runtime import ScoreNetwork


@pytest.fixture
def segmenter(tiny_model: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model, threads=1)


@pytest.mark.parametrize("size", [(1, 1), (3, 5000), (20, 20), (60, 90), (550, 700)])
@pytest.mark.parametrize("crf", [True, False])
def test_any_size(segmenter: Segmenter, size: tuple[int, int], crf: bool) -> None:
    image = np.random.default_rng(5).integers(0, 256, (*size, 3), dtype=np.uint8)
    result = segmenter.segment(image, crf=crf)
    assert result.labels.shape == size
    assert result.labels.dtype == np.uint8
    assert result.probabilities.shape == (21, *size)
    assert result.probabilities.dtype == np.float32
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=1e-4)
    np.testing.assert_array_equal(result.labels, result.probabilities.argmax(axis=0))
    np.testing.assert_array_equal(result.image, image)


def test_path_pil_image_and_array_agree(segmenter: Segmenter, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    expected = segmenter(photo)
    for source in (tmp_path / "photo.png", str(tmp_path / "photo.png"), Image.fromarray(photo)):
        np.testing.assert_array_equal(segmenter(source).probabilities, expected.probabilities)


def test_without_crf_it_is_the_softmax_of_interpolated_scores(
    segmenter: Segmenter, tiny_model: Path, photo: NDArray[np.uint8]
) -> None:
    scores = ScoreNetwork(tiny_model).scores(photo).astype(np.float64)
    at_corner = np.exp(scores[:, 3, 5]) / np.exp(scores[:, 3, 5]).sum()
    np.testing.assert_allclose(segmenter.segment(photo, crf=False).probabilities[:, 24, 40], at_corner, atol=1e-5)


def test_small_photos_reach_network_and_crf_as_they_are(
    segmenter: Segmenter, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = watch(monkeypatch)
    segmenter(photo)
    assert calls["seen"].shape == photo.shape
    np.testing.assert_array_equal(calls["refine"][0], photo)
    assert calls["refine"][0].dtype == np.uint8
    assert calls["refine"][2] == segmenter.info.crf.params
    assert calls["options"] == {"iterations": 10, "normalization": "after", "threads": 1}


def test_large_photos_are_shrunk_for_the_network_only(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watch(monkeypatch)
    image = np.zeros((600, 1026, 3), np.uint8)
    segmenter(image)
    assert calls["seen"].shape == (300, 513, 3)
    assert calls["refine"][0].shape == image.shape
    assert calls["refine"][2] == segmenter.info.crf.params.scaled(2)


def watch(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Record what reaches the network and the CRF."""
    calls: dict[str, Any] = {}
    score, refine = ScoreNetwork.scores, scores.refine

    def scored(self: ScoreNetwork, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        calls["seen"] = image
        return score(self, image)

    def refined(*arguments: Any, **options: Any) -> NDArray[np.float32]:
        calls["refine"], calls["options"] = arguments, options
        return refine(*arguments, **options)

    monkeypatch.setattr(ScoreNetwork, "scores", scored)
    monkeypatch.setattr(scores, "refine", refined)
    return calls


@pytest.mark.parametrize("edge", [200, 800])
def test_an_edge_stays_where_it_is(make_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, edge: int) -> None:
    """Scores that follow the photo's brightness cross over at the photo's own edge, shrunk or not."""

    def brightness(self: ScoreNetwork, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        bright = np.pad(image[:, :, 0], ((0, 8), (0, 8)), mode="edge")[: 8 * 65 : 8, : 8 * 65 : 8].astype(np.float32)
        return np.stack([127.5 - bright, bright - 127.5, *[np.full_like(bright, -500)] * 19])

    monkeypatch.setattr(ScoreNetwork, "scores", brightness)
    image = np.zeros((1026, 1026, 3), np.uint8)
    image[:, edge:] = 255
    labels = Segmenter.from_pretrained(make_model()).segment(image, crf=False).labels
    assert abs(np.argmax(labels[500]) - edge) <= 8  # half a score cell of the shrunk copy, in the photo's pixels


def test_result_is_saved_tinted_and_counted(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    labels = np.zeros((60, 90), np.uint8)
    labels[:20] = 8
    result = Segmentation(labels, np.zeros((21, 60, 90), np.float32), VOC, photo)
    assert result.shares() == {"background": pytest.approx(2 / 3), "cat": pytest.approx(1 / 3)}
    assert list(result.shares()) == ["background", "cat"]
    result.save(tmp_path / "photo.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "photo.png"), labels)
    with pytest.raises(OutputError, match="--force"):
        result.save(tmp_path / "photo.png")
    result.save(tmp_path / "photo.png", overwrite=True)
    overlay = result.overlay()
    assert (overlay.mode, overlay.size) == ("RGB", (90, 60))
    np.testing.assert_array_equal(np.asarray(overlay)[30:], photo[30:])


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("missing.jpg", ImageError),
        (np.zeros((0, 5, 3), np.uint8), InputError),
        (np.zeros((3, 40, 50), np.uint8), InputError),
        (np.full((4, 4, 3), np.nan), InputError),
        (np.zeros((4, 4, 3), np.int32), InputError),
        (None, InputError),
    ],
)
def test_bad_photos(segmenter: Segmenter, source: Any, kind: type[DeepLabError]) -> None:
    with pytest.raises(kind):
        segmenter(source)


def test_bad_models_and_threads(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        Segmenter.from_pretrained(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match="unknown model 'resnet'"):
        Segmenter.from_pretrained("resnet")
    with pytest.raises(InputError, match="threads"):
        Segmenter.from_pretrained(tiny_model, threads=0)
