"""VOC's development kit, and SBD (Hariharan et al. 2011), which labels more of its photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplab.arrays import map_npy
from deeplab.data.folders import ALL, MASK_SUFFIXES, file_called, files_below, pair_folders, photo_called
from deeplab.data.labelme import read_class_names
from deeplab.data.lists import read_lines, split_pair, splits_of_lists
from deeplab.data.matlab import read_field
from deeplab.data.samples import Listing, ReadMask, Sample
from deeplab.errors import DataError, ImageError, InputError
from deeplab.files import is_file, is_folder
from deeplab.label_maps import read_label_map
from deeplab.labels import VOC, LabelSet

SBD_FOLDERS = ("SBD", "sbd", "benchmark_RELEASE/dataset")
"""Where SBD may lie below a development kit."""

MERGED = {"train_aug": "train", "trainval_aug": "trainval"}
"""VOC's split with all that SBD adds → VOC's own split."""

UNLISTED_MASKS = ("SegmentationClass", "SegmentationClassPNG", "SegmentationClassNpy")
CLASS_NAMES = "class_names.txt"

VALUES = {name: label for label, name in enumerate(VOC.names)}


def read_voc(root: Path, split: str) -> Listing:
    """VOC development kit: ``ImageSets/Segmentation/<split>.txt``, ``JPEGImages/``, ``SegmentationClass/``.

    A line of the list is a photo's name, or, as in DeepLab's own lists, the paths of photo and mask below the root.
    Where SBD lies in the root as ``SBD/``, it labels the photos that VOC does not, and the splits ``train_aug`` and
    ``trainval_aug`` need no lists: VOC's own, and all that SBD adds apart from VOC's val photos (10,582 and 12,031
    photos in the full sets; section 5 of the paper).

    Without lists, as labelme's script writes it, all photos are split ``all``, ``class_names.txt`` names the classes,
    and masks may be NumPy's files, in which -1 is void.
    """
    if split == ALL and voc_splits(root) == [ALL]:
        return _unlisted(root)
    listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    sbd = next((root / folder for folder in SBD_FOLDERS if is_folder(root / folder / "cls")), None)
    if split in MERGED and sbd is not None and not is_file(listing):
        lines = _merged_names(listing.parent, MERGED[split], sbd)
    else:
        lines = read_lines(listing)
    return Listing(listing, tuple(_sample(root, sbd, listing, line) for line in lines), values=VALUES)


def voc_splits(root: Path) -> list[str]:
    """Return the splits of a folder in VOC's layout."""
    found = splits_of_lists(root / "ImageSets" / "Segmentation")
    if not found and is_folder(root / "JPEGImages") and any(is_folder(root / folder) for folder in UNLISTED_MASKS):
        return [ALL]
    if any(is_folder(root / folder / "cls") for folder in SBD_FOLDERS):
        found += [merged for merged, own in MERGED.items() if own in found and merged not in found]
    return found


def read_sbd(root: Path, split: str) -> Listing:
    """SBD alone: ``<split>.txt``, ``img/``, ``cls/`` with MATLAB files; VOC's classes, no void."""
    names = read_lines(root / f"{split}.txt")
    samples = [Sample(n, root / "img" / f"{n}.jpg", root / "cls" / f"{n}.mat", VOC, read=read_sbd_mask) for n in names]
    return Listing(root / f"{split}.txt", tuple(samples), values=VALUES)


def sbd_splits(root: Path) -> list[str]:
    """Return the splits of a folder in SBD's layout."""
    return splits_of_lists(root) if is_folder(root / "cls") and is_folder(root / "img") else []


def read_sbd_mask(path: Path) -> NDArray[np.uint8]:
    """Read SBD's ``GTcls.Segmentation`` from a MATLAB file: (H, W) uint8 labels.

    Raises:
        ImageError: the file is missing, damaged, or holds something else.
    """
    if not is_file(path):
        raise ImageError(f"{path}: no such file; check the spelling")
    try:
        labels = read_field(path, "GTcls", "Segmentation")
    except InputError as error:
        raise ImageError(f"{path} is no mask of SBD: {error}; copy it again") from None
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ImageError(f"{path}: GTcls.Segmentation is {labels.shape} {labels.dtype}; expected (H, W) uint8")
    return labels


def read_npy_mask(path: Path) -> NDArray[np.uint8]:
    """Read a mask that is NumPy's file, as labelme's script writes it: (H, W) uint8 labels, -1 becomes 255.

    Raises:
        ImageError: the file is missing, damaged, or holds something else.
    """
    try:
        stored = map_npy(path)
    except InputError as error:
        raise ImageError(str(error)) from None
    if stored.ndim != 2 or stored.dtype.kind not in "iu" or not ((stored >= -1) & (stored <= 255)).all():
        raise ImageError(f"{path} holds {stored.shape} {stored.dtype}; expected whole numbers (H, W), -1 to 255")
    labels: NDArray[np.uint8] = stored.astype(np.uint8)  # -1 wraps around to 255
    return labels


def _unlisted(root: Path) -> Listing:
    """All photos of a folder without lists."""
    masks = next(root / folder for folder in UNLISTED_MASKS if is_folder(root / folder))
    names = read_class_names(root / CLASS_NAMES) if is_file(root / CLASS_NAMES) else list(VOC.names)
    try:
        label_set = VOC if tuple(names) == VOC.names else LabelSet("labelme", tuple(names))
    except InputError as error:
        raise DataError(f"{root / CLASS_NAMES}: {error}") from None
    are_images = any(path.suffix.lower() in MASK_SUFFIXES for path in files_below(masks))
    listing = pair_folders(root / "JPEGImages", masks, label_set, MASK_SUFFIXES if are_images else frozenset((".npy",)))
    read = read_label_map if are_images else read_npy_mask
    samples = tuple(replace(sample, read=read) for sample in listing.samples)
    return replace(listing, samples=samples, values={name: value for value, name in enumerate(names)})


def _sample(root: Path, sbd: Path | None, listing: Path, line: str) -> Sample:
    if pair := split_pair(line):
        return Sample(Path(pair[0]).stem, root / pair[0], root / pair[1], VOC)
    if len(line.split()) != 1 or "/" in line:
        raise DataError(
            f"{listing} has the line {line!r}; expected a photo's name, such as 2007_000032, or two paths, such as "
            "/JPEGImages/2007_000032.jpg /SegmentationClass/2007_000032.png"
        )
    photo, mask = photo_called(root / "JPEGImages", line), file_called(root / "SegmentationClass", line, MASK_SUFFIXES)
    read: ReadMask = read_label_map
    if sbd is not None:
        if not is_file(photo) and is_file(sbd / "img" / f"{line}.jpg"):
            photo = sbd / "img" / f"{line}.jpg"
        if not is_file(mask) and is_file(sbd / "cls" / f"{line}.mat"):
            mask, read = sbd / "cls" / f"{line}.mat", read_sbd_mask
    return Sample(line, photo, mask, VOC, read=read)


def _merged_names(lists: Path, own: str, sbd: Path) -> list[str]:
    """The names in VOC's list and those of SBD's masks, in order, without VOC's val photos that the list lacks."""
    listed = [Path(line.split()[0]).stem for line in read_lines(lists / f"{own}.txt")]
    held_out = {Path(line.split()[0]).stem for line in read_lines(lists / "val.txt")}
    added = {path.stem for path in (sbd / "cls").glob("*.mat")}
    return listed + sorted(added - held_out - set(listed))
