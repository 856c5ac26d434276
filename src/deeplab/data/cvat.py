"""CVAT's export "Segmentation mask 1.1": masks of colours, which ``labelmap.txt`` names."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplab.data.folders import photo_called
from deeplab.data.lists import read_lines, read_text, splits_of_lists
from deeplab.data.samples import Listing, Sample
from deeplab.errors import DataError, ImageError, InputError
from deeplab.files import is_file
from deeplab.images import read_image
from deeplab.labels import Colour, LabelSet, colours_to_values, voc_colour_map

VOID = "void"
LABEL_MAP = "labelmap.txt"
PHOTO_FOLDERS = ("JPEGImages", "images")


def read_cvat(root: Path, split: str) -> Listing:
    """CVAT's "Segmentation mask 1.1": ``labelmap.txt``, ``ImageSets/Segmentation/<split>.txt``, ``SegmentationClass/``.

    Photos are in ``JPEGImages/`` (exported with "save images") or ``images/``. The classes are those of the label
    map in its order; a label called ``void`` is void.
    """
    colours = _label_map(root / LABEL_MAP)
    label_set = cvat_label_set(root / LABEL_MAP)
    values = {name: label_set.void if name == VOID else label_set.names.index(name) for name in colours}
    read = partial(read_colours, values={colour: values[name] for name, colour in colours.items()})
    listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    samples = [
        Sample(
            name.replace("/", "_"), _photo(root, name), root / "SegmentationClass" / f"{name}.png", label_set, read=read
        )
        for name in read_lines(listing)
    ]
    return Listing(listing, tuple(samples), values=values, by_name=True)


def cvat_label_set(path: Path) -> LabelSet:
    """Return the classes and colours of CVAT's ``labelmap.txt``; a label called ``void`` is void.

    Raises:
        DataError: the file cannot be read, or its lines make no label set.
    """
    colours = _label_map(path)
    names = tuple(name for name in colours if name != VOID)
    palette = tuple(colours[name] for name in names)
    if VOID in colours:  # which is 255, the last of all
        palette += (*voc_colour_map()[len(palette) : -1], colours[VOID])
    try:
        return LabelSet("cvat", names, palette)
    except InputError as error:
        raise DataError(f"{path}: {error}") from None


def cvat_splits(root: Path) -> list[str]:
    """Return the splits of a folder in the layout of CVAT's export."""
    return splits_of_lists(root / "ImageSets" / "Segmentation") if is_file(root / LABEL_MAP) else []


def read_colours(path: Path, values: dict[Colour, int]) -> NDArray[np.uint8]:
    """Read a mask of colours: (H, W) uint8, the values that its (R, G, B) colours stand for.

    Raises:
        ImageError: the file cannot be read, or holds a colour without a value.
    """
    labels, strange = colours_to_values(read_image(path), values)
    if strange:
        more = f" (and {len(strange) - 1} more)" if len(strange) > 1 else ""
        raise ImageError(f"{path} holds the colour {strange[0]}{more}, which labelmap.txt does not name; add it there")
    return labels


def _label_map(path: Path) -> dict[str, Colour]:
    """The labels of ``labelmap.txt`` and their colours, in order; lines ``name:r,g,b:parts:actions``."""
    colours: dict[str, Colour] = {}
    for line in read_text(path).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(":")
        try:
            red, green, blue = (int(part) for part in rest.partition(":")[0].split(","))
        except ValueError:
            raise DataError(
                f"{path} has the line {line!r}; expected a label and its colour, such as car:128,0,0::"
            ) from None
        colour = (red, green, blue)
        if name in colours or colour in colours.values():
            raise DataError(f"{path} gives {name!r} or its colour {colour} twice; give every label a colour of its own")
        colours[name] = colour
    return colours


def _photo(root: Path, name: str) -> Path:
    found = [photo_called(root / folder, name) for folder in PHOTO_FOLDERS]
    return next((photo for photo in found if is_file(photo)), found[0])
