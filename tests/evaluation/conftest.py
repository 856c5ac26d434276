from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplab.data.samples import Sample
from deeplab.evaluation.stored_scores import StoredScores, store_scores
from deeplab.label_maps import write_label_map
from deeplab.labels import VOC
from deeplab.segment import Segmenter

SIZES = ((40, 61), (57, 33), (9, 80))


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Sample, ...]:
    """Three small noisy photos, each with a rectangle of one class and a strip of void in its mask."""
    random = np.random.default_rng(5)
    folder = tmp_path / "set"
    folder.mkdir()
    made = []
    for number, (height, width) in enumerate(SIZES):
        labels = np.zeros((height, width), dtype=np.uint8)
        labels[2 : height // 2, 5 : width // 2] = 8 + number
        labels[height // 2, :] = VOC.void
        pixels = random.integers(0, 60, (height, width, 3)) + 60 * (labels[..., None] % 3)
        sample = Sample(f"photo{number}", folder / f"{number}.ppm", folder / f"{number}.png", VOC)
        Image.fromarray(pixels.astype(np.uint8)).save(sample.photo)
        write_label_map(sample.mask, labels, VOC)
        made.append(sample)
    return tuple(made)


@pytest.fixture
def scores(samples: Sequence[Sample], tmp_path: Path, tiny_model: Path) -> StoredScores:
    """The tiny network's scores of the three photos."""
    return store_scores(samples, tmp_path / "scores", Segmenter.from_pretrained(tiny_model, threads=1))
