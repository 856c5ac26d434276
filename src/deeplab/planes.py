"""A photo's probabilities, kept as few as they were computed, refined, and read at the photo's size in bands of rows.

The 21 planes of a photo of 100 megapixels would take 8.4 GB; its labels and their confidence take half a gigabyte.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFSettings
from deeplab.images import shrunk
from deeplab.scores import refine_in_place, softmax_in_place, upsample_scores

__all__ = ["MAX_CRF_PIXELS", "Planes", "likeliest", "refined", "shrink_for_crf"]

MAX_CRF_PIXELS = 2_100_000
"""The most pixels that the CRF works on.

Its distances grow with the photo, so that a larger one takes more time and memory for outlines that are hardly finer.
Beyond, it refines a smaller copy, and its beliefs are interpolated; docs/models.md has what that changes. Cityscapes'
photos, 2048x1024, still go whole.
"""

_BAND_VALUES = 1 << 22  # in a band of probabilities: 17 MB


@dataclass(frozen=True, eq=False)
class Planes:
    """What is known of each label at the pixels of a photo, or of a grid over it.

    Attributes:
        values: (L, h, w) float32: scores, or probabilities.
        size: (H, W) of the photo in pixels.
        seen: (H', W') of the copy of the photo that they are of, in pixels.
        stride: pixels of that copy from one value to the next.
        are_scores: whether softmax makes probabilities of the values once they are interpolated.
    """

    values: NDArray[np.float32]
    size: tuple[int, int]
    seen: tuple[int, int]
    stride: int = 1
    are_scores: bool = False

    def probabilities(self, rows: slice = slice(None)) -> NDArray[np.float32]:
        """Return the probabilities of the photo's pixels in some rows, (L, rows, W) float32; not to be written to."""
        if self.stride == 1 and self.seen == self.size and not self.are_scores:
            return self.values[:, rows]
        dense = upsample_scores(self.values, self.size, network_size=self.seen, stride=self.stride, rows=rows)
        return softmax_in_place(dense) if self.are_scores else dense

    def likeliest(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the most probable label of each pixel of the photo, (H, W) uint8, and its probability, float32."""
        labels, confidence = np.empty(self.size, np.uint8), np.empty(self.size, np.float32)
        height, width = self.size
        step = max(1, _BAND_VALUES // (len(self.values) * width))
        for start in range(0, height, step):
            rows = slice(start, min(start + step, height))
            labels[rows], confidence[rows] = likeliest(self.probabilities(rows))
        return labels, confidence


def likeliest(probabilities: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the most probable label of each pixel, (H, W) uint8, the first of equals, and its probability, float32.

    Plane by plane, as whole planes seldom change the answer: np.argmax over the first axis takes ten times as long.
    """
    best = probabilities[0].copy()
    labels = np.zeros(best.shape, np.uint8)
    better = np.empty(best.shape, np.bool_)
    for label, plane in enumerate(probabilities[1:], start=1):
        np.greater(plane, best, out=better)
        labels[better] = label
        np.maximum(best, plane, out=best)
    return labels, best


def shrink_for_crf(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what the CRF works on: a photo (H, W, 3) uint8 RGB, or a filtered copy of `MAX_CRF_PIXELS`."""
    return shrunk(photo, (MAX_CRF_PIXELS / (photo.shape[0] * photo.shape[1])) ** 0.5)


def refined(network: Planes, photo: NDArray[np.uint8], crf: CRFSettings, *, threads: int | None = None) -> Planes:
    """Return what the CRF makes of the network's scores (section 4 of the paper).

    Args:
        network: the scores of the photo.
        photo: (H, W, 3) uint8 RGB; the CRF works on it, or on `shrink_for_crf`'s copy.
        crf: how the CRF runs, its distances in pixels of what the network saw; they grow as much as that was shrunk.
        threads: at most this many; None: one per core.
    """
    copy = shrink_for_crf(photo)
    beliefs = replace(network, size=copy.shape[:2]).probabilities()
    refine_in_place(copy, beliefs, crf, network_size=network.seen, threads=threads)
    return Planes(beliefs, network.size, copy.shape[:2])
