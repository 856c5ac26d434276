from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplab.errors import ModelError
from deeplab.network.caffemodel import read_caffemodel

Array = NDArray[np.float32]
WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1)
BIAS = np.array([0.5, -1], dtype=np.float32)


def varint(value: int) -> bytes:
    head = b""
    while value > 127:
        head += bytes([value & 127 | 128])
        value >>= 7
    return head + bytes([value])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array: Array, *, legacy: bool = False, packed: bool = True, double: bool = False) -> bytes:
    shape = (1,) * (4 - array.ndim) + array.shape
    content = b"".join(field(number, side) for number, side in enumerate(shape, start=1)) if legacy else b""
    if not legacy:
        sides = b"".join(map(varint, array.shape))
        content += field(7, field(1, sides) if packed else b"".join(field(1, side) for side in array.shape))
    if double:
        return content + field(8, array.astype("<f8").tobytes())
    if packed:
        return content + field(5, array.astype("<f4").tobytes())
    return content + b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in array.ravel())


def layer(name: str, *blobs: bytes, old: bool = False) -> bytes:
    name_field, blob_field, layer_field = (4, 6, 2) if old else (1, 7, 100)
    noise = field(5, 4) if old else field(2, b"Convolution")
    content = field(name_field, name.encode()) + noise + b"".join(field(blob_field, blob) for blob in blobs)
    return field(layer_field, content)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("options", [{}, {"legacy": True}, {"packed": False}, {"double": True}])
def test_every_way_to_write_an_array(old: bool, options: dict[str, bool]) -> None:
    blobs = blob(WEIGHT, **options), blob(BIAS, **options)
    content = field(1, b"VGG") + layer("data", old=old) + layer("conv", *blobs, old=old) + field(5, 0)
    layers = read_caffemodel(Path("a.caffemodel"), content)
    assert list(layers) == ["conv"]
    weight, bias = layers["conv"]
    assert weight.dtype == bias.dtype == np.float32
    np.testing.assert_array_equal(weight, WEIGHT)
    np.testing.assert_array_equal(bias.ravel(), BIAS)
    assert bias.shape == ((1, 1, 1, 2) if options.get("legacy") else (2,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no caffemodel"),
        (b"GIF89a", "is no caffemodel"),
        (b"\xff" * 40, "more than 64 bits"),
        (field(1, b"VGG") + field(5, 1), "holds no learnt layers"),
        (layer("data"), "holds no learnt layers"),
        (layer("conv", field(7, field(1, varint(3))) + field(5, b"\0" * 8)), r"shape \(3,\) with 2 values"),
        (
            layer("conv", field(7, field(1, varint(3))) + field(5, b"\0" * 7)),
            "is no caffemodel nor any other file of weights that is known, or damaged",
        ),
        (field(100, field(1, b"\xff")), "is no caffemodel nor any other file of weights that is known, or damaged"),
    ],
)
def test_files_that_are_no_caffemodels(content: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_caffemodel(Path("a.caffemodel"), content)


@settings(max_examples=100)
@given(cut=st.integers(1, 90), flipped=st.integers(0, 89), value=st.integers(0, 255))
def test_any_damage_ends_in_our_own_error(cut: int, flipped: int, value: int) -> None:
    content = bytearray(layer("conv", blob(WEIGHT), blob(BIAS, legacy=True)))
    content[flipped % len(content)] = value
    with suppress(ModelError):
        assert read_caffemodel(Path("a.caffemodel"), bytes(content[:cut]))
