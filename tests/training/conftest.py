from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deeplab.network.importers import Initialisation
from deeplab.network.variants import MSC_TAPS, VARIANTS
from deeplab.preprocessing import CAFFE_VGG
from deeplab.training.recipe import Recipe, Solver, Source


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with ``set/``: three photos over three classes, with void, one photo smaller than a 41 px crop."""
    random = np.random.default_rng(11)
    root = tmp_path / "data" / "set"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("ground\nred\ngreen\n")
    for number, (height, width) in enumerate(((50, 60), (45, 44), (30, 70))):
        labels = np.zeros((height, width), dtype=np.uint8)
        labels[5:25, 4:30], labels[10:28, 32:40], labels[0] = 1, 2, 255
        pixels = random.integers(0, 80, (height, width, 3)) + 150 * (labels[..., None] == [1, 2, 0])
        Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / f"{number}.png")
        Image.fromarray(labels).save(root / "masks" / f"{number}.png")
    return root.parent


@pytest.fixture
def thin_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG-16, LargeFOV and MSc-LargeFOV with a few channels."""
    monkeypatch.setattr("deeplab.network.variants.CONV_CHANNELS", ((4, 4), (4, 4), (8,) * 3, (8,) * 3, (8,) * 3))
    thin = {name: replace(VARIANTS[name], fc_channels=8) for name in ("largefov", "msc-largefov")}
    monkeypatch.setattr("deeplab.network.variants.VARIANTS", thin)
    taps = tuple((tap, {"image": 3, "pool1": 4, "pool2": 4}.get(tap, 8), stride) for tap, _, stride in MSC_TAPS)
    for module in ("variants", "vgg"):
        monkeypatch.setattr(f"deeplab.network.{module}.MSC_TAPS", taps)


@pytest.fixture
def recipe(thin_network: None) -> Recipe:
    """Two iterations on the photos of `data`."""
    solver = Solver(iterations=2, batch=2, micro_batch=1)
    return Recipe("small", "largefov", (Source("set", reader="folder"),), solver, crop_px=41, precision="fp32")


@pytest.fixture
def fresh() -> Initialisation:
    """No weights from elsewhere."""
    return Initialisation({}, CAFFE_VGG, {"source": "none"})


@pytest.fixture
def logged() -> Callable[[Path], list[dict[str, Any]]]:
    """What a run's folder holds in its log."""
    return lambda output: [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
