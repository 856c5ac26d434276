"""Photos at addresses: on file systems such as ``s3://bucket``, through PyArrow or else fsspec; and on the web."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from deeplab.batch.photos import each_once, is_photo_name, no_photos, photos_at, what_is_not_taken
from deeplab.batch.web import read_web
from deeplab.errors import DeepLabError, ImageError
from deeplab.web import file_name, is_web


@dataclass(frozen=True)
class RemotePhoto:
    """A photo on a file system that has an address, such as ``s3://bucket/photos``.

    Attributes:
        folder: the address of its folder.
        name: its name there.
        size_bytes: its size; None if unknown.
        modified_ns: when it was last changed, in ns since 1970; None if unknown.
    """

    folder: str
    name: str
    size_bytes: int | None = None
    modified_ns: int | None = None

    def __str__(self) -> str:
        """Return the photo's address."""
        return f"{self.folder}/{self.name}"

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(file_name(str(self)) if is_web(str(self)) else self.name).stem

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            ImageError: it cannot be read.
        """
        if is_web(str(self)):
            return read_web(str(self))
        try:
            files, folder = _file_system(self.folder)
            with files.open_input_stream(f"{folder}/{self.name}", compression=None) as stream:
                content: bytes = stream.read()
        except OSError as error:
            raise ImageError(f"{self} cannot be read ({_brief(error)}); check the address and the rights") from None
        return content


def is_address(argument: str) -> bool:
    """Tell whether an argument is an address, ``scheme://…``, and no path."""
    scheme, colon, _ = argument.partition("://")
    return bool(colon) and scheme.replace("+", "").isalnum()


def find_anywhere(
    arguments: Iterable[str], tell: Callable[[str], None] | None = None
) -> Iterator[Path | RemotePhoto | DeepLabError]:
    """Yield the photos that files, folders, globs and addresses of folders or photos stand for, in order, each once.

    Files as `find_photos` has them. At an address, too, subfolders are left out; one that leads nowhere, or to no
    photo, yields an ImageError in its place.

    Args:
        arguments: paths, globs and addresses.
        tell: as in `find_photos`.

    Raises:
        ModuleNotFoundError: PyArrow is not installed, and an address is none of the web.
    """

    def photos_of(argument: str) -> Sequence[Path | RemotePhoto]:
        if not is_address(argument):
            return photos_at(argument, tell)
        try:
            return _photos_at(argument, tell)
        except OSError as error:
            raise ImageError(f"{argument}: {_brief(error)}; check the address and the rights") from None

    return each_once(arguments, photos_of)


def _photos_at(address: str, tell: Callable[[str], None] | None) -> list[RemotePhoto]:
    if is_web(address):
        folder, _, name = address.rpartition("/")
        return [RemotePhoto(folder, name)]
    from pyarrow.fs import FileSelector, FileType  # here, because it is large and optional

    address = address.rstrip("/")
    files, path = _file_system(address)
    found = files.get_file_info(path)
    if found.type == FileType.NotFound:
        raise ImageError(f"{address}: no such folder or photo; check the address and the rights")
    if found.type == FileType.File:
        return [_remote_photo(address.rpartition("/")[0], found)]
    entries = sorted(files.get_file_info(FileSelector(path)), key=lambda entry: str(entry.base_name))
    entries = [entry for entry in entries if entry.type == FileType.File]
    photos = [_remote_photo(address, entry) for entry in entries if is_photo_name(entry.base_name)]
    left_out = what_is_not_taken(entry.base_name for entry in entries)
    if not photos:
        raise no_photos(address, left_out)
    if tell is not None:
        for line in left_out:
            tell(f"{address}: {line}")
    return photos


def _remote_photo(folder: str, entry: Any) -> RemotePhoto:
    return RemotePhoto(folder, entry.base_name, entry.size, entry.mtime_ns)


def _file_system(address: str) -> tuple[Any, str]:
    """Return PyArrow's file system of an address, and the path of the address there."""
    import pyarrow
    from pyarrow import fs

    try:
        files, path = fs.FileSystem.from_uri(address)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as unknown:
        import fsspec

        try:
            other, path = fsspec.core.url_to_fs(address)
        except (ValueError, ImportError) as error:
            raise ImageError(f"{address}: no file system is known for this address ({error}; {unknown})") from None
        files = fs.PyFileSystem(fs.FSSpecHandler(other))
    return files, path.rstrip("/")


def _brief(error: OSError) -> str:
    return error.strerror or " ".join(str(error).split())
