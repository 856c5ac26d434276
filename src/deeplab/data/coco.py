"""COCO's annotations: outlines of objects in one JSON file, drawn as label maps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.data.coco_masks import Shape, check_outlines
from deeplab.data.coco_objects import CROWDS_AUTO, draw_objects, id_of, objects_of_photos
from deeplab.data.folders import ALL, sample_name
from deeplab.data.lists import begins
from deeplab.data.samples import Listing, Remark, Sample
from deeplab.documents import read_json
from deeplab.errors import MALFORMED, DataError, ImageError, InputError, quoted
from deeplab.files import is_file
from deeplab.images.files import check_pixels
from deeplab.labels import LabelSet

_OWN_NAMES = ("instances_", "_annotations.coco")
# What names of files and folders may say around the split, or in place of it.
_WORDS = "(instances?|annotations?|anns?|coco|labels?|results?|data|dataset)"
_SURROUNDINGS = re.compile(rf"^_?({_WORDS}([_.-]|$))+|([_.-]{_WORDS})+$")
_BEGINNING = re.compile(rb'(\xef\xbb\xbf)?\s*\{\s*"(info|licenses|images|annotations|categories|type)"')
_OTHER_TASKS = ("captions_", "panoptic_", "person_keypoints_", "image_info_", "notes")
_MOST_BYTES = 2 << 30


def read_coco(root: Path, split: str, crowds: str = CROWDS_AUTO) -> Listing:
    """COCO: ``annotations/instances_<split>.json`` with photos in ``<split>/``, ``images/<split>/`` or ``images/``.

    The file may also be ``<split>.json`` there or in the root, or lie in ``<split>/``; ``annotations.json`` and
    ``result.json`` in the root are split ``all``. Label 0 is the background, then come the categories in the order of
    their ids. Larger objects are drawn first, so that smaller ones stay in sight (COCO does not say which of two lies
    in front). What becomes of `crowds`, and of objects without an outline,
    `deeplab.data.coco_objects.objects_of_photos` says.
    """
    path = _find_annotations(root).get(split)
    if path is None:
        found = ", ".join(coco_splits(root)) or "none"
        raise DataError(f"there is no {root / 'annotations' / f'instances_{split}.json'}; splits found: {found}")
    try:
        content = read_json(path, most_bytes=_MOST_BYTES)
    except InputError as error:
        raise DataError(str(error)) from None
    try:
        return _listing(root, split, path, content, crowds)
    except InputError as error:
        raise DataError(f"{path}: {error}") from None
    except MALFORMED as error:
        said = f"{type(error).__name__}: {error}"
        raise DataError(f"{path} is no file of COCO annotations ({said}); export it again") from None


def coco_splits(root: Path) -> list[str]:
    """Return the splits of a folder in COCO's layout."""
    return sorted(_find_annotations(root))


def draw_annotations(
    path: Path, size: tuple[int, int], drawn: tuple[tuple[int, Shape], ...], behind: tuple[Shape, ...]
) -> NDArray[np.uint8]:
    """Draw the objects of one photo as `draw_objects` does; the annotations' `path` has been read already.

    Raises:
        ImageError: the annotations give the photo a size that no photo has, or outlines beyond drawing.
    """
    height, width = size
    if min(size) < 1:
        raise ImageError(f"{path} says that a photo has {quoted(width)}x{quoted(height)} pixels; export it again")
    check_pixels(path, height * width)
    outlines = (shape for shape in (*behind, *(shape for _, shape in drawn)) if isinstance(shape, tuple))
    check_outlines(path, chain.from_iterable(outlines), height)
    return draw_objects(size, drawn, behind)


def categories_of(content: Any) -> tuple[LabelSet, dict[str, int]]:
    """Return the classes of a COCO file's content, background first and then by their ids, and id → label."""
    categories = {id_of(entry["id"]): str(entry["name"]) for entry in content["categories"]}
    names = tuple(dict.fromkeys(("background", *(categories[key] for key in sorted(categories, key=_in_order)))))
    return LabelSet("coco", names, background=0), {key: names.index(name) for key, name in categories.items()}


def _listing(root: Path, split: str, path: Path, content: Any, crowds: str) -> Listing:
    label_set, labels = categories_of(content)
    names = label_set.names
    categories, values = {key: names[label] for key, label in labels.items()}, {n: v for v, n in enumerate(names)}
    sizes = {id_of(entry["id"]): (int(entry["height"]), int(entry["width"])) for entry in content["images"]}
    photos, said = objects_of_photos(content["annotations"], sizes, labels, categories, crowds)
    files = [PurePosixPath(str(entry["file_name"]).replace("\\", "/")) for entry in content["images"]]
    find_photo = photo_finder(root, path, split, files)
    in_one_folder = len({file.parent for file in files}) == 1
    samples, remarks = [], [Remark("crowds", "", said)] if said else []
    for entry, file in zip(content["images"], files, strict=True):
        key = id_of(entry["id"])
        objects = photos[key]
        read = partial(draw_annotations, size=sizes[key], drawn=tuple(objects.drawn), behind=tuple(objects.behind))
        name = file.stem if in_one_folder else sample_name(file.with_suffix(""))
        samples.append(Sample(name, find_photo(file), path, label_set, read=read))
        remarks += [Remark("objects", name, lost) for lost in objects.lost]
    return Listing(path, tuple(samples), values=values, by_name=True, remarks=tuple(remarks))


def _in_order(key: str) -> tuple[bool, int, str]:
    """Ids that are numbers come in the order of numbers, then all others."""
    return (False, int(key), "") if key.isdecimal() else (True, 0, key)


def _find_annotations(root: Path) -> dict[str, Path]:
    """Split → its file of annotations: in the root or a folder in it, which one or the other is called by the split."""
    found: dict[str, Path] = {}
    for path in sorted((*root.glob("*.json"), *root.glob("*/*.json")), key=lambda path: (path.parent != root, path)):
        if not path.name.startswith(_OTHER_TASKS) and (path.name.startswith(_OWN_NAMES) or begins(path, _BEGINNING)):
            names = [_SURROUNDINGS.sub("", name) for name in path.relative_to(root).with_suffix("").parts[::-1]]
            split = next(filter(None, names), ALL)
            found["_".join(path.relative_to(root).with_suffix("").parts) if split in found else split] = path
    return found


def photo_finder(
    root: Path, annotations: Path, split: str, files: Sequence[PurePosixPath]
) -> Callable[[PurePosixPath], Path]:
    """Return what finds the photos that annotations name: below one folder, or by their own names alone in any."""
    here = annotations.parent
    folders = (
        root / split, root / "images" / split, root / "images", here, here / "images", here / "data", root,
        root / "JPEGImages", root / "data",
    )  # fmt: skip
    usual = next((folder for folder in folders if any(is_file(folder / file) for file in files)), folders[0])

    def find(file: PurePosixPath) -> Path:
        places = (usual / file, *(folder / file.name for folder in folders))
        return next((place for place in places if is_file(place)), usual / file)

    return find
