"""Kinds of files by their first bytes and by their names: which are photos, and what to do with the others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_HEAD_BYTES = 4096  # of a file; the tables below look no further
_NAMES_SHOWN = 3

_EXPORT = "export it as JPEG, PNG or TIFF"
_RAW = "develop it in the camera's program, and export JPEG or TIFF"
_VIDEO = "name it outright, clip.mp4, and deeplab segment takes it for a video"


class Kind(NamedTuple):
    """One kind of file.

    Attributes:
        name: in words, with its article.
        advice: what to do with it to have it read; "" for what Pillow reads.
        pillow: Pillow's name of the format, "" where it has none.
    """

    name: str
    advice: str
    pillow: str = ""


_HEIC = Kind("an HEIC photo", "run pip install '.[heic]' in deeplab's folder to read it, or export it as JPEG", "HEIF")
_AVIF = Kind("an AVIF photo", "run pip install 'pillow>=11.3' to read it, or export it as JPEG or PNG", "AVIF")
_CAMERA_RAW = Kind("a camera's raw file", _RAW)
_PHOTOSHOP = Kind("a Photoshop file", _EXPORT)
_SVG = Kind("an SVG drawing", "export it as PNG at the size you want")
_PDF = Kind("a PDF document", "save the photos in it as JPEG or PNG (pdfimages -all)")
_POSTSCRIPT = Kind("a PostScript file", _EXPORT)
_FILM = Kind("a video", _VIDEO)
_JPEG_XL = Kind("a JPEG XL photo", "export it as JPEG or PNG (djxl)")
_OPENEXR = Kind("an OpenEXR image", "tone-map it, and " + _EXPORT)
_RADIANCE = Kind("a Radiance HDR image", "tone-map it, and " + _EXPORT)
_DICOM = Kind("a DICOM file", "export its images as 16-bit PNG or TIFF, and choose the window with --range")
_NIFTI = Kind("a NIfTI volume", "save its slices as 16-bit PNG or TIFF, and choose the window with --range")
_FITS = Kind("a FITS image", "save it as 16-bit TIFF, and choose the window with --range")
_HDF5 = Kind("an HDF5 file", "save the images in it as PNG or TIFF")
_NUMPY = Kind("a NumPy array", "save it as PNG or TIFF, or give the array to deeplab.Segmenter in Python")
_ARCHIVE = Kind("an archive", "unpack it, and give the folder")
_OTHER = Kind("an other file", "")
_OTHER_IMAGE = Kind("an image of a kind that is not read", _EXPORT)

_BY_START: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"\xff\xd8\xff", Kind("a JPEG file", "", "JPEG")),
    (0, b"\x89PNG\r\n\x1a\n", Kind("a PNG file", "", "PNG")),
    (0, b"GIF8", Kind("a GIF file", "", "GIF")),
    (0, b"BM", Kind("a BMP file", "", "BMP")),
    (8, b"WEBP", Kind("a WebP file", "", "WEBP")),
    (4, b"jP  \r\n\x87\n", Kind("a JPEG 2000 file", "", "JPEG2000")),
    (0, b"\xff\x4f\xff\x51", Kind("a JPEG 2000 file", "", "JPEG2000")),
    (8, b"CR\x02\0", _CAMERA_RAW),  # Canon's, a TIFF otherwise
    *((0, start, _CAMERA_RAW) for start in (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb")),
    *((0, start, Kind("a TIFF file", "", "TIFF")) for start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (0, b"8BPS", _PHOTOSHOP),
    (0, b"%PDF", _PDF),
    (0, b"%!PS", _POSTSCRIPT),
    (0, b"<svg", _SVG),
    (0, b"\xff\x0a", _JPEG_XL),
    (4, b"JXL \r\n\x87\n", _JPEG_XL),
    (0, b"\x76\x2f\x31\x01", _OPENEXR),
    (0, b"#?RADIANCE", _RADIANCE),
    (128, b"DICM", _DICOM),
    (344, b"n+1\0", _NIFTI),
    (0, b"SIMPLE  =", _FITS),
    (0, b"\x89HDF", _HDF5),
    (0, b"\x93NUMPY", _NUMPY),
    *((0, start, _ARCHIVE) for start in (b"PK\3\4", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!")),
    *((0, start, _FILM) for start in (b"\x1aE\xdf\xa3", b"FLV\1", b"OggS", b"\0\0\1\xba", b"\0\0\1\xb3")),
    (8, b"AVI ", _FILM),
    *((4, box, _FILM) for box in (b"moov", b"mdat", b"wide")),
    *((0, start, _OTHER_IMAGE) for start in (b"gimp xcf", b"DDS ", b"\0\0\1\0", b"II\xbc\1", b"qoif", b"\n\5\1")),
    (0, b"\0\5\x16\7", Kind("a note of macOS beside a file", "take the photo itself, without ._ in its name")),
    (0, b"version https://git-lfs", Kind("a pointer of Git LFS, not the file itself", "run git lfs pull")),
    *((0, start, Kind("a web page", "the download went wrong: get the photo itself")) for start in (
        b"<!doctype html", b"<html")),
)  # fmt: skip

_BRANDS = {  # of ISO media files: the four letters after "ftyp" → their kind
    **dict.fromkeys((b"avif", b"avis"), _AVIF),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), _HEIC),
    b"crx ": _CAMERA_RAW,
}

_BY_ENDING = {
    **dict.fromkeys((".heic", ".heif", ".hif"), _HEIC),
    **dict.fromkeys((".avif", ".avifs"), _AVIF),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2", ".pef", ".srw"), _CAMERA_RAW),
    **dict.fromkeys((".psd", ".psb"), _PHOTOSHOP),
    **dict.fromkeys((".svg", ".svgz"), _SVG),
    ".pdf": _PDF,
    **dict.fromkeys((".eps", ".ps"), _POSTSCRIPT),
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".ogv", ".mpg", ".mpeg", ".wmv"), _FILM),
    ".jxl": _JPEG_XL,
    ".exr": _OPENEXR,
    ".hdr": _RADIANCE,
    **dict.fromkeys((".dcm", ".dicom"), _DICOM),
    ".nii": _NIFTI,
    **dict.fromkeys((".fits", ".fit"), _FITS),
    **dict.fromkeys((".h5", ".hdf5"), _HDF5),
    **dict.fromkeys((".npy", ".npz"), _NUMPY),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"), _ARCHIVE),
    **dict.fromkeys((".xcf", ".dds", ".ico", ".icns", ".jxr", ".wdp", ".tga", ".pcx", ".qoi"), _OTHER_IMAGE),
}  # fmt: skip

_NOBODYS = {"thumbs.db", "desktop.ini"}


def kind_of(head: bytes) -> Kind | None:
    """Return the kind of file that begins with these bytes; None for an unknown one."""
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), len(head))
        brands = [head[start : start + 4] for start in (8, *range(16, length, 4))]
        known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return (_AVIF if _AVIF in known else known[0]) if known else _FILM
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return _SVG
    return next(
        (kind for offset, start, kind in _BY_START
         if head.startswith(start, offset) or (start.startswith(b"<") and text.startswith(start))),
        None,
    )  # fmt: skip


def wrong_kind(path: Path, formats: Iterable[str]) -> str:
    """Say what a file is that none of Pillow's `formats` could open, and what to do."""
    kind = _kind_of_file(path)
    expected = ", ".join(formats)
    if kind is None:
        return f"{path} is not an image, or its beginning is damaged; expected {expected}"
    if kind.pillow in formats:
        return (
            f"{path} begins as {kind.name} does, but is damaged, or of a kind that is not read; copy or export it again"
        )
    return f"{path} is {kind.name}; {kind.advice or 'save it in another format'}; expected {expected}"


def begins_as_tiff(path: Path) -> bool:
    """Tell whether a file's first bytes are those of a TIFF."""
    kind = _kind_of_file(path)
    return kind is not None and kind.pillow == "TIFF"


def is_camera_raw(path: Path) -> bool:
    """Tell whether a file's first bytes are those of a camera's raw file, even where it is a TIFF otherwise."""
    return _kind_of_file(path) == _CAMERA_RAW


def _kind_of_file(path: Path) -> Kind | None:
    with path.open("rb") as file:
        return kind_of(file.read(_HEAD_BYTES))


def not_taken(names: Iterable[str], suffixes: frozenset[str]) -> list[str]:
    """Say of a folder's files that are no photos how many there are of each kind, some names, and what to do.

    Args:
        names: of the files.
        suffixes: the lower-case endings of those that are taken; hidden files are nobody's.
    """
    groups: dict[Kind, list[str]] = {}
    for name in sorted(names):
        ending = PurePosixPath(name).suffix.lower()
        if ending not in suffixes and not name.startswith(".") and name.lower() not in _NOBODYS:
            groups.setdefault(_BY_ENDING.get(ending, _OTHER), []).append(name)
    return [f"not taken: {len(found)} × {_in_words(kind, found)}" for kind, found in groups.items()]


def _in_words(kind: Kind, names: list[str]) -> str:
    some = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    return f"{kind.name.partition(' ')[2]} ({some})" + (f"; {kind.advice}" if kind.advice else "")
