"""The main path: photo → network scores → upsampling → fully connected CRF → labels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.checks import check_choice
from deeplab.crf import CRFSettings
from deeplab.errors import InputError
from deeplab.files import atomic_files, make_folder
from deeplab.images import Photo, overlay_image, read_image
from deeplab.label_maps import write_label_map
from deeplab.labels import LabelSet
from deeplab.models import MODEL_FILE, ModelInfo, find_model, read_model
from deeplab.models.cards import card_of
from deeplab.planes import Planes, refined
from deeplab.runtime import ScoreNetwork
from deeplab.views import QUALITIES

__all__ = ["Segmentation", "Segmenter"]

"""The longest side that the network is shown, in pixels.

The networks are trained on photos of up to 500 px and judge a pixel by the 224 px around it (their field of view). In
larger photos objects outgrow that, so the network gets a smaller copy; the CRF works on the photo itself, or on a copy
of `deeplab.planes.MAX_CRF_PIXELS`.
"""


class Segmentation:
    """A segmented photo.

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


class Segmenter:
    """Segments photos with one model; loading it takes most of a second, so keep the segmenter."""

    def __init__(self, network: ScoreNetwork, *, threads: int | None = None) -> None:
        """Wrap a loaded network; `threads` bounds the CRF's threads, None: as `refine` has it."""
        self._network = network
        self._threads = threads

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | os.PathLike[str] | None = None, *, threads: int | None = None
    ) -> Segmenter:
        """Load a model.

        Args:
            name_or_path: a shipped model's name, or the path of an ONNX file or of a folder with one, as
                `save_pretrained` makes it; None: ``"voc-largefov"``.
            threads: at most this many threads; None: as many as the environment variable DEEPLAB_THREADS says, or one
                per core.

        Raises:
            InputError: `threads` is below 1.
            ModelError: there is no such model, or the file does not fit; see `deeplab.runtime.ScoreNetwork`.
        """
        return cls(ScoreNetwork(find_model(name_or_path), threads=threads), threads=threads)

    def save_pretrained(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the model file into a folder as ``model.onnx``, and its card as ``README.md``.

        Args:
            folder: made if it is missing; `from_pretrained` takes it.
            overwrite: replace existing files.

        Raises:
            ModelError: the model's own file is gone.
            OutputError: a file exists, or cannot be written; then neither is.
        """
        source, target = self._network.path, Path(folder)
        card = card_of(source, self.info)
        make_folder(target)
        with atomic_files(target / MODEL_FILE, target / "README.md", overwrite=overwrite) as (model_file, card_file):
            model_file.write(read_model(source))
            card_file.write(card.encode())

    @property
    def network(self) -> ScoreNetwork:
        """The network alone, which gives a photo's scores."""
        return self._network

    @property
    def threads(self) -> int | None:
        """At most how many threads the CRF may use; None: one per core."""
        return self._threads

    @property
    def info(self) -> ModelInfo:
        """What the model file says about itself."""
        return self._network.info

    def __call__(self, image: Photo) -> Segmentation:
        """Segment a photo with the CRF; see `segment`."""
        return self.segment(image)

    def segment(self, image: Photo, crf: bool | CRFSettings = True, *, quality: str = "fast") -> Segmentation:
        """Segment a photo.

        The network sees the photo, or a smaller copy (`Preprocessing.shrink`); its scores are interpolated to the
        photo's size and become probabilities by softmax (section 3 of the paper). The CRF (section 4) then works on the
        photo, or a copy of at most `deeplab.planes.MAX_CRF_PIXELS`; its distances in pixels are enlarged as much as the
        network's copy is smaller.

        Args:
            image: a path, a PIL image or an array, as `deeplab.images.read_image` takes it.
            crf: whether to refine the probabilities by the fully connected CRF as the model asks; or how else to, with
                distances in pixels of what the network sees, such as `deeplab crf-search` finds.
            quality: "fast", or "best": the mean over the mirrored photo and several sizes, at some six times the cost.

        Returns:
            labels, confidence and probabilities of the photo's size.

        Raises:
            ImageError: the file is missing, damaged, too large or no image.
            InputError: the array has another shape, dtype or range, or there is no such quality.
            ModelError: the network fails.
            MemoryError: the photo does not fit in memory.
        """
        check_choice(quality, tuple(QUALITIES), "quality")
        photo = read_image(image)
        seen = self.info.preprocessing.shrink(photo)
        scores, stride = QUALITIES[quality](self._network, seen), self.info.output_stride
        planes = Planes(scores, photo.shape[:2], seen.shape[:2], stride, are_scores=True)
        if crf:
            planes = refined(planes, photo, self.info.crf if crf is True else crf, threads=self._threads)
        labels, confidence = planes.likeliest()
        return Segmentation(labels, planes, self.info.label_set, photo, confidence)
