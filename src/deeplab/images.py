"""Photos in, smaller copies and overlays out.

Every photo becomes an upright (H, W, 3) uint8 RGB array, and every file is written whole or not at all.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from deeplab.errors import DeepLabError, ImageError, InputError
from deeplab.files import atomic_file
from deeplab.labels import LabelSet

__all__ = [
    "PHOTO_SUFFIXES",
    "Photo",
    "encode_jpeg",
    "open_image",
    "overlay_image",
    "read_image",
    "shrunk",
    "write_jpeg",
]

Photo = str | os.PathLike[str] | Image.Image | NDArray[Any]
"""What `read_image` takes."""

_PHOTO_FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".mpo"), "PNG": (".png",), "WEBP": (".webp",), "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",), "BMP": (".bmp",), "PPM": (".ppm", ".pgm", ".pbm"), "JPEG2000": (".jp2",),
}  # fmt: skip
_BAND_ROWS = 256  # of a large photo, so that temporaries stay small

PHOTO_SUFFIXES = frozenset(suffix for suffixes in _PHOTO_FORMATS.values() for suffix in suffixes)
"""Lower-case file name endings of the formats `read_image` reads."""

_TURN_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF orientation → what undoes it


def read_image(source: Photo) -> NDArray[np.uint8]:
    """Read a photo as upright RGB.

    Args:
        source: a path, a PIL image, or an array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA of dtype uint8
            (0–255), uint16 (0–65535), bool, or float (0–1). A file may be JPEG, PNG, WebP, TIFF, GIF, BMP, PPM or
            JPEG 2000; grey, 1-bit, palette, CMYK, 16-bit or with alpha. It is turned as its EXIF orientation says; an
            animation gives its first frame. Transparent parts are laid on white, 16-bit values scaled to 8 bits;
            embedded colour profiles are not applied.

    Returns:
        (H, W, 3) uint8 RGB, contiguous. It may be the array given, not a copy of it.

    Raises:
        ImageError: the file is missing, empty, damaged, too large, or no image, or a PIL image has no pixels.
        InputError: the array's shape, dtype or values are not as above, or `source` is something else.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _decode(source, "the PIL image")
    if isinstance(source, str | os.PathLike):
        with open_image(Path(source), tuple(_PHOTO_FORMATS)) as photo:
            return _decode(photo, str(source))
    raise InputError(f"expected a path, a PIL image or a NumPy array, got {type(source).__name__}")


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


@contextmanager
def open_image(path: Path, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Open and fully decode an image file in one of Pillow's `formats`; whatever goes wrong is an ImageError."""
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; give an image file in it")
        if path.stat().st_size == 0:
            raise ImageError(f"{path} is empty (0 bytes); copy or download it again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is an error from twice the limit on
            image = Image.open(path, formats=formats)
        with image:
            image.load()
            yield image
    except (DeepLabError, MemoryError):
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(f"{path}: no such file; check the spelling") from None
    except PermissionError:
        raise ImageError(f"{path} may not be read; change its permissions") from None
    except UnidentifiedImageError:
        expected = ", ".join(formats)
        raise ImageError(f"{path} is not an image, or its beginning is damaged; expected {expected}") from None
    except Image.DecompressionBombError as error:
        too_many = str(error).partition(",")[0]
        raise ImageError(f"{path} is too large: {too_many}; shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS") from None
    except Exception as error:  # decoders raise errors of any kind on damaged bytes
        raise ImageError(f"{path} cannot be decoded ({error}); it may be damaged: copy it again") from error


def _decode(photo: Image.Image, name: str) -> NDArray[np.uint8]:
    """Turn a PIL image of any mode upright and into RGB."""
    try:
        if 0 in photo.size:
            raise InputError(f"it has no pixels ({photo.width} × {photo.height}); expected at least 1 × 1")
        photo.load()  # before asking for the orientation: TIFF turns itself while loading
        turn = _TURN_UPRIGHT.get(photo.getexif().get(ExifTags.Base.Orientation, 1))
        upright = photo if turn is None else photo.transpose(turn)
        if upright.mode == "F" or upright.mode.startswith("I"):
            return _from_array(_deep_grey(upright))
        if upright.has_transparency_data:
            return _on_white(upright)
        return np.array(upright.convert("RGB"))
    except InputError as error:
        raise ImageError(f"{name}: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # as in open_image
        raise ImageError(f"{name} cannot be decoded ({error}); save it again as JPEG or PNG") from error


def _deep_grey(photo: Image.Image) -> NDArray[Any]:
    """Return the pixels of a 16-bit, 32-bit or float grey image, (H, W)."""
    pixels = np.asarray(photo)
    if pixels.dtype.kind == "f":
        return pixels
    if pixels.min() < 0 or pixels.max() > 65535:
        raise InputError(f"grey values span {pixels.min()}–{pixels.max()}; expected 16 bits, 0–65535")
    return pixels.astype(np.uint16)


def _on_white(photo: Image.Image) -> NDArray[np.uint8]:
    """Lay an image with transparency on white."""
    colour = photo.convert("RGBA")
    return np.array(Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB"))


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring an array of any accepted shape and dtype to (H, W, 3) uint8 RGB."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4):
        channels_first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        hint = "; put the channels last with .transpose(1, 2, 0)" if channels_first else ""
        raise InputError(f"expected an array (H, W), (H, W, 3) or (H, W, 4), got shape {array.shape}{hint}")
    if array.size == 0:
        raise InputError(f"the array has no pixels (shape {array.shape}); expected at least 1 × 1")
    pixels = _to_uint8(array.reshape(*array.shape[:2], channels))
    if channels == 4:
        return _on_white(Image.fromarray(np.ascontiguousarray(pixels)))
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _to_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale pixels to 0–255 where the dtype (and, for floats, the range) says what they mean."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.bool_:
        return pixels * np.uint8(255)
    if pixels.dtype.newbyteorder("=") == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype.kind != "f":
        raise InputError(
            f"expected dtype uint8, uint16, bool or float, got {pixels.dtype}; use .astype(np.uint8) for 0–255"
        )
    low, high = pixels.min(), pixels.max()
    if np.isnan(low):
        raise InputError("the array holds NaN; expected finite values from 0 to 1")
    if low < 0 or high > 1:
        raise InputError(
            f"float values span {low:g}–{high:g}; expected 0 to 1 (divide by 255, or use .astype(np.uint8) for 0–255)"
        )
    scaled: NDArray[np.uint8] = np.rint(pixels * 255).astype(np.uint8)
    return scaled
