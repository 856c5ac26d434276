"""Label sets: what the numbers in a label map mean, and their colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import choose
from deeplab.errors import InputError, quoted

__all__ = ["CAMVID", "LABEL_SETS", "VOC", "Colour", "LabelSet", "colours_to_values", "voc_colour_map"]

Colour = tuple[int, int, int]

_BY_NAME: Any = object()
_BACKGROUND_NAMES = frozenset(("background", "bg", "backdrop", "hintergrund", "背景"))


def voc_colour_map() -> tuple[Colour, ...]:
    """Return PASCAL VOC's 256 (R, G, B) colours, each 0–255; entry i belongs to label i.

    Bits 0, 1, 2 of a label are the top bits of red, green and blue, bits 3, 4, 5 the next ones, and so on
    (VOC development kit, ``VOClabelcolormap``).
    """

    def channel(label: int, offset: int) -> int:
        return sum((label >> (3 * place + offset) & 1) << (7 - place) for place in range(3))

    return tuple((channel(label, 0), channel(label, 1), channel(label, 2)) for label in range(256))


def colours_to_values(
    colours: NDArray[np.uint8], values: Mapping[Colour, int]
) -> tuple[NDArray[np.uint8], list[Colour]]:
    """Read a mask of colours.

    Args:
        colours: (H, W, 3) uint8 RGB.
        values: what each (R, G, B) colour stands for, 0–255.

    Returns:
        The values (H, W) uint8, and the colours found that stand for none, in order; the value is 0 there.
    """
    codes: NDArray[np.integer] = colours[..., 0].astype(np.uint32)
    for channel in (1, 2):
        codes = codes << 8 | colours[..., channel]
    known = np.zeros(1 << 24, dtype=np.uint16)  # by code: the value and 1, or 0
    for (red, green, blue), value in values.items():
        known[red << 16 | green << 8 | blue] = value + 1
    labels, seen = known[codes], np.zeros(1 << 24, dtype=np.bool_)
    seen[codes[labels == 0]] = True
    strange = [(code >> 16, code >> 8 & 255, code & 255) for code in np.flatnonzero(seen).tolist()]
    return (np.maximum(labels, 1) - 1).astype(np.uint8), strange


@dataclass(frozen=True)
class LabelSet:
    """Names and colours of the labels 0 … L−1, and the label that means "no answer".

    >>> pets = LabelSet("pets", ("background", "cat", "dog"))
    >>> pets.names[1], pets.palette[1], pets.void, pets.background
    ('cat', (128, 0, 0), 255, 0)

    Attributes:
        name: what the set is called, e.g. ``"voc"``.
        names: the L class names, 1 ≤ L ≤ 255, all different; label i is ``names[i]``. A list will do here and below.
        palette: at least L and at most 256 (R, G, B) colours, each 0–255; label i is drawn in ``palette[i]``.
            Labels beyond its end take VOC's colours.
        void: the label of pixels that belong to no class, L … 255.
        background: the label of the class that is what lies around the others, 0 … L−1, or None where the set has none
            (street scenes). Where it is left out, the first class with a usual name for it (``background``,
            ``_background_``, ``bg``, …) is.

    Raises:
        InputError: a field is outside these bounds.
    """

    name: str
    names: tuple[str, ...]
    palette: tuple[Colour, ...] = voc_colour_map()
    void: int = 255
    background: int | None = _BY_NAME

    def __post_init__(self) -> None:
        name = quoted(self.name)
        if not isinstance(self.name, str) or not self.name:
            raise InputError(f"a label set needs a name, got {name}; give name='my-labels', say")
        for field in ("names", "palette"):
            value = getattr(self, field)
            if isinstance(value, str | bytes) or not isinstance(value, Sequence):
                raise InputError(f"label set {name}: {field} is of type {type(value).__name__}; give a list or tuple")
            object.__setattr__(self, field, tuple(tuple(item) if isinstance(item, list) else item for item in value))
        count = len(self.names)
        if not 1 <= count <= 255 or not all(isinstance(n, str) and n for n in self.names):
            raise InputError(f"label set {name}: expected 1 to 255 non-empty class names, got {count}")
        if repeated := sorted({n for n in self.names if self.names.count(n) > 1}):
            raise InputError(f"label set {name}: class names must differ, but {quoted(repeated[0])} comes twice")
        if not count <= len(self.palette) <= 256:
            raise InputError(f"label set {name}: {count} classes need {count} to 256 colours, got {len(self.palette)}")
        for label, colour in enumerate(self.palette):
            if (
                not isinstance(colour, tuple)
                or len(colour) != 3
                or not all(type(c) is int and 0 <= c <= 255 for c in colour)
            ):
                raise InputError(
                    f"label set {name}: colour {label} is {quoted(colour)}; expected three integers from 0 to 255"
                )
        if type(self.void) is not int or not count <= self.void <= 255:
            raise InputError(
                f"label set {name}: void must lie after the {count} classes, in {count}–255, got {quoted(self.void)}"
            )
        if self.background is _BY_NAME:
            object.__setattr__(self, "background", _background_by_name(self.names))
        if self.background is not None and not (type(self.background) is int and 0 <= self.background < count):
            raise InputError(
                f"label set {self.name!r}: background must be one of the {count} classes, 0–{count - 1}, or None, "
                f"got {self.background!r}"
            )

    def __len__(self) -> int:
        """Return L, the number of classes; void is not one of them."""
        return len(self.names)

    def labels_of(self, names: Iterable[str]) -> list[int]:
        """Return the labels of classes given by name.

        Raises:
            InputError: a name is no class of the set.
        """
        label_of = {name: label for label, name in enumerate(self.names)}
        return [choose(name, label_of, "class") for name in names]

    def colours(self) -> NDArray[np.uint8]:
        """Return the colour of every possible label, (256, 3) uint8 RGB, for look-ups by label."""
        return np.array(self.palette + voc_colour_map()[len(self.palette) :], dtype=np.uint8)

    def tints(self) -> NDArray[np.uint8]:
        """Return the colours to tint photos with, (256, 3) uint8 RGB: black, which only darkens, for no class.

        A class in black, as label 0 is in VOC's colours, gets the first of VOC's colours that is free, unless it is the
        background.
        """
        tints = self.colours()
        taken = {*self.palette[: len(self)], tuple(tints[self.void].tolist())}
        free = (colour for colour in voc_colour_map()[1:] if colour not in taken)
        for label, colour in enumerate(self.palette[: len(self)]):
            if colour == (0, 0, 0) and label != self.background:
                tints[label] = next(free, colour)
        return tints

    def to_dict(self) -> dict[str, Any]:
        """Return the set as plain JSON values; `from_dict` is the way back."""
        return {
            "name": self.name,
            "names": list(self.names),
            "palette": [list(colour) for colour in self.palette],
            "void": self.void,
            "background": self.background,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> LabelSet:
        """Build a set from what `to_dict` gave; older versions left out ``background``.

        Raises:
            InputError: a field is missing, of the wrong type, or out of bounds.
        """
        try:
            return cls(
                name=str(fields["name"]),
                names=fields["names"],
                palette=fields["palette"],
                void=fields["void"],
                background=fields.get("background", _BY_NAME),
            )
        except KeyError as error:
            raise InputError(f"a label set needs name, names, palette and void; {error.args[0]!r} is missing") from None
        except TypeError as error:
            raise InputError(f"expected a mapping with name, names, palette and void ({error})") from None


def _background_by_name(names: Sequence[str]) -> int | None:
    """The first label whose name is a usual one for the background, ``__Background__`` for instance."""
    return next((label for label, name in enumerate(names) if name.strip("_ ").lower() in _BACKGROUND_NAMES), None)


VOC = LabelSet(
    name="voc",
    names=(
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
        "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    ),
)  # fmt: skip
"""PASCAL VOC 2012: 20 object classes and background; 255 is void (object outlines)."""

CAMVID = LabelSet(
    name="camvid",
    names=(
        "sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian", "bicyclist",
    ),
    palette=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0), (192, 128, 128),
        (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192), (0, 0, 0),
    ),
    void=11,
)  # fmt: skip
"""CamVid's eleven street-scene classes in the usual order and CamVid's own colours; 11 is void (black)."""

LABEL_SETS: Mapping[str, LabelSet] = MappingProxyType({label_set.name: label_set for label_set in (VOC, CAMVID)})
"""The built-in label sets by name."""
