"""Archives, ``.tar``, ``.tgz`` and ``.zip``, unpacked without trusting what they say."""

from __future__ import annotations

import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, cast

from deeplab.download.archives import Archive
from deeplab.errors import DataError, OutputError, quoted

MOST_ENTRIES = 500_000
MOST_GROWTH = 5
"""So many times an archive's own size it may unpack to: photos hardly shrink."""

_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]|(^|/)\.\.(/|$)')
_PIECE_BYTES = 1 << 20


class _Entry(NamedTuple):
    name: str
    is_folder: bool
    is_file: bool
    read: Callable[[], IO[bytes]]


def unpack(file: Path, archive: Archive, folder: Path, progress: Callable[[int], None]) -> None:
    """Unpack an archive's parts; whatever else it holds stays in it.

    No file is written elsewhere, no link is made, and no more is written than `MOST_GROWTH` times the archive's size.

    Args:
        file: the archive.
        archive: which parts of it.
        folder: where they go; it exists and is empty.
        progress: is told the bytes written.

    Raises:
        DataError: the archive is damaged, lacks a part, or holds what no such archive should.
        OutputError: the files cannot be written.
    """
    if archive.root is None:
        raise ValueError("not an archive")
    written, most = 0, MOST_GROWTH * file.stat().st_size
    try:
        for count, entry in enumerate(_entries(file)):
            if count == MOST_ENTRIES:
                raise DataError(f"{file} holds more than {MOST_ENTRIES} files; it is not what was published")
            place = _place(file, entry, archive)
            if place is None:
                continue
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            with entry.read() as source, target.open("xb") as copy:
                while piece := source.read(_PIECE_BYTES):
                    written += len(piece)
                    if written > most:
                        raise DataError(f"{file} unpacks to over {MOST_GROWTH} times its size; it is not what it says")
                    copy.write(piece)
                    progress(written)
    except _DAMAGED as error:
        raise DataError(
            f"{file} is damaged ({error or type(error).__name__}); delete it and download it again"
        ) from None
    except FileExistsError as error:
        raise DataError(f"{file} holds two files for {error.filename}; it is not what was published") from None
    except OSError as error:
        raise OutputError(f"cannot unpack {file}: {error.strerror or error}; make room and start again") from error
    if missing := [part for part in archive.parts if not (folder / part).exists()]:
        raise DataError(f"{file} holds no {archive.root}/{missing[0]}; it is not what was published")


def _entries(file: Path) -> Iterator[_Entry]:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as packed:
            for info in packed.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                is_file = kind in (0, stat.S_IFREG) and not info.is_dir()
                yield _Entry(info.filename, info.is_dir(), is_file, partial(packed.open, info))
        return
    with tarfile.open(file, "r|*") as packed_tar:
        for member in packed_tar:
            read = cast(Callable[[], IO[bytes]], partial(packed_tar.extractfile, member))  # of files, it is no None
            yield _Entry(member.name, member.isdir(), member.isreg(), read)


def _place(file: Path, entry: _Entry, archive: Archive) -> PurePosixPath | None:
    """Return where a file belongs below the root's folder; None where it is not wanted."""
    path = PurePosixPath(entry.name)
    if archive.root is None or not path.is_relative_to(archive.root):
        return None
    below = path.relative_to(archive.root)
    if not any(below.is_relative_to(part) for part in archive.parts) or below.name.startswith("."):
        return None
    if _UNSAFE.search(entry.name):
        raise DataError(f"{file} holds a file that it calls {quoted(entry.name)}; it is not what was published")
    if not (entry.is_file or entry.is_folder):
        raise DataError(f"{file} holds a link or device, {entry.name}; it is not what was published")
    return below if entry.is_file else None
