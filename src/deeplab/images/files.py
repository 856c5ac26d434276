"""Image files: the formats that are read, and every way that opening one can fail."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, UnidentifiedImageError, features

from deeplab.errors import DeepLabError, ImageError
from deeplab.files import is_file, is_folder
from deeplab.images.kinds import wrong_kind

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"), "PNG": (".png", ".apng"), "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"), "GIF": (".gif",), "BMP": (".bmp", ".dib"), "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"), "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".hif"),
}  # fmt: skip
_READABLE = {
    "AVIF": "avif" in features.modules and features.check_module("avif"),  # from Pillow 11.3 on, mostly
    "HEIF": find_spec("pillow_heif") is not None,
}

PHOTO_FORMATS = tuple(name for name in _SUFFIXES if _READABLE.get(name, True))
"""Pillow's names of the formats that photos are read in here; AVIF and HEIF where what reads them is installed."""

PHOTO_SUFFIXES = frozenset(suffix for name in PHOTO_FORMATS for suffix in _SUFFIXES[name])
"""Lower-case file name endings of the formats `read_image` reads here."""


@contextmanager
def open_image(path: Path, formats: tuple[str, ...] = PHOTO_FORMATS) -> Iterator[Image.Image]:
    """Open an image file in one of Pillow's `formats`; whatever goes wrong, decoding it too, is an ImageError."""
    with image_errors(path, formats), opened(path, formats) as image:
        yield image


@contextmanager
def opened(path: Path, formats: tuple[str, ...] = PHOTO_FORMATS) -> Iterator[Image.Image]:
    """Open an image file as `open_image` does, but raise what Pillow raises."""
    if is_folder(path):
        raise ImageError(f"{path} is a folder; give an image file in it")
    if path.stat().st_size == 0:
        raise ImageError(f"{path} is empty (0 bytes); copy or download it again")
    if "HEIF" in formats:
        _learn_heif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is an error from twice the limit on
        image = Image.open(path, formats=formats)
    with image:
        yield image


@contextmanager
def image_errors(path: Path, formats: tuple[str, ...] = PHOTO_FORMATS) -> Iterator[None]:
    """Turn whatever goes wrong with an image file into an ImageError of one line."""
    try:
        yield
    except (DeepLabError, MemoryError):
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(f"{path}: no such file; check the spelling") from None
    except PermissionError:
        raise ImageError(f"{path} may not be read; change its permissions") from None
    except UnidentifiedImageError:
        raise ImageError(wrong_kind(path, formats)) from None
    except Image.DecompressionBombError as error:
        too_many = str(error).partition(",")[0]
        raise ImageError(f"{path} is too large: {too_many}; shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS") from None
    except Exception as error:  # decoders raise errors of any kind on damaged bytes
        if not (is_file(path) or is_folder(path)):  # a name that no file can have
            raise ImageError(f"{path}: no such file; check the spelling") from None
        raise ImageError(f"{path} cannot be decoded ({error}); it may be damaged: copy it again") from error


def check_pixels(path: Path, pixels: int) -> None:
    """Raise an ImageError where Pillow would refuse an image of so many pixels as too large."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > 2 * limit:
        raise ImageError(
            f"{path} is too large: Image size ({pixels} pixels) exceeds limit of {2 * limit} pixels; shrink it, "
            "or raise PIL.Image.MAX_IMAGE_PIXELS"
        )


def _learn_heif() -> None:
    """Have Pillow read HEIC and HEIF, once."""
    if "HEIF" not in Image.OPEN:
        import pillow_heif

        pillow_heif.register_heif_opener()
