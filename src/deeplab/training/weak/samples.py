"""Photos with weak labels: listed, given masks where a method makes them beforehand, and loaded."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplab.boxes import BOX_METHODS, BoxedPhoto, mask_of, read_boxes
from deeplab.boxes.masks import checked_boxes
from deeplab.crf import CRFSettings
from deeplab.data.samples import Sample, load_sample
from deeplab.errors import DataError
from deeplab.files import is_file, make_folder
from deeplab.images import read_image
from deeplab.label_maps import write_label_map
from deeplab.progress import Show, duration
from deeplab.teach.marks import Box
from deeplab.training.weak.settings import ESTIMATED, STROKES

KINDS = ("", STROKES, *ESTIMATED)
"""How a crop's labels are meant, by their number in its targets; the first is a mask."""

_MOST_CODES = 254


@dataclass(frozen=True)
class WeakSample(Sample):
    """A photo without a mask; its `mask` is the file that says what is known of it.

    Attributes:
        method: ``"strokes"``, whose mask has void where nothing is known, or a name in
            `deeplab.training.weak.settings.METHODS`.
        boxes: around its things; of image labels their classes alone count.
    """

    method: str = STROKES
    boxes: tuple[Box, ...] = ()

    @property
    def boxed(self) -> BoxedPhoto:
        """The photo with its boxes."""
        return BoxedPhoto(self.name, self.photo, self.mask, self.label_set, self.boxes)

    @property
    def present(self) -> list[int]:
        """The labels that the photo may have: those of its boxes, and the background."""
        background = self.label_set.background
        return sorted({*(int(box.label) for box in self.boxes), *([] if background is None else [background])})


def read_weak(
    root: Path, split: str, boxes: str, method: str, *, reader: str, names: Path | None, show: Show
) -> list[Sample]:
    """List photos by their boxes; see `deeplab.boxes.read_boxes`.

    Raises:
        DataError: files are missing or wrong, the classes have no background, or nothing is known of a photo.
    """
    photos = read_boxes(root, split, boxes, reader=reader, names=names, show=show)
    for boxed in photos:
        if boxed.label_set.background is None or not boxed.boxes:
            checked_boxes(boxed, (1, 1))  # says so
    return [
        WeakSample(boxed.name, boxed.photo, boxed.source, boxed.label_set, method=method, boxes=boxed.boxes)
        for boxed in photos
    ]


def with_masks(
    samples: Sequence[Sample], folder: Path, crf: CRFSettings, show: Show, *, draw: bool = True
) -> list[Sample]:
    """Return the photos with masks in the place of boxes, where a method makes them beforehand.

    Args:
        samples: of any kind; those of a method in `deeplab.boxes.BOX_METHODS` change.
        folder: for the masks; what lies there already from the same boxes, method and CRF stays.
        crf: of Bbox-Seg.
        show: takes progress.
        draw: whether this process makes them.

    Raises:
        DataError, ImageError: a photo cannot be read, or a box lies outside it.
        OutputError: a mask cannot be written.
    """
    found, start = list(samples), time.monotonic()
    boxed = [
        (index, sample)
        for index, sample in enumerate(samples)
        if isinstance(sample, WeakSample) and sample.method in BOX_METHODS
    ]
    if boxed and draw:
        make_folder(folder)
    for done, (index, sample) in enumerate(boxed, start=1):
        said = repr((str(sample.photo), sample.boxes, sample.method, crf.to_dict()))
        path = folder / f"{hashlib.sha256(said.encode()).hexdigest()[:16]}.png"
        if draw and not is_file(path):
            labels = mask_of(sample.boxed, read_image(sample.photo), sample.method, crf)
            write_label_map(path, labels, sample.label_set)
        found[index] = Sample(sample.name, sample.photo, path, sample.label_set)
        if draw:
            show("masks from boxes", done, len(boxed), duration(time.monotonic() - start))
    return found


def load(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Load a photo (H, W, 3) uint8 RGB with its labels (H, W) uint8 or, where they are to be estimated, with codes.

    A code says which classes a pixel may have; `allowed_by_code` has them. Void is for what lies outside the photo.

    Raises:
        DataError, ImageError: a file cannot be read or is wrong, or a box lies outside the photo.
    """
    if not (isinstance(sample, WeakSample) and sample.method in ESTIMATED):
        return load_sample(sample)
    image = read_image(sample.photo)
    height, width, _ = image.shape
    checked_boxes(sample.boxed, (height, width))
    if sample.method != "bbox-em-fixed":
        return image, np.zeros((height, width), np.uint8)
    (rows, columns), codes, _ = _regions(sample)
    y, x = (np.searchsorted(cuts, range(side), "right") - 1 for cuts, side in ((rows, height), (columns, width)))
    return image, codes[np.ix_(y, x)]


def allowed_by_code(sample: WeakSample) -> NDArray[np.bool_]:
    """Return the labels that each code of a photo stands for, (codes, L) bool; the background is always one."""
    if sample.method == "bbox-em-fixed":
        allowed = _regions(sample)[2].copy()
    else:
        allowed = np.zeros((1, len(sample.label_set)), np.bool_)
        allowed[0, sample.present] = True
    allowed[:, sample.label_set.background] = True
    return allowed


def _regions(sample: WeakSample) -> tuple[list[NDArray[np.intp]], NDArray[np.uint8], NDArray[np.bool_]]:
    """Cut a photo along its boxes' edges, into Y rows and X columns of regions.

    Returns:
        The first pixels of the rows (Y,) and of the columns (X,); each region's code (Y, X); and the labels whose boxes
        every code lies in, (codes, L).

    Raises:
        DataError: there are more ways to overlap than codes.
    """
    cuts, inside = [], []
    for low, high in (("y0", "y1"), ("x0", "x1")):
        first = np.array([max(0, math.floor(getattr(box, low))) for box in sample.boxes])
        end = np.array([math.ceil(getattr(box, high)) for box in sample.boxes])
        along = np.unique([0, *first, *end])
        cuts.append(along)
        inside.append((first[:, None] <= along) & (along < end[:, None]))
    labels = np.array([int(box.label) for box in sample.boxes])
    there = np.zeros((len(sample.label_set), len(cuts[0]), len(cuts[1])), np.bool_)
    for label, rows, columns in zip(labels, *inside, strict=True):
        there[label] |= np.outer(rows, columns)
    allowed, codes = np.unique(there.reshape(len(there), -1), axis=1, return_inverse=True)
    if allowed.shape[1] > _MOST_CODES:
        raise DataError(
            f"{sample.mask}: boxes of photo {sample.name} overlap in {allowed.shape[1]} ways; expected {_MOST_CODES} "
            "at most: leave some out"
        )
    return cuts, codes.reshape(there.shape[1:]).astype(np.uint8), allowed.T
