"""Options of converting label maps into other tools' files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How label maps are turned into annotations.

    Attributes:
        instances: each connected part of a class is an annotation of its own, instead of the class.
        tolerance_px: how far polygons may move so that they have fewer points, in pixels.
        photo_prefix: what stands before a photo's name, such as the path or address under which the tool finds it.
    """

    instances: bool = False
    tolerance_px: float = 0.0
    photo_prefix: str = ""


DEFAULTS = Options()
