"""Layouts that are plain folders: photos in one and masks in another, CamVid's, and lists of "image label" lines."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple

from deeplab.data.lists import first_line, read_lines, split_pair, splits_of_lists
from deeplab.data.names import NAMES_FILE
from deeplab.data.samples import Listing, Sample
from deeplab.errors import DataError
from deeplab.files import is_file, is_folder
from deeplab.images import PHOTO_SUFFIXES
from deeplab.label_maps import LABEL_MAP_SUFFIXES
from deeplab.labels import CAMVID, VOC, LabelSet

ALL = "all"
"""The split of data without splits."""

MASK_SUFFIXES = frozenset(LABEL_MAP_SUFFIXES)
MASK_ENDINGS = ("", "_mask", "-mask", "_masks", "_seg", "_segmentation", "_label", "_labels", "_gt")
"""What a mask's name may have after its photo's."""

PHOTO_FOLDERS = ("images", "img_dir", "jpegimages", "image", "imgs", "img", "photos")
MASK_FOLDERS = ("masks", "ann_dir", "mask", "labels", "label", "annotations", "segmentationclass", "gt")
LIST_FOLDERS = (".", "list", "lists", "ImageSets", "ImageSets/Segmentation")

_HIDDEN = (".", "__MACOSX")
_SPLIT = re.compile(r"(train|valid|val|test|dev|eval|fold|split)", re.IGNORECASE)


class Pair(NamedTuple):
    """The folders of a split: of its photos, and of what labels them."""

    photos: Path
    labels: Path


def read_folder(root: Path, split: str) -> Listing:
    """A folder of photos and one of masks, with equal names: ``images/`` and ``masks/``, or as in `folder_pairs`.

    They may hold folders of splits, or lie in those; or ``<split>.txt`` in the root lists names. Split ``all`` is
    everything. The classes are VOC's unless a names file says otherwise.
    """
    pairs = folder_pairs(root)
    if split in pairs:
        listing = pair_folders(*pairs[split], VOC)
        others = names_elsewhere(pairs, split)
        return replace(listing, strays=tuple(mask for mask in listing.strays if mask.stem not in others))
    if ALL in pairs and is_file(root / f"{split}.txt"):
        photos, masks = pairs[ALL]
        names = [_listed(line, photos) for line in read_lines(root / f"{split}.txt")]
        samples = [
            Sample(sample_name(PurePosixPath(n)), photo_called(photos, n), file_called(masks, n, MASK_SUFFIXES), VOC)
            for n in names
        ]
        return Listing(root / f"{split}.txt", tuple(samples))
    hint = f", or ask for split {ALL!r}" if split != ALL else ""
    raise DataError(
        f"there is no folder {root / split / 'images' if split != ALL else root / 'images'}; make it{hint}; "
        f"splits found: {', '.join(folder_splits(root)) or 'none'}"
    )


def folder_splits(root: Path) -> list[str]:
    """Return the splits of a folder in the layout of `read_folder`."""
    pairs = folder_pairs(root)
    lists = (
        [name for name in splits_of_lists(root) if _lists_photos(root, name, pairs[ALL].photos)] if ALL in pairs else []
    )
    return lists or list(pairs)


def folder_pairs(root: Path) -> dict[str, Pair]:
    """Return the splits found and their folders of photos and masks; see `find_pairs`."""
    return find_pairs(root, MASK_FOLDERS, PHOTO_SUFFIXES)  # JPEG's too, which the check then tells apart


def find_pairs(root: Path, label_folders: tuple[str, ...], suffixes: frozenset[str]) -> dict[str, Pair]:
    """Find folders of photos and those of their labels, side by side: ``images/`` and, say, ``masks/``.

    Args:
        root: both lie in it, or in its folders, which then are the splits.
        label_folders: what the labels' folder may be called, in lower case.
        suffixes: of labels, in lower case; a folder that holds other files alone is none of labels.

    Returns:
        Split → folders. The two may hold the same splits, as ``images/train/`` and ``masks/train/``, or the photos
        alone, as ``images/train/`` and ``masks/``; else they are split ``all``.
    """
    pair = _pair_in(root, label_folders, suffixes)
    if pair is not None:
        return _splits_in(pair) or {ALL: pair}
    found = {name: _pair_in(root / name, label_folders, suffixes) for name in _folders(root)}
    return {name: pair for name, pair in found.items() if pair is not None and not _splits_in(pair)}


def is_split(name: str) -> bool:
    """Tell whether a folder is called as splits are: ``train``, ``val2017``, ``Testing``."""
    return _SPLIT.match(name) is not None


def names_elsewhere(pairs: dict[str, Pair], split: str) -> set[str]:
    """Names that labels may have in a split's folder because other splits share it: those of their photos."""
    others = (pair for name, pair in pairs.items() if name != split and pair.labels == pairs[split].labels)
    return {f"{path.stem}{ending}" for pair in others for path in files_below(pair.photos) for ending in MASK_ENDINGS}


def _splits_in(pair: Pair) -> dict[str, Pair]:
    """The splits that both folders hold, or the photos' alone; none where their folders are not called like splits."""
    if not _folders(pair.labels) and (splits := [name for name in _folders(pair.photos) if is_split(name)]):
        return {name: Pair(pair.photos / name, pair.labels) for name in splits}
    shared = [name for name in _folders(pair.photos) if is_folder(pair.labels / name)]
    return {name: Pair(*(folder / name for folder in pair)) for name in shared} if any(map(is_split, shared)) else {}


def _pair_in(folder: Path, label_folders: tuple[str, ...], suffixes: frozenset[str]) -> Pair | None:
    names = {name.lower(): name for name in _folders(folder)}
    pairs = (
        Pair(folder / names[photos], folder / names[labels])
        for photos in PHOTO_FOLDERS if photos in names
        for labels in label_folders if labels in names
    )  # fmt: skip
    return next((pair for pair in pairs if _may_hold(pair.labels, suffixes)), None)


def _may_hold(folder: Path, suffixes: frozenset[str]) -> bool:
    """Whether a folder holds a file of such a kind, or none at all."""
    empty = True
    for path in files_below(folder):
        empty = False
        if path.suffix.lower() in suffixes:
            return True
    return empty


def _folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if is_folder(path) and not path.name.startswith(_HIDDEN))


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder, then those in its folders, by name, but for hidden ones."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN))
        yield from (Path(place, name) for name in sorted(files) if not name.startswith(_HIDDEN))


def _lists_photos(root: Path, name: str, photos: Path) -> bool:
    """Tell a list of photos from other text files, by its first line."""
    path = root / f"{name}.txt"
    if path.name == NAMES_FILE:
        return False
    first = first_line(path)
    return bool(first) and is_file(photo_called(photos, _listed(first, photos)))


def _listed(line: str, photos: Path) -> str:
    """A photo's name below its folder as a list gives it, with or without its ending and the folder."""
    path = PurePosixPath(line.replace("\\", "/"))
    if photos.name in path.parts[:-1]:
        path = PurePosixPath(*path.parts[path.parts.index(photos.name) + 1 :])
    return str(path.with_suffix("") if path.suffix.lower() in PHOTO_SUFFIXES else path)


def read_camvid(root: Path, split: str) -> Listing:
    """CamVid in SegNet's layout: ``<split>/`` with photos, ``<split>annot/`` with masks; 11 classes, void 11."""
    if not is_folder(root / split):
        raise DataError(f"there is no folder {root / split}; splits found: {', '.join(camvid_splits(root)) or 'none'}")
    listing = pair_folders(root / split, root / f"{split}annot", CAMVID)
    return replace(listing, values={name: label for label, name in enumerate(CAMVID.names)})


def camvid_splits(root: Path) -> list[str]:
    """Return the splits of a folder in the layout of `read_camvid`."""
    return sorted(path.name.removesuffix("annot") for path in root.glob("?*annot") if is_folder(path))


def read_list(root: Path, split: str) -> Listing:
    """DeepLab's lists: ``<split>.txt`` of "image label" lines, paths below the root; in the root or a folder of lists.

    The classes are VOC's unless a names file says otherwise.
    """
    places = [root / folder / f"{split}.txt" for folder in LIST_FOLDERS]
    listing = next((place for place in places if is_file(place)), None)
    if listing is None:
        raise DataError(f"there is no list {places[0]}; splits found: {', '.join(list_splits(root)) or 'none'}")
    pairs = []
    for line in read_lines(listing):
        if (pair := split_pair(line)) is None:
            raise DataError(
                f"{listing} has the line {line!r}; expected two paths, photo and mask, such as a/x.jpg b/x.png"
            )
        pairs.append(pair)
    samples = [Sample(Path(photo).stem, root / photo, root / mask, VOC) for photo, mask in pairs]
    return Listing(listing, tuple(samples))


def list_splits(root: Path) -> list[str]:
    """Return the splits of a folder in the layout of `read_list`."""
    lists = (path for folder in LIST_FOLDERS for path in sorted((root / folder).glob("*.txt")))
    return [path.stem for path in lists if _lists_pairs(path)]


def _lists_pairs(path: Path) -> bool:
    return split_pair(first_line(path)) is not None


def pair_folders(photos: Path, masks: Path, label_set: LabelSet, suffixes: frozenset[str] = MASK_SUFFIXES) -> Listing:
    """Pair the photos in and below a folder with the masks in another by their names without the ending.

    A mask's name may go on after its photo's as `MASK_ENDINGS` say, and ends in one of the suffixes.

    Raises:
        DataError: a folder is missing, or two files in one have the same name.
    """
    found, labelled = images_by_name(photos), images_by_name(masks, suffixes)
    samples = []
    for name, path in found.items():
        endings = (labelled.pop(f"{name}{ending}", None) for ending in MASK_ENDINGS)
        mask = next((mask for mask in endings if mask is not None), masks / f"{name}.png")
        samples.append(Sample(sample_name(PurePosixPath(name)), path, mask, label_set))
    return Listing(photos, tuple(samples), tuple(labelled.values()))


def sample_name(path: PurePath) -> str:
    """Return the name of a photo that lies in folders, as one file name: ``a/x`` is ``a_x``."""
    return "_".join(part for part in path.parts if part not in ("/", ".."))


def photo_called(folder: Path, name: str) -> Path:
    """Return the photo of this name, whatever its ending; ``<name>.jpg`` where there is none."""
    return file_called(folder, name, PHOTO_SUFFIXES, usual=".jpg")


def file_called(folder: Path, name: str, suffixes: frozenset[str], usual: str = ".png") -> Path:
    """Return the file of this name with one of the endings, in either case; the usual one where there is none."""
    first = folder / f"{name}{usual}"
    if is_file(first):
        return first
    candidates = (folder / f"{name}{suffix}" for suffix in sorted(suffixes | {s.upper() for s in suffixes}))
    return next((path for path in candidates if is_file(path)), first)


def images_by_name(folder: Path, suffixes: frozenset[str] = PHOTO_SUFFIXES) -> dict[str, Path]:
    """Return the images in and below a folder by their paths in it without the ending, in order.

    Raises:
        DataError: there is no such folder, or two files in it have the same name.
    """
    if not is_folder(folder):
        raise DataError(f"there is no folder {folder}; check the layout")
    found: dict[str, Path] = {}
    start = len(folder.parts)
    for path in files_below(folder):
        if path.suffix.lower() in suffixes:
            name = "/".join((*path.parts[start:-1], path.stem))
            if name in found:
                raise DataError(f"{path} and {found[name].name} share one name; rename one, and its mask")
            found[name] = path
    return dict(sorted(found.items()))
