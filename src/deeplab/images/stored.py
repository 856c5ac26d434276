"""An image's pixels as its file stores them: every band, at full depth, upright."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from deeplab.errors import ImageError, InputError
from deeplab.images.files import check_pixels

_Turn = Callable[[NDArray[Any]], NDArray[Any]]

_UPRIGHT: dict[int, _Turn] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}  # EXIF orientation → what undoes it

_SUBFILE, _BITS, _ORIENTATION, _SAMPLES, _PLANAR, _NODATA, _DNG_VERSION = 254, 258, 274, 277, 284, 42113, 50706
"""Tags of a TIFF."""

_RGB = 2  # the photometric interpretation

_OTHER_BYTE = {"B": "L", "L": "B", "N": "L" if sys.byteorder == "big" else "B"}
"""Pillow keeps one byte of each 16-bit colour, the high one; read in the other byte order, it keeps the low one."""

RAW = "it is a camera's raw file, which begins with a thumbnail; develop it, and export JPEG or TIFF"
"""Why one is not read."""

_FIRST_PAGE = "only the first of its pages is read"
_BEYOND_PILLOW = "is a TIFF with bands or numbers that Pillow does not read"
_INSTALL = "run pip install '.[tiff]' in deeplab's folder"


class Stored(NamedTuple):
    """What an image file, or an array, holds.

    Attributes:
        pixels: (H, W, C) of any number type, upright.
        has_alpha: the last of the bands is a photo's transparency.
        nodata: the value of pixels that hold nothing, if any.
        is_rgb: the first three bands are red, green and blue.
        hides_bands: the file has more bands than these.
        notes: what is not read, in words.
    """

    pixels: NDArray[Any]
    has_alpha: bool = False
    nodata: float | None = None
    is_rgb: bool = True
    hides_bands: bool = False
    notes: tuple[str, ...] = ()


def stored_pixels(image: Image.Image) -> Stored:
    """Return the pixels of a PIL image, which may not have been loaded yet.

    Raises:
        InputError: it has no pixels, or they are a raw file's thumbnail.
    """
    if 0 in image.size:
        raise InputError(f"it has no pixels ({image.width} × {image.height}); expected at least 1 × 1")
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    notes = () if tags is None else _tiff_notes(image, tags)
    pixels = _deep_colours(image)
    has_alpha = False
    if pixels is None:
        image.load()  # which turns a TIFF upright
        pixels, has_alpha = _in_memory(image, is_photo=tags is None)
    elif tags is None:
        has_alpha = pixels.shape[2] in (2, 4)
    if tags is not None:
        hides_bands = pixels.shape[2] < tags.get(_SAMPLES, 1)
        return Stored(pixels, has_alpha, _number(tags.get(_NODATA)), hides_bands=hides_bands, notes=notes)
    turn = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1), _as_it_is)
    return Stored(turn(pixels), has_alpha)


def _in_memory(image: Image.Image, *, is_photo: bool) -> tuple[NDArray[Any], bool]:
    """Return a loaded image's pixels (H, W, C), and whether the last band is transparency."""
    if image.mode == "F" or image.mode.startswith("I"):
        return np.asarray(image)[:, :, None], False
    if image.mode in ("LA", "RGBA") and not is_photo:
        return np.asarray(image), False
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA")), True
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[:, :, None], False
    return np.array(image.convert("RGB")), False


def _tiff_notes(image: Any, tags: Any) -> tuple[str, ...]:
    """Refuse a camera's raw file; say where a file that is not loaded has more pages than one."""
    _refuse_raw(tags.get)
    if not image.tile or image.tell():
        return ()
    size = image.size
    try:
        image.seek(1)
        several = image.size == size  # and no smaller copy
    except EOFError:
        several = False
    image.seek(0)
    return (_FIRST_PAGE,) if several else ()


def _refuse_raw(tag: Callable[[int], Any]) -> None:
    """Raise where the first picture of a TIFF is the thumbnail in front of a camera's raw data."""
    if tag(_DNG_VERSION) is not None or int(tag(_SUBFILE) or 0) & 1:
        raise InputError(RAW)


def is_beyond_pillow(image: Image.Image, bands: Sequence[int] | None) -> bool:
    """Tell whether a file that is not loaded is a TIFF of which Pillow would read too little.

    That is 16-bit colours in a plane each, of which it takes wrong bytes, and bands asked for that it leaves out.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    tags, own = image.tag_v2, 3 if image.mode == "RGBX" else len(image.getbands())  # RGBX: of older Pillows
    hides_bands = own < tags.get(_SAMPLES, 1)
    is_planar = tags.get(_PLANAR) == 2 and max(tags.get(_BITS, (1,))) > 8
    return (own > 1 and is_planar) or (bands is not None and own < max(bands) and hides_bands)


def _deep_colours(image: Image.Image) -> NDArray[Any] | None:
    """Return (H, W, C) uint16 where a file that is not loaded has 16-bit colours, else None.

    Straight alpha stays beside the colours, and colours are as stored where they were multiplied by it (RGBa).
    """
    tiles = getattr(image, "tile", [])
    rawmodes = {_rawmode(tile) for tile in tiles}
    if len(rawmodes) != 1 or image.mode not in ("RGB", "RGBA", "RGBX"):
        return None
    bands, _, order = rawmodes.pop().partition(";16")
    if bands == "LA" and order == "B":
        return _reread(image, "RGBA").view(">u2")
    if bands == "RGBa" and not order:  # 8 bits, which Pillow divides by alpha
        return _reread(image, "RGBA")
    if bands not in ("RGB", "RGBX", "RGBA", "RGBa") or order not in _OTHER_BYTE:
        return None
    straight = bands.upper()  # colours as stored, not divided by alpha
    high, low = (_reread(image, f"{straight};16{byte}") for byte in (order, _OTHER_BYTE[order]))
    return (high.astype(np.uint16) << 8) | low


def _rawmode(tile: Any) -> str:
    arguments = tile[3]
    return str(arguments if isinstance(arguments, str) else arguments[0] if arguments else "")


def _reread(image: Any, rawmode: str) -> NDArray[np.uint8]:
    """Read an image's file once more, its bytes taken in the order of another of Pillow's raw modes."""
    place = image.fp.tell()
    image.fp.seek(0)
    content = BytesIO(image.fp.read())
    image.fp.seek(place)
    with Image.open(content, formats=(image.format,)) as again:
        again.tile = [_with_rawmode(tile, rawmode) for tile in again.tile]
        return np.array(again)


def _with_rawmode(tile: Any, rawmode: str) -> Any:
    fields = (*tile[:3], rawmode if isinstance(tile[3], str) else (rawmode, *tile[3][1:]))
    return fields if type(tile) is tuple else type(tile)(*fields)


def _number(text: Any) -> float | None:
    try:
        return float(str(text).rstrip("\0 "))
    except ValueError:
        return None


def stored_in_tiff(path: Path) -> Stored:
    """Return the pixels of a TIFF's first page, whatever its bands and number type.

    Raises:
        ImageError: tifffile, or what it needs for the compression, is not installed.
        InputError: the page is a raw file's thumbnail, or no plain image.
    """
    try:
        import tifffile
    except ModuleNotFoundError:
        raise ImageError(f"{path} {_BEYOND_PILLOW}; {_INSTALL}, or save it with 1 or 3 bands of 8 or 16 bits") from None
    with tifffile.TiffFile(path) as tiff:
        page: Any = tiff.pages[0]
        _refuse_raw(page.tags.valueof)
        check_pixels(path, page.imagewidth * page.imagelength)
        if page.axes not in ("YX", "YXS", "SYX"):
            raise InputError(f"its pixels have the axes {page.axes}; expected one flat image a page")
        try:
            pixels = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            raise ImageError(f"{path} {_BEYOND_PILLOW}, and compressed; {_INSTALL}") from None
        several = len(tiff.pages) > 1 and tiff.pages[1].shape == page.shape
    banded = np.moveaxis(pixels, 0, 2) if page.axes == "SYX" else np.atleast_3d(pixels)
    turn = _UPRIGHT.get(page.tags.valueof(_ORIENTATION), _as_it_is)
    is_rgb = page.photometric == _RGB
    return Stored(
        turn(banded), False, _number(page.tags.valueof(_NODATA)), is_rgb, notes=(_FIRST_PAGE,) if several else ()
    )


def _as_it_is(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels
