"""COCO's ways to write a mask, drawn: polygons, and run lengths, plain or compressed (Lin et al. 2014)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplab.errors import ImageError, InputError, quoted

Shape = tuple[NDArray[np.float32], ...] | NDArray[np.int64]
"""An object's outline: polygons, each (N, 2) x, y in pixels; or run lengths, (R,)."""

FARTHEST_PX = 1e7
_MOST_BITS = 60  # of a run length
_CROSSINGS_AT_ONCE = 1 << 18
_MOST_CROSSINGS = 50_000_000


def pack_shape(segmentation: Any, size: tuple[int, int]) -> Shape:
    """Turn an annotation's ``segmentation`` into arrays, much smaller than what JSON gives.

    Args:
        segmentation: a list of polygons ``[x, y, x, y, …]``, or one of them, or ``{"size": [H, W], "counts": list or
            text}``. Polygons of one or two points, which enclose nothing, are left out.
        size: (H, W) of the photo.

    Raises:
        InputError: it is neither, no polygon has three points, or run lengths are damaged or of another size.
    """
    if isinstance(segmentation, dict) and {"size", "counts"} <= segmentation.keys():
        counts = segmentation["counts"]
        runs = decompress_runs(counts) if isinstance(counts, str) else np.asarray(counts, np.int64)
        if (
            list(segmentation["size"]) != list(size)
            or runs.ndim != 1
            or (runs < 0).any()
            or (runs > np.prod(size)).any()  # the sum could overflow
            or runs.sum() != np.prod(size)
        ):
            raise InputError(f"its run lengths do not fill the photo's {size[1]}x{size[0]} px")
        return runs
    if isinstance(segmentation, list) and segmentation:
        nested = [segmentation] if all(isinstance(number, int | float) for number in segmentation) else segmentation
        try:
            polygons = [np.asarray(points, np.float32).reshape(-1, 2) for points in nested]
        except (TypeError, ValueError):
            polygons = [np.full((1, 2), np.nan, np.float32)]
        if not all(np.isfinite(points).all() for points in polygons):
            raise InputError("a polygon of it is no list of numbers, x, y, x, y, …")
        if any((np.abs(points) > FARTHEST_PX).any() for points in polygons):
            raise InputError("a polygon of it lies far from any photo")
        if whole := tuple(points for points in polygons if len(points) >= 3):
            return whole
        raise InputError("its polygons have fewer than three points")
    raise InputError("it has no outline: expected polygons or run lengths")


def draw_shape(shape: Shape, size: tuple[int, int]) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Return the rows and columns that a `Shape` lies in, in a photo of `size` (H, W), and its mask there."""
    if isinstance(shape, np.ndarray):
        mask = draw_runs(shape, size)
        ends = [(int(found.min()), int(found.max()) + 1) if found.size else (0, 0) for found in mask.nonzero()]
        box = slice(*ends[0]), slice(*ends[1])
        return box, mask[box].copy()
    points = np.concatenate(shape).astype(np.float64)
    (left, top), (right, bottom) = (
        np.clip(corner, 0, size[::-1]).astype(int).tolist()
        for corner in (np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)))
    )
    moved = [np.subtract(polygon, (left, top), dtype=np.float64) for polygon in shape]
    return (slice(top, bottom), slice(left, right)), draw_polygons(moved, (bottom - top, right - left))


def draw_polygons(polygons: Sequence[ArrayLike], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie in any of the polygons, by the even-odd rule.

    pycocotools walks the outline on a grid five times finer; the two differ in some pixels of the outline.

    Args:
        polygons: each (N, 2) x, y in pixels, (0, 0) the upper left corner of the upper left pixel.
        size: (H, W) of the photo; what lies outside is cut off.
    """
    mask = np.zeros(size, dtype=np.bool_)
    for polygon in polygons:
        _fill(mask, np.asarray(polygon, dtype=np.float64))
    return mask


def _fill(mask: NDArray[np.bool_], points: NDArray[np.float64]) -> None:
    """Set the pixels (H, W) of a mask whose centres lie in a polygon (N, 2)."""
    height, width = mask.shape
    x, y = points.T
    next_x, next_y = np.roll(points, -1, axis=0).T
    # Row r is crossed where its middle, r + 1/2, lies between an edge's ends.
    first, count = _rows_crossed(y, next_y, height)
    if not count.any():
        return
    slope = (next_x - x) / np.where(count, next_y - y, 1)
    top, bottom = int(first[count > 0].min()), int((first + count).max())
    left, right = (int(side) for side in np.clip((np.floor(x.min()), np.ceil(x.max())), 0, width))
    odd = np.zeros((bottom - top, right - left + 1), dtype=np.bool_)  # the last column closes every row
    ends = np.cumsum(count)
    cuts = np.searchsorted(ends, range(_CROSSINGS_AT_ONCE, int(ends[-1]), _CROSSINGS_AT_ONCE))
    for some in np.split(np.arange(len(points)), np.unique(cuts)):
        edge = np.repeat(some, count[some])
        row = np.arange(len(edge)) + np.repeat(first[some] - np.cumsum(count[some]) + count[some], count[some])
        crossing = x[edge] + (row + 0.5 - y[edge]) * slope[edge]
        column = np.clip(np.ceil(crossing - 0.5), left, right).astype(np.int64)
        np.logical_xor.at(odd, (row - top, column - left), True)
    np.logical_xor.accumulate(odd, axis=1, out=odd)
    mask[top:bottom, left:right] |= odd[:, :-1]


def check_outlines(path: Path, outlines: Iterable[ArrayLike], height: int) -> None:
    """Check that a photo's outlines, each (N, 2) x, y in pixels, can be drawn in some seconds.

    Raises:
        ImageError: together they wind through more rows than any that somebody drew.
    """
    crossings = 0
    for outline in outlines:
        y = np.asarray(outline, np.float64)[:, 1]
        crossings += int(_rows_crossed(y, np.roll(y, -1), height)[1].sum())
        if crossings > _MOST_CROSSINGS:
            raise ImageError(
                f"{path}: the outlines of one photo wind through more than {_MOST_CROSSINGS:,} rows; simplify them"
            )


def _rows_crossed(
    y: NDArray[np.float64], next_y: NDArray[np.float64], height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first row that each edge crosses, and how many it crosses."""
    first = np.clip(np.ceil(np.minimum(y, next_y) - 0.5), 0, height).astype(np.int64)
    return first, np.clip(np.ceil(np.maximum(y, next_y) - 0.5), 0, height).astype(np.int64) - first


def draw_runs(runs: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of run lengths (R,), background first, column by column; they fill `size` (H, W)."""
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size, order="F")


def decompress_runs(text: str) -> NDArray[np.int64]:
    """Decode COCO's compressed run lengths, (R,).

    Each number is written in groups of five bits, the lowest first, as characters from ``0`` on; the sixth bit says
    that more follow, and the highest bit of the last group is the sign. From the fourth number on it is the difference
    from the run two before.

    Raises:
        InputError: a character or a number is out of range, or the text ends within a number.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise InputError(f"its compressed run lengths hold the character {character!r}")
        if shift > _MOST_BITS:
            raise InputError("its compressed run lengths hold a number that does not end")
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            if group & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise InputError("its compressed run lengths end within a number")
    try:
        return np.array(runs, dtype=np.int64)
    except OverflowError:  # of the sums
        raise InputError(f"its compressed run lengths add up to {quoted(max(runs, key=abs))}") from None
