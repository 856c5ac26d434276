"""A photo's probabilities, kept as few as they were computed, and read at the photo's size in bands of rows.

The 21 planes of a photo of 100 megapixels would take 8.4 GB; its labels and their confidence take half a gigabyte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplab.crf.unary import softmax_in_place
from deeplab.scores import likeliest, upsample_scores

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
        for rows in self._bands():
            labels[rows], confidence[rows] = likeliest(self.probabilities(rows))
        return labels, confidence

    def belief(self, labels: Sequence[int]) -> NDArray[np.float32]:
        """Return the sum of these labels' probabilities at each pixel of the photo, (H, W) float32."""
        total = np.empty(self.size, np.float32)
        for rows in self._bands():
            total[rows] = self.probabilities(rows)[list(labels)].sum(axis=0)
        return total

    def _bands(self) -> Iterator[slice]:
        height, width = self.size
        step = max(1, _BAND_VALUES // (len(self.values) * width))
        for start in range(0, height, step):
            yield slice(start, min(start + step, height))
