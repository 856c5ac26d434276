"""A recipe's sources of photos: where they lie, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deeplab.data.readers import AUTO
from deeplab.errors import InputError
from deeplab.training.weak.settings import METHODS, STROKES


@dataclass(frozen=True)
class Source:
    """One part of the training or validation photos.

    Attributes:
        path: the data set's folder, below the data folder given at the start.
        split: the part of it, e.g. ``train_aug``.
        photos: use the first so many only; 0 for all.
        evenly: use so many evenly spaced ones instead of the first.
        names: a names file below the data folder given at the start; empty for the data set's own.
        reader: a layout of `deeplab.data.readers.READERS`, or ``"auto"`` for the one that the folder has.
        crowds: what becomes of COCO's crowds: their ``"class"``, ``"void"``, ``"skip"``, or ``"auto"`` by their number.
        labels: what is known of the photos: ``"masks"``; ``"boxes"`` around things; ``"image"``, which classes a photo
            shows; or ``"strokes"``, masks that are void but for a few lines.
        method: how boxes or image labels become labels of pixels, a name in `deeplab.training.weak.settings.METHODS`;
            empty: bbox-seg or em-adapt.
        boxes: where boxes, or image labels by theirs, come from, as `deeplab.boxes.read_boxes` has it.
        share: of a batch's crops, how many are of this source; 0: all sources as their photos come.
    """

    path: str
    split: str = "all"
    photos: int = 0
    evenly: bool = False
    names: str = ""
    reader: str = AUTO
    crowds: Literal["auto", "class", "void", "skip"] = "auto"
    labels: Literal["masks", "boxes", "image", "strokes"] = "masks"
    method: str = ""
    boxes: str = AUTO
    share: int = 0

    def __post_init__(self) -> None:
        if self.photos < 0:
            raise InputError(f"photos must be 0 (all) or more, got {self.photos}")
        if self.share < 0:
            raise InputError(
                f"share must be a number of crops in a batch, or 0 for none in particular, got {self.share}"
            )
        if self.crowds != "auto" and self.labels in ("boxes", "image"):
            raise InputError(f"crowds are masks', but labels: {self.labels} take none: leave crowds out")
        fitting = [name for name, kind in METHODS.items() if kind == self.labels]
        if self.method and self.method not in fitting:
            raise InputError(
                f"method {self.method!r} is not for labels: {self.labels}; "
                + (f"give one of {', '.join(fitting)}" if fitting else "leave it out")
            )

    @property
    def way(self) -> str:
        """The method in use: that of the recipe, or the first for these labels; ``"strokes"``; empty for masks."""
        fitting = (name for name, kind in METHODS.items() if kind == self.labels)
        return self.method or next(fitting, STROKES if self.labels == STROKES else "")
