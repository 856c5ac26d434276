"""Several masks for a photo, each of one object or class: files that hold two values, told apart by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from deeplab.data.folders import (
    ALL,
    MASK_ENDINGS,
    MASK_SUFFIXES,
    Pair,
    folder_pairs,
    images_by_name,
    is_split,
    sample_name,
)
from deeplab.data.samples import Listing, Sample
from deeplab.errors import DataError, ImageError, InputError
from deeplab.files import is_folder
from deeplab.images import open_image
from deeplab.labels import LabelSet

BACKGROUND, OBJECT = "background", "object"
_FORMATS = ("PNG", "TIFF", "BMP")
_MASK_WORD = re.compile(r"[_\-. ](masks?|seg|segmentation|labels?|gt)(?![^\W_\d])", re.IGNORECASE)
_EDGES = re.compile(r"^[\W_\d]+|[\W_\d]+$")
_NAMELESS = re.compile(r"(masks?|objects?|instances?|[0-9a-f-]{16,})?", re.IGNORECASE)


def read_object_masks(root: Path, split: str) -> Listing:
    """A folder of photos and one of masks, several for a photo, each of an object or class.

    They are called ``masks/x/cat_1.png``, ``masks/x_cat_1.png`` or ``masks/cat/x.png``, or lie in ``x/masks/`` where
    the photo is ``x/images/x.png``, or beside their photo as ``x_mask_cat_1.png``. Every mask holds two values, 0 and
    another where its object is. Its class is what its name says beside the photo's name and numbers, or ``object``.
    Label 0 is the background, then come the classes by name. Later masks, by their paths, lie in front of earlier ones.
    """
    pairs = _pairs(root)
    if split not in pairs:
        raise DataError(
            f"there are no masks of objects in {root} for split {split!r}; splits found: {', '.join(pairs) or 'none'}"
        )
    masks_of = {name: [_masks_of(pair) for pair in some] for name, some in pairs.items()}
    classes = {kind for some in masks_of.values() for found in some for masks in found.values() for kind, _ in masks}
    names = (BACKGROUND, *sorted(classes - {BACKGROUND}))
    values = {name: value for value, name in enumerate(names)}
    try:
        label_set = LabelSet("objects", names)
    except InputError as error:
        raise DataError(f"{root}: {error}") from None
    samples = []
    for pair, found in zip(pairs[split], masks_of[split], strict=True):
        for name, photo in _images_in(pair)[0].items():
            masks = tuple((path, values[kind]) for kind, path in found[name])
            first = masks[0][0] if masks else pair.labels / f"{name}.png"
            read = partial(draw_masks, masks=masks)
            samples.append(Sample(sample_name(PurePosixPath(name)), photo, first, label_set, read=read))
    return Listing(root, tuple(samples), values=values, by_name=True)


def object_mask_splits(root: Path) -> list[str]:
    """Return the splits of a folder in the layout of `read_object_masks`."""
    pairs = _pairs(root)
    if all(not any(_masks_of(pair).values()) for some in pairs.values() for pair in some):
        return []
    return list(pairs)


def draw_masks(path: Path, masks: tuple[tuple[Path, int], ...]) -> NDArray[np.uint8]:
    """Lay the masks of one photo over one another: (H, W) uint8 values, 0 where there is none.

    Args:
        path: of the first mask.
        masks: each mask and the value of its class.

    Raises:
        ImageError: a mask cannot be read, holds more than two values, or has another size than the first.
    """
    values = np.zeros(_read_mask(path).shape, dtype=np.uint8)
    for file, value in masks:
        mask = _read_mask(file)
        if mask.shape != values.shape:
            raise ImageError(f"{file} has another size than {path.name}; export all masks of a photo at its size")
        values[mask] = value
    return values


def _read_mask(path: Path) -> NDArray[np.bool_]:
    """Where a mask of two values, black and another, shows its object: (H, W)."""
    with open_image(path, _FORMATS) as image:
        pixels = np.asarray(
            image if image.mode in ("P", "L", "1") or image.mode.startswith("I") else image.convert("L")
        )
    values = np.unique(pixels)
    if len(values) > 2 or (len(values) == 2 and values[0] != 0):
        said = ", ".join([*map(str, values[:4].tolist()), *(["…"] if len(values) > 4 else [])])
        raise ImageError(f"{path} holds the values {said}; a mask of one object holds 0 and one more")
    shown: NDArray[np.bool_] = pixels != 0
    return shown


def _pairs(root: Path) -> dict[str, list[Pair]]:
    """Split → its folders of photos and masks; where every photo has folders of its own, they are split ``all``."""
    pairs = folder_pairs(root) or _beside(root)
    if len(pairs) > 1 and not any(map(is_split, pairs)):
        return {ALL: list(pairs.values())}
    return {name: [pair] for name, pair in pairs.items()}


def _beside(root: Path) -> dict[str, Pair]:
    """Split → the folder, twice, in which masks lie beside their photos: the root, or folders in it."""
    if any(map(_is_beside, root.iterdir())):
        return {ALL: Pair(root, root)}
    folders = (path for path in sorted(root.iterdir()) if is_folder(path))
    return {path.name: Pair(path, path) for path in folders if any(map(_is_beside, path.iterdir()))}


def _is_beside(path: Path) -> bool:
    """Whether a file is called as a mask that lies beside its photo."""
    return _MASK_WORD.search(path.stem) is not None and path.suffix.lower() in MASK_SUFFIXES


def _images_in(pair: Pair) -> tuple[dict[str, Path], dict[str, Path]]:
    """The photos and masks of a split by their names."""
    photos, masks = images_by_name(pair.photos), images_by_name(pair.labels, MASK_SUFFIXES)
    if pair.photos == pair.labels:
        masks = {name: path for name, path in masks.items() if _is_beside(path)}
        photos = {name: path for name, path in photos.items() if name not in masks}
    return photos, masks


def _masks_of(pair: Pair) -> dict[str, list[tuple[str, Path]]]:
    """Photo → the classes and files of its masks, in order; empty where a mask is the label map of a whole photo."""
    (photos, masks), found = _images_in(pair), defaultdict[str, list[tuple[str, Path]]](list)
    if any(mask.endswith(end) and mask.removesuffix(end) in photos for mask in masks for end in MASK_ENDINGS):
        return found
    own = (
        pair.photos.parent == pair.labels.parent and len(photos) == 1 and next(iter(photos)) == pair.labels.parent.name
    )
    for name, path in masks.items():
        owner, kind = _owner(name, photos)
        if owner is None and own:
            owner, kind = next(iter(photos)), _kind(name)
        if owner is not None:
            found[owner].append((kind, path))
    return found


def _owner(mask: str, photos: dict[str, Path]) -> tuple[str | None, str]:
    """The photo of a mask by its path, and its class."""
    folder, _, stem = mask.rpartition("/")
    if folder in photos:
        return folder, _kind(stem)
    if stem in photos:
        return stem, _kind(folder)
    cuts = (match.start() for match in re.finditer(r"[_\-. ]", mask))
    photo = max((mask[:cut] for cut in cuts if mask[:cut] in photos), key=len, default=None)
    return photo, "" if photo is None else _kind(mask[len(photo) :])


def _kind(text: str) -> str:
    """The class that a part of a mask's name tells, without numbers and separators around it."""
    kind = _EDGES.sub("", _MASK_WORD.sub("_", text.rpartition("/")[2]))
    return OBJECT if _NAMELESS.fullmatch(kind) or _NAMELESS.fullmatch(text) else kind
