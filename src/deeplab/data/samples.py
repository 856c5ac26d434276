"""A labelled photo, wherever it comes from, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import DataError, ImageError
from deeplab.images import read_image, read_label_map
from deeplab.labels import LabelSet

__all__ = ["Sample", "load_mask", "load_sample", "pair_files"]


@dataclass(frozen=True)
class Sample:
    """One photo and its mask on disk.

    Attributes:
        name: unique within its set, e.g. VOC's ``2007_000033``.
        photo: path of the photo.
        mask: path of the label map, of the photo's size.
        label_set: what the labels mean once loaded.
        relabel: None, or 256 bytes: entry i is the label that stored value i becomes.
    """

    name: str
    photo: Path
    mask: Path
    label_set: LabelSet
    relabel: bytes | None = field(default=None, repr=False)


def load_sample(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Load a sample: the photo (H, W, 3) uint8 RGB and its labels (H, W) uint8, 0 … L−1 or void.

    Raises:
        ImageError: the photo cannot be read.
        DataError: the mask cannot be read, holds colours or labels outside its set, or is not of the photo's size.
    """
    image, labels = read_image(sample.photo), load_mask(sample)
    if image.shape[:2] != labels.shape:
        raise DataError(
            f"{sample.mask}: the mask is {labels.shape[1]}x{labels.shape[0]} px but photo {sample.photo} is "
            f"{image.shape[1]}x{image.shape[0]}; re-export the mask at the photo's size (EXIF rotation applied)"
        )
    return image, labels


def load_mask(sample: Sample) -> NDArray[np.uint8]:
    """Load a sample's labels alone: (H, W) uint8, 0 … L−1 or void.

    Raises:
        DataError: the file cannot be read, or holds colours or labels outside its set.
    """
    label_set = sample.label_set
    expected = f"masks of {label_set.name!r} hold labels 0–{len(label_set) - 1}, and {label_set.void} for void"
    try:
        labels = read_label_map(sample.mask)
    except ImageError as error:
        raise DataError(f"{error}; {expected}") from None
    if sample.relabel is not None:
        labels = np.frombuffer(sample.relabel, dtype=np.uint8)[labels]
    beyond = np.unique(labels[(labels >= len(label_set)) & (labels != label_set.void)])
    if beyond.size:
        void_like = beyond[0] >= 254  # 254 and 255 are often mistaken for one another
        raise DataError(
            f"{sample.mask} holds label {beyond[0]}, but {expected}; "
            + (f"if {beyond[0]} means void, map it to {label_set.void}" if void_like else "map its values to these")
        )
    return labels


def pair_files(
    names: Iterable[str], photo_path: Callable[[str], Path], mask_path: Callable[[str], Path], label_set: LabelSet,
    relabel: bytes | None = None,
) -> tuple[Sample, ...]:  # fmt: skip
    """Build the samples called `names`, checking that both files of each exist.

    Raises:
        DataError: a photo or a mask is missing, or there are no names.
    """
    samples = tuple(Sample(name, photo_path(name), mask_path(name), label_set, relabel) for name in names)
    if not samples:
        raise DataError("the list of photos is empty; check the split's name and its file")
    missing = [path for sample in samples for path in (sample.photo, sample.mask) if not path.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(f"{missing[0]} is missing{more}; every photo listed needs its mask")
    return samples
