"""Files that clients send, read where they can come to harm alone: in the worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from deeplab.errors import DeepLabError, ImageError
from deeplab.images import Reading
from deeplab.images import read_photo as read_photo_file

_ADVICE = "; shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS"  # which is no client's to raise


class TooManyPixelsError(ImageError):
    """A photo is larger than the server takes."""


class Upload(NamedTuple):
    """A file that a client sent: its cleaned name, and its bytes."""

    name: str
    data: bytes


def read_photo(upload: Upload) -> Reading:
    """Read a photo; its notes say what was assumed, without the ways to say otherwise, which are no client's.

    Raises:
        ImageError: it cannot be read or is too large.
    """
    with as_file(upload, "") as path:
        reading = read_photo_file(path)
    return reading._replace(notes=tuple(note.partition(";")[0] for note in reading.notes))


@contextmanager
def as_file(upload: Upload, suffix: str) -> Iterator[Path]:
    """Yield an upload as a file of a name of our own; errors speak of it by the client's."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{suffix}"
        path.write_bytes(upload.data)
        try:
            yield path
        except DeepLabError as error:
            message = str(error).replace(str(path), upload.name)
            if message.endswith(_ADVICE):
                raise TooManyPixelsError(f"{message.removesuffix(_ADVICE)}; shrink it") from None
            raise type(error)(message) from None
