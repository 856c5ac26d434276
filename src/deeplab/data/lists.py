"""Text files that list photos, as they come from any system: with a byte-order mark, Windows line ends, blank lines."""

from __future__ import annotations

import re
from pathlib import Path

from deeplab.documents import read_text as read_utf8
from deeplab.errors import DataError, InputError
from deeplab.files import is_file

_MOST_BYTES = 256 << 20  # a few million lines
_LONGEST_LINE = 8192  # characters: two paths of the longest kind


def read_text(path: Path) -> str:
    """Read a UTF-8 text file, with or without a byte-order mark.

    Raises:
        DataError: the file is missing, too large, or no UTF-8 text.
    """
    try:
        return read_utf8(path, most_bytes=_MOST_BYTES)
    except InputError as error:
        raise DataError(str(error)) from None


def read_lines(path: Path) -> list[str]:
    """Return the lines of a list, stripped, without blank ones.

    Raises:
        DataError: the list is missing (those beside it are named), or no UTF-8 text.
    """
    if not is_file(path):
        found = ", ".join(splits_of_lists(path.parent))
        raise DataError(f"{path} is missing; splits found there: {found or 'none'}")
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def begins(path: Path, pattern: re.Pattern[bytes]) -> bool:
    """Tell whether a file begins as a pattern says, within 200 bytes; one that cannot be read does not."""
    try:
        with path.open("rb") as file:
            return pattern.match(file.read(200)) is not None
    except OSError:
        return False


def first_line(path: Path) -> str:
    """Return the beginning of a file up to its first line's end, stripped; empty where it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return file.readline(_LONGEST_LINE).strip()
    except OSError:
        return ""


def splits_of_lists(folder: Path) -> list[str]:
    """Return the names of the lists in a folder, without their ending; none where there is no folder."""
    return sorted(path.stem for path in folder.glob("*.txt"))


def split_pair(line: str) -> tuple[str, str] | None:
    """Return the two paths of a line "image label", parted by a tab or spaces; None for any other line.

    They are below the data set's root, whether or not they begin with a slash; backslashes are slashes.
    """
    parts = line.replace("\\", "/").split("\t" if "\t" in line else None)
    if len(parts) != 2 or not all("/" in part for part in parts):
        return None
    photo, mask = (part.strip().lstrip("/") for part in parts)
    return photo, mask
