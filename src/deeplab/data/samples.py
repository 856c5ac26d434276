"""A labelled photo, wherever it comes from, how it is loaded, and a layout's list of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import DataError, ImageError
from deeplab.images import read_image
from deeplab.label_maps import read_label_map
from deeplab.labels import LabelSet

__all__ = ["Listing", "ReadMask", "Remark", "Sample", "load_mask", "load_sample", "unknown_values"]

ReadMask = Callable[[Path], NDArray[np.uint8]]
"""Takes the path of a mask and returns its stored values, (H, W) uint8; raises ImageError where it cannot."""


@dataclass(frozen=True)
class Sample:
    """One photo and its mask on disk.

    Attributes:
        name: unique within its set, e.g. VOC's ``2007_000033``.
        photo: path of the photo.
        mask: path of the label map, of the photo's size, or of the file that holds it.
        label_set: what the labels mean once loaded.
        relabel: None, or 256 bytes: entry i is the label that stored value i becomes.
        read: how the mask's file becomes stored values.
    """

    name: str
    photo: Path
    mask: Path
    label_set: LabelSet
    relabel: bytes | None = field(default=None, repr=False)
    read: ReadMask = field(default=read_label_map, repr=False)


class Remark(NamedTuple):
    """What a layout's files show to be wrong, or worth a look, before any photo or mask is opened.

    Attributes:
        kind: its name in `deeplab.data.inspection.KINDS`.
        name: of the photo, or "" for what is about the whole split.
        detail: what exactly.
    """

    kind: str
    name: str
    detail: str


@dataclass(frozen=True)
class Listing:
    """What one split of a data set holds by its folders and lists. No photo or mask has been looked for or opened yet.

    Attributes:
        source: the folder or list that names the photos.
        samples: in order; a photo that is listed twice is here twice.
        strays: masks that belong to no photo, where the layout can tell.
        values: the layout's own names of classes → the values that its masks store for them.
        by_name: the layout tells classes apart by name; the stored values are this reader's affair.
        named_by: a file that the layout itself takes the classes from, and which is no names file therefore.
        remarks: what the source itself shows to be wrong.
    """

    source: Path
    samples: tuple[Sample, ...]
    strays: tuple[Path, ...] = ()
    values: Mapping[str, int] = field(default_factory=dict)
    by_name: bool = False
    named_by: Path | None = None
    remarks: tuple[Remark, ...] = ()


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
        stored = sample.read(sample.mask)
    except ImageError as error:
        raise DataError(f"{error}; {expected}") from None
    beyond = unknown_values(sample)[stored]
    if beyond.any():
        value = stored[beyond].min()
        void_like = value >= 254  # 254 and 255 are often mistaken for one another
        raise DataError(
            f"{sample.mask} holds label {value}, but {expected}; "
            + (f"if {value} means void, map it to {label_set.void}" if void_like else "map its values to these")
        )
    return stored if sample.relabel is None else np.frombuffer(sample.relabel, dtype=np.uint8)[stored]


def unknown_values(sample: Sample) -> NDArray[np.bool_]:
    """Mark the stored values that are no label of a sample's set and not void, (256,)."""
    labels = np.arange(256) if sample.relabel is None else np.frombuffer(sample.relabel, dtype=np.uint8)
    unknown: NDArray[np.bool_] = (labels >= len(sample.label_set)) & (labels != sample.label_set.void)
    return unknown
