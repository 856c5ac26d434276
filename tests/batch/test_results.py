"""What becomes of one photo, against the segmenter's own answer."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deeplab.batch import Settings
from deeplab.batch.remote import RemotePhoto
from deeplab.batch.results import segment_photo
from deeplab.errors import ImageError, InputError
from deeplab.segment import Segmenter


@pytest.fixture(scope="module")
def segmenter(tiny_model: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model, threads=1)


@pytest.fixture
def file(tmp_path: Path, photo: NDArray[np.uint8]) -> Path:
    Image.fromarray(photo).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


@pytest.mark.parametrize("crf", [False, True])
def test_results_are_the_segmenters(segmenter: Segmenter, file: Path, crf: bool) -> None:
    result = pickle.loads(pickle.dumps(segment_photo(segmenter, file, Settings(crf=crf))))
    expected = segmenter.segment(file, crf=crf)
    with Image.open(io.BytesIO(result.label_map)) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), expected.labels)
    assert (result.width, result.height) == (90, 60)
    assert result.classes == expected.shares()
    assert result.confidence == pytest.approx(float(expected.probabilities.max(axis=0).mean()))
    with Image.open(io.BytesIO(result.overlay)) as image:
        assert (image.format, image.size) == ("JPEG", (90, 60))
    assert segment_photo(segmenter, file, Settings(), overlay=False).overlay is None


def test_doubtful_pixels_become_void(segmenter: Segmenter, file: Path) -> None:
    expected = segmenter.segment(file)
    threshold = float(np.median(expected.probabilities.max(axis=0)))
    result = segment_photo(segmenter, file, Settings(min_confidence=threshold))
    with Image.open(io.BytesIO(result.label_map)) as image:
        void = np.array(image) == 255
    np.testing.assert_array_equal(void, expected.probabilities.max(axis=0) < threshold)
    assert sum(result.classes.values()) == pytest.approx(1 - void.mean())
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="must lie in 0–1"):
            Settings(min_confidence=wrong)


def test_a_photo_at_an_address_and_its_errors(
    segmenter: Segmenter, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = file.read_bytes()
    monkeypatch.setattr(RemotePhoto, "read", lambda _: content)
    remote = segment_photo(segmenter, RemotePhoto("s3://bucket", "cat.png"), Settings())
    assert remote.label_map == segment_photo(segmenter, file, Settings()).label_map
    monkeypatch.setattr(RemotePhoto, "read", lambda _: b"text")
    with pytest.raises(ImageError, match=r"^s3://bucket/cat\.png is not an image"):
        segment_photo(segmenter, RemotePhoto("s3://bucket", "cat.png"), Settings())
