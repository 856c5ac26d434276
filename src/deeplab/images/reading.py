"""Any photo, from a file, PIL or an array, becomes upright RGB of 8 bits."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from deeplab.errors import ImageError, InputError
from deeplab.images.files import image_errors, opened
from deeplab.images.kinds import begins_as_tiff, is_camera_raw
from deeplab.images.stored import RAW, Stored, is_beyond_pillow, stored_in_tiff, stored_pixels
from deeplab.images.values import AssumptionWarning, Levels, check_range, levels_of, to_uint8

Photo = str | os.PathLike[str] | Image.Image | NDArray[Any]
"""What `read_image` takes."""

_NO_DATA = "pixels without data (NaN, or the value that the file calls nodata) are black"


class Reading(NamedTuple):
    """A photo that was read.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright, contiguous.
        notes: what was assumed of it or left out, in words that are the same for all photos of a kind.
        value_range: the values that were taken for black and for white; None where the file's type says so.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None


def read_image(
    source: Photo, *, value_range: Sequence[float] | None = None, bands: Sequence[int] | None = None
) -> NDArray[np.uint8]:
    """Read a photo as upright RGB.

    Args:
        source: a path, a PIL image, or an array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, or of any bands
            where `bands` are given. A file may be JPEG, PNG, WebP, TIFF, GIF, BMP, PPM, JPEG 2000, AVIF or HEIC;
            grey, 1-bit, palette, CMYK, 16-bit, float or with alpha. It is turned as its EXIF orientation says; an
            animation gives its first frame. Transparent parts of photos are laid on white; a TIFF's bands are never
            mixed. Embedded colour profiles are not applied.
        value_range: the values that become black and white. Left out, bool, uint8 and floats of 0–1 are taken as such;
            other integers for the fewest of 8, 10, 12, 14 and 16 bits that hold them (`levels_of` has the rule).
        bands: which bands, from 1, are red, green and blue, or the only one that is shown as grey.

    Returns:
        (H, W, 3) uint8 RGB, contiguous. It may be the array given, not a copy of it.

    Raises:
        ImageError: the file is missing, empty, damaged, too large, no image, or holds values that can mean anything; or
            a PIL image has no pixels.
        InputError: the array's shape, dtype or values are not as above, or `source` or an option is something else.

    Warns:
        AssumptionWarning: what was assumed, where it is not plain.
    """
    reading = read_photo(source, value_range=value_range, bands=bands)
    for note in reading.notes:
        warnings.warn(note, AssumptionWarning, stacklevel=2)
    return reading.pixels


def read_photo(
    source: Photo, *, value_range: Sequence[float] | None = None, bands: Sequence[int] | None = None
) -> Reading:
    """Read a photo as `read_image` does, and return what was assumed beside it.

    Raises:
        ImageError: see `read_image`.
        InputError: see `read_image`.
    """
    check_range(value_range)
    check_bands(bands)
    if isinstance(source, np.ndarray):
        return _rgb(_of_array(source, bands), value_range, bands)
    if isinstance(source, Image.Image):
        return _decode(source, value_range, bands)
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"expected a path, a PIL image or a NumPy array, got {type(source).__name__}")
    path = Path(source)
    try:
        with image_errors(path):
            return _rgb(_of_file(path, bands), value_range, bands)
    except InputError as error:
        raise ImageError(f"{path}: {error}") from None


def check_bands(bands: Sequence[int] | None) -> None:
    """Check bands at the door.

    Raises:
        InputError: they are not one or three whole numbers from 1.
    """
    if bands is None:
        return
    if len(bands) not in (1, 3) or not all(isinstance(band, int | np.integer) and band >= 1 for band in bands):
        raise InputError(f"expected one band, or three for red, green and blue, numbered from 1, got {bands!r}")


def _of_file(path: Path, bands: Sequence[int] | None) -> Stored:
    try:
        with opened(path) as image:
            if is_camera_raw(path):
                raise InputError(RAW)
            if not is_beyond_pillow(image, bands):
                return stored_pixels(image)
    except UnidentifiedImageError:
        if not begins_as_tiff(path):
            raise
    return stored_in_tiff(path)


def _decode(photo: Image.Image, value_range: Sequence[float] | None, bands: Sequence[int] | None) -> Reading:
    """Read a PIL image of any mode."""
    try:
        return _rgb(stored_pixels(photo), value_range, bands)
    except InputError as error:
        raise ImageError(f"the PIL image: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise errors of any kind on damaged bytes
        raise ImageError(f"the PIL image cannot be decoded ({error}); save it again as JPEG or PNG") from error


def _of_array(array: NDArray[Any], bands: Sequence[int] | None) -> Stored:
    """Check an array's shape."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or (channels not in (1, 3, 4) and bands is None):
        channels_first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        hint = (
            "; put the channels last with .transpose(1, 2, 0)" if channels_first
            else "; say which bands are red, green and blue: bands=(3, 2, 1)" if array.ndim == 3 and channels > 4
            else ""
        )  # fmt: skip
        raise InputError(f"expected an array (H, W), (H, W, 3) or (H, W, 4), got shape {array.shape}{hint}")
    if array.size == 0:
        raise InputError(f"the array has no pixels (shape {array.shape}); expected at least 1 × 1")
    return Stored(array.reshape(*array.shape[:2], channels), has_alpha=channels == 4)


def _rgb(stored: Stored, value_range: Sequence[float] | None, bands: Sequence[int] | None) -> Reading:
    """Choose bands, scale their values to 8 bits, and lay a photo's transparent parts on white."""
    chosen, notes = _choose(stored, bands)
    empty = None if stored.nodata is None else chosen == stored.nodata
    levels = _levels(chosen if empty is None or empty.all() else chosen[~empty], value_range)
    pixels = to_uint8(chosen, levels)
    if empty is not None and empty.any():
        pixels = np.where(empty, np.uint8(0), pixels)
        notes += (_NO_DATA,)
    elif chosen.dtype.kind == "f" and np.isnan(chosen).any():
        notes += (_NO_DATA,)
    if levels.assumed and levels.white < 65535:
        notes += (
            f"its values are taken for {int(levels.white).bit_length()} bits, 0–{levels.white}; "
            "--range LO,HI (value_range=(LO, HI)) says otherwise",
        )
    if pixels.shape[2] == 1:
        pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    if stored.has_alpha and bands is None:
        alpha = stored.pixels[:, :, -1:]
        pixels = _on_white(pixels, to_uint8(alpha, levels_of(alpha)))
    return Reading(np.ascontiguousarray(pixels), notes, levels[:2] if levels.assumed else None)


def _choose(stored: Stored, bands: Sequence[int] | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return the one or three bands (H, W, C) that are shown, and the notes."""
    pixels, count = stored.pixels, stored.pixels.shape[2]
    if bands is not None:
        if max(bands) > count:
            raise InputError(f"there is no band {max(bands)}: it has {count}; give --bands (bands=…) of 1–{count}")
        return pixels[:, :, [band - 1 for band in bands]], stored.notes
    if stored.has_alpha:
        return pixels[:, :, :-1], stored.notes
    if count in (1, 3) and not stored.hides_bands:
        return pixels, stored.notes
    if count <= 2 or stored.is_rgb:
        shown = 1 if count <= 2 else 3
        said = "the first of its bands is read" if shown == 1 else "its first three bands are read"
        return pixels[:, :, :shown], (*stored.notes, f"{said}; --bands 1,2,3 (bands=(1, 2, 3)) chooses others")
    raise InputError(
        f"it has {count} bands, and does not say which are red, green and blue; do so: --bands 3,2,1 (bands=(3, 2, 1))"
    )


def _levels(values: NDArray[Any], value_range: Sequence[float] | None) -> Levels:
    if value_range is None:
        return levels_of(values)
    black, white = map(float, value_range)
    if values.dtype == np.uint8 and white > 255:
        raise InputError(
            f"its values have 8 bits, 0–255; range {black:g},{white:g} is for others: leave it out for this photo"
        )
    if values.dtype.kind not in "uifb":
        levels_of(values)
    return Levels(black, white)


def _on_white(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay colours (H, W, 3) with transparency (H, W, 1) on white."""
    photo = Image.fromarray(np.concatenate([colours, alpha], axis=2))
    return np.array(Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo).convert("RGB"))
