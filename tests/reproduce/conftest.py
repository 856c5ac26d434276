from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deeplab.label_maps import write_label_map
from deeplab.labels import CAMVID, VOC
from deeplab.progress import Show
from deeplab.reproduce.benchmarks import QUICK, find_benchmark
from deeplab.reproduce.pipeline import reproduce
from deeplab.reproduce.plan import Plan, make_plan

PHOTOS = 5
Quickly = Callable[..., list[str]]


def quiet(*facts: object) -> None:
    pass


def make_photo(number: int, label: int, void: int) -> tuple[Image.Image, Any]:
    """A 64x48 photo of a box on noise, and its labels with a void outline."""
    random = np.random.default_rng(number)
    labels = np.zeros((48, 64), np.uint8)
    labels[10:40, 8 + number : 40 + number] = void
    labels[12:38, 10 + number : 38 + number] = label
    pixels = random.integers(0, 60, (48, 64, 3)) + 150 * (labels[..., None] == label)
    return Image.fromarray(pixels.astype(np.uint8)), labels


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with ``voc2012/`` and ``camvid/``, five tiny photos in each split."""
    root = tmp_path / "data"
    voc = root / "voc2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (voc / folder).mkdir(parents=True)
    names = [f"2007_{number:06}" for number in range(PHOTOS)]
    for split in ("train_aug", "val"):
        (voc / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")
    for number, name in enumerate(names):
        photo, labels = make_photo(number, 8 + number % 2, VOC.void)
        photo.save(voc / "JPEGImages" / f"{name}.jpg", quality=95)
        write_label_map(voc / "SegmentationClass" / f"{name}.png", labels, VOC)
    for split in ("val", "test"):
        for folder in (split, f"{split}annot"):
            (root / "camvid" / folder).mkdir(parents=True)
        for number in range(PHOTOS):
            photo, labels = make_photo(number, 3, CAMVID.void)
            photo.save(root / "camvid" / split / f"{split}{number}.png")
            write_label_map(root / "camvid" / f"{split}annot" / f"{split}{number}.png", labels, CAMVID)
    return root


@pytest.fixture
def voc_plan(data: Path, tiny_model: Path, tmp_path: Path) -> Callable[..., Plan]:
    """Return a function that plans a quick run on VOC with the tiny model; keywords as of `make_plan`."""

    def plan(**options: Any) -> Plan:
        chosen = {"trained": {"largefov": str(tiny_model)}, "variants": ["largefov"], "threads": 1, **options}
        return make_plan(find_benchmark("voc2012"), data, tmp_path / "out", QUICK, **chosen)

    return plan


@pytest.fixture
def quickly() -> Quickly:
    """Carry a plan out, and return the lines that were said: a line a step."""

    def run(plan: Plan, show: Show = quiet) -> list[str]:
        said: list[str] = []
        plan.output.mkdir(exist_ok=True)
        reproduce(plan, said.append, show)
        return said

    return run
