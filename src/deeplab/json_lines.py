"""Files of JSON lines that grow: a line is written whole or not at all, and one that a kill tore is cut off."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deeplab.errors import OutputError


def as_line(values: Mapping[str, Any]) -> bytes:
    """Return values as one line of JSON in UTF-8; file names that are no UTF-8 come back as they were."""
    text = json.dumps(values, ensure_ascii=False)
    return text.encode(errors="backslashreplace") + b"\n"  # which JSON undoes


def append_line(path: Path, values: Mapping[str, Any], *, descriptor: int | None = None) -> None:
    """Append values as one line.

    Args:
        path: the file, made if missing.
        values: what the line says.
        descriptor: of the file, where it is open for appending already.

    Raises:
        OutputError: the line cannot be written; nothing of it is left.
    """
    try:
        if descriptor is not None:
            _append(descriptor, as_line(values))
            return
        with path.open("ab", buffering=0) as file:
            _append(file.fileno(), as_line(values))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; make room, then start again to go on") from None


def _append(descriptor: int, line: bytes) -> None:
    before = os.fstat(descriptor).st_size
    try:
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(descriptor, before)
        raise


def whole_lines(content: bytes) -> tuple[list[bytes], bytes]:
    """Return a file's whole lines, and what there is of another that a killed process tore."""
    *lines, torn = content.split(b"\n")
    return lines, torn


def cut_off(file: Path | int, torn: bytes) -> None:
    """Take a torn line off the end of a file, given by its path or descriptor.

    Raises:
        OSError: the file cannot be written.
    """
    if torn:
        os.truncate(file, os.stat(file).st_size - len(torn))  # noqa: PTH116 (takes a descriptor, too)
