"""COCO's annotations: outlines of objects in one JSON file, drawn as label maps."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.data.coco_masks import Shape, draw_shape, pack_shape
from deeplab.data.folders import ALL
from deeplab.data.lists import begins
from deeplab.data.samples import Listing, ReadMask, Sample
from deeplab.errors import DataError, ImageError, InputError
from deeplab.labels import LabelSet

__all__ = ["coco_splits", "draw_annotations", "read_coco"]

VOID = 255
_OWN_NAMES = ("instances_", "_annotations.coco")
# What names of files and folders may say around the split, or in place of it.
_WORDS = "(instances?|annotations?|anns?|coco|labels?|results?|data|dataset)"
_SURROUNDINGS = re.compile(rf"^_?({_WORDS}([_.-]|$))+|([_.-]{_WORDS})+$")
_BEGINNING = re.compile(rb'(\xef\xbb\xbf)?\s*\{\s*"(info|licenses|images|annotations|categories|type)"')
_OTHER_TASKS = ("captions_", "panoptic_", "person_keypoints_", "image_info_", "notes")


def read_coco(root: Path, split: str) -> Listing:
    """COCO: ``annotations/instances_<split>.json`` with photos in ``<split>/``, ``images/<split>/`` or ``images/``.

    The file may also be ``<split>.json`` there or in the root, or lie in ``<split>/``; ``annotations.json`` and
    ``result.json`` in the root are split ``all``. Label 0 is the background, then
    come the categories in the order of their ids. Larger objects are drawn first, so that smaller ones stay in sight
    (COCO does not say which of two lies in front); crowds are void.
    """
    path = _find_annotations(root).get(split)
    if path is None:
        found = ", ".join(coco_splits(root)) or "none"
        raise DataError(f"there is no {root / 'annotations' / f'instances_{split}.json'}; splits found: {found}")
    try:
        return _listing(root, split, path, json.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except InputError as error:
        raise DataError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
        raise DataError(f"{path} is no file of COCO annotations ({said}); export it again") from None


def coco_splits(root: Path) -> list[str]:
    """Return the splits of a folder in COCO's layout."""
    return sorted(_find_annotations(root))


def draw_annotations(path: Path, size: tuple[int, int], objects: tuple[tuple[int, Shape], ...]) -> NDArray[np.uint8]:
    """Draw the objects of one photo: (H, W) uint8 values, 0 where there is none.

    Args:
        path: of the annotations; they have been read already.
        size: (H, W) of the photo.
        objects: (value, outline) of each. Void ones come first, then the others, the largest first.
    """
    drawn = [(value, draw_shape(shape, size)) for value, shape in objects]
    drawn.sort(key=lambda item: (item[0] != VOID, -int(item[1].sum())))
    values = np.zeros(size, dtype=np.uint8)
    for value, mask in drawn:
        values[mask] = value
    return values


def _listing(root: Path, split: str, path: Path, content: Any) -> Listing:
    categories = {int(entry["id"]): str(entry["name"]) for entry in content["categories"]}
    names = tuple(dict.fromkeys(("background", *(categories[key] for key in sorted(categories)))))
    values = {name: value for value, name in enumerate(names)}
    labels = {key: values[name] for key, name in categories.items()}
    label_set = LabelSet("coco", names)
    annotations: dict[int, list[Any]] = defaultdict(list)
    for annotation in content["annotations"]:
        annotations[int(annotation["image_id"])].append(annotation)
    folder = _photo_folder(root, path, split, [str(entry["file_name"]) for entry in content["images"]])
    samples = []
    for entry in content["images"]:
        read = _mask_reader(entry, annotations[int(entry["id"])], labels)
        name = str(PurePosixPath(entry["file_name"]).with_suffix("")).replace("/", "_")
        samples.append(Sample(name, folder / entry["file_name"], path, label_set, read=read))
    return Listing(path, tuple(samples), values=values, by_name=True)


def _mask_reader(entry: Mapping[str, Any], annotations: list[Any], labels: Mapping[int, int]) -> ReadMask:
    """Return what reads the mask of one photo; an annotation that cannot be drawn is an error when it is called."""
    size = (int(entry["height"]), int(entry["width"]))
    objects = []
    for annotation in annotations:
        try:
            shape = pack_shape(annotation["segmentation"], size)
        except (InputError, KeyError) as error:
            said = "it has no segmentation" if isinstance(error, KeyError) else str(error)
            return partial(_refuse, said=f"annotation {annotation.get('id')} of {entry['file_name']}: {said}")
        if annotation["category_id"] not in labels:
            raise InputError(
                f"annotation {annotation.get('id')} has category {annotation['category_id']}, which is not listed"
            )
        objects.append((VOID if annotation.get("iscrowd") else labels[annotation["category_id"]], shape))
    return partial(draw_annotations, size=size, objects=tuple(objects))


def _refuse(path: Path, said: str) -> NDArray[np.uint8]:
    raise ImageError(f"{path}: {said}; export the annotations again")


def _find_annotations(root: Path) -> dict[str, Path]:
    """Split → its file of annotations: in the root or a folder in it, which one or the other is called by the split."""
    found: dict[str, Path] = {}
    for path in sorted((*root.glob("*.json"), *root.glob("*/*.json")), key=lambda path: (path.parent != root, path)):
        if not path.name.startswith(_OTHER_TASKS) and (path.name.startswith(_OWN_NAMES) or begins(path, _BEGINNING)):
            names = [_SURROUNDINGS.sub("", name) for name in path.relative_to(root).with_suffix("").parts[::-1]]
            split = next(filter(None, names), ALL)
            found["_".join(path.relative_to(root).with_suffix("").parts) if split in found else split] = path
    return found


def _photo_folder(root: Path, annotations: Path, split: str, file_names: list[str]) -> Path:
    """The folder that the photos lie in; the usual one where there are none."""
    here = annotations.parent
    folders = (
        root / split, root / "images" / split, root / "images", here, here / "images", here / "data", root,
        root / "JPEGImages", root / "data",
    )  # fmt: skip
    return next((folder for folder in folders if any((folder / name).is_file() for name in file_names)), folders[0])
