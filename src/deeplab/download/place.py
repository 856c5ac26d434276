"""From an archive on the web, or in a folder, to what the readers find below the folder of data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from deeplab.download.archives import Archive
from deeplab.download.fetch import Progress, check_digest, fetch
from deeplab.download.unpack import unpack
from deeplab.errors import DataError, InputError, OutputError
from deeplab.files import atomic_file, make_folder
from deeplab.web import is_web

STORE = "archives"
"""Where archives, whole or in part, lie below the folder of data until they are unpacked."""


def is_placed(name: str, archive: Archive, data: Path) -> bool:
    """Tell whether all that an archive holds lies below a folder of data.

    Raises:
        DataError: a part of it does, and not by a download of ours that was stopped.
    """
    there = [place for place in archive.places(data) if place.exists()]
    if there and len(there) < len(archive.parts) and not _unpacked(name, data).is_dir():
        lacking = next(place for place in archive.places(data) if not place.exists())
        raise DataError(f"{there[0]} is there, and {lacking} is not; move it away, or give another folder (--data)")
    return len(there) == len(archive.parts)


def room_needed(archives: Mapping[str, Archive], data: Path, origin: str | None) -> int:
    """Return how many bytes of room it takes to download archives one after the other, about.

    What has come of them counts, and what lies in a folder (`origin`) is not copied before it is unpacked.
    """
    needed = most = 0
    for archive in archives.values():
        at_once = archive.size_bytes * (2 if origin is None or is_web(origin) else 1)  # photos hardly shrink
        store = data / STORE / archive.file_name
        had = sum(path.stat().st_size for path in (store, store.with_name(f"{store.name}.part")) if path.exists())
        most = max(most, needed + at_once - had)
        needed += archive.size_bytes - had
    return max(most, 0)


def download(
    name: str, archive: Archive, data: Path, progress: Mapping[str, Progress], *,
    origin: str | None = None, checked: bool = True, keep: bool = False,
) -> None:  # fmt: skip
    """Fetch an archive, check it, and put what it holds where the readers look for it; nothing is there by halves.

    Stopped at any moment, the next call goes on: with the bytes that have come, or with what was unpacked.

    Args:
        name: the archive's in `deeplab.download.archives.ARCHIVES`.
        archive: what it is.
        data: the folder of all data.
        progress: for ``"downloading"``, ``"checking"`` and ``"unpacking"``, what takes the bytes done and all of them.
        origin: a folder, or the address of one, that holds the archive under its own name; None: where it is published.
        checked: whether a checksum other than the stated one is an error.
        keep: whether the downloaded archive stays.

    Raises:
        InputError: there is no such folder.
        DataError: the archive cannot be had, has another checksum or is damaged, or a part of what it holds is there.
        OutputError: files cannot be written.
    """
    unpacked = _unpacked(name, data)
    if not unpacked.is_dir():
        if is_placed(name, archive, data):
            return
        make_folder(data / STORE, option="--data")
        file, is_ours = _have(archive, data, progress["downloading"], origin)
        if checked and (complaint := check_digest(file, archive.digest, progress["checking"])):
            if is_ours:
                file.unlink()
            raise DataError(
                f"{file.name} is not what was published, or was damaged on the way: {complaint}; start again, take it "
                "from elsewhere (--from), or, where its server is trusted, as it is (--unchecked)"
            )
        _unpack(file, archive, unpacked, progress["unpacking"])
        if is_ours and not keep:
            file.unlink()
    for place, part in zip(archive.places(data), archive.parts, strict=True):
        _move(unpacked / part, place)
    shutil.rmtree(unpacked)
    with suppress(OSError):
        (data / STORE).rmdir()  # unless others are kept there


def _have(archive: Archive, data: Path, progress: Progress, origin: str | None) -> tuple[Path, bool]:
    """Return the archive's file, and whether it is a download of ours."""
    if origin is not None and not is_web(origin):
        file = Path(origin) / archive.file_name
        if not file.is_file():
            raise InputError(f"{file} is missing; --from is the folder, or its address, that holds {archive.file_name}")
        return file, False
    file = data / STORE / archive.file_name
    if not file.exists():
        addresses = archive.addresses if origin is None else (f"{origin.rstrip('/')}/{archive.file_name}",)
        fetch(addresses, file, progress)
    return file, True


def _unpack(file: Path, archive: Archive, unpacked: Path, progress: Progress) -> None:
    """Unpack into a folder that takes its name at the end."""
    unfinished = unpacked.with_name(f"{unpacked.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    size = file.stat().st_size
    try:
        unfinished.mkdir()
        if archive.root is None:
            with file.open("rb") as source, atomic_file(unfinished / archive.parts[0]) as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        else:
            unpack(file, archive, unfinished, lambda done: progress(done, max(done, size)))
        unfinished.rename(unpacked)
    except OSError as error:
        raise OutputError(f"cannot write {unfinished}: {error.strerror or error}; make room and start again") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _move(source: Path, place: Path) -> None:
    """Give what was unpacked its place, unless a call that was stopped has."""
    if not os.path.lexists(source):
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        source.rename(place)
    except OSError as error:
        raise OutputError(
            f"cannot move {source} to {place}: {error.strerror}; move it there yourself, and start again"
        ) from error


def _unpacked(name: str, data: Path) -> Path:
    return data / STORE / f"{name}.unpacked"
