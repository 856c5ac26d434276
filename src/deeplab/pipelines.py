"""The call that programs written for Hugging Face's image segmentation pipeline make."""

from __future__ import annotations

import os
from typing import Any, TypedDict, overload

import numpy as np
from PIL import Image

from deeplab.errors import InputError
from deeplab.images import Photo
from deeplab.segment import Segmenter
from deeplab.segmentation import Segmentation

Photos = list[Any] | tuple[Any, ...]  # of Photo; a Sequence would take a path for one

_TASK = "image-segmentation"


class Segment(TypedDict):
    """One class of a photo.

    Attributes:
        label: the class's name.
        score: the mean confidence of its pixels, 0–1.
        mask: a PIL image of mode L and the photo's size: 255 where the class is, 0 elsewhere.
    """

    label: str
    score: float
    mask: Image.Image


class SegmentationPipeline:
    """Segments photos into one mask for each class."""

    def __init__(self, segmenter: Segmenter) -> None:
        """Wrap a segmenter."""
        self._segmenter = segmenter

    @overload
    def __call__(self, images: Photo, *, crf: bool = True) -> list[Segment]: ...

    @overload
    def __call__(self, images: Photos, *, crf: bool = True) -> list[list[Segment]]: ...

    def __call__(self, images: Photo | Photos, *, crf: bool = True) -> list[Segment] | list[list[Segment]]:
        """Segment a photo, or each of a list or tuple of photos.

        Args:
            images: a path, a PIL image or an array as `deeplab.images.read_image` takes it, or a list of such.
            crf: whether to refine by the fully connected CRF.

        Returns:
            The classes found in the photo, background too, the largest first; for a list of photos, a list of these.

        Raises:
            DeepLabError: as `deeplab.Segmenter.segment` raises it.
        """
        if isinstance(images, list | tuple):
            return [_segments(self._segmenter.segment(image, crf=crf)) for image in images]
        return _segments(self._segmenter.segment(images, crf=crf))


def pipeline(
    task: str = _TASK, model: str | os.PathLike[str] | None = None, *, threads: int | None = None
) -> SegmentationPipeline:
    """Load a model for a task.

    >>> segmenter = pipeline("image-segmentation")
    >>> [segment["label"] for segment in segmenter("examples/cat.jpg")]
    ['cat', 'background']

    Args:
        task: ``"image-segmentation"``, the only one there is.
        model: a shipped model's name, a file or a folder, as `deeplab.Segmenter.from_pretrained` takes it.
        threads: at most this many threads; None: as many as the environment variable DEEPLAB_THREADS says, or one per
            core.

    Raises:
        InputError: the task is another one, or `threads` is below 1.
        ModelError: there is no such model, or it does not fit.
    """
    if task != _TASK:
        raise InputError(f"unknown task {task!r}; deeplab does {_TASK!r}")
    return SegmentationPipeline(Segmenter.from_pretrained(model, threads=threads))


def _segments(result: Segmentation) -> list[Segment]:
    names, confidence = result.label_set.names, result.confidence()

    def segment(name: str) -> Segment:
        inside = result.labels == names.index(name)
        mask = Image.fromarray(inside.astype(np.uint8) * np.uint8(255))
        return {"label": name, "score": float(confidence[inside].mean()), "mask": mask}

    return [segment(name) for name in result.shares()]
