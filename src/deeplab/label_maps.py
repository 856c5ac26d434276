"""Label maps as palette PNGs, whose pixel values are labels and which say what those mean."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deeplab.documents import parse_json
from deeplab.errors import MALFORMED, ImageError, InputError, OutputError
from deeplab.files import atomic_file
from deeplab.images import open_image
from deeplab.labels import LabelSet

LABEL_MAP_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif")
"""Lower-case file name endings of label maps, the usual one first."""

_FORMATS = ("PNG", "TIFF", "BMP", "GIF")  # lossless ones
_BAND_ROWS = 256  # that are checked at a time, so that temporaries stay small
_LABELS_KEY = "deeplab labels"  # of a PNG's text


def read_label_map(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a label map: a palette or 8-bit grey PNG (also TIFF, BMP, GIF) whose pixel values are labels.

    Returns:
        (H, W) uint8 labels, as stored; nothing is checked against a label set.

    Raises:
        ImageError: the file cannot be read, or holds colours or 16-bit values in place of labels.
    """
    with open_label_map(path) as image:
        if image.mode not in ("P", "L"):
            raise ImageError(
                f"{path} has mode {image.mode}; a label map holds one 8-bit label per pixel (mode P or L), not colours"
            )
        return np.array(image)


@contextmanager
def open_label_map(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Open and decode an image in a format that keeps labels as they are.

    Raises:
        ImageError: the file cannot be read, is in another format, or an animation.
    """
    with open_image(Path(path), _FORMATS) as image:
        if image.format == "GIF" and (frames := getattr(image, "n_frames", 1)) > 1:
            raise ImageError(f"{path} is an animation of {frames} frames; a label map is one picture: save it alone")
        image.load()
        yield image


def read_label_set(path: str | os.PathLike[str]) -> LabelSet | None:
    """Return the label set that `encode_label_map` wrote into a PNG; None where a file says none.

    Raises:
        ImageError: the file cannot be read, or what it says is damaged.
    """
    with open_label_map(path) as image:
        said, palette = image.info.get(_LABELS_KEY), image.getpalette()
    if said is None or palette is None:
        return None
    colours = [palette[start : start + 3] for start in range(0, len(palette), 3)]
    try:
        return LabelSet.from_dict(parse_json(said) | {"palette": colours})
    except MALFORMED as error:
        raise ImageError(f"{path}: what it says of its labels is damaged ({error}); write it again") from None


def is_label_map(path: Path) -> bool:
    """Tell whether a file begins as those of `write_label_map` do: as a PNG with a palette and 8 bits per pixel."""
    try:
        with path.open("rb") as file:
            header = file.read(26)  # ends with the bit depth and the colour type
    except OSError:
        return False
    return header.startswith(b"\x89PNG") and header[24:] == b"\x08\x03"


def encode_label_map(labels: NDArray[Any], label_set: LabelSet) -> bytes:
    """Return labels as a mode-P PNG whose pixel values are labels; its palette and a text in it are the label set's.

    Args:
        labels: (H, W) of any integer dtype, values 0 … L−1 or void.
        label_set: the L classes, their colours, and void.

    Raises:
        InputError: the labels have another shape or dtype, or values that the label set does not know.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "ui":
        raise InputError(f"expected labels (H, W) of an integer dtype, got {labels.shape} {labels.dtype}")
    for start in range(0, len(labels), _BAND_ROWS):
        band = labels[start : start + _BAND_ROWS]
        known = (band >= 0) & (band < len(label_set)) | (band == label_set.void)
        if not known.all():
            raise InputError(
                f"label {band[~known][0]} is not in label set {label_set.name!r}: "
                f"expected 0–{len(label_set) - 1} or void {label_set.void}"
            )
    about = PngInfo()
    said = {key: value for key, value in label_set.to_dict().items() if key != "palette"}
    about.add_itxt(_LABELS_KEY, json.dumps(said, ensure_ascii=False))
    buffer = BytesIO()
    coloured(labels.astype(np.uint8, copy=False), label_set).save(buffer, format="PNG", pnginfo=about)
    return buffer.getvalue()


def coloured(labels: NDArray[np.uint8], label_set: LabelSet) -> Image.Image:
    """Return labels (H, W) as a picture of mode P in the label set's colours."""
    image = Image.fromarray(labels)
    image.putpalette(label_set.colours().tobytes())
    return image


def write_label_map(
    path: str | os.PathLike[str], labels: NDArray[Any], label_set: LabelSet, *, overwrite: bool = False
) -> None:
    """Write labels as a mode-P PNG, as `encode_label_map` gives it.

    Args:
        path: where to write, ending in ``.png``.
        labels: see `encode_label_map`.
        label_set: see `encode_label_map`.
        overwrite: replace an existing file.

    Raises:
        InputError: see `encode_label_map`.
        OutputError: the file exists, or cannot be written; nothing is left behind.
    """
    content = encode_label_map(labels, label_set)
    if Path(path).suffix.lower() != ".png":
        raise OutputError(f"{path}: label maps are written as PNG; let the name end in .png")
    with atomic_file(path, overwrite=overwrite) as file:
        file.write(content)
