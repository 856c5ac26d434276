"""A network's look at a photo: taken once, and then asked for labels, with any CRF, as often as one likes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFSettings, refine
from deeplab.images import shrunk
from deeplab.models import ModelInfo
from deeplab.planes import Planes
from deeplab.segmentation import Segmentation

__all__ = ["MAX_CRF_PIXELS", "Look"]

MAX_CRF_PIXELS = 2_100_000
"""The most pixels that the CRF works on.

Its distances grow with the photo, so that a larger one takes more time and memory for outlines that are hardly finer.
Beyond, it refines a smaller copy, and its beliefs are interpolated; docs/models.md has what that changes. Cityscapes'
photos, 2048x1024, still go whole.
"""


@dataclass(frozen=True, eq=False)
class Look:
    """What a network saw in a photo; `deeplab.Segmenter.look` takes one.

    The network does not run again, whatever is asked:

    >>> look = Segmenter.from_pretrained().look("examples/cat.jpg")
    >>> for rgb_std in 3, 10:
    ...     result = look.refined(CRFSettings(CRFParams(bilateral_rgb_std=rgb_std)))
    ...     print("cat" in result.shares())
    True
    True

    Attributes:
        photo: (H, W, 3) uint8, the upright RGB photo.
        scores: (L, h, w) float32, log-probabilities up to a constant per position, on a grid of
            `info.output_stride` pixels of what the network saw.
        seen: (H', W') in pixels of what the network saw: the photo, or a smaller copy.
        info: what the model says about itself: its labels, and its CRF.
        threads: at most this many for the CRF; None: as many as DEEPLAB_THREADS says, or one per core.
    """

    photo: NDArray[np.uint8]
    scores: NDArray[np.float32]
    seen: tuple[int, int]
    info: ModelInfo
    threads: int | None = None

    @property
    def enlargement(self) -> float:
        """How many times larger the photo is than what the network saw, by their longer sides."""
        return float(max(self.photo.shape[:2]) / max(self.seen))

    def at(self, photo: NDArray[np.uint8]) -> Look:
        """Return the same look over a copy of the photo of another size, (H, W, 3) uint8 RGB."""
        return replace(self, photo=photo)

    def for_crf(self) -> Look:
        """Return the look over what the CRF works on: the photo, or a filtered copy of `MAX_CRF_PIXELS`."""
        height, width, _ = self.photo.shape
        return self.at(shrunk(self.photo, (MAX_CRF_PIXELS / (height * width)) ** 0.5))

    def probabilities(self) -> NDArray[np.float32]:
        """Return the network's probabilities, (L, H, W) float32, 0–1, summing to 1 at each pixel."""
        return self._planes().probabilities()

    def labels(self) -> NDArray[np.uint8]:
        """Return the most probable label of each pixel by the network alone, (H, W) uint8."""
        return self.unrefined().labels

    def unrefined(self) -> Segmentation:
        """Return the photo segmented by the network alone."""
        return self._segmentation(self._planes())

    def refined(self, crf: CRFSettings | None = None) -> Segmentation:
        """Return the photo segmented with the CRF (section 4 of the paper).

        It works on the photo, or on a copy of `MAX_CRF_PIXELS`.

        Args:
            crf: how it runs, its distances in pixels of what the network saw; they grow as much as the photo is larger.
                None: as the model asks.

        Raises:
            InputError, MemoryError: as `deeplab.crf.refine` raises them.
        """
        small, crf = self.for_crf(), self.info.crf if crf is None else crf
        settings = crf.scaled(small.enlargement)
        return self.segmentation(refine(small.photo, small.probabilities(), settings, threads=self.threads))

    def segmentation(self, beliefs: NDArray[np.float32]) -> Segmentation:
        """Return the photo segmented by beliefs (L, h, w) float32 at its pixels, or at those of a smaller copy."""
        return self._segmentation(Planes(beliefs, self.photo.shape[:2], beliefs.shape[1:]))

    def _planes(self) -> Planes:
        size, stride = self.photo.shape[:2], self.info.output_stride
        return Planes(self.scores, size, self.seen, stride, are_scores=True)

    def _segmentation(self, planes: Planes) -> Segmentation:
        labels, confidence = planes.likeliest()
        return Segmentation(labels, planes, self.info.label_set, self.photo, confidence)
