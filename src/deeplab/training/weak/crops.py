"""Training crops with weak labels: photos of several sources in set proportions, and targets that say what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.training.batches import Crops, Example, shuffled_index
from deeplab.training.weak.samples import KINDS, WeakSample, allowed_by_code


class Shares(NamedTuple):
    """An endless stream of photos in which every batch has its share of each source.

    Attributes:
        photos: of each source, how many there are; they come one source after the other.
        shares: of each source, how many come in a batch.
        seed: of each source's order.
    """

    photos: tuple[int, ...]
    shares: tuple[int, ...]
    seed: int

    def photo_at(self, position: int) -> int:
        """Which photo comes at a position, from 0."""
        batch, place = divmod(position, sum(self.shares))
        source = 0
        while place >= self.shares[source]:
            place -= self.shares[source]
            source += 1
        own = shuffled_index(batch * self.shares[source] + place, self.photos[source], self.seed)
        return sum(self.photos[:source]) + own


@dataclass(frozen=True)
class WeakCrops:
    """Crops by number as examples whose targets say what is known of each cell.

    Attributes:
        crops: of photos that `deeplab.training.weak.samples.load` loads.
    """

    crops: Crops

    def __call__(self, number: int) -> Example:
        """Crop `number`: pixels (3, H, W) float32, and planes (2 + L, h, w) uint8.

        The first plane has the label, void where nothing is known, and for labels to be estimated 0 within the photo;
        the second is the place in `deeplab.training.weak.samples.KINDS`; the others say which labels are allowed then.

        Raises:
            DataError, ImageError: a file cannot be read or is wrong.
        """
        pixels, codes = self.crops(number)
        sample = self.crops.photos.samples[self.crops.photo_at(number)]
        void, count = sample.label_set.void, len(sample.label_set)
        planes = np.zeros((2 + count, *codes.shape), np.uint8)
        kind = KINDS.index(sample.method) if isinstance(sample, WeakSample) else 0
        planes[1] = kind
        if kind <= 1 or not isinstance(sample, WeakSample):
            planes[0] = codes
            return pixels, planes
        padding = codes == void
        allowed = _allowed(sample)[np.where(padding, 0, codes)]
        planes[0], planes[2:] = np.where(padding, void, 0), allowed.transpose(2, 0, 1)
        return pixels, planes


@lru_cache(maxsize=4096)
def _allowed(sample: WeakSample) -> NDArray[np.bool_]:
    return allowed_by_code(sample)


def has_weak(samples: Sequence[object]) -> bool:
    """Whether some photos have strokes, or labels to be estimated."""
    return any(isinstance(sample, WeakSample) for sample in samples)
