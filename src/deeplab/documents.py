"""Text, JSON and XML read within limits on size, nesting and numbers: plain values, or one error that says why.

Files come from other programs and other people. Whatever they hold, reading them ends soon, and what was read can be
walked through, written again and quoted.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from deeplab.errors import InputError

MOST_BYTES = 16 << 20
MOST_DIGITS = 20  # of a whole number: more than any of 64 bits has
MOST_LEVELS = 64

_CHUNK = 1 << 16  # characters parsed at once

_HALF = re.compile("[\ud800-\udfff]")
_MAY_BE_HALF = (
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"  # escaped
)


def read_text(path: str | os.PathLike[str], *, most_bytes: int = MOST_BYTES) -> str:
    """Read a UTF-8 text file, with or without a byte-order mark; line ends stay as they are.

    Args:
        path: the file.
        most_bytes: how large it may be.

    Raises:
        InputError: it cannot be read, is larger, or is no UTF-8 text.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: its name holds a NUL
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', error)}; check the path") from None
    if len(content) > most_bytes:
        raise InputError(f"{path} has more than {most_bytes / 1e6:.3g} MB; expected a smaller file: check the path")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is no UTF-8 text; save it as UTF-8") from None


def read_json(path: str | os.PathLike[str], *, most_bytes: int = MOST_BYTES) -> Any:
    """Read a JSON file; see `read_text` and `parse_json`.

    Raises:
        InputError: the file cannot be read, is too large, or its text is refused.
    """
    text = read_text(path, most_bytes=most_bytes)
    try:
        return parse_json(text)
    except InputError as error:
        raise InputError(f"{path} is {error}; write it again") from None


def parse_json(text: str | bytes, *, halves: bool = False) -> Any:
    r"""Return the values of a JSON text.

    Args:
        text: the text; bytes are UTF-8.
        halves: take halves of characters, by which Python writes file names that are no UTF-8.

    Raises:
        InputError: it is no JSON, is nested more than 64 levels deep, has a whole number of more than 20 digits, or
            half a character (``\ud800``).
    """
    try:
        values = json.loads(text, parse_int=_whole_number)
    except RecursionError:
        raise InputError(_too_deep()) from None
    except ValueError as error:
        raise InputError(f"no JSON ({error})") from None
    check_nesting(values)
    pattern = _MAY_BE_HALF if isinstance(text, str) else _MAY_BE_HALF.encode()
    if not halves and re.search(pattern, text) and _HALF.search(json.dumps(values, ensure_ascii=False)):  # type: ignore[arg-type]
        raise InputError("JSON whose text has half a character (\\ud800 …)")
    return values


def read_xml(path: str | os.PathLike[str], *, most_bytes: int = MOST_BYTES) -> ElementTree.Element:
    """Read an XML file and return its root; see `read_text`. No entities are taken, for they may grow without end.

    Raises:
        InputError: the file cannot be read, is too large, is no XML, declares entities, or is nested more than 64
            levels deep.
    """
    text = read_text(path, most_bytes=most_bytes)
    if "<!" in text.replace("<!--", "").replace("<![CDATA[", ""):
        raise InputError(f"{path} is XML with declarations (<!…), which are not read; export it without")
    parser: Any = ElementTree.XMLPullParser(("start", "end"))
    root, level = None, 0
    try:
        for start in range(0, len(text), _CHUNK):
            parser.feed(text[start : start + _CHUNK])
            for event, element in parser.read_events():
                root = element if root is None else root
                level += 1 if event == "start" else -1
                if level > MOST_LEVELS:
                    raise InputError(f"{path} is XML {_too_deep()}")
        parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path} is no XML ({error}); write it again") from None
    if not isinstance(root, ElementTree.Element):
        raise InputError(f"{path} is no XML, but empty; write it again")
    return root


def check_nesting(values: Any) -> None:
    """Check that lists and dictionaries are not too deep in one another to be walked through.

    Raises:
        InputError: they are.
    """
    level = [values]
    for _ in range(MOST_LEVELS):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise InputError(_too_deep())


def _too_deep() -> str:
    return f"nested too deeply; expected at most {MOST_LEVELS} levels"


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)
