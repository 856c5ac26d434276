"""Seals in pictures: what made one, of which photo, and that nobody changed it since.

A seal is the SHA-256 of the maker's name, the photo's bytes and the picture without it, as a text of the PNG or a
comment of the JPEG. So a result may be made anew in its place, and whatever else has its name is left alone; nothing
can be read from it.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

from deeplab.errors import InputError
from deeplab.files import sha256_of

_KEY = b"deeplab seal\0"
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"  # a JPEG's first segment follows, as JFIF has it
_IEND_BYTES = 12


def sealed(picture: bytes, maker: str, photo: object) -> bytes:
    """Return an encoded PNG or JPEG with a seal; any other file's bytes as they are.

    >>> from io import BytesIO
    >>> from PIL import Image
    >>> file = BytesIO()
    >>> Image.new("L", (3, 2)).save(file, "PNG")
    >>> _ = Path("grey.png").write_bytes(sealed(file.getvalue(), "example", "s3://bucket/grey.jpg"))
    >>> is_sealed("grey.png", "example", "s3://bucket/grey.jpg"), is_sealed("grey.png", "example", "other.jpg")
    (True, False)

    Args:
        picture: the file's bytes.
        maker: what made it, such as a command's name.
        photo: the photo, a Path; anything else, such as an address, is known by its text.

    Raises:
        InputError: the photo cannot be read.
    """
    at = _place(picture)
    return picture if at is None else picture[:at] + _segment(picture, maker, _named(photo)) + picture[at:]


def is_sealed(path: str | os.PathLike[str], maker: str, photo: object) -> bool:
    """Tell whether a file is what `sealed` returned for this maker and photo."""
    try:
        content, name = Path(path).read_bytes(), _named(photo)
    except (OSError, InputError):
        return False
    length = len(_segment(content, maker, name))
    end = _place(content)
    if end is None:
        return False
    if content.startswith(_JPEG):
        end += length
    picture = content[: end - length] + content[end:]
    return content[end - length : end] == _segment(picture, maker, name)


def _named(photo: object) -> str:
    return sha256_of(photo) if isinstance(photo, Path) else str(photo)


def _place(picture: bytes) -> int | None:
    """Return where the seal belongs: before a PNG's end, after a JPEG's first segment."""
    if picture.startswith(_PNG):
        return len(picture) - _IEND_BYTES
    if picture.startswith(_JPEG):
        return 4 + int.from_bytes(picture[4:6], "big")
    return None


def _segment(picture: bytes, maker: str, photo: str) -> bytes:
    """Return the bytes of a picture's seal, of one length for each format."""
    parts = (maker, photo, hashlib.sha256(picture).hexdigest())
    text = _KEY + hashlib.sha256("\0".join(parts).encode()).hexdigest().encode()
    if picture.startswith(_JPEG):
        return b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
    chunk = b"tEXt" + text
    return len(text).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
