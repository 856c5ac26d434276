"""Masks beside their photos, ``x.jpg`` and ``x_mask.png``, as Roboflow exports them with ``_classes.csv``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from deeplab.data.folders import ALL, MASK_ENDINGS, MASK_SUFFIXES, images_by_name, sample_name
from deeplab.data.lists import read_text
from deeplab.data.samples import Listing, Sample
from deeplab.errors import DataError, InputError
from deeplab.files import is_file, is_folder
from deeplab.images import PHOTO_SUFFIXES
from deeplab.labels import VOC, LabelSet

CLASSES = "_classes.csv"
_ENDINGS = tuple(filter(None, MASK_ENDINGS))


def read_roboflow(root: Path, split: str) -> Listing:
    """Roboflow's semantic masks: ``<split>/x.jpg`` and ``<split>/x_mask.png``, ``<split>/_classes.csv`` names classes.

    Without that file the classes are VOC's unless a names file says otherwise. Split ``all`` lies in the root.
    """
    if split not in roboflow_splits(root):
        found = ", ".join(roboflow_splits(root)) or "none"
        raise DataError(f"there are no photos with masks beside them in {root / split}; splits found: {found}")
    folder = root if split == ALL else root / split
    label_set, relabel, values = VOC, None, dict[str, int]()
    if is_file(folder / CLASSES):
        values = _read_classes(folder / CLASSES)
        label_set, relabel = _label_set(folder / CLASSES, values)
    images = images_by_name(folder)
    masks = {
        name: mask for name, mask in images.items() if name.endswith(_ENDINGS) and mask.suffix.lower() in MASK_SUFFIXES
    }
    photos = {name: path for name, path in images.items() if name not in masks}
    samples = []
    for name, photo in photos.items():
        beside = (masks.pop(f"{name}{ending}", None) for ending in _ENDINGS)
        mask = next((mask for mask in beside if mask is not None), photo.with_name(f"{photo.stem}_mask.png"))
        samples.append(Sample(sample_name(PurePosixPath(name)), photo, mask, label_set, relabel))
    return Listing(folder, tuple(samples), tuple(masks.values()), values, by_name=bool(values))


def roboflow_splits(root: Path) -> list[str]:
    """Return the splits of a folder in the layout of `read_roboflow`."""
    if _holds_masks(root):
        return [ALL]
    return sorted(path.name for path in root.iterdir() if is_folder(path) and _holds_masks(path))


def _holds_masks(folder: Path) -> bool:
    """Whether some mask lies right beside its photo."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES]
    names = {path.stem for path in files}
    masks = (path.stem for path in files if path.stem.endswith(_ENDINGS) and path.suffix.lower() in MASK_SUFFIXES)
    return any(mask.removesuffix(ending) in names for mask in masks for ending in _ENDINGS if mask.endswith(ending))


def _read_classes(path: Path) -> dict[str, int]:
    """The classes and the values that masks store for them, by value; lines "value, class" below a heading."""
    values: dict[str, int] = {}
    try:
        rows = list(csv.reader(read_text(path).splitlines(), skipinitialspace=True))
    except csv.Error as error:
        raise DataError(f"{path} is no CSV ({error}); export it again") from None
    for row in rows[1:]:
        if not row:
            continue
        value, name = (part.strip() for part in (*row, "")[:2])
        if not (value.isascii() and value.isdigit() and len(value) <= 3 and int(value) <= 255 and name):
            raise DataError(
                f"{path} has the line {','.join(row)[:80]!r}; expected a value of 0–255 and a class, such as 1, cat"
            )
        if name in values or int(value) in values.values():
            raise DataError(f"{path} gives {name!r} or its value {value} twice; give every class a value of its own")
        values[name] = int(value)
    return dict(sorted(values.items(), key=lambda item: item[1]))


def _label_set(path: Path, values: Mapping[str, int]) -> tuple[LabelSet, bytes]:
    try:
        label_set = LabelSet("roboflow", tuple(values))
    except InputError as error:
        raise DataError(f"{path}: {error}") from None
    label_of = {255: label_set.void, **{value: label for label, value in enumerate(values.values())}}
    unknown = min(len(label_set), 254)  # no label, and void only where there is no other number left
    return label_set, bytes(label_of.get(value, unknown) for value in range(256))
