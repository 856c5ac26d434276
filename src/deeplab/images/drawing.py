"""Smaller copies of photos, JPEG, and overlays."""

from __future__ import annotations

import os
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import InputError
from deeplab.files import atomic_file
from deeplab.labels import LabelSet

_BAND_ROWS = 256  # of a large photo, so that temporaries stay small


def shrunk(photo: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return a filtered copy with sides this many times as long; the photo itself where that is not smaller."""
    return photo if factor >= 1 else resized(photo, factor)


def resized(photo: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return a filtered copy of a photo (H, W, 3) uint8 RGB with sides this many times as long, at least one pixel."""
    height, width = photo.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.array(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    """Return an (H, W, 3) uint8 RGB image as JPEG, quality 92."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=92)
    return buffer.getvalue()


def write_jpeg(path: str | os.PathLike[str], image: NDArray[np.uint8], *, overwrite: bool = False) -> None:
    """Write an (H, W, 3) uint8 RGB image as `encode_jpeg` gives it.

    Raises:
        OutputError: the file exists, or cannot be written; nothing is left behind.
    """
    with atomic_file(path, overwrite=overwrite) as file:
        file.write(encode_jpeg(image))


def overlay_image(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], label_set: LabelSet, opacity: float = 0.5
) -> NDArray[np.uint8]:
    """Tint a photo by class and draw a thin white contour inside each region.

    Background (where the label set has one) and void keep the photo's own colours.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8.
        label_set: the classes' colours.
        opacity: of the tint, 0 (photo) … 1 (flat colour).

    Returns:
        (H, W, 3) uint8 RGB, a new array.

    Raises:
        InputError: photo and labels differ in size, or the opacity is outside 0–1.
    """
    if image.shape != (*labels.shape, 3):
        raise InputError(f"expected a photo (H, W, 3) and labels (H, W) of one size, got {image.shape}, {labels.shape}")
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity must lie in 0–1, got {opacity}")
    tinted = labels != label_set.void
    if label_set.background is not None:
        tinted &= labels != label_set.background
    colours, overlay = label_set.tints(), image.copy()
    for start in range(0, len(labels), _BAND_ROWS):
        rows = slice(start, start + _BAND_ROWS)
        flat = Image.fromarray(colours[labels[rows]])
        blended = np.array(Image.blend(Image.fromarray(image[rows]), flat, opacity))
        np.copyto(overlay[rows], blended, where=tinted[rows, :, None])
    overlay[tinted & _contours(labels)] = 255
    return overlay


def _contours(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the pixels near another label, (H, W): 1 px wide in a small photo, wider in proportion in a large one."""
    reach = max(1, round(max(labels.shape) / 800))
    near = np.zeros(labels.shape, dtype=np.bool_)
    for along, marks in ((labels, near), (labels.T, near.T)):
        differs = along[reach:] != along[:-reach]
        marks[reach:] |= differs
        marks[:-reach] |= differs
    return near
