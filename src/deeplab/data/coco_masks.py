"""COCO's ways to write a mask, drawn: polygons, and run lengths, plain or compressed (Lin et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplab.errors import InputError

__all__ = ["Shape", "decompress_runs", "draw_polygons", "draw_runs", "draw_shape", "pack_shape"]

Shape = tuple[NDArray[np.float32], ...] | NDArray[np.int64]
"""An object's outline: polygons, each (N, 2) x, y in pixels; or run lengths, (R,)."""


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
        if whole := tuple(points for points in polygons if len(points) >= 3):
            return whole
        raise InputError("its polygons have fewer than three points")
    raise InputError("it has no outline: expected polygons or run lengths")


def draw_shape(shape: Shape, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of a `Shape` in a photo of `size` (H, W)."""
    return draw_runs(shape, size) if isinstance(shape, np.ndarray) else draw_polygons(shape, size)


def draw_polygons(polygons: Sequence[ArrayLike], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie in any of the polygons, by the even-odd rule.

    pycocotools walks the outline on a grid five times finer; the two differ in some pixels of the outline.

    Args:
        polygons: each (N, 2) x, y in pixels, (0, 0) the upper left corner of the upper left pixel.
        size: (H, W) of the photo; what lies outside is cut off.
    """
    height, width = size
    mask = np.zeros(size, dtype=np.bool_)
    for polygon in polygons:
        points = np.asarray(polygon, dtype=np.float64)
        x, y = points.T
        next_x, next_y = np.roll(points, -1, axis=0).T
        # Row r is crossed where its middle, r + 1/2, lies between an edge's ends.
        first = np.clip(np.ceil(np.minimum(y, next_y) - 0.5), 0, height).astype(np.int64)
        count = np.clip(np.ceil(np.maximum(y, next_y) - 0.5), 0, height).astype(np.int64) - first
        if not count.any():
            continue
        edge = np.repeat(np.arange(len(points)), count)
        row = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
        slope = (next_x - x)[edge] / (next_y - y)[edge]
        crossing = x[edge] + (row + 0.5 - y[edge]) * slope
        column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
        top, left = row.min(), column.min()
        crossings = np.zeros((row.max() - top + 1, column.max() - left + 1), dtype=np.uint16)
        np.add.at(crossings, (row - top, column - left), 1)
        inside = (np.cumsum(crossings, axis=1) % 2).astype(np.bool_)[:, :-1]  # the last column closes every row
        mask[top : top + inside.shape[0], left : left + inside.shape[1]] |= inside
    return mask


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
        InputError: a character is out of range, or the text ends within a number.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise InputError(f"its compressed run lengths hold the character {character!r}")
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            if group & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise InputError("its compressed run lengths end within a number")
    return np.array(runs, dtype=np.int64)
