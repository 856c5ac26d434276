"""A label map with what it needs among other tools' files: its names and its photo's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import ImageError, InputError
from deeplab.images import PHOTO_SUFFIXES
from deeplab.label_maps import read_label_map, read_label_set
from deeplab.labels import LabelSet


@dataclass(frozen=True, eq=False)
class Labelled:
    """One photo's labels.

    Attributes:
        photo: the photo's file name.
        labels: (H, W) uint8, labels of the set or void.
        label_set: names and colours.
    """

    photo: str
    labels: NDArray[np.uint8]
    label_set: LabelSet


def read_labelled(path: Path, label_set: LabelSet | None = None, photos: Path | None = None) -> Labelled:
    """Read a label map.

    Args:
        path: a palette or grey PNG, also TIFF or BMP.
        label_set: its names; None: those that deeplab wrote into the PNG.
        photos: the folder with its photo, which has the same name but for the ending; None: it is ``NAME.jpg``.

    Raises:
        ImageError: the file cannot be read, or there is no such photo.
        InputError: the file says no names, or holds labels that the label set does not know.
    """
    labels = read_label_map(path)
    label_set = label_set or read_label_set(path)
    if label_set is None:
        raise InputError(f"{path} does not say what its labels are called; say it with --names (label_set=…)")
    strange = labels[(labels >= len(label_set)) & (labels != label_set.void)]
    if strange.size:
        raise InputError(
            f"{path} holds label {strange[0]}, but label set {label_set.name!r} ends at {len(label_set) - 1} and has "
            f"void {label_set.void}; give another with --names (label_set=…)"
        )
    return Labelled(_photo_name(path, photos), labels, label_set)


def _photo_name(path: Path, photos: Path | None) -> str:
    if photos is None:
        return f"{path.stem}.jpg"
    found = sorted(
        photo.name
        for photo in photos.glob("*")
        if photo.stem == path.stem and photo.suffix.lower() in PHOTO_SUFFIXES and photo.resolve() != path.resolve()
    )
    if not found:
        raise ImageError(f"{path}: there is no photo {path.stem}.* in {photos}; give the photos' folder with --photos")
    return found[0]
