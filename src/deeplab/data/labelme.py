"""labelme's annotations: a JSON file of outlines for each photo, drawn as label maps in the order of the file."""

from __future__ import annotations

import base64
import io
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from deeplab.data.coco_masks import check_outlines, draw_polygons
from deeplab.data.folders import ALL, PHOTO_FOLDERS, files_below, is_split, photo_called, sample_name
from deeplab.data.lists import begins, read_text
from deeplab.data.samples import Listing, Remark, Sample
from deeplab.documents import read_json
from deeplab.errors import DataError, InputError
from deeplab.files import is_file, is_folder
from deeplab.images import PHOTO_SUFFIXES, read_image
from deeplab.labels import LabelSet

BACKGROUND = "background"
IGNORED = "__ignore__"
LABELS = "labels.txt"
_OWN_NAMES = {"_background_": BACKGROUND}
_MOST_BYTES = 256 << 20  # with a photo in it
_BEGINNING = re.compile(rb'(\xef\xbb\xbf)?\s*\{\s*"(version|flags|shapes|imagePath|imageData|lineColor|fillColor)"')
_LINE_PX, _POINT_PX = 10, 5  # width and radius, as labelme draws them
_FARTHEST_PX = 1e6

Points = NDArray[np.float64]
Draw = partial[NDArray[np.bool_]]
"""Holds an object's points, takes (H, W) and returns its mask."""


def read_labelme(root: Path, split: str) -> Listing:
    """labelme: ``x.json`` beside ``x.jpg``, or wherever its ``imagePath`` leads; photos without one are left out.

    The split is the first folder of a file's path that is called like one, or ``all``. Label 0 is the background
    (``_background_``); then come the classes of ``labels.txt`` in the root, then all others in the files, by name;
    ``__ignore__`` is void. Later objects lie in front of earlier ones, as labelme draws them. A shape that cannot be
    drawn is void in the box of its points.
    """
    files = _find_files(root)
    if split not in files:
        raise DataError(
            f"{root} has no files of labelme for split {split!r}; splits found: {', '.join(files) or 'none'}"
        )
    contents = {path: _read_file(path) for paths in files.values() for path in paths}
    used = {_name(shape) for content in contents.values() for shape in content["shapes"]} - {"", IGNORED}
    listed = read_class_names(root / LABELS) if is_file(root / LABELS) else []
    names = tuple(dict.fromkeys((BACKGROUND, *listed, *sorted(used))))
    try:
        label_set = LabelSet("labelme", names)
    except InputError as error:
        raise DataError(f"{root}: {error}") from None
    values = {name: value for value, name in enumerate(names)}
    above = Path(os.path.commonpath([path.parent for path in files[split]]))
    samples, remarks, found = [], list[Remark](), 0
    for path in files[split]:
        photo = _photo(root, path, contents[path])
        objects, lost = _objects(contents[path]["shapes"], values | {IGNORED: label_set.void})
        name, read = (
            sample_name(path.relative_to(above).with_suffix("")),
            partial(draw_shapes, photo=photo, objects=objects),
        )
        samples.append(Sample(name, photo, path, label_set, read=read))
        remarks += [Remark("objects", name, said) for said in lost]
        found += len(objects)
    if remarks and len(remarks) == found:
        raise DataError(f"{root}: none of the {found} shapes can be drawn ({remarks[0].detail}); mend them in labelme")
    remarks += _unannotated(samples)
    return Listing(root, tuple(samples), values=values, by_name=True, remarks=tuple(remarks))


def labelme_splits(root: Path) -> list[str]:
    """Return the splits of a folder that holds labelme's files."""
    return list(_find_files(root))


def read_class_names(path: Path) -> list[str]:
    """Return the classes of labelme's ``labels.txt`` or ``class_names.txt``: one a line, the background first.

    Raises:
        DataError: the file cannot be read.
    """
    lines = [line.strip() for line in read_text(path).splitlines()]
    return [_OWN_NAMES.get(line, line) for line in lines if line and line != IGNORED]


def draw_shapes(path: Path, photo: Path, objects: Sequence[tuple[int, Draw]]) -> NDArray[np.uint8]:
    """Draw a photo's objects one over another: (H, W) uint8 values, 0 where there is none.

    Args:
        path: of the annotations; they have been read already.
        photo: whose size the mask has.
        objects: (value, what draws it) of each.

    Raises:
        ImageError: the photo cannot be read, or the outlines are beyond drawing.
    """
    height, width = read_image(photo).shape[:2]
    check_outlines(path, (draw.args[0] for _, draw in objects), height)
    values = np.zeros((height, width), dtype=np.uint8)
    for value, draw in objects:
        values[draw((height, width))] = value
    return values


def _find_files(root: Path) -> dict[str, list[Path]]:
    """Split → its files, in order."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(files_below(root)):
        if path.suffix.lower() == ".json" and begins(path, _BEGINNING):
            folders = path.relative_to(root).parts[:-1]
            files[next(filter(is_split, folders), ALL)].append(path)
    return dict(sorted(files.items()))


def _read_file(path: Path) -> dict[str, Any]:
    """A file's shapes and the path of its photo."""
    try:
        content = read_json(path, most_bytes=_MOST_BYTES)
    except InputError as error:
        raise DataError(str(error)) from None
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise DataError(f"{path} has no list of shapes; save it again in labelme")
    return {"shapes": shapes, "photo": str(content.get("imagePath") or "")}


def _name(shape: Mapping[str, Any]) -> str:
    label = str(shape.get("label") or "").strip()
    return _OWN_NAMES.get(label, label)


def _photo(root: Path, path: Path, content: Mapping[str, Any]) -> Path:
    """The photo of a file: the one that it names, the one beside it, or one in ``images/`` in place of its folder."""
    named = PurePosixPath(content["photo"].replace("\\", "/"))
    beside = photo_called(path.parent, path.stem)
    here = path.relative_to(root).parent.parts
    elsewhere = (
        root.joinpath(*here[:depth], photos, *here[depth + 1 :], named.name)
        for depth in range(len(here)) for photos in PHOTO_FOLDERS
    )  # fmt: skip
    candidates = (path.parent / named, beside, path.parent / named.name, *elsewhere)
    return next((photo for photo in candidates if os.path.isfile(photo)), beside)  # noqa: PTH113 (names may be absurd)


def _unannotated(samples: Sequence[Sample]) -> Iterator[Remark]:
    """What is said of the photos beside those of the samples."""
    known = {sample.photo for sample in samples}
    beside = (
        path for folder in sorted({photo.parent for photo in known}) if is_folder(folder) for path in folder.iterdir()
    )
    others = sorted(path.name for path in beside if path.suffix.lower() in PHOTO_SUFFIXES and path not in known)
    if others:
        yield Remark("unannotated", "", f"{len(others):,} without a file of labelme, such as {others[0]}")


def _objects(
    shapes: list[Mapping[str, Any]], values: Mapping[str, int]
) -> tuple[tuple[tuple[int, Draw], ...], list[str]]:
    """What draws the shapes of a photo, and what is said of those that cannot be drawn: void where their points lie."""
    objects, lost = list[tuple[int, Draw]](), list[str]()
    for number, shape in enumerate(shapes, start=1):
        try:
            draw = _draw_of(shape)
            objects.append((values[_name(shape)], draw))
        except InputError as error:
            lost.append(f"shape {number}, {_name(shape)!r}, {error}; void there")
            objects.append((values[IGNORED], partial(_hull, _points(shape))))
    return tuple(objects), lost


def _draw_of(shape: Mapping[str, Any]) -> Draw:
    """Return what draws a shape.

    Raises:
        InputError: it is of an unknown type, or has too few points or ones that are no numbers.
    """
    if not _name(shape):
        raise InputError("has no label")
    kind = str(shape.get("shape_type") or "polygon")
    if kind not in _KINDS:
        raise InputError(f"is of type {kind!r}; expected one of {', '.join(_KINDS)}")
    fewest, draw = _KINDS[kind]
    points = _points(shape)
    if len(points) < fewest:
        raise InputError(f"has {len(points)} usable points; a {kind} needs {fewest} or more")
    if kind == "mask":
        return partial(_mask, points, _decode(shape.get("mask")))
    return partial(draw, points)


def _points(shape: Mapping[str, Any]) -> Points:
    """A shape's points (N, 2) x, y in pixels; none where they are no pairs of numbers, or lie far from any photo."""
    try:
        points = np.asarray(shape["points"], np.float64).reshape(-1, 2)
    except (KeyError, TypeError, ValueError, OverflowError):
        return np.empty((0, 2))
    return points if (np.abs(points) <= _FARTHEST_PX).all() else np.empty((0, 2))


def _hull(points: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The box around points."""
    if not len(points):
        return np.zeros(size, dtype=np.bool_)
    return _rectangle(np.array([np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))]), size)


def _polygon(points: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    return draw_polygons([points], size)


def _rectangle(points: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    if len(points) > 2:  # a turned one
        return _polygon(points, size)
    (left, top), (right, bottom) = points
    return _polygon(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]), size)


def _circle(points: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A circle by its centre and a point on it."""
    return _disc(points[0], float(np.hypot(*(points[1] - points[0]))), size)


def _disc(centre: Points, radius: float, size: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=np.bool_)
    left, top = np.clip(np.floor(centre - radius), 0, size[::-1]).astype(int)
    right, bottom = np.clip(np.ceil(centre + radius), 0, size[::-1]).astype(int)
    y, x = np.ogrid[top:bottom, left:right]
    mask[top:bottom, left:right] = np.hypot(x + 0.5 - centre[0], y + 0.5 - centre[1]) <= radius
    return mask


def _line(points: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    image = Image.new("L", size[::-1])
    ImageDraw.Draw(image).line([(x, y) for x, y in points.tolist()], fill=1, width=_LINE_PX)
    return np.asarray(image) > 0


def _dots(points: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=np.bool_)
    for point in points:
        mask |= _disc(point, _POINT_PX, size)
    return mask


def _mask(points: Points, part: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask of its own, (h, w), that lies at the first of the points."""
    left, top = np.rint(points[0]).astype(int).tolist()
    mask = np.zeros(size, dtype=np.bool_)
    inside = mask[max(top, 0) : max(top + part.shape[0], 0), max(left, 0) : max(left + part.shape[1], 0)]
    inside |= part[max(-top, 0) :, max(-left, 0) :][: inside.shape[0], : inside.shape[1]]
    return mask


def _decode(text: Any) -> NDArray[np.bool_]:
    """The mask of a shape, a PNG in base64: (h, w)."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",)) as image:
            return np.asarray(image.convert("L")) > 0
    except Exception as error:  # decoders raise errors of any kind on damaged bytes
        raise InputError(f"has a mask that cannot be decoded ({error})") from None


_KINDS: Mapping[str, tuple[int, Callable[..., NDArray[np.bool_]]]] = {
    "polygon": (3, _polygon), "rectangle": (2, _rectangle), "rotation": (3, _polygon), "circle": (2, _circle),
    "line": (2, _line), "linestrip": (2, _line), "point": (1, _dots), "points": (1, _dots), "mask": (1, _mask),
}  # fmt: skip
"""Types of shapes: how many points they need at least, and what draws them: (points, (H, W)) → mask."""
