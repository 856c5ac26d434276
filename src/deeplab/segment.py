"""The main path: photo → network scores → upsampling → fully connected CRF → labels."""

from __future__ import annotations

import os
from pathlib import Path

from deeplab.checks import check_choice
from deeplab.crf import CRFSettings
from deeplab.files import atomic_files, make_folder
from deeplab.images import Photo, read_image
from deeplab.look import Look
from deeplab.models import MODEL_FILE, ModelInfo, find_model, read_model
from deeplab.models.cards import card_of
from deeplab.runtime import ScoreNetwork
from deeplab.segmentation import Segmentation
from deeplab.views import QUALITIES

__all__ = ["Segmenter"]


class Segmenter:
    """Segments photos with one model; loading it takes most of a second, so keep the segmenter.

    >>> segmenter = Segmenter.from_pretrained()
    >>> for photo in "examples/cat.jpg", "examples/coffee.jpg":
    ...     print(segmenter(photo).labels.dtype)
    uint8
    uint8
    """

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
        photo, or a copy of at most `deeplab.look.MAX_CRF_PIXELS`; its distances in pixels are enlarged as much as the
        network's copy is smaller.

        >>> list(Segmenter.from_pretrained().segment("examples/cat.jpg").shares())[0]
        'cat'

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
        look = self.look(image, quality=quality)
        return look.refined(None if crf is True else crf) if crf else look.unrefined()

    def look(self, image: Photo, *, quality: str = "fast") -> Look:
        """Run the network on a photo, once; what it saw can then be labelled as often as one likes.

        >>> look = Segmenter.from_pretrained().look("examples/cat.jpg")
        >>> look.scores.shape  # (labels, rows, columns), one for every 8 pixels
        (21, 39, 58)
        >>> look.labels().shape == look.refined().labels.shape == look.photo.shape[:2]
        True

        Args:
            image: as `segment` takes it.
            quality: as `segment` takes it.

        Raises:
            ImageError, InputError, ModelError: as `segment` raises them.
        """
        check_choice(quality, tuple(QUALITIES), "quality")
        photo = read_image(image)
        seen = self.info.preprocessing.shrink(photo)
        scores = QUALITIES[quality](self._network, seen)
        return Look(photo, scores, seen.shape[:2], self.info, self._threads)
