"""Small made-up photos: coloured regions with shading and noise, and class probabilities that nearly fit them."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

Scene: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., Scene]:
    """Return a function that draws an image (H, W, 3) uint8 and probabilities (L, H, W) float32."""

    def make(height: int, width: int, labels: int, seed: int = 0) -> Scene:
        random = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width].astype(np.float32)
        centres = random.uniform(0, 1, (labels, 2)) * (height, width)
        distance = np.hypot(y - centres[:, :1, None], x - centres[:, 1:, None])
        colours = random.uniform(30, 225, (labels, 3))[distance.argmin(0)]
        shading = 20 * np.sin(x / 9 + y / 13)[..., None]
        image = (colours + shading + random.normal(0, 4, colours.shape)).clip(0, 255).astype(np.uint8)
        scores = (
            -distance / 3
            + random.normal(0, 1, (labels, height // 8 + 1, width // 8 + 1))
            .repeat(8, 1)
            .repeat(8, 2)[:, :height, :width]
        )
        exponentials = np.exp(scores - scores.max(0))
        return image, (exponentials / exponentials.sum(0)).astype(np.float32)

    return make
