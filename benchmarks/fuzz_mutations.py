"""What damage and malice do to a file: bytes changed, and values replaced where the format is known."""

import io
import json
import random
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

__all__ = ["mutated"]

_RAW = "\ue000"  # stands before a number that Python's own JSON would not write

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 255, 256, 65535, 10**9, 2**31, 2**63, -(2**63), 1.5, -0.0, 1e-320, 1e308,
    f"{_RAW}1e400", f"{_RAW}-1e400", f"{_RAW}NaN", f"{_RAW}{'9' * 21}", f"{_RAW}{'9' * 5000}",
    f"{_RAW}{'[' * 70}1{']' * 70}", "", " ", "0", "-1", "1e400", "nan", "9" * 5000, "x" * 300, "a/b", "../../x",
    "/etc/passwd", "a\0b", "\ud800", "\u202e", "é" * 200, "o" * 36, "~", [], {}, [[]], [None], [1, [2]], {"a": None},
    [[1, 2], [3]], [0] * 1000, {"size": [10**6, 10**6], "counts": [10**12]}, {"size": [6, 8], "counts": "o" * 5000},
    [[0, 0, 1e9, 0, 1e9, 1e9]],
)  # fmt: skip

WORDS = (
    "0", "-1", "1", "255", "256", "9" * 20, "9" * 5000, "1e400", "-1e400", "nan", "inf", "0x_", "1_0", "²", "x" * 300,
    "../../x", "/dev/zero", "a\0b", "é", "\u202e", "*", "none", "own", "numbers = own", "background = x", "= 3",
    "cat = 9", "cat, cat", "0,0,0", "&a [*a]", "*a", "!!python/object/apply:os.system [ls]", "!!set", "? ", "- " * 80,
    "[" * 80, "{", "2015-13-99", "~", ":", "#", '"', "\t", "<<: 1", "0 0 0 1 0 1 1", "a b c", "%TAG", "---", "\x85",
    "\u2028",
)  # fmt: skip

SHAPES = (
    "()", "(0,)", "(-1,)", "(10**9,)", "(1000000, 1000000)", "(2, 3, 4, 5, 6, 7, 8, 9, 1, 1)", "(1.5,)",
    "(99999999999,)", "('a',)",
)  # fmt: skip

DTYPES = (
    "'|O'", "'<f2'", "'<c16'", "'<U1000000'", "'|V9'", "'<M8[s]'", "'|S5'", "'>i8'", "[('a', '<f4')]", "'x'", "'|b1'",
    "''",
)  # fmt: skip

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def mutated(content: bytes, kind: str, chance: random.Random) -> bytes:
    """Return a file's content with one to eight things wrong, in a way that its kind, a file's ending, allows."""
    ways = [_bytes_changed, *_WAYS.get(kind, ())]
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        way = chance.choice(ways) if chance.random() < 0.4 else ways[-1]
        try:
            content = way(content, chance)
        except Exception:  # parsers raise errors of any kind on what was damaged before
            content = _bytes_changed(content, chance)
    return content


def _bytes_changed(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content or b"\0")
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.choice((1, 1, 2, 4, 8, 100, 5000)))
    match chance.randrange(8):
        case 0:
            data[start] ^= 1 << chance.randrange(8)
        case 1:
            data[start:end] = chance.randbytes(end - start)
        case 2:
            del data[start:end]
        case 3:
            data[start:start] = data[start:end] * chance.choice((1, 2, 100))
        case 4:
            del data[start:]
        case 5:
            size, order = chance.choice((1, 2, 4, 8)), chance.choice(("little", "big"))
            number = chance.choice(NUMBERS) & ((1 << 8 * size) - 1)
            data[start : start + size] = number.to_bytes(size, order)  # type: ignore[arg-type]
        case 6:
            other = chance.randrange(len(data))
            data[start:start] = data[other : other + end - start]
        case _:
            data[start:start] = chance.choice(WORDS).encode(errors="surrogatepass")
    return bytes(data)


def _words_changed(content: bytes, chance: random.Random) -> bytes:
    parts = re.split(r"([\s,:;=\[\]{}]+)", content.decode(errors="surrogateescape"))
    place = chance.randrange(len(parts))
    match chance.randrange(5):
        case 0:
            del parts[place]
        case 1:
            parts[place:place] = parts[max(0, place - 6) : place] * chance.choice((1, 50))
        case 2:
            parts[place] += chance.choice(WORDS)
        case _:
            parts[place] = chance.choice(WORDS)
    return "".join(parts).encode(errors="surrogateescape")


def _json_changed(content: bytes, chance: random.Random) -> bytes:
    values = json.loads(content)
    _change(values, chance)
    text = json.dumps(values, ensure_ascii=chance.random() < 0.8)
    return _with_raw(text).encode(errors="surrogatepass")


def _lines_changed(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    place = chance.randrange(len(lines))
    lines[place] = _json_changed(lines[place], chance) + b"\n"
    return b"".join(lines)


def _with_raw(text: str) -> str:
    mark = json.dumps(_RAW)[1:-1]
    return re.sub(rf'"(?:{re.escape(mark)}|{_RAW})([^"]*)"', lambda found: found[1], text)


def _change(values: Any, chance: random.Random) -> None:
    """Change something within nested lists and dictionaries, in place."""
    places = [(values, key) for key in _keys(values)]
    for holder, key in places:
        places += [(holder[key], within) for within in _keys(holder[key])]
        if len(places) > 5000:
            break
    holder, key = chance.choice(places)
    match chance.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder[key:key] = [holder[key]] * chance.choice((1, 3, 2000))
        case 2:
            other, where = chance.choice(places)
            holder[key] = json.loads(json.dumps(other[where]))
        case 3 if isinstance(holder, dict):
            holder[chance.choice(("x", "9" * 5000, "id", "name", "size", "\ud800"))] = holder.pop(key)
        case 4 if isinstance(holder[key], int | float):
            holder[key] *= chance.choice((-1, 1e6, 1e300, 1.5))
        case 4 | 5 if isinstance(holder[key], str):
            text = holder[key]
            holder[key] = chance.choice(
                ("x" * 300 + text, text + "\0", f"../{text}", text * 500, text[:-1], f" {text}")
            )
        case 4 | 5:
            holder[key] = chance.choice([value for value in VALUES if type(value) is type(holder[key])] or VALUES)
        case _:
            holder[key] = chance.choice(VALUES)


def _keys(values: Any) -> list[Any]:
    return list(values) if isinstance(values, dict) else list(range(len(values))) if isinstance(values, list) else []


def _zip_changed(content: bytes, chance: random.Random) -> bytes:
    """Change a member of a zip, and write the zip around it anew, checksums and all."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    place = chance.randrange(len(members))
    name, data = members[place]
    match chance.randrange(6):
        case 0:
            name = chance.choice(WORDS)
        case 1:
            members.append((name, data))
        case 2:
            del members[place]
            place = 0
            name, data = members[0]
        case _:
            data = _npy_changed(data, chance) if name.endswith(".npy") else _bytes_changed(data, chance)
    members[place] = (name, data)
    target = io.BytesIO()
    packing = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(target, "w", packing) as archive, warnings.catch_warnings(action="ignore"):  # of two of a name
        for each in members:
            archive.writestr(*each)
    return target.getvalue()


def _npy_changed(content: bytes, chance: random.Random) -> bytes:
    """Change the header of an array, which says its shape and type, and keep its length right."""
    if chance.random() < 0.3:
        return _bytes_changed(content, chance)
    length = int.from_bytes(content[8:10], "little")
    header = content[10 : 10 + length].decode("latin-1")
    if chance.random() < 0.5:
        header = re.sub(r"'shape': \([^)]*\)", lambda _: f"'shape': {chance.choice(SHAPES)}", header)
    else:
        header = re.sub(r"'descr': [^,]*,", lambda _: f"'descr': {chance.choice(DTYPES)},", header)
    return content[:8] + len(header).to_bytes(2, "little") + header.encode("latin-1") + content[10 + length :]


def _png_changed(content: bytes, chance: random.Random) -> bytes:
    """Change a chunk of a PNG, and give it a checksum that is right."""
    chunks, place = [], 8
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    which = chance.randrange(len(chunks))
    kind, data = chunks[which]
    match chance.randrange(5):
        case 0:
            chunks.insert(which, (kind, data))
        case 1:
            chunks.insert(which, (b"zTXt", b"deeplab\0\0" + zlib.compress(chance.choice(WORDS).encode() * 10_000)))
        case 2 if kind == b"IDAT":
            data = zlib.compress(_bytes_changed(zlib.decompress(data), chance))
        case _:
            data = _json_in_text(data, chance) if kind in (b"tEXt", b"iTXt") else _bytes_changed(data, chance)
    chunks[which] = (kind, data)
    return content[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _json_in_text(data: bytes, chance: random.Random) -> bytes:
    start = data.index(b"{")
    return data[:start] + _json_changed(data[start:], chance)


def _json_header_changed(content: bytes, chance: random.Random) -> bytes:
    """Change the header of a safetensors file, JSON behind its length."""
    (length,) = struct.unpack("<Q", content[:8])
    header = _json_changed(content[8 : 8 + length], chance)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def _json_within(content: bytes, chance: random.Random) -> bytes:
    """Change the metadata of a model file, keeping its length, which the fields around it count."""
    start = content.index(b'{"format"')
    end = content.rindex(b"}") + 1
    changed = _json_changed(content[start:end], chance)
    return content[:start] + changed.ljust(end - start)[: end - start] + content[end:]


Way = Callable[[bytes, random.Random], bytes]

_WAYS: dict[str, tuple[Way, ...]] = {
    ".json": (_words_changed, _json_changed), ".jsonl": (_words_changed, _lines_changed), ".yaml": (_words_changed,),
    ".txt": (_words_changed,), ".csv": (_words_changed,), ".npz": (_zip_changed,), ".pth": (_zip_changed,),
    ".npy": (_npy_changed,), ".png": (_png_changed,), ".safetensors": (_json_header_changed,), ".onnx": (_json_within,),
    ".body": (_words_changed,),
}  # fmt: skip
"""A file's ending → ways to change it beside its bytes, the best one last."""
