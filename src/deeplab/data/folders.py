"""Layouts that are plain folders: ``images/`` and ``masks/``, CamVid's, and lists of "image label" lines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deeplab.data.lists import read_lines, split_pair, splits_of_lists
from deeplab.data.names import NAMES_FILE
from deeplab.data.samples import Listing, Sample
from deeplab.errors import DataError
from deeplab.images import PHOTO_SUFFIXES
from deeplab.labels import CAMVID, VOC, LabelSet

__all__ = [
    "ALL", "camvid_splits", "folder_splits", "list_splits", "pair_folders", "photo_called", "read_camvid",
    "read_folder", "read_list",
]  # fmt: skip

ALL = "all"
"""The split of data without splits."""

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
LIST_FOLDERS = (".", "list", "lists", "ImageSets", "ImageSets/Segmentation")


def read_folder(root: Path, split: str) -> Listing:
    """``images/`` and ``masks/`` with equal names: in ``<split>/``, or in the root, where ``<split>.txt`` lists names.

    Split ``all`` is everything in the root's own ``images/``. The classes are VOC's unless a names file says otherwise.
    """
    if (root / split / "images").is_dir():
        return pair_folders(root / split / "images", root / split / "masks", VOC)
    everything = root / "images"
    if split == ALL and everything.is_dir():
        return pair_folders(everything, root / "masks", VOC)
    if everything.is_dir() and (root / f"{split}.txt").is_file():
        names = [_without_suffix(line) for line in read_lines(root / f"{split}.txt")]
        samples = [Sample(n, photo_called(everything, n), _mask_called(root / "masks", n), VOC) for n in names]
        return Listing(root / f"{split}.txt", tuple(samples))
    hint = f", or ask for split {ALL!r}" if split != ALL else ""
    raise DataError(
        f"there is no folder {root / split / 'images' if split != ALL else everything}; make it{hint}; "
        f"splits found: {', '.join(folder_splits(root)) or 'none'}"
    )


def folder_splits(root: Path) -> list[str]:
    """Return the splits of a folder in the layout of `read_folder`."""
    if (root / "images").is_dir() and (root / "masks").is_dir():
        return [name for name in splits_of_lists(root) if _lists_photos(root, name)] or [ALL]
    return sorted(path.parent.name for path in root.glob("*/images") if (path.parent / "masks").is_dir())


def _lists_photos(root: Path, name: str) -> bool:
    """Tell a list of photos from other text files, by its first line."""
    path = root / f"{name}.txt"
    if path.name == NAMES_FILE:
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = _without_suffix(file.readline().strip())
    return bool(first) and photo_called(root / "images", first).is_file()


def read_camvid(root: Path, split: str) -> Listing:
    """CamVid in SegNet's layout: ``<split>/`` with photos, ``<split>annot/`` with masks; 11 classes, void 11."""
    if not (root / split).is_dir():
        raise DataError(f"there is no folder {root / split}; splits found: {', '.join(camvid_splits(root)) or 'none'}")
    listing = pair_folders(root / split, root / f"{split}annot", CAMVID)
    return replace(listing, values={name: label for label, name in enumerate(CAMVID.names)})


def camvid_splits(root: Path) -> list[str]:
    """Return the splits of a folder in the layout of `read_camvid`."""
    return sorted(path.name.removesuffix("annot") for path in root.glob("?*annot") if path.is_dir())


def read_list(root: Path, split: str) -> Listing:
    """DeepLab's lists: ``<split>.txt`` of "image label" lines, paths below the root; in the root or a folder of lists.

    The classes are VOC's unless a names file says otherwise.
    """
    places = [root / folder / f"{split}.txt" for folder in LIST_FOLDERS]
    listing = next((place for place in places if place.is_file()), None)
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
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return split_pair(file.readline().strip()) is not None


def pair_folders(photos: Path, masks: Path, label_set: LabelSet) -> Listing:
    """Pair the photos of a folder with the masks of another by their names without the ending.

    Raises:
        DataError: a folder is missing, or two files in one have the same name.
    """
    found = _by_name(photos, PHOTO_SUFFIXES)
    labelled = _by_name(masks, frozenset(MASK_SUFFIXES))
    samples = [Sample(name, path, labelled.get(name, masks / f"{name}.png"), label_set) for name, path in found.items()]
    return Listing(photos, tuple(samples), tuple(path for name, path in labelled.items() if name not in found))


def photo_called(folder: Path, name: str) -> Path:
    """Return the photo of this name, whatever its ending; ``<name>.jpg`` where there is none."""
    usual = folder / f"{name}.jpg"
    if usual.is_file():
        return usual
    candidates = (folder / f"{name}{suffix}" for suffix in sorted(PHOTO_SUFFIXES | {s.upper() for s in PHOTO_SUFFIXES}))
    return next((path for path in candidates if path.is_file()), usual)


def _mask_called(folder: Path, name: str) -> Path:
    candidates = [folder / f"{name}{suffix}" for suffix in MASK_SUFFIXES]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _without_suffix(line: str) -> str:
    """A photo's name as a list gives it, with or without its ending."""
    path = Path(line)
    return path.stem if path.suffix.lower() in PHOTO_SUFFIXES else path.name


def _by_name(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    """The images in a folder by their names without the ending, in order."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; check the layout")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            if path.stem in found:
                raise DataError(f"{path} and {found[path.stem].name} share one name; rename one, and its mask")
            found[path.stem] = path
    return dict(sorted(found.items()))
