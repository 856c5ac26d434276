"""Marks that were drawn in other programs: label maps, COCO's boxes and objects, Label Studio's tasks, CVAT's masks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplab.data.coco_masks import draw_polygons, draw_shape, pack_shape
from deeplab.data.cvat import LABEL_MAP, cvat_label_set, read_colours
from deeplab.documents import read_json
from deeplab.errors import MALFORMED, DataError, InputError
from deeplab.files import is_file, is_folder
from deeplab.formats.label_studio import brush_mask
from deeplab.label_maps import LABEL_MAP_SUFFIXES, read_label_map, read_label_set
from deeplab.labels import LabelSet
from deeplab.teach.marks import Box, Stroke

_BACKGROUND = "background"
_FARTHEST_PERCENT = 1e4  # of a photo's side, that a polygon's point may lie away
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the names of files that are uploaded

_Marks: TypeAlias = "list[Stroke | Box] | NDArray[np.uint8]"


@dataclass(frozen=True)
class DrawnMarks:
    """Marks that were drawn elsewhere.

    Attributes:
        label_set: the classes.
        of: the names of photos, without folder and ending → what takes a photo's size (H, W) and gives the marks on it,
            one after the other, each as `Teacher.mark` takes it.
    """

    label_set: LabelSet
    of: Mapping[str, Callable[[tuple[int, int]], list[Any]]]


def read_drawn(path: Path, label_set: LabelSet | None = None) -> DrawnMarks:
    """Read the marks in a folder of label maps, or in a JSON file of COCO or Label Studio.

    - Label maps ``NAME.png`` hold labels, 255 where nothing is known. The classes are those that they say themselves,
      or `label_set`.
    - CVAT's "Segmentation mask 1.1", unpacked: what is black, its background, counts as unknown.
    - COCO's annotations: objects with an outline, all else being background; boxes alone are boxes.
    - Label Studio's JSON: brush strokes, polygons, key points and boxes; all else is unknown.

    Raises:
        DataError: there is nothing of the kind, or it is damaged.
        ImageError: a label map cannot be read.
    """
    if is_folder(path):
        return _cvat(path) if is_file(path / LABEL_MAP) else _label_maps(path, label_set)
    if label_set is not None:
        raise InputError(f"{path} names its classes itself; leave the names out, which are for label maps")
    content = read_json(path)
    try:
        return _label_studio(content) if isinstance(content, list) else _coco(content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except MALFORMED as error:
        raise DataError(
            f"{path} is neither COCO's annotations nor Label Studio's tasks, or damaged ({error}); export it again as "
            "JSON"
        ) from None


def _label_maps(folder: Path, label_set: LabelSet | None) -> DrawnMarks:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in LABEL_MAP_SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no label maps; expected NAME.png for a photo NAME.jpg, 255 where unknown")
    label_set = label_set or read_label_set(files[0])
    if label_set is None:
        raise DataError(f"{files[0]} does not say what its labels are called; name a file of the classes (--names)")

    def marks(file: Path, size: tuple[int, int]) -> list[Any]:
        labels = read_label_map(file)
        if (labels == 255).all():
            return []
        return [np.where(labels == 255, label_set.void, labels.astype(np.int64))]

    return DrawnMarks(label_set, {file.stem: partial(marks, file) for file in files})


def _cvat(folder: Path) -> DrawnMarks:
    label_set = cvat_label_set(folder / LABEL_MAP)
    values = {
        colour: label_set.void if label == label_set.background else label
        for label, colour in enumerate(label_set.palette[: len(label_set)])
    }
    # A label called void is the last colour; where there is none, that is the last class.
    values[label_set.palette[-1]] = values.get(label_set.palette[-1], label_set.void)
    files = sorted((folder / "SegmentationClass").glob("**/*.png"))
    if not files:
        raise DataError(f"{folder} has {LABEL_MAP} but no SegmentationClass/*.png; unpack CVAT's whole archive")

    def marks(file: Path, size: tuple[int, int]) -> list[Any]:
        labels = read_colours(file, values)
        return [labels] if (labels != label_set.void).any() else []

    return DrawnMarks(label_set, {file.stem: partial(marks, file) for file in files})


def _coco(content: Any) -> DrawnMarks:
    kinds = {kind["id"]: str(kind["name"]) for kind in content["categories"]}
    names = tuple(dict.fromkeys((_BACKGROUND, *kinds.values())))
    own: dict[Any, list[Any]] = defaultdict(list)
    for annotation in content["annotations"]:
        own[annotation["image_id"]].append(annotation)
    label_set = _labels(names)

    def marks(annotations: list[Any], size: tuple[int, int]) -> list[Any]:
        boxes, labels = [], np.zeros(size, np.uint8)
        outlined = [annotation for annotation in annotations if annotation.get("segmentation")]
        for annotation in annotations:
            x, y, width, height = annotation["bbox"]
            boxes.append(Box(kinds[annotation["category_id"]], x, y, x + width, y + height))
        if not outlined:
            return [boxes]
        alone = [box for box, annotation in zip(boxes, annotations, strict=True) if not annotation.get("segmentation")]
        for box in alone:  # where they lie nothing is known yet
            labels[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)] = label_set.void
        for annotation in outlined:
            window, inside = draw_shape(pack_shape(annotation["segmentation"], size), size)
            labels[window][inside] = names.index(kinds[annotation["category_id"]])
        return [alone, labels] if alone else [labels]

    photos = {image["id"]: PurePosixPath(str(image["file_name"])).stem for image in content["images"]}
    return DrawnMarks(label_set, {photos[key]: _safely(partial(marks, found)) for key, found in own.items()})


def _label_studio(tasks: list[Any]) -> DrawnMarks:
    own: dict[str, list[Any]] = {}
    for task in tasks:
        name = PurePosixPath(str(task["data"]["image"]).replace("\\", "/")).stem
        done = task.get("annotations") or task.get("predictions") or []
        results = [result for one in done[-1:] for result in one["result"] if _class_of(result) is not None]
        if results:
            own[_UPLOAD.sub("", name)] = results
    found = sorted({str(_class_of(result)) for results in own.values() for result in results} - {_BACKGROUND})
    label_set = _labels((_BACKGROUND, *found))

    def marks(results: list[Any], size: tuple[int, int]) -> list[Any]:
        return [label_studio_mark(result, size, label_set) for result in results]

    return DrawnMarks(label_set, {name: _safely(partial(marks, results)) for name, results in own.items()})


def _class_of(result: Mapping[str, Any]) -> str | None:
    value = result.get("value", {})
    kinds = ("brushlabels", "rectanglelabels", "polygonlabels", "keypointlabels")
    return next((str(value[kind][0]) for kind in kinds if value.get(kind)), None)


def label_studio_mark(result: Mapping[str, Any], size: tuple[int, int], label_set: LabelSet) -> Any:
    """Return what was drawn in Label Studio as `Teacher.mark` takes it: a stroke, a box, or a mask (H, W) of labels.

    Args:
        result: one of a task's or a context's; places are percents of the photo's sides. A key point that is not
            ``is_positive`` (Alt and a click) is the background's, where there is one.
        size: (H, W) of the photo.
        label_set: the classes.

    Raises:
        InputError: its brush mask is damaged, or of another size, or it names no class.
        ArithmeticError, LookupError, TypeError, ValueError: it is of another form (`deeplab.errors.MALFORMED`).
    """
    value, name, (height, width) = result["value"], str(_class_of(result)), size
    if not result.get("is_positive", True) and label_set.background is not None:
        name = label_set.names[label_set.background]
    if "rle" in value:
        inside = brush_mask(value["rle"], size)
    elif "points" in value:
        inside = draw_polygons([_percents(value["points"]) * (width / 100, height / 100)], size)
    else:
        x, y = value["x"] * width / 100, value["y"] * height / 100
        if "height" not in value:
            return Stroke(name, [(x, y)], max(3.0, value.get("width", 0) * width / 100))
        return Box(name, x, y, x + value["width"] * width / 100, y + value["height"] * height / 100)
    return np.where(inside, label_set.labels_of([name])[0], label_set.void)


def _percents(points: Any) -> NDArray[np.float64]:
    pairs = np.array(points, np.float64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not (np.abs(pairs) <= _FARTHEST_PERCENT).all():
        raise ValueError("its points are no pairs of percents")
    return pairs


def _labels(names: Iterable[str]) -> LabelSet:
    try:
        return LabelSet("taught", tuple(names))
    except InputError as error:
        raise DataError(str(error)) from None


def _safely(marks: Callable[[tuple[int, int]], list[Any]]) -> Callable[[tuple[int, int]], list[Any]]:
    """The same, with an error of one line for entries that are missing or of another form."""

    def read(size: tuple[int, int]) -> list[Any]:
        try:
            return marks(size)
        except MALFORMED as error:
            raise DataError(f"its marks are damaged, or for a photo of another size ({error})") from None

    return read
