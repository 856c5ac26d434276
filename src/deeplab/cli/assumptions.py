"""Assumptions about photos, each kind said once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from deeplab.progress import Say

Range = tuple[float, float]


class Assumptions:
    """What was assumed of the photos of one run."""

    def __init__(self) -> None:
        """Begin with no photo."""
        self._notes: dict[str, list[str]] = defaultdict(list)
        self._ranges: dict[Range, list[str]] = defaultdict(list)

    def add(self, photo: object, notes: Sequence[str], value_range: Range | None, say: Say) -> None:
        """Take what was assumed of a photo, and say what was not said before."""
        for note in notes:
            self._notes[note].append(str(photo))
            if len(self._notes[note]) == 1:
                say(f"{photo}: {note}")
        if value_range is not None:
            self._ranges[value_range].append(str(photo))

    def sum_up(self, say: Say) -> None:
        """Say what goes for several photos, and whether photos were read by different ranges."""
        for note, photos in self._notes.items():
            if len(photos) > 1:
                say(f"{len(photos)} photos: {note}")
        if len(self._ranges) > 1:
            each = ", ".join(
                f"{black:g}–{white:g} ({len(photos)}, {photos[0]})"
                for (black, white), photos in sorted(self._ranges.items())
            )
            widest = max(white for _, white in self._ranges)
            say(f"photos of one run were read by different ranges: {each}; --range 0,{widest:g} reads all alike")
