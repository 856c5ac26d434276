"""Caffe's ``.caffemodel`` files: the learnt arrays of each layer, read straight from the protobuf wire format.

Field numbers are those of Caffe's ``caffe.proto``. Both generations of layers are read (``layers``, 2014, and
``layer``), and both ways to state an array's shape.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import ModelError
from deeplab.protobuf import fields, varint

# Field of the network that holds layers of one generation: (field of the name, field of the arrays) within a layer.
LAYER_FIELDS = {2: (4, 6), 100: (1, 7)}
LEGACY_SHAPE = (1, 2, 3, 4)  # num, channels, height, width
DATA, SHAPE, DOUBLE_DATA = 5, 7, 8


def read_caffemodel(path: Path, content: bytes) -> dict[str, list[NDArray[np.float32]]]:
    """Read the learnt arrays of every layer that has some.

    Args:
        path: what errors call the file.
        content: the whole file.

    Returns:
        By layer name: weights and, where the layer has one, the bias, float32 in Caffe's own shapes: (O, I, k, k) for
        convolutions, (O, I) or (1, 1, O, I) for fully connected layers, (O,) or (1, 1, 1, O) for biases.

    Raises:
        ModelError: the file is truncated or no caffemodel.
    """
    try:
        if not content:
            raise ValueError("it is empty")
        layers = {}
        for number, value in fields(memoryview(content)):
            if number in LAYER_FIELDS and isinstance(value, memoryview):
                name, arrays = _layer(value, *LAYER_FIELDS[number])
                if arrays:
                    layers[name] = arrays
    except (OverflowError, ValueError) as error:
        raise ModelError(
            f"{path} is no caffemodel nor any other file of weights that is known, or damaged ({error}); copy it again"
        ) from None
    if not layers:
        raise ModelError(f"{path} holds no learnt layers; give a trained .caffemodel, not a network description")
    return layers


def _layer(content: memoryview, name_field: int, array_field: int) -> tuple[str, list[NDArray[np.float32]]]:
    name, arrays = "", []
    for number, value in fields(content):
        if number == name_field and isinstance(value, memoryview):
            name = str(value, "utf-8")
        elif number == array_field and isinstance(value, memoryview):
            arrays.append(_array(value))
    return name, arrays


def _array(content: memoryview) -> NDArray[np.float32]:
    """One array; its numbers come packed into one field or as many fields of one number each."""
    legacy, shape = dict.fromkeys(LEGACY_SHAPE, 1), None
    parts: dict[int, list[memoryview]] = {DATA: [], DOUBLE_DATA: []}
    for number, value in fields(content):
        if number in legacy and isinstance(value, int):
            legacy[number] = value
        elif number == SHAPE and isinstance(value, memoryview):
            shape = _dimensions(value)
        elif number in parts and isinstance(value, memoryview):
            parts[number].append(value)
    dtype: Any = "<f8" if parts[DOUBLE_DATA] else "<f4"
    values = np.frombuffer(b"".join(parts[DOUBLE_DATA] or parts[DATA]), dtype).astype(np.float32)
    shape = tuple(legacy.values()) if shape is None else shape
    if math.prod(shape) != values.size:
        raise ValueError(f"an array of shape {shape} with {values.size} values")
    return values.reshape(shape)


def _dimensions(content: memoryview) -> tuple[int, ...]:
    dimensions: list[int] = []
    for number, value in fields(content):
        if number == 1 and isinstance(value, int):
            dimensions.append(value)
        elif number == 1 and isinstance(value, memoryview):
            position = 0
            while position < len(value):
                dimension, position = varint(value, position)
                dimensions.append(dimension)
    return tuple(dimensions)
