"""Readers: a folder on disk → its labelled photos. One table of layouts, each a reader and a way to find its splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from deeplab.checks import choose
from deeplab.data.ade import ade_splits, read_ade
from deeplab.data.cityscapes import cityscapes_splits, read_cityscapes
from deeplab.data.coco import coco_splits, read_coco
from deeplab.data.coco_objects import CROWDS_AUTO
from deeplab.data.cvat import cvat_splits, read_cvat
from deeplab.data.folders import ALL, camvid_splits, folder_splits, list_splits, read_camvid, read_folder, read_list
from deeplab.data.inspection import KINDS
from deeplab.data.labelme import labelme_splits, read_labelme
from deeplab.data.msrc import msrc_splits, read_msrc, read_msrc21
from deeplab.data.names import NAMES_FILE, read_names
from deeplab.data.object_masks import object_mask_splits, read_object_masks
from deeplab.data.roboflow import read_roboflow, roboflow_splits
from deeplab.data.samples import Listing, Remark, Sample
from deeplab.data.voc import read_sbd, read_voc, sbd_splits, voc_splits
from deeplab.data.yolo import read_yolo, yolo_splits
from deeplab.errors import DataError
from deeplab.files import is_file, is_folder

__all__ = ["AUTO", "READERS", "Layout", "find_splits", "guess_layout", "list_samples", "names_file", "read_samples"]


class Layout(NamedTuple):
    """One way to lay out labelled photos.

    Attributes:
        title: what it is called in a message.
        read: takes the data set's folder and a split, and lists its photos; raises DataError without such a split.
        splits: takes a folder and returns the splits found there; none where it has another layout.
        marks: patterns of what lies in such a folder, by which a folder that is understood by none is compared.
    """

    title: str
    read: Callable[[Path, str], Listing]
    splits: Callable[[Path], list[str]]
    marks: tuple[str, ...]


READERS: Mapping[str, Layout] = MappingProxyType(
    {
        "voc": Layout(
            "VOC development kit", read_voc, voc_splits,
            ("JPEGImages/", "SegmentationClass/", "ImageSets/Segmentation/*.txt"),
        ),
        "sbd": Layout("SBD", read_sbd, sbd_splits, ("img/", "cls/", "*.txt")),
        "camvid": Layout("CamVid in SegNet's layout", read_camvid, camvid_splits, ("train/", "trainannot/", "val*/")),
        "msrc21": Layout("MSRC-21", read_msrc21, msrc_splits, ("images/*_*_s.*", "labels/*_*_s.png")),
        "msrc": Layout("MSRC-21 as VOC", read_msrc, msrc_splits, ("images/*_*_s.*", "labels/*_*_s.png")),
        "cityscapes": Layout("Cityscapes", read_cityscapes, cityscapes_splits, ("leftImg8bit/*", "gtFine/*")),
        "ade": Layout("ADE20K", read_ade, ade_splits, ("images/training/", "annotations/training/")),
        "coco": Layout("COCO annotations", read_coco, coco_splits, ("annotations/*.json", "images/")),
        "cvat": Layout(
            "CVAT's Segmentation mask 1.1", read_cvat, cvat_splits,
            ("labelmap.txt", "SegmentationClass/", "ImageSets/Segmentation/*.txt"),
        ),
        "labelme": Layout("labelme's annotations", read_labelme, labelme_splits, ("*.jpg", "*.json")),
        "yolo": Layout("YOLO segmentation labels", read_yolo, yolo_splits, ("images/", "labels/**/*.txt", "data.yaml")),
        "roboflow": Layout("masks beside photos", read_roboflow, roboflow_splits, ("*/*_mask.png", "*/_classes.csv")),
        "objects": Layout(
            "a mask for each object or class", read_object_masks, object_mask_splits, ("images/", "masks/*/*"),
        ),
        "folder": Layout("photos and masks in two folders", read_folder, folder_splits, ("images/", "masks/")),
        "list": Layout("lists of photo and mask", read_list, list_splits, ("*.txt",)),
    }
)  # fmt: skip
"""The layouts by the names that recipes and commands call them."""

AUTO = "auto"
"""The name that stands for the layout which a folder has."""

HOLD_OUT_EVERY = 5
"""Of data without splits every fifth photo by name is split ``val``, and the others are split ``train``."""

# Those that look like another one come before it; "msrc" is a choice, not a layout of its own.
_GUESSES = (
    "coco", "cvat", "voc", "cityscapes", "camvid", "sbd", "msrc21", "ade", "objects", "folder", "labelme", "yolo",
    "roboflow", "list",
)  # fmt: skip


def read_samples(
    reader: str,
    root: Path,
    split: str,
    *,
    names: Path | None = None,
    crowds: str = CROWDS_AUTO,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Sample, ...]:
    """Read the labelled photos of one split.

    Args:
        reader: a layout's name in `READERS`, or ``auto`` for the one that the folder has.
        root: the data set's own folder.
        split: which part, e.g. ``train_aug``, ``val``. Where there are none, ``all`` is everything, ``val`` every fifth
            photo, and ``train`` the others.
        names: a names file (see `deeplab.data.names`); None: ``classes.txt`` in the root where there is one, or else
            the layout's own classes.
        crowds: what becomes of COCO's crowds: ``"class"``, ``"void"``, ``"skip"``, or ``"auto"``, void where they are
            rare and else their class. Other layouts have none.
        tell: takes a line for each kind of thing that the layout's files show to be lost, or worth a look.

    Returns:
        The photos in the layout's order, at least one, each with its mask, and no two with the same name. The files
        exist; they have not been opened.

    Raises:
        DataError: the reader or split is unknown, a folder, list or file is missing or wrong, or there are no photos.
    """
    listing = list_samples(reader, root, split, names=names, crowds=crowds)
    if not listing.samples:
        raise DataError(f"{listing.source}: the list of photos is empty; check the split's name and its file")
    if twice := [name for name, count in Counter(s.name for s in listing.samples).items() if count > 1]:
        raise DataError(f"{listing.source} lists {twice[0]} more than once; list every photo once")
    missing = [path for sample in listing.samples for path in (sample.photo, sample.mask) if not is_file(path)]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(f"{missing[0]} is missing{more}; every photo listed needs its mask")
    for line in _remarks_in_short(listing):
        tell(f"{root}, {split}: {line}")
    return listing.samples


def _remarks_in_short(listing: Listing) -> Iterator[str]:
    for kind, (title, *_) in KINDS.items():
        found = [remark for remark in listing.remarks if remark.kind == kind]
        if len(found) == 1 and not found[0].name:
            yield found[0].detail
        elif found:
            yield f"{title}, {len(found):,}, such as {found[0].name}: {found[0].detail}"


def list_samples(
    reader: str, root: Path, split: str, *, names: Path | None = None, crowds: str = CROWDS_AUTO
) -> Listing:
    """List the photos of one split as its folders and lists say, whether or not the files are there.

    Args and Raises are those of `read_samples`; the listing may be empty, name a photo twice, or name missing files.
    """
    layout = _layout(reader, root)
    if crowds != CROWDS_AUTO and layout.read is not read_coco:
        raise DataError(f"crowds ({crowds}) are COCO's; the layout here ({layout.title}) has none: leave it out")
    divided = split in ("train", "val") and layout.splits(root) == [ALL]
    stored = ALL if divided else split
    listing = layout.read(root, stored) if crowds == CROWDS_AUTO else read_coco(root, stored, crowds)
    if divided:
        listing = _divide(listing, split)
    path = names_file(root, names)
    if path is None or path == listing.named_by:
        return listing
    label_set, relabel = read_names(path, listing.values, by_name=listing.by_name)
    samples = (replace(sample, label_set=label_set, relabel=relabel) for sample in listing.samples)
    return replace(listing, samples=tuple(samples))


def _divide(listing: Listing, split: str) -> Listing:
    """The photos of a listing that are ``val``, every fifth by name or the last of fewer, or those that are not."""
    names = sorted(sample.name for sample in listing.samples)
    last = names[-1:] if len(names) > 1 else []  # one photo alone is there to learn from
    held_out = set(names[HOLD_OUT_EVERY - 1 :: HOLD_OUT_EVERY] or last)
    samples = tuple(sample for sample in listing.samples if (sample.name in held_out) == (split == "val"))
    kept = {sample.name for sample in samples} | {""}
    said = f"every fifth photo by name is held out: {split} has {len(samples):,} of {len(names):,}"
    remarks = [remark for remark in listing.remarks if remark.name in kept]
    return replace(listing, samples=samples, remarks=(*remarks, Remark("divided", "", said)))


def names_file(root: Path, names: Path | None = None) -> Path | None:
    """Return the names file that applies: the one given, or the root's own, or none."""
    own = root / NAMES_FILE
    return names or (own if is_file(own) else None)


def find_splits(reader: str, root: Path) -> list[str]:
    """Return the splits of a data set, at least one.

    Raises:
        DataError: the reader is unknown, or there is no such folder, or nothing in its layout.
    """
    layout = _layout(reader, root)
    splits = layout.splits(root)
    if not splits:
        raise DataError(
            f"{root} has no split of layout {reader!r}, which looks for {', '.join(layout.marks)}; "
            "see docs/data.md, or leave the layout out to have it guessed"
        )
    return splits


def guess_layout(root: Path) -> str:
    """Return the name in `READERS` of the layout that a folder has.

    Raises:
        DataError: there is no such folder, or it has none of them; the nearest, and what it looks for, is named.
    """
    _check_folder(root)
    if (found := _guess(root)) is not None:
        return found
    below = ((path, _guess(path)) for path in sorted(root.iterdir()) if is_folder(path))
    hint = next((f"; {path} has layout {reader!r}: give that folder" for path, reader in below if reader), "")
    nearest = max(("folder", *_GUESSES), key=lambda reader: _likeness(root, READERS[reader]))  # the first of the best
    layout = READERS[nearest]
    missing = ", ".join(mark for mark in layout.marks if not _has(root, mark))
    raise DataError(
        f"{root} has no layout known here; the nearest is {nearest!r} ({layout.title}), which looks for "
        f"{', '.join(layout.marks)}; missing: {missing or 'what these should hold'}"
        f"{hint or '; docs/data.md has all layouts'}"
    )


def _guess(root: Path) -> str | None:
    try:
        return next((reader for reader in _GUESSES if READERS[reader].splits(root)), None)
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}; change its permissions") from None


def _likeness(root: Path, layout: Layout) -> float:
    """The share of a layout's marks that a folder has."""
    return sum(_has(root, mark) for mark in layout.marks) / len(layout.marks)


def _has(root: Path, mark: str) -> bool:
    return any(path.name != NAMES_FILE for path in root.glob(mark.rstrip("/")))


def _layout(reader: str, root: Path) -> Layout:
    layout = choose(reader, {**READERS, AUTO: None}, "data layout", DataError)
    _check_folder(root)
    return layout or READERS[guess_layout(root)]


def _check_folder(root: Path) -> None:
    if not is_folder(root):
        raise DataError(f"there is no folder {root}; give the data set's folder")
