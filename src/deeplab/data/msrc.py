"""MSRC-21 (Shotton et al. 2006): its own 21 classes, or those of VOC that it shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deeplab.data.folders import ALL, pair_folders
from deeplab.data.samples import Listing, Sample, load_mask
from deeplab.errors import DataError
from deeplab.files import is_folder
from deeplab.labels import VOC, LabelSet

# Stored value by stored value: the class, and the VOC class it becomes.
_CLASSES = (
    ("building", "background"), ("grass", "background"), ("tree", "background"), ("cow", "cow"), ("horse", "horse"),
    ("sheep", "sheep"), ("sky", "background"), ("mountain", "background"), ("aeroplane", "aeroplane"),
    ("water", "background"), ("face", "person"), ("car", "car"), ("bicycle", "bicycle"), ("flower", "background"),
    ("sign", "background"), ("bird", "bird"), ("book", "background"), ("chair", "chair"), ("road", "background"),
    ("cat", "cat"), ("dog", "dog"), ("body", "person"), ("boat", "boat"),
)  # fmt: skip
_TOO_RARE = ("horse", "mountain")  # its authors advise to leave them out

VALUES = {name: value for value, (name, _) in enumerate(_CLASSES)}

MSRC21 = LabelSet("msrc21", tuple(name for name in VALUES if name not in _TOO_RARE))
"""MSRC-21's 21 classes; horse and mountain, which its authors leave out as too rare, are void, 255."""

_MSRC21_LABEL = {name: MSRC21.void if name in _TOO_RARE else MSRC21.names.index(name) for name in VALUES}
_BEYOND = bytes(range(len(_CLASSES), 256))
TO_MSRC21 = bytes(_MSRC21_LABEL[name] for name in VALUES) + _BEYOND
MSRC_TO_VOC = bytes(VOC.names.index(name) for _, name in _CLASSES) + _BEYOND


def read_msrc21(root: Path, split: str) -> Listing:
    """MSRC-21: ``images/``, ``labels/`` with masks of numbers, 255 for void. The split must be ``all``."""
    if split != ALL:
        raise DataError(f"{root} has no splits: ask for split {ALL!r}, not {split!r}")
    listing = pair_folders(root / "images", root / "labels", MSRC21)
    samples = tuple(replace(sample, relabel=TO_MSRC21) for sample in listing.samples)
    return replace(listing, samples=samples, values=VALUES)


def read_msrc(root: Path, split: str) -> Listing:
    """MSRC-21 as VOC: its classes become VOC's, and photos without any of them are left out.

    The split must be ``all``. Faces and bodies become person; classes that VOC does not know become background.
    """
    listing = read_msrc21(root, split)
    samples = (replace(sample, label_set=VOC, relabel=MSRC_TO_VOC) for sample in listing.samples)
    return replace(listing, samples=tuple(sample for sample in samples if _may_show_object(sample)))


def msrc_splits(root: Path) -> list[str]:
    """Return the splits of a folder in MSRC-21's layout, which its photos' names tell from others: ``1_9_s``."""
    return [ALL] if is_folder(root / "images") and any((root / "labels").glob("[0-9]*_[0-9]*_s.png")) else []


def _may_show_object(sample: Sample) -> bool:
    try:
        labels = load_mask(sample)
    except DataError:
        return True  # to be reported when it is wanted
    return bool(((labels != 0) & (labels != sample.label_set.void)).any())
