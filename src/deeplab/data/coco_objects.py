"""COCO's annotations on label maps: classes, crowds, and void where no outline can be drawn."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.data.coco_masks import FARTHEST_PX, Shape, draw_shape, pack_shape
from deeplab.errors import InputError, quoted

VOID = 255

CROWDS_AUTO = "auto"
CROWDS = {"class": "are taken for their classes", "void": "become void", "skip": "are left out"}
"""What may become of crowds (``iscrowd: 1``), by name; `CROWDS_AUTO` stands for one of them."""

_MOST_CROWDS = 0.05  # of a file's objects; in COCO 2017 it is one in eighty


@dataclass
class Objects:
    """What is drawn of one photo's annotations.

    Attributes:
        drawn: (value, outline) of each.
        behind: outlines of crowds that are void, behind all others.
        lost: what is said of those without a usable outline.
    """

    drawn: list[tuple[int, Shape]] = field(default_factory=list)
    behind: list[Shape] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class _Annotation(NamedTuple):
    photo: str
    category: str
    is_crowd: bool
    shape: Shape | None
    lost: str


def id_of(value: Any) -> str:
    """Return an id, which some tools write as a number and others as text.

    Raises:
        InputError: it is neither.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(f"an id is {quoted(value)}; expected a number or text")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def objects_of_photos(
    annotations: Iterable[Mapping[str, Any]],
    sizes: Mapping[str, tuple[int, int]],
    values: Mapping[str, int],
    names: Mapping[str, str],
    crowds: str = CROWDS_AUTO,
) -> tuple[dict[str, Objects], str]:
    """Sort a file's annotations by photo, and decide what becomes of each.

    An annotation without a usable outline, or of a category that is not listed, is void in its box; without a box it is
    left out. Crowds are void, as COCO's own protocol has it, where they are rare (at most one object in twenty); where
    they are not, a tool has written brush masks as crowds, and they are taken for their classes.

    Args:
        annotations: the file's.
        sizes: id of a photo → its (H, W).
        values: id of a category → the value that it is drawn with.
        names: id of a category → its name.
        crowds: a name in `CROWDS`, or `CROWDS_AUTO`.

    Returns:
        id of a photo → what is drawn, and what became of the crowds, in words; empty where there are none.

    Raises:
        InputError: there is no such choice, or no annotation at all has a usable outline.
    """
    if crowds not in (CROWDS_AUTO, *CROWDS):
        raise InputError(f"crowds is {crowds!r}; expected one of {', '.join((CROWDS_AUTO, *CROWDS))}")
    read = [_read(annotation, sizes, values) for annotation in annotations]
    read = [annotation for annotation in read if annotation.photo in sizes]
    if read and all(annotation.lost for annotation in read):
        raise InputError(
            f"none of its {len(read)} objects can be drawn ({read[0].lost.partition(';')[0]}); export outlines, "
            "polygons or masks, not boxes"
        )
    number = Counter(names[annotation.category] for annotation in read if annotation.is_crowd and not annotation.lost)
    if crowds == CROWDS_AUTO:
        crowds = "void" if number.total() <= _MOST_CROWDS * len(read) else "class"
    photos: dict[str, Objects] = defaultdict(Objects)
    for photo, category, is_crowd, shape, lost in read:
        objects = photos[photo]
        if lost:
            objects.lost.append(lost)
            objects.drawn += [(VOID, shape)] if shape is not None else []
        elif shape is not None and (not is_crowd or crowds == "class"):
            objects.drawn.append((values[category], shape))
        elif shape is not None and crowds == "void":
            objects.behind.append(shape)
    listed = ", ".join(f"{name} {count:,}" for name, count in number.items())
    said = f"{number.total():,} of {len(read):,} objects are marked as crowds and {CROWDS[crowds]}: {listed}"
    return photos, said if number else ""


def draw_objects(
    size: tuple[int, int], drawn: Sequence[tuple[int, Shape]], behind: Sequence[Shape]
) -> NDArray[np.uint8]:
    """Draw the objects of one photo: (H, W) uint8 values, 0 where there is none.

    Args:
        size: (H, W) of the photo.
        drawn: (value, outline) of each; the largest is drawn first.
        behind: outlines that are void, behind all others.
    """
    shapes = [(value, *draw_shape(shape, size)) for value, shape in drawn]
    shapes.sort(key=lambda item: -np.count_nonzero(item[2]))
    values = np.zeros(size, dtype=np.uint8)
    for value, box, mask in [*((VOID, *draw_shape(shape, size)) for shape in behind), *shapes]:
        values[box][mask] = value
    return values


def _read(
    annotation: Mapping[str, Any], sizes: Mapping[str, tuple[int, int]], values: Mapping[str, int]
) -> _Annotation:
    photo, category = id_of(annotation["image_id"]), id_of(annotation["category_id"])
    is_crowd = str(annotation.get("iscrowd", 0)).strip().lower() in ("1", "1.0", "true")
    shape: Shape | None = None
    lost = "" if category in values else f"its category {category} is not listed"
    try:
        shape = pack_shape(annotation.get("segmentation"), sizes[photo]) if photo in sizes else None
    except (InputError, TypeError, ValueError, OverflowError) as error:
        lost = str(error) if isinstance(error, InputError) else "its outline is damaged"
    if lost:
        shape = _box(annotation) if shape is None else shape
        fate = "left out" if shape is None else "void there"
        lost = f"annotation {annotation.get('id')}: {lost}; {fate}"
    return _Annotation(photo, category, is_crowd, shape, lost)


def _box(annotation: Mapping[str, Any]) -> Shape | None:
    """The annotation's box, grown to whole pixels; None where it has none, or one far from any photo."""
    try:
        x, y, width, height = (float(side) for side in annotation["bbox"])
        left, top, right, bottom = math.floor(x), math.floor(y), math.ceil(x + width), math.ceil(y + height)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if left >= right or top >= bottom or max(map(abs, (left, top, right, bottom))) > FARTHEST_PX:
        return None
    return (np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32),)
