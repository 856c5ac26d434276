"""Boxes around things, wherever they come from: VOC's XML, COCO's JSON, or the things that masks show."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from deeplab.data.coco import categories_of, photo_finder
from deeplab.data.coco_objects import id_of
from deeplab.data.folders import ALL, photo_called
from deeplab.data.lists import read_lines
from deeplab.data.names import read_names
from deeplab.data.readers import AUTO, names_file, read_samples
from deeplab.data.samples import load_mask
from deeplab.documents import read_json, read_xml
from deeplab.errors import MALFORMED, DataError, InputError, quoted
from deeplab.files import is_file, is_folder
from deeplab.formats.regions import components_of
from deeplab.labels import VOC, LabelSet
from deeplab.progress import Show, duration, silent
from deeplab.teach.marks import Box

FROM_MASKS = "masks"
"""What stands for boxes around the things that masks show."""

_ANNOTATIONS = "Annotations"
_PHOTO_FOLDERS = ("JPEGImages", "images", "photos", "")
_LEAST_SHARE = 0.0005  # of a photo's pixels: lesser parts of a mask are specks
_MOST_BYTES = 2 << 30


@dataclass(frozen=True)
class BoxedPhoto:
    """A photo and the boxes around its things.

    Attributes:
        name: unique within its set.
        photo: its path.
        source: the file that holds the boxes, or the mask that they were drawn around.
        label_set: the classes.
        boxes: their labels as numbers, edges in pixels of the photo, right and lower ones outside; as the file says,
            not yet held against the photo's size. Without any, nothing is known of the photo.
    """

    name: str
    photo: Path
    source: Path
    label_set: LabelSet
    boxes: tuple[Box, ...]


def read_boxes(
    root: Path,
    split: str = ALL,
    boxes: str = AUTO,
    *,
    reader: str = AUTO,
    names: Path | None = None,
    show: Show = silent,
) -> tuple[BoxedPhoto, ...]:
    """Read the boxes of one split of a data set.

    Args:
        root: the data set's folder.
        split: which part: of XML files a list in ``ImageSets/Segmentation`` or ``ImageSets/Main``; ``all`` for all.
        boxes: a folder of VOC's XML files or a COCO file, below the root or anywhere; ``"masks"`` for boxes around the
            connected parts that masks show; ``"auto"``: ``Annotations/*.xml`` if there are any, or else ``"masks"``.
        reader: the layout of the masks, a name in `deeplab.data.readers.READERS`.
        names: a names file; None: ``classes.txt`` in the root if there is one. Without any, XML files have VOC's
            classes, or else the background and all classes that they name, by the alphabet; a COCO file has its own.
        show: takes progress.

    Returns:
        The photos in order, all with one label set.

    Raises:
        DataError: files are missing or damaged, a box has no extent, or its class is not among the names.
    """
    named = names_file(root, names)
    place = root / (_ANNOTATIONS if boxes == AUTO else boxes)
    if is_folder(place) and next(place.glob("*.xml"), None) is not None:
        return _from_xml(root, split, place, named)
    if boxes in (AUTO, FROM_MASKS):
        return _from_masks(root, split, reader, names, show)
    if is_file(place) and place.suffix.lower() == ".json":
        return _from_coco(root, split, place, named)
    raise DataError(f"{place} is neither a folder with XML files nor a COCO file (.json); check the path")


def _from_masks(root: Path, split: str, reader: str, names: Path | None, show: Show) -> tuple[BoxedPhoto, ...]:
    samples, start = read_samples(reader, root, split, names=names), time.monotonic()
    found = []
    for done, sample in enumerate(samples, start=1):
        labels, label_set = load_mask(sample), sample.label_set
        void, boxes = labels == label_set.void, []
        for label in set(np.unique(labels).tolist()) - {label_set.background, label_set.void}:
            own = labels == label
            parts = components_of(own | void)  # what a void outline divides is one thing
            for part in np.flatnonzero(np.bincount(parts[own]) >= max(1, _LEAST_SHARE * labels.size)):
                rows, columns = (np.flatnonzero((own & (parts == part)).any(axis)) for axis in (1, 0))
                edges = (float(edge) for edge in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
                boxes.append(Box(label, *edges))
        found.append(BoxedPhoto(sample.name, sample.photo, sample.mask, label_set, tuple(boxes)))
        show("boxes around masks", done, len(samples), duration(time.monotonic() - start))
    return tuple(found)


def _from_xml(root: Path, split: str, folder: Path, names: Path | None) -> tuple[BoxedPhoto, ...]:
    paths = sorted(folder.glob("*.xml"))
    if split != ALL:
        lists = [root / "ImageSets" / kind / f"{split}.txt" for kind in ("Segmentation", "Main")]
        listed = read_lines(next(filter(is_file, lists), lists[0]))
        paths = [folder / f"{Path(line.split()[0]).stem}.xml" for line in listed]
    read = [_safely(path, _objects) for path in paths]
    label_set = read_names(names, {}, by_name=False)[0] if names else _label_set_of(read)
    found = []
    for path, objects in zip(paths, read, strict=True):
        boxes = tuple(Box(_label(path, name, label_set), *edges) for name, *edges in objects)
        folders = (root / each for each in _PHOTO_FOLDERS)
        photo = next(filter(is_file, (photo_called(each, path.stem) for each in folders)), None)
        if photo is None:
            raise DataError(f"{path}: there is no photo {path.stem} in {root / _PHOTO_FOLDERS[0]}, images or photos")
        found.append(BoxedPhoto(path.stem, photo, path, label_set, boxes))
    return tuple(found)


def _objects(path: Path) -> list[tuple[Any, ...]]:
    """(class, x0, y0, x1, y1) of the objects in one of VOC's files, whose pixels count from 1, both ends included."""
    found = []
    for thing in read_xml(path).iterfind("object"):
        name = (thing.findtext("name") or "").strip()
        x0, y0, x1, y1 = (float(thing.findtext(f"bndbox/{edge}") or "nan") for edge in ("xmin", "ymin", "xmax", "ymax"))
        found.append((name, *_edges(path, x0 - 1, y0 - 1, x1, y1)))
    return found


def _label_set_of(read: Sequence[list[tuple[Any, ...]]]) -> LabelSet:
    names = {name for objects in read for name, *_ in objects}
    if names <= set(VOC.names):
        return VOC
    return LabelSet("boxes", ("background", *sorted(names - {"background"})), background=0)


def _from_coco(root: Path, split: str, path: Path, names: Path | None) -> tuple[BoxedPhoto, ...]:
    def listed(path: Path) -> list[BoxedPhoto]:
        content = read_json(path, most_bytes=_MOST_BYTES)
        label_set, labels = categories_of(content)
        classes = {key: label_set.names[label] for key, label in labels.items()}
        label_set = read_names(names, {}, by_name=False)[0] if names else label_set
        boxes: dict[str, list[Box]] = defaultdict(list)
        for entry in content["annotations"]:
            if entry.get("iscrowd"):
                continue
            x, y, width, height = (float(side) for side in entry["bbox"])
            name = classes.get(id_of(entry["category_id"]), f"of category {entry['category_id']}")
            edges = _edges(path, x, y, x + width, y + height)
            boxes[id_of(entry["image_id"])].append(Box(_label(path, name, label_set), *edges))
        files = [PurePosixPath(str(entry["file_name"]).replace("\\", "/")) for entry in content["images"]]
        find = photo_finder(root, path, split, files)
        return [
            BoxedPhoto(file.stem, find(file), path, label_set, tuple(boxes[id_of(entry["id"])]))
            for entry, file in zip(content["images"], files, strict=True)
        ]

    return tuple(_safely(path, listed))


def _safely(path: Path, read: Callable[[Path], list[Any]]) -> list[Any]:
    """What a file holds; DataError where it holds something else."""
    try:
        return read(path)
    except DataError:
        raise
    except InputError as error:
        raise DataError(str(error)) from None
    except MALFORMED as error:
        said = f"{type(error).__name__}: {error}"
        raise DataError(f"{path} is no file of boxes ({said}); export it again") from None


def _edges(path: Path, x0: float, y0: float, x1: float, y1: float) -> Iterator[float]:
    if not (x0 < x1 and y0 < y1 and all(map(math.isfinite, (x0, y0, x1, y1)))):
        raise DataError(
            f"{path}: a box goes from x {x0:g} to {x1:g} and y {y0:g} to {y1:g}, which is empty; draw it anew, or "
            "leave it out"
        )
    yield from (x0, y0, x1, y1)


def _label(path: Path, name: str, label_set: LabelSet) -> int:
    if name not in label_set.names:
        raise DataError(
            f"{path}: a box is of class {quoted(name)}, which is none of {', '.join(label_set.names)}; correct it, or "
            "add the class to the names file"
        )
    label = label_set.names.index(name)
    if label == label_set.background:
        raise DataError(f"{path}: a box is of {quoted(name)}, which is what lies outside all boxes; leave it out")
    return label
