"""A segmented photo: labels, confidence, probabilities, and what is made of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import InputError
from deeplab.images import overlay_image
from deeplab.label_maps import write_label_map
from deeplab.labels import LabelSet
from deeplab.planes import Planes


class Segmentation:
    """A segmented photo.

    >>> found = Segmenter.from_pretrained().segment("examples/cat.jpg")
    >>> found.save("cat.png")
    >>> sure = found.with_min_confidence(0.9)  # where it is not, there is void
    >>> bool((sure.labels == sure.label_set.void).any())
    True

    Attributes:
        labels: (H, W) uint8, the most probable label of each pixel, 0 … L−1, or the label set's void.
        label_set: names and colours of the L labels.
        image: (H, W, 3) uint8, the upright RGB photo.
    """

    def __init__(
        self,
        labels: NDArray[np.uint8],
        probabilities: NDArray[np.float32] | Planes,
        label_set: LabelSet,
        image: NDArray[np.uint8],
        confidence: NDArray[np.float32] | None = None,
    ) -> None:
        """Hold what the attributes say, and the `probabilities`, at the photo's size or as few as they were computed.

        Where `confidence`, (H, W) float32, is left out, it is computed when it is asked for.
        """
        self.labels = labels
        self.label_set = label_set
        self.image = image
        self._probabilities = probabilities
        self._confidence = confidence

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(L, H, W) float32, 0–1, summing to 1 at each pixel.

        Of a large photo they are interpolated when first asked for, and take 4 bytes for each label and pixel: labels
        and confidence alone do with far less memory.
        """
        if isinstance(self._probabilities, Planes):
            self._probabilities = self._probabilities.probabilities()
        return self._probabilities

    def confidence(self) -> NDArray[np.float32]:
        """Return the probability of each pixel's most probable label, (H, W) float32, 0–1.

        That is the CRF's belief, or without the CRF the network's softmax; docs/models.md has how often it is right.
        """
        if self._confidence is None:
            self._confidence = self.probabilities.max(axis=0)
        return self._confidence

    def belief(self, labels: Sequence[int]) -> NDArray[np.float32]:
        """Return how probable it is that a pixel is of one of these labels, (H, W) float32, 0–1.

        Of a large photo's labels it takes far less memory than their `probabilities`.
        """
        if isinstance(self._probabilities, Planes):
            return self._probabilities.belief(labels)
        belief: NDArray[np.float32] = self._probabilities[list(labels)].sum(axis=0)
        return belief

    def with_min_confidence(self, threshold: float) -> Segmentation:
        """Return the same segmentation with the label void wherever `confidence` is below `threshold`.

        Raises:
            InputError: the threshold is outside 0–1.
        """
        if not 0 <= threshold <= 1:
            raise InputError(f"the least confidence must lie in 0–1, got {threshold}")
        sure = self.confidence() >= threshold
        labels = np.where(sure, self.labels, np.uint8(self.label_set.void))
        return Segmentation(labels, self._probabilities, self.label_set, self.image, self._confidence)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the labels as a mode-P PNG of the photo's size with the label set's palette; void has its colour.

        Raises:
            OutputError: the name does not end in ``.png``, the file exists, or it cannot be written.
        """
        write_label_map(path, self.labels, self.label_set, overwrite=overwrite)

    def overlay(self, opacity: float = 0.5) -> Image.Image:
        """Return the photo tinted by class, with contours, as an RGB PIL image; `opacity` is the tint's, 0–1.

        Background and void stay as they are in the photo.

        Raises:
            InputError: the opacity is outside 0–1.
        """
        return Image.fromarray(overlay_image(self.image, self.labels, self.label_set, opacity))

    def shares(self) -> dict[str, float]:
        """Return the share of pixels (0–1) of every class found, largest first; what they lack of 1 is void."""
        counts = np.bincount(self.labels.ravel(), minlength=256)[: len(self.label_set)]
        order = np.argsort(-counts, kind="stable")
        return {self.label_set.names[i]: float(counts[i]) / self.labels.size for i in order if counts[i]}
