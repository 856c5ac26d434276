"""Large photos in overlapping tiles, so that memory does not grow with them."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TypeAlias

__all__ = ["Tile", "tiles_of"]

Window: TypeAlias = tuple[slice, slice]


@dataclass(frozen=True)
class Tile:
    """A part of a photo, as windows of rows and columns.

    Attributes:
        seen: what is worked on: the part itself and a margin around it.
        kept: the part, in the photo.
        kept_of_seen: the part, in what is worked on.
    """

    seen: Window
    kept: Window
    kept_of_seen: Window


def tiles_of(height: int, width: int, side_px: int, reach_px: float) -> list[Tile]:
    """Cut a photo of more than `side_px` squared pixels into tiles of at most that side, whose kept parts cover it.

    The margin on each side is `reach_px`, or a quarter of the side where that is less; more of it makes seams fainter
    and takes more time. 0 for `side_px`: one tile.
    """
    if not side_px or height * width <= side_px**2:
        whole = slice(0, height), slice(0, width)
        return [Tile(whole, whole, whole)]
    margin = min(ceil(reach_px), side_px // 4)
    rows, columns = (_cut(length, max(1, side_px - 2 * margin), margin) for length in (height, width))
    return [Tile((row[0], column[0]), (row[1], column[1]), (row[2], column[2])) for row in rows for column in columns]


def _cut(length: int, kept: int, margin: int) -> list[tuple[slice, slice, slice]]:
    """Cut a length into equal parts of at most `kept`: what is seen, kept, and kept of what is seen."""
    parts = ceil(length / kept)
    bounds = [length * part // parts for part in range(parts + 1)]
    cuts = []
    for start, stop in pairwise(bounds):
        first, last = max(0, start - margin), min(length, stop + margin)
        cuts.append((slice(first, last), slice(start, stop), slice(start - first, stop - first)))
    return cuts
