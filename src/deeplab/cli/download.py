"""``deeplab download``: published data sets and weights, where the readers find them."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deeplab.errors import InputError, OutputError
from deeplab.files import alone_in, make_folder
from deeplab.progress import Show, reporter

if TYPE_CHECKING:
    from deeplab.download import Archive
    from deeplab.download.fetch import Progress


def download(
    archives: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help="What to download; all that there is is listed without.")
    ] = None,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder that holds all data, as other commands take it.")
    ] = Path("data"),
    origin: Annotated[
        str | None,
        typer.Option("--from", metavar="DIR|ADDRESS", help="A folder or mirror that holds the archives themselves."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Take archives whose checksum is not the stated one.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the archives after they are unpacked.")] = False,
) -> None:
    """Download data sets and weights from where they are published, check them, and unpack them below DIR.

    What was stopped goes on when started again.

    Examples:
        deeplab download                           what there is
        deeplab download camvid --data data
        deeplab download voc2012 --from archives   from a folder
    """
    from deeplab.download import ARCHIVES, find_archives, is_placed
    from deeplab.download import download as run
    from deeplab.download.place import room_needed

    if not archives:
        for name, archive in ARCHIVES.items():
            print(_statement(name, archive))
        return
    wanted = {}
    for name, archive in find_archives(archives).items():
        if is_placed(name, archive, data):
            print(f"{name}: is there, in {data / archive.folder}")
        else:
            wanted[name] = archive
            print(_statement(name, archive, origin), file=sys.stderr)
    if not wanted:
        return
    _check_room(room_needed(wanted, data, origin), data)
    if not yes:
        _ask(sum(archive.size_bytes for archive in wanted.values()))
    make_folder(data, option="--data")
    with alone_in(data, option="--data"), reporter() as out:
        for name, archive in wanted.items():
            progress = {
                stage: _in_mb(f"{name}: {stage}", out.show, archive.size_bytes)
                for stage in ("downloading", "checking", "unpacking")
            }
            run(name, archive, data, progress, origin=origin, checked=not unchecked, keep=keep)
            out.result(f"{name}: in {data / archive.folder}")


def _statement(name: str, archive: Archive, origin: str | None = None) -> str:
    return (
        f"{name}: {archive.title}, {_size(archive.size_bytes)} from {origin or archive.host}, into {archive.folder}/\n"
        f"  licence: {archive.licence}"
    )


def _check_room(needed: int, data: Path) -> None:
    """Raise an OutputError where the disk lacks room; before anything is written."""
    above = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(above).free
    if free < needed:
        raise OutputError(
            f"{above} has room for {_size(free)}, and this takes {_size(needed)} until it is unpacked; make room, or "
            "give another folder (--data)"
        )
    print(f"it takes {_size(needed)} of room, of {_size(free)}", file=sys.stderr)


def _ask(size_bytes: int) -> None:
    if not sys.stdin.isatty():
        raise InputError(f"this downloads {_size(size_bytes)}; give --yes where nobody can be asked")
    typer.confirm(f"download {_size(size_bytes)}?", default=True, abort=True, err=True)


def _in_mb(stage: str, show: Show, about: int) -> Progress:
    """Return what shows bytes as megabytes, and how fast they come."""
    begun, first = time.monotonic(), -1

    def progress(done: int, total: int) -> None:
        nonlocal begun, first
        if first < 0 or done < first:
            begun, first = time.monotonic(), done
        seconds = time.monotonic() - begun
        rate = f"MB, {(done - first) / seconds / 1e6:.1f} MB/s" if seconds > 1 else "MB"
        show(stage, done // 10**6, max(total or about, done) // 10**6, rate)

    return progress


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 10**9 else f"{size_bytes / 1e6:.0f} MB"
