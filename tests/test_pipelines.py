from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import deeplab
from deeplab import Segmenter, pipeline
from deeplab.errors import ImageError, InputError, ModelError


def test_masks_scores_and_labels_are_the_segmentations(tiny_model: Path, photo: NDArray[np.uint8]) -> None:
    segments = pipeline("image-segmentation", tiny_model, threads=1)(photo)
    expected = Segmenter.from_pretrained(tiny_model, threads=1)(photo)
    assert [segment["label"] for segment in segments] == list(expected.shares())
    for segment in segments:
        mask = segment["mask"]
        assert (mask.mode, mask.size) == ("L", (90, 60))
        inside = expected.labels == expected.label_set.names.index(segment["label"])
        np.testing.assert_array_equal(np.asarray(mask), np.where(inside, 255, 0))
        assert type(segment["score"]) is float
        assert segment["score"] == pytest.approx(expected.probabilities.max(axis=0)[inside].mean())
    assert sum(np.asarray(segment["mask"]).astype(int) for segment in segments).min() == 255  # type: ignore[union-attr]


def test_one_photo_or_a_list(tiny_model: Path, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    image = Image.fromarray(photo)
    image.save(tmp_path / "photo.png")
    segment = deeplab.pipeline(model=tiny_model)
    many = segment([str(tmp_path / "photo.png"), image, photo], crf=False)
    assert len(many) == 3
    for segments in many:
        assert [(s["label"], s["score"], s["mask"]) for s in segments] == [
            (s["label"], s["score"], s["mask"]) for s in segment(photo, crf=False)
        ]
    assert segment((photo,)) == [segment(photo)]
    assert segment([]) == []


def test_bad_tasks_models_and_photos(tiny_model: Path) -> None:
    with pytest.raises(InputError, match="unknown task 'depth-estimation'; deeplab does 'image-segmentation'"):
        pipeline("depth-estimation")
    with pytest.raises(ModelError, match="unknown model 'segformer'"):
        pipeline("image-segmentation", "segformer")
    with pytest.raises(ImageError, match=r"missing\.jpg"):
        pipeline(model=tiny_model)(["missing.jpg"])
