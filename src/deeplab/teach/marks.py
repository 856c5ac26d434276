"""What a user marks in a photo, a stroke, a box or a mask, and the label map that it makes."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_number
from deeplab.errors import InputError, quoted
from deeplab.labels import LabelSet

_HELD = math.sqrt(0.2)  # of a box's sides: the middle fifth of its area is its class

_MOST_POINTS = 10_000  # of a stroke
_FARTHEST = 1e6  # of a coordinate, in pixels


@dataclass(frozen=True)
class Stroke:
    """A line drawn by hand over what is of one class.

    Attributes:
        label: the class, by name or number; None rubs out what earlier marks say of these pixels.
        points: x and y in pixels of the photo, (0, 0) the corner of the upper left pixel; one point is a dot.
        width_px: of the brush, above 0.
    """

    label: str | int | None
    points: Sequence[tuple[float, float]]
    width_px: float = 7.0


@dataclass(frozen=True)
class Box:
    """A box around a thing of one class.

    Its middle fifth counts as the class; what lies outside all boxes of a photo counts as background, where the classes
    have one (Bbox-Seg: Papandreou et al., "Weakly- and Semi-Supervised Learning of a DCNN", ICCV 2015, section 3.3).

    Attributes:
        label: the class, by name or number.
        x0, y0, x1, y1: its left, upper, right and lower edge in pixels of the photo; x1 and y1 lie outside.
    """

    label: str | int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Mask:
    """The labels of a photo's pixels, where they are known, packed; `mark` makes one of an array.

    Attributes:
        size: (H, W) of the photo, or of a raster that is laid over the whole of it.
        packed: the labels (H, W) uint8, compressed.
        counts: how many pixels are of each of the 256 labels.
    """

    size: tuple[int, int]
    packed: bytes = field(repr=False)
    counts: tuple[int, ...] = field(repr=False)

    @classmethod
    def of(cls, labels: NDArray[np.uint8]) -> Mask:
        """Return the mask of labels (H, W) uint8."""
        counts = np.bincount(labels.ravel(), minlength=256)
        return cls(labels.shape[:2], zlib.compress(labels.tobytes(), 1), tuple(counts.tolist()))

    def labels(self) -> NDArray[np.uint8]:
        """Return the labels, (H, W) uint8, void where nothing is known."""
        return np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.size)


Mark: TypeAlias = Stroke | Box | Mask


def checked(marks: Any, size: tuple[int, int], label_set: LabelSet) -> tuple[Mark, ...]:
    """Return what a user gave as marks of a photo of `size` (H, W), with labels as numbers.

    Raises:
        InputError: something is no mark, names no class, lies outside the photo, or marks nothing.
    """
    if isinstance(marks, np.ndarray):
        return (_mask(marks, size, label_set),)
    if isinstance(marks, Stroke | Box | Mask):
        marks = (marks,)
    if isinstance(marks, str | bytes) or not isinstance(marks, Iterable):
        raise InputError(f"marks are {quoted(marks)}; expected strokes and boxes, or a mask (H, W) of labels")
    return tuple(_checked(mark, size, label_set) for mark in marks)


def draw(marks: Iterable[Mark], size: tuple[int, int], label_set: LabelSet, at: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the label map that a photo's marks make.

    Later strokes and masks lie over earlier ones, both over boxes, smaller boxes over larger ones.

    Args:
        marks: as `checked` returns them.
        size: (H, W) of the photo.
        label_set: the classes.
        at: (h, w) of the label map: the photo's, or that of a smaller copy.

    Returns:
        (h, w) uint8, the label set's void where nothing is known.
    """
    marks = tuple(marks)
    scale_y, scale_x = at[0] / size[0], at[1] / size[1]
    labels = np.full(at, label_set.void, np.uint8)
    boxes = sorted((mark for mark in marks if isinstance(mark, Box)), key=_area, reverse=True)
    if boxes and label_set.background is not None:
        labels[:] = label_set.background
        for box in boxes:
            labels[_window(box, at, scale_y, scale_x, 1.0)] = label_set.void
    for box in boxes:
        labels[_window(box, at, scale_y, scale_x, _HELD)] = box.label
    for mark in marks:
        if isinstance(mark, Mask):
            _lay(labels, mark, label_set.void)
        elif isinstance(mark, Stroke):
            _stroke(labels, mark, scale_y, scale_x, label_set.void if mark.label is None else int(mark.label))
    return labels


def labels_of(marks: Iterable[Mark], label_set: LabelSet) -> set[int]:
    """Return the labels that marks may give to pixels."""
    found: set[int] = set()
    for mark in marks:
        if isinstance(mark, Mask):
            found |= {label for label, count in enumerate(mark.counts[: len(label_set)]) if count}
        elif mark.label is not None:
            found.add(int(mark.label))
        if isinstance(mark, Box) and label_set.background is not None:
            found.add(label_set.background)
    return found


def relabelled(marks: Iterable[Mark], table: Mapping[int, int], void: int) -> tuple[Mark, ...]:
    """Return marks with labels as a table has them, without those of labels that it lacks."""
    found: list[Mark] = []
    for mark in marks:
        if isinstance(mark, Mask):
            values = np.array([table.get(label, void) for label in range(256)], np.uint8)
            if ((labels := values[mark.labels()]) != void).any():
                found.append(Mask.of(labels))
        elif mark.label is None:
            found.append(mark)
        elif int(mark.label) in table:
            found.append(replace(mark, label=table[int(mark.label)]))
    return tuple(found)


def scaled(mark: Mark, y: float, x: float) -> Mark:
    """Return a mark of a photo as one of a copy whose sides are so many times as long."""
    if isinstance(mark, Mask):
        return mark
    if isinstance(mark, Box):
        return Box(mark.label, x * mark.x0, y * mark.y0, x * mark.x1, y * mark.y1)
    return Stroke(mark.label, tuple((x * px, y * py) for px, py in mark.points), mark.width_px * (x + y) / 2)


def _checked(mark: Any, size: tuple[int, int], label_set: LabelSet) -> Mark:
    if isinstance(mark, Mask):
        return _mask(mark.labels(), mark.size, label_set)
    if isinstance(mark, Box):
        return _box(mark, size, label_set)
    if isinstance(mark, Stroke):
        return _checked_stroke(mark, size, label_set)
    raise InputError(f"a mark is {quoted(mark)}; expected a Stroke, a Box, or an array (H, W) of labels for all")


def _checked_stroke(mark: Stroke, size: tuple[int, int], label_set: LabelSet) -> Stroke:
    width = check_number(mark.width_px, "width_px", above_zero=True, most=_FARTHEST)
    try:
        points = np.asarray(mark.points, np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        points = np.zeros((0, 2))
    if not 1 <= len(points) <= _MOST_POINTS or not (np.abs(points) <= _FARTHEST).all():
        raise InputError(
            f"a stroke's points are {quoted(mark.points)}; expected 1 to {_MOST_POINTS:,} pairs of x and y in pixels"
        )
    label = None if mark.label is None else _label(mark.label, label_set)
    drawn = Stroke(label, tuple((float(x), float(y)) for x, y in points), width)
    if not _touches(points, size, width / 2):
        (x0, y0), (x1, y1) = points.min(0), points.max(0)
        whose = "that rubs out" if label is None else f"of {label_set.names[label]!r}"
        raise InputError(
            f"a stroke {whose} lies outside the photo: x {x0:g} to {x1:g}, y "
            f"{y0:g} to {y1:g} of {size[1]}x{size[0]} pixels; give points in pixels of the photo"
        )
    return drawn


def _touches(points: NDArray[np.float64], size: tuple[int, int], reach: float) -> bool:
    """Tell whether a line of points (N, 2) comes within reach of the photo; it does so in a copy of any size, too."""
    start = points[:-1] if len(points) > 1 else points
    across = np.diff(points, axis=0) if len(points) > 1 else np.zeros_like(points)
    still = np.where(across == 0, 1e-12, across)
    ends = np.stack([(-reach - start) / still, (np.array(size[::-1]) + reach - start) / still])
    enters, leaves = ends.min(axis=0).max(axis=1), ends.max(axis=0).min(axis=1)
    return bool((np.maximum(enters, 0) <= np.minimum(leaves, 1)).any())


def _box(mark: Box, size: tuple[int, int], label_set: LabelSet) -> Box:
    edges = [mark.x0, mark.y0, mark.x1, mark.y1]
    try:
        x0, y0, x1, y1 = (float(edge) for edge in edges)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"a box's edges are {quoted(edges)}; expected x0, y0, x1, y1 in pixels") from None
    height, width = size
    x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    if not (x1 - x0 > 0 and y1 - y0 > 0):  # NaN fails, too
        raise InputError(
            f"a box has the edges {quoted(edges)}, none of it in the photo of {width}x{height} pixels; expected x0 "
            "below x1 and y0 below y1 in pixels of the photo"
        )
    return Box(_label(mark.label, label_set), x0, y0, x1, y1)


def _mask(given: NDArray[Any], size: tuple[int, int], label_set: LabelSet) -> Mask:
    if given.shape != size or not np.issubdtype(given.dtype, np.integer):
        hint = ": height comes before width" if given.shape == size[::-1] else ""
        raise InputError(
            f"a mask has shape {given.shape} and dtype {given.dtype}; expected {size} like the photo, of whole "
            f"numbers, labels and {label_set.void} for unknown{hint}"
        )
    known = given != label_set.void
    if not known.any():
        raise InputError(f"a mask holds nothing but {label_set.void}, unknown; expected labels of some pixels")
    low, high = given[known].min(), given[known].max()
    if low < 0 or high >= len(label_set):
        raise InputError(
            f"a mask holds labels {low}–{high}; expected 0–{len(label_set) - 1}, and {label_set.void} for unknown"
        )
    return Mask.of(given.astype(np.uint8))


def _label(given: Any, label_set: LabelSet) -> int:
    if isinstance(given, str):
        return label_set.labels_of([given])[0]
    if isinstance(given, int | np.integer) and not isinstance(given, bool) and 0 <= given < len(label_set):
        return int(given)
    raise InputError(f"a label is {quoted(given)}; expected a class's name, or its number, 0–{len(label_set) - 1}")


def _area(box: Box) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)


def _window(box: Box, at: tuple[int, int], scale_y: float, scale_x: float, share: float) -> tuple[slice, slice]:
    """Return the pixels of a box's middle, `share` of its sides; at least one."""
    rows, columns = (
        _between((low + high) / 2 * scale, (high - low) / 2 * scale * share, length)
        for low, high, scale, length in ((box.y0, box.y1, scale_y, at[0]), (box.x0, box.x1, scale_x, at[1]))
    )
    return rows, columns


def _between(middle: float, reach: float, length: int) -> slice:
    start = min(max(round(middle - reach), 0), length - 1)
    return slice(start, max(start + 1, min(round(middle + reach), length)))


def _lay(labels: NDArray[np.uint8], mask: Mask, void: int) -> None:
    given = mask.labels()
    if given.shape != labels.shape:
        rows, columns = (
            ((np.arange(length) + 0.5) * (whole / length)).astype(np.intp)
            for length, whole in zip(labels.shape, given.shape, strict=True)
        )
        given = given[rows[:, None], columns]
    np.copyto(labels, given, where=given != void)


def _stroke(labels: NDArray[np.uint8], stroke: Stroke, scale_y: float, scale_x: float, label: int) -> None:
    """Lay a stroke over labels: the pixels whose centres lie within half its width of the line, and its points' own."""
    reach = max(0.5, stroke.width_px * (scale_x + scale_y) / 4)
    points = np.asarray(stroke.points, np.float64) * (scale_x, scale_y)
    for (x0, y0), (x1, y1) in _pieces(points, max(64.0, 2 * reach)):
        rows, columns = (
            slice(*np.clip((np.floor(min(ends) - reach), np.ceil(max(ends) + reach)), 0, side).astype(int))
            for ends, side in zip(((y0, y1), (x0, x1)), labels.shape, strict=True)
        )
        y, x = np.ogrid[rows, columns]
        y, x, down, across = y + 0.5 - y0, x + 0.5 - x0, y1 - y0, x1 - x0
        along = ((y * down + x * across) / max(down**2 + across**2, 1e-12)).clip(0, 1)
        near = (y - along * down) ** 2 + (x - along * across) ** 2 <= reach**2
        labels[rows, columns][near] = label
    inside = ((points >= 0) & (points < labels.shape[::-1])).all(axis=1)
    x, y = points[inside].astype(np.intp).T
    labels[y, x] = label


def _pieces(points: NDArray[np.float64], longest: float) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield a line piece by piece: what is looked at around a long, slanting one would be most of the photo."""
    for start, end in pairwise(points if len(points) > 1 else (points[0], points[0])):
        count = max(1, math.ceil(np.hypot(*(end - start)) / longest))
        yield from pairwise(start + (end - start) * (np.arange(count + 1) / count)[:, None])
