"""A teacher on the shipped trunk, which is loaded once, and photos of two textures."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.teach import Teacher, teacher
from deeplab.teach.features import FeatureNetwork

Scene = tuple[NDArray[np.uint8], NDArray[np.uint8]]
_network = cache(FeatureNetwork)


@pytest.fixture(autouse=True)
def one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "FeatureNetwork", lambda path, threads: _network(path, threads=1))


@pytest.fixture
def make_teacher(tmp_path: Path) -> Callable[..., Teacher]:
    def make(classes: list[str] | None = None, **options: object) -> Teacher:
        return Teacher(classes or ["background", "disc"], cache=tmp_path / "cache", threads=1, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., Scene]:
    """Return a function that draws a red, striped disc on grey-green noise, and its mask: (H, W, 3) and (H, W)."""

    def make(height: int = 72, width: int = 96, seed: int = 0) -> Scene:
        random = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width]
        middle = np.array((height, width)) * random.uniform(0.4, 0.6, 2)
        mask = np.hypot(y - middle[0], x - middle[1]) < 0.3 * min(height, width)
        photo = random.normal((90, 110, 90), 12, (height, width, 3))
        photo[mask] = (200, 60, 50) + 25 * np.sin((x + y)[mask])[:, None]
        return photo.clip(0, 255).astype(np.uint8), mask.astype(np.uint8)

    return make
