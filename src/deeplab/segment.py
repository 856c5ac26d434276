"""The main path: photo → network scores → upsampling → fully connected CRF → labels."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.images import Photo, overlay_image, read_image, write_label_map
from deeplab.labels import LabelSet
from deeplab.models import ModelInfo, find_model
from deeplab.runtime import ScoreNetwork
from deeplab.scores import label_probabilities, refine_in_place

__all__ = ["MAX_NETWORK_SIDE_PX", "Segmentation", "Segmenter", "shrink_for_network"]

MAX_NETWORK_SIDE_PX = 513
"""The longest side that the network is shown, in pixels.

The networks are trained on photos of up to 500 px and judge a pixel by the 224 px around it (their field of view). In
larger photos objects outgrow that, so the network gets a smaller copy; the CRF works on the photo itself.
"""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A segmented photo.

    Attributes:
        labels: (H, W) uint8, the most probable label of each pixel, 0 … L−1.
        probabilities: (L, H, W) float32, 0–1, summing to 1 at each pixel.
        label_set: names and colours of the L labels.
        image: (H, W, 3) uint8, the upright RGB photo.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    label_set: LabelSet
    image: NDArray[np.uint8]

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the labels as a mode-P PNG of the photo's size with the label set's palette.

        Raises:
            OutputError: the name does not end in ``.png``, the file exists, or it cannot be written.
        """
        write_label_map(path, self.labels, self.label_set, overwrite=overwrite)

    def overlay(self, opacity: float = 0.5) -> Image.Image:
        """Return the photo tinted by class, with contours, as an RGB PIL image; `opacity` is the tint's, 0–1.

        Raises:
            InputError: the opacity is outside 0–1.
        """
        return Image.fromarray(overlay_image(self.image, self.labels, self.label_set, opacity))

    def shares(self) -> dict[str, float]:
        """Return the share of pixels (0–1) of every class found, largest first."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.label_set))
        order = np.argsort(-counts, kind="stable")
        return {self.label_set.names[i]: float(counts[i]) / self.labels.size for i in order if counts[i]}


class Segmenter:
    """Segments photos with one model; loading it takes most of a second, so keep the segmenter."""

    def __init__(self, network: ScoreNetwork, *, threads: int | None = None) -> None:
        """Wrap a loaded network; `threads` bounds the CRF's threads, None leaves the choice to it."""
        self._network = network
        self._threads = threads

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | os.PathLike[str] | None = None, *, threads: int | None = None
    ) -> Segmenter:
        """Load a model.

        Args:
            name_or_path: a shipped model's name or the path of an ONNX file; None: ``"voc-largefov"``.
            threads: at most this many threads; None: one per core.

        Raises:
            InputError: `threads` is below 1.
            ModelError: there is no such model, or the file does not fit; see `deeplab.runtime.ScoreNetwork`.
        """
        return cls(ScoreNetwork(find_model(name_or_path), threads=threads), threads=threads)

    @property
    def info(self) -> ModelInfo:
        """What the model file says about itself."""
        return self._network.info

    def __call__(self, image: Photo) -> Segmentation:
        """Segment a photo with the CRF; see `segment`."""
        return self.segment(image)

    def segment(self, image: Photo, crf: bool = True) -> Segmentation:
        """Segment a photo.

        The network sees the photo, or a copy of at most `MAX_NETWORK_SIDE_PX`; its scores are interpolated to the
        photo's size and become probabilities by softmax (section 3 of the paper). The CRF (section 4) then works on the
        full photo as the model asks, its distances in pixels enlarged as much as the network's copy was shrunk.

        Args:
            image: a path, a PIL image or an array, as `deeplab.images.read_image` takes it.
            crf: whether to refine the probabilities by the fully connected CRF.

        Returns:
            labels and probabilities of the photo's size.

        Raises:
            ImageError: the file is missing, damaged, too large or no image.
            InputError: the array has another shape, dtype or range.
            ModelError: the network fails.
        """
        photo = read_image(image)
        seen = shrink_for_network(photo)
        photo_size, network_size = photo.shape[:2], seen.shape[:2]
        probabilities = label_probabilities(
            self._network.scores(seen), photo_size, network_size, self.info.output_stride
        )
        if crf:
            refine_in_place(photo, probabilities, self.info.crf, network_size=network_size, threads=self._threads)
        labels = probabilities.argmax(axis=0).astype(np.uint8)
        return Segmentation(labels, probabilities, self.info.label_set, photo)


def shrink_for_network(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what the network is shown of a photo (H, W, 3) uint8 RGB.

    That is the photo itself, or where its longer side exceeds `MAX_NETWORK_SIDE_PX` a filtered copy with that side.
    """
    height, width = photo.shape[:2]
    factor = MAX_NETWORK_SIDE_PX / max(height, width)
    if factor >= 1:
        return photo
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.array(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))
