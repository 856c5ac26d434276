"""Readers: a folder on disk → its labelled photos. One table of layouts, each a reader and a way to find its splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from deeplab.data.cityscapes import cityscapes_splits, read_cityscapes
from deeplab.data.coco import coco_splits, read_coco
from deeplab.data.cvat import cvat_splits, read_cvat
from deeplab.data.folders import camvid_splits, folder_splits, list_splits, read_camvid, read_folder, read_list
from deeplab.data.msrc import msrc_splits, read_msrc, read_msrc21
from deeplab.data.names import NAMES_FILE, read_names
from deeplab.data.samples import Listing, Sample
from deeplab.data.voc import read_sbd, read_voc, sbd_splits, voc_splits
from deeplab.errors import DataError

__all__ = ["READERS", "Layout", "find_splits", "guess_layout", "list_samples", "names_file", "read_samples"]


class Layout(NamedTuple):
    """One way to lay out labelled photos.

    Attributes:
        title: what it is called in a message.
        read: takes the data set's folder and a split, and lists its photos; raises DataError without such a split.
        splits: takes a folder and returns the splits found there; none where it has another layout.
    """

    title: str
    read: Callable[[Path, str], Listing]
    splits: Callable[[Path], list[str]]


READERS: Mapping[str, Layout] = MappingProxyType(
    {
        "voc": Layout("VOC development kit", read_voc, voc_splits),
        "sbd": Layout("SBD", read_sbd, sbd_splits),
        "camvid": Layout("CamVid in SegNet's layout", read_camvid, camvid_splits),
        "msrc21": Layout("MSRC-21", read_msrc21, msrc_splits),
        "msrc": Layout("MSRC-21 as VOC", read_msrc, msrc_splits),
        "cityscapes": Layout("Cityscapes", read_cityscapes, cityscapes_splits),
        "coco": Layout("COCO annotations", read_coco, coco_splits),
        "cvat": Layout("CVAT's Segmentation mask 1.1", read_cvat, cvat_splits),
        "folder": Layout("images/ and masks/", read_folder, folder_splits),
        "list": Layout("lists of photo and mask", read_list, list_splits),
    }
)
"""The layouts by the names that recipes and commands call them."""

# Those that look like another one come before it; "msrc" is a choice, not a layout of its own.
_GUESSES = ("coco", "cvat", "voc", "cityscapes", "camvid", "sbd", "folder", "msrc21", "list")


def read_samples(reader: str, root: Path, split: str, *, names: Path | None = None) -> tuple[Sample, ...]:
    """Read the labelled photos of one split.

    Args:
        reader: a layout's name in `READERS`.
        root: the data set's own folder.
        split: which part, e.g. ``train_aug``, ``val``; ``all`` where there are none.
        names: a names file (see `deeplab.data.names`); None: ``classes.txt`` in the root where there is one, or else
            the layout's own classes.

    Returns:
        The photos in the layout's order, at least one, each with its mask, and no two with the same name. The files
        exist; they have not been opened.

    Raises:
        DataError: the reader or split is unknown, a folder, list or file is missing or wrong, or there are no photos.
    """
    listing = list_samples(reader, root, split, names=names)
    if not listing.samples:
        raise DataError(f"{listing.source}: the list of photos is empty; check the split's name and its file")
    if twice := [name for name, count in Counter(s.name for s in listing.samples).items() if count > 1]:
        raise DataError(f"{listing.source} lists {twice[0]} more than once; list every photo once")
    missing = [path for sample in listing.samples for path in (sample.photo, sample.mask) if not path.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(f"{missing[0]} is missing{more}; every photo listed needs its mask")
    return listing.samples


def list_samples(reader: str, root: Path, split: str, *, names: Path | None = None) -> Listing:
    """List the photos of one split as its folders and lists say, whether or not the files are there.

    Args and Raises are those of `read_samples`; the listing may be empty, name a photo twice, or name missing files.
    """
    layout = _layout(reader, root)
    listing = layout.read(root, split)
    path = names_file(root, names)
    if path is None:
        return listing
    label_set, relabel = read_names(path, listing.values, by_name=listing.by_name)
    samples = (replace(sample, label_set=label_set, relabel=relabel) for sample in listing.samples)
    return replace(listing, samples=tuple(samples))


def names_file(root: Path, names: Path | None = None) -> Path | None:
    """Return the names file that applies: the one given, or the root's own, or none."""
    own = root / NAMES_FILE
    return names or (own if own.is_file() else None)


def find_splits(reader: str, root: Path) -> list[str]:
    """Return the splits of a data set, at least one.

    Raises:
        DataError: the reader is unknown, or there is no such folder, or nothing in its layout.
    """
    splits = _layout(reader, root).splits(root)
    if not splits:
        raise DataError(f"{root} has no split of layout {reader!r}; see docs/data.md, or try another layout")
    return splits


def guess_layout(root: Path) -> str:
    """Return the name in `READERS` of the layout that a folder has.

    Raises:
        DataError: there is no such folder, or it has none of them.
    """
    for reader in _GUESSES:
        if _layout(reader, root).splits(root):
            return reader
    raise DataError(
        f"{root} has no layout known here; expected images/ and masks/, or one of {', '.join(READERS)}: "
        "see docs/data.md, and name it with --reader"
    )


def _layout(reader: str, root: Path) -> Layout:
    if reader not in READERS:
        raise DataError(f"unknown data layout {reader!r}; choose one of {', '.join(READERS)}")
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; give the data set's folder")
    return READERS[reader]
