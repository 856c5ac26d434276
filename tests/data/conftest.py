"""Small photos and masks on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image


class Write:
    """Writes photos and masks, and the folders they lie in."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(3)  # no two photos are alike

    def photo(self, path: Path, size: tuple[int, int] = (6, 8), orientation: int = 1) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        Image.fromarray(self.random.integers(0, 256, (*size, 3), np.uint8)).save(path, exif=exif)
        return path

    def mask(self, path: Path, labels: Any = 1, size: tuple[int, int] = (6, 8)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.broadcast_to(np.asarray(labels, np.uint8), size).copy()).save(path)
        return path

    def pair(self, photo: Path, mask: Path, labels: Any = 1) -> None:
        self.photo(photo)
        self.mask(mask, labels)

    def text(self, path: Path, content: str | bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


@pytest.fixture
def write() -> Write:
    return Write()
