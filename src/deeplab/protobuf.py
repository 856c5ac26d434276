"""The wire format of protocol buffers, in which ONNX and Caffe keep their networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_FIXED_BYTES = {1: 8, 5: 4}  # by wire type


def fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the numbers and values of a message's fields: an int for a varint, bytes for everything else.

    Raises:
        ValueError: the bytes are no message, or end too early.
    """
    place = 0
    while place < len(content):
        tag, place = varint(content, place)
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or tag >> 32:
            raise ValueError(f"a field has the number {number}")
        if wire_type == 0:
            value, place = varint(content, place)
            yield number, value
            continue
        if wire_type == 2:
            length, place = varint(content, place)
        elif wire_type in _FIXED_BYTES:
            length = _FIXED_BYTES[wire_type]
        else:
            raise ValueError(f"a field has the unknown wire type {wire_type}")
        if place + length > len(content):
            raise ValueError("its bytes end too early")
        yield number, content[place : place + length]
        place += length


def varint(content: memoryview, place: int) -> tuple[int, int]:
    """Return the number that begins at a place, 7 bits a byte and the lowest first, and the place behind it.

    Raises:
        ValueError: it takes more than ten bytes, or the bytes end within it.
    """
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(content):
            raise ValueError("its bytes end too early")
        byte = content[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
    raise ValueError("a number of more than 64 bits")


def message(parts: Iterable[tuple[int, int | str | bytes | memoryview]]) -> bytes:
    """Return the message of these fields' numbers and values, each a whole number from 0, text or bytes.

    What `fields` gives of a message comes back as it was, unless it holds fixed 32 or 64 bits.
    """
    written = bytearray()
    for number, value in parts:
        if isinstance(value, int):
            written += _varint(number << 3) + _varint(value)
            continue
        content = value.encode() if isinstance(value, str) else value
        written += _varint(number << 3 | 2) + _varint(len(content)) + content
    return bytes(written)


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*groups, number))
