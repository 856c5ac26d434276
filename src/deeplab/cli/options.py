"""What several commands share: their options, output folders, percentages, and advice where an extra is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from deeplab.errors import InputError, OutputError

__all__ = ["ModelOption", "NamesOption", "ReaderOption", "ThreadsOption", "extra", "make_folder", "percent"]

ModelOption = Annotated[
    str | None, typer.Option(metavar="NAME|PATH", help="A shipped model (see `deeplab models`) or an .onnx file.")
]
ReaderOption = Annotated[
    str, typer.Option(metavar="LAYOUT", help="Its layout: voc, camvid, folder, coco …; docs/data.md has all.")
]
NamesOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A names file; classes.txt in DIR, if any, if not given.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads to use; all cores if not given.")]


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a missing package of the extra `name` into advice."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"this command needs {error.name}: run pip install '.[{name}]' in deeplab's folder") from None


def make_folder(folder: Path) -> None:
    """Make a folder for results, and those above it, unless it is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}; choose another with -o") from error


def percent(share: float) -> str:
    """Return a share of 0–1 in words."""
    return f"{100 * share:.1f} %" if share >= 0.0005 or share == 0 else "<0.1 %"
