"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deeplab.errors import OutputError

__all__ = ["atomic_file", "check_output", "make_folder"]


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Check, before the work is done, that a file may be written.

    Raises:
        OutputError: its folder is missing or not writable, or the file exists and is not to be replaced.
    """
    path = Path(path)
    try:
        exists, is_folder = path.exists(), path.is_dir()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another name") from error
    if is_folder:
        raise OutputError(f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: folder {path.parent} is not writable; choose another with -o")
    if not overwrite and exists:
        raise OutputError(f"{path} exists; give --force (overwrite=True) to replace it, or another name or folder (-o)")


@contextmanager
def atomic_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its name only when the block ends well; otherwise nothing is left behind.

    Raises:
        OutputError: `check_output` refuses, or writing fails.
    """
    path = Path(path)
    check_output(path, overwrite=overwrite)
    unfinished = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with unfinished.open("xb") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Make a folder for results, and those above it, unless it is there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}; choose another with -o") from error
