from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


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
