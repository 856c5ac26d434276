"""CVAT's "Segmentation mask 1.1": a ZIP archive of colour-coded masks; `deeplab.data.cvat` reads it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import InputError
from deeplab.formats.labelled import Labelled
from deeplab.formats.options import DEFAULTS, Options
from deeplab.formats.regions import regions_of
from deeplab.labels import Colour, LabelSet, voc_colour_map

BACKGROUND, VOID = "background", "void"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same archive whenever it is written


def write_cvat(file: IO[bytes], items: Iterable[Labelled], label_set: LabelSet, options: Options = DEFAULTS) -> None:
    """Write the archive: ``labelmap.txt``, ``ImageSets/``, ``SegmentationClass/`` and ``SegmentationObject/``.

    The background's class is called ``background``, as CVAT wants it. Where pixels are void, the label map has a label
    ``void``, which the task in CVAT must have too.

    Args:
        file: open for writing; seekable.
        items: the label maps.
        label_set: theirs.
        options: with `instances`, each connected part of a class is an object of its own.

    Raises:
        InputError: a class name cannot stand in ``labelmap.txt``.
    """
    for label, name in enumerate(label_set.names):
        taken = name == VOID or (name == BACKGROUND and label != label_set.background)
        if taken or any(character in name for character in ":\r\n") or name.startswith("#"):
            raise InputError(f"CVAT's label map has no room for a class called {name!r}; rename it with --names")
    colours = _colours(label_set)
    table = np.array([colours.get(_name(value, label_set), (0, 0, 0)) for value in range(256)], dtype=np.uint8)
    names, has_void = [], False
    with zipfile.ZipFile(file, "w") as archive:
        for item in items:
            name = PurePath(item.photo).stem
            names.append(name)
            has_void = has_void or bool((item.labels == label_set.void).any())
            _add(archive, f"SegmentationClass/{name}.png", _png(table[item.labels]))
            _add(archive, f"SegmentationObject/{name}.png", _png(_objects(item, options)))
        _add(archive, "ImageSets/Segmentation/default.txt", "".join(f"{name}\n" for name in names).encode())
        written = {name: colour for name, colour in colours.items() if has_void or name != VOID}
        lines = (f"{name}:{red},{green},{blue}::\n" for name, (red, green, blue) in written.items())
        _add(archive, "labelmap.txt", f"# label:color_rgb:parts:actions\n{''.join(lines)}".encode())


def _colours(label_set: LabelSet) -> dict[str, Colour]:
    """Return a colour for each class, the background (black) and void: the label set's, unless it is taken."""
    classes = [_name(label, label_set) for label in range(len(label_set))]
    wanted = dict(zip(classes, label_set.palette, strict=False))
    names = [BACKGROUND, *(name for name in classes if name != BACKGROUND), VOID]
    wanted[VOID] = voc_colour_map()[255]
    wanted[BACKGROUND] = (0, 0, 0)
    kept: dict[str, Colour] = {}
    for name in names:
        if wanted[name] not in kept.values():
            kept[name] = wanted[name]
    spare: Iterator[Colour] = (colour for colour in voc_colour_map() if colour not in kept.values())
    return {name: kept[name] if name in kept else next(spare) for name in names}


def _name(value: int, label_set: LabelSet) -> str:
    if value == label_set.background:
        return BACKGROUND
    return label_set.names[value] if value < len(label_set) else VOID


def _objects(item: Labelled, options: Options) -> NDArray[np.uint8]:
    """Return the objects of a label map in colours of their own, (H, W, 3)."""
    palette = np.array(voc_colour_map(), dtype=np.uint8)
    drawn = np.zeros((*item.labels.shape, 3), dtype=np.uint8)
    for number, region in enumerate(regions_of(item.labels, item.label_set, instances=options.instances)):
        drawn[region.mask] = palette[number % 255 + 1]
    return drawn


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
