"""A label map with parts, holes and void."""

from __future__ import annotations

import numpy as np
import pytest

from deeplab.formats import Labelled
from deeplab.labels import VOC


@pytest.fixture
def cat() -> Labelled:
    """Two cats (8), one with a hole of dog (12) and one cut off by the border, on background, with a void line."""
    labels = np.zeros((40, 60), np.uint8)
    labels[5:25, 5:30] = 8
    labels[10:15, 10:20] = 12
    labels[12, 14] = 0
    labels[30:, 40:] = 8
    labels[28, :] = 255
    return Labelled("cat.jpg", labels, VOC)
