"""MATLAB's files of level 5, as SBD's masks are: one field of one structure, and nothing else of what may be there."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import MALFORMED, InputError

_MOST_BYTES = 1 << 27  # of a file, and of what a variable in it unpacks to
_MATRIX, _COMPRESSED = 14, 15  # types of elements, beside those of numbers
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_STRUCT = 2  # classes of arrays
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}


def read_field(path: Path, variable: str, field: str) -> NDArray[Any]:
    """Read an array of numbers that is a field of a structure, as "MAT-File Level 5 File Format" (MathWorks) has it.

    Raises:
        InputError: the file is no such file, damaged or larger than 134 MB, or it has no such field.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError("it is too large")
        order = {b"IM": "<", b"MI": ">"}[content[126:128]]
        for data in _matrices(content[128:], order):
            _, kind, name, parts = _matrix(data, order)
            if (kind, name) == (_STRUCT, variable):
                return _numbers(_field(parts, field, order), order)
        raise ValueError(f"it holds no structure {variable}")
    except (OSError, struct.error, zlib.error, *MALFORMED) as error:
        said = getattr(error, "strerror", None) or error
        raise InputError(f"no file of MATLAB, level 5, with {variable}.{field} ({said})") from None


def _matrices(content: bytes, order: str) -> Iterator[bytes]:
    """The variables of a file."""
    for kind, data in _elements(content, order):
        if kind == _MATRIX:
            yield data
        elif kind == _COMPRESSED:
            unpacking = zlib.decompressobj()
            unpacked = unpacking.decompress(data, _MOST_BYTES)
            if unpacking.unconsumed_tail:
                raise ValueError("it unpacks to too much")
            yield from (inner for kind, inner in _elements(unpacked, order) if kind == _MATRIX)


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The type and the bytes of one element after the other; small ones have both in eight bytes."""
    place = 0
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        start = place + 8
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        if start + size > len(content):
            raise ValueError("it is cut off")
        yield kind, content[start : start + size]
        place = max(start + size, place + 8)
        if kind != _COMPRESSED:
            place += -place % 8


def _matrix(data: bytes, order: str) -> tuple[tuple[int, ...], int, str, list[tuple[int, bytes]]]:
    """An array's shape, class and name, and the elements that follow them."""
    (_, flags), (_, shape), (_, name), *parts = _elements(data, order)
    return tuple(_ints(shape, order)), _ints(flags, order)[0] & 0xFF, name.decode(), parts


def _field(parts: list[tuple[int, bytes]], field: str, order: str) -> bytes:
    """The array of a structure's field; the parts are the length of names, the names, and one array for each."""
    length = _ints(parts[0][1], order)[0]
    names = parts[1][1]
    known = [names[at : at + length].rstrip(b"\0") for at in range(0, len(names), max(1, length))]
    return parts[2 + known.index(field.encode())][1]


def _numbers(data: bytes, order: str) -> NDArray[Any]:
    shape, kind, _, parts = _matrix(data, order)
    stored, values = parts[0]  # in the smallest type that holds them
    numbers = np.frombuffer(values, f"{order}{_NUMBERS[stored]}")
    if min(shape, default=0) < 0 or math.prod(shape) != len(numbers):
        raise ValueError(f"an array of shape {shape} with {len(numbers)} numbers")
    return numbers.astype(_CLASSES[kind]).reshape(shape, order="F")


def _ints(data: bytes, order: str) -> list[int]:
    return list(struct.unpack(f"{order}{len(data) // 4}i", data))
