"""Large photos in overlapping tiles, so that memory does not grow with them."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, prod
from typing import TypeAlias

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

    @property
    def pixels(self) -> int:
        """How many are worked on."""
        return prod(window.stop - window.start for window in self.seen)


def tiles_of(height: int, width: int, side_px: int, reach_px: float) -> list[Tile]:
    """Cut a photo of more than `side_px` squared pixels into tiles of at most that side, whose kept parts cover it.

    As few as leave a margin of `reach_px`, or of a fifth of the side where that is less; what the side has room for
    beyond that widens the margin, up to `reach_px`. Fewer tiles have fewer seams, and wide margins fainter ones. One
    tile where `side_px` is 0, or where tiles would see over half the photo: their copies cost what they save.
    """
    whole = slice(0, height), slice(0, width)
    if side_px and height * width > side_px**2:
        rows, columns = (cut(length, side_px, ceil(reach_px)) for length in (height, width))
        tiles = [Tile(*zip(row, column, strict=True)) for row in rows for column in columns]
        if 2 * max(tile.pixels for tile in tiles) <= height * width:
            return tiles
    return [Tile(whole, whole, whole)]


def cut(length: int, side: int, reach: int) -> list[tuple[slice, slice, slice]]:
    """Cut a length into equal parts: what is seen, at most `side`, what is kept, and what is kept of what is seen.

    As few parts as leave a margin of `reach`, or of a fifth of the side where that is less, as `tiles_of` has it.
    """
    least = min(reach, side // 5)
    parts, margin = 1, reach if length <= side else -1  # one part needs none
    while margin < least:
        parts += 1
        margin = (side - ceil(length / parts)) // min(parts - 1, 2)  # the first and the last part have one margin
    margin = min(margin, reach)
    bounds = [length * part // parts for part in range(parts + 1)]
    cuts = []
    for start, stop in pairwise(bounds):
        first, last = max(0, start - margin), min(length, stop + margin)
        cuts.append((slice(first, last), slice(start, stop), slice(start - first, stop - first)))
    return cuts
