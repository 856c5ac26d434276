"""A model file cut behind its trunk: with a map of features as its output, or with a classifier of such features.

The bytes of the trunk's nodes and weights are kept as they are. Needs neither PyTorch nor the package onnx.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import ModelError
from deeplab.models import METADATA_KEY
from deeplab.protobuf import fields, message

FEATURES = "features"
"""The name of the output of `with_features`."""

_STEP = 1 / 15.9  # what one step of the uint8 features stands for: the root of 255 fits

STRIDE = 8
"""Pixels from one cell of the features to the next."""
_TAPS = {"conv1_2": 1, "conv2_2": 2, "conv3_3": 4, "conv4_3": 8, "conv5_3": 8}
"""The trunk's layers that the features are made of, and the pixels of its input from one of their cells to the next.

Deep ones know what a thing is, shallow ones where its colours and textures end. fc6 and fc7, which have learnt the
trunk's own classes, make the features worse: docs/teach.md has the measurements.
"""

# Numbers of onnx.proto's fields and types (ONNX 1.23).
_GRAPH, _METADATA = 7, 14  # of Model
_NODE, _GRAPH_NAME, _INITIALIZER, _INPUT, _OUTPUT = 1, 2, 5, 11, 12  # of Graph
_READS, _WRITES, _NODE_NAME, _OP, _ATTRIBUTE = 1, 2, 3, 4, 5  # of Node
_DIMENSIONS, _DATA_TYPE, _TENSOR_NAME, _RAW = 1, 2, 8, 9  # of Tensor
_FLOAT, _UINT8 = 1, 2  # of DataType
_INT, _INTS = 2, 7  # of AttributeType

_Part: TypeAlias = tuple[int, int | str | bytes | memoryview]


def with_features(content: bytes) -> bytes:
    """Return a model file that gives a photo's features, ``features`` (1, D, h, w) uint8, for one with an int8 trunk.

    Each is the root of a layer's mean response around a cell, in steps of 1/15.9.

    Raises:
        ModelError: it has no such trunk.
        ValueError: its bytes are no protocol buffer.
    """
    return _cut(content, _feature_parts(_zoom(content)), (FEATURES, _UINT8, (1, "features", "rows", "columns")))


def with_classifier(content: bytes, weight: NDArray[np.float32], bias: NDArray[np.float32], metadata: str) -> bytes:
    """Return a model file whose ``scores`` are linear in the features.

    Args:
        content: a model file with an int8 trunk.
        weight: (L, D), of the uint8 features.
        bias: (L,).
        metadata: what the new file says of itself, `deeplab.models.ModelInfo.to_json`.

    Raises:
        ModelError, ValueError: as `with_features` raises them.
    """
    parts = [
        *_feature_parts(_zoom(content)),
        _node("Cast", [FEATURES], "taught.features", to=_FLOAT),
        (_INITIALIZER, _tensor("taught.weight", np.asarray(weight, np.float32)[:, :, None, None])),
        (_INITIALIZER, _tensor("taught.bias", np.asarray(bias, np.float32))),
        _node("Conv", ["taught.features", "taught.weight", "taught.bias"], "scores", kernel_shape=[1, 1]),
    ]
    return _cut(content, parts, ("scores", _FLOAT, (1, len(bias), "rows", "columns")), metadata)


def _zoom(content: bytes) -> int:
    """How many times a photo is enlarged before the trunk sees it."""
    graph = (
        part for number, value in fields(memoryview(content)) if number == _GRAPH for part in fields(_bytes(value))
    )
    constants = (_bytes(value) for number, value in graph if number == _INITIALIZER)
    factors = next((tensor for tensor in constants if _name(tensor, _TENSOR_NAME) == "image.zoom.factors"), None)
    if factors is None:
        return 1
    raw = b"".join(bytes(_bytes(value)) for number, value in fields(factors) if number == _RAW)
    return int(np.frombuffer(raw, "<i8")[-1])


def _feature_parts(zoom: int) -> list[_Part]:
    """The nodes and constants behind the trunk that make its features."""
    parts: list[_Part] = [
        (_INITIALIZER, _tensor("features.step", np.array(_STEP, np.float32))),
        (_INITIALIZER, _tensor("features.zero", np.array(0, np.uint8))),
    ]
    maps = []
    for tap, stride in _TAPS.items():
        maps.append(f"{tap}.float")
        parts.append(_node("Cast", [f"{tap}.u8"], maps[-1], to=_FLOAT))
        if (cells := STRIDE * zoom // stride) > 1:
            maps[-1] = f"{tap}.mean"
            window = {"kernel_shape": [cells + 1] * 2, "strides": [cells] * 2, "pads": [cells // 2] * 4}
            parts.append(_node("AveragePool", [f"{tap}.float"], maps[-1], **window))
    return [
        *parts,
        _node("Concat", maps, "features.mean", axis=1),
        _node("Sqrt", ["features.mean"], "features.root"),
        _node("QuantizeLinear", ["features.root", "features.step", "features.zero"], FEATURES),
    ]


def _cut(
    content: bytes,
    parts: Sequence[_Part],
    output: tuple[str, int, tuple[int | str, ...]],
    metadata: str | None = None,
) -> bytes:
    """Return the model with `parts` and what they need as its graph, and one output."""
    model = list(fields(memoryview(content)))
    graph = [part for number, value in model if number == _GRAPH for part in fields(_bytes(value))]
    nodes = [_bytes(value) for number, value in graph if number == _NODE]
    constants = {_name(_bytes(value), _TENSOR_NAME): _bytes(value) for number, value in graph if number == _INITIALIZER}
    writers = {name: i for i, node in enumerate(nodes) for name in _names(node, _WRITES)}
    wanted = [name for number, node in parts if number == _NODE for name in _names(_bytes(node), _READS)]
    made = {name for number, node in parts if number == _NODE for name in _names(_bytes(node), _WRITES)}
    if missing := [f"{tap}.u8" for tap in _TAPS if f"{tap}.u8" not in writers]:
        raise ModelError(
            f"it has no layer {missing[0]}, an int8 trunk's; give a shipped model's name, or one that "
            "`deeplab export --precision int8` made"
        )
    kept: set[int] = set()
    needed: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in needed or name in made:
            continue
        needed.add(name)
        if (writer := writers.get(name)) is not None and writer not in kept:
            kept.add(writer)
            wanted += _names(nodes[writer], _READS)
    new_graph: list[_Part] = [
        *((_NODE, nodes[i]) for i in sorted(kept)),
        *((number, value) for number, value in parts if number == _NODE),
        (_GRAPH_NAME, "deeplab"),
        *((_INITIALIZER, tensor) for name, tensor in constants.items() if name in needed),
        *((number, value) for number, value in parts if number == _INITIALIZER),
        *((number, value) for number, value in graph if number == _INPUT),
        (_OUTPUT, _value_info(*output)),
    ]
    rest = [(number, value) for number, value in model if number not in (_GRAPH, _METADATA)]
    said: list[_Part] = [(number, value) for number, value in model if number == _METADATA]
    if metadata is not None:
        said = [(_METADATA, message([(1, METADATA_KEY), (2, metadata)]))]
    return message([*rest, (_GRAPH, message(new_graph)), *said])


def _node(op: str, reads: Iterable[str], writes: str, **attributes: int | list[int]) -> _Part:
    names: list[_Part] = [(_READS, name) for name in reads]
    options = [(_ATTRIBUTE, _attribute(name, value)) for name, value in attributes.items()]
    return _NODE, message([*names, (_WRITES, writes), (_NODE_NAME, writes), (_OP, op), *options])


def _attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, int):
        return message([(1, name), (3, value), (20, _INT)])
    return message([(1, name), *((8, number) for number in value), (20, _INTS)])


def _tensor(name: str, values: NDArray[np.float32] | NDArray[np.uint8]) -> bytes:
    kind = _UINT8 if values.dtype == np.uint8 else _FLOAT
    sizes: list[_Part] = [(_DIMENSIONS, size) for size in values.shape]
    little_endian = values.astype(values.dtype.newbyteorder("<"))
    return message([*sizes, (_DATA_TYPE, kind), (_TENSOR_NAME, name), (_RAW, little_endian.tobytes())])


def _value_info(name: str, kind: int, sizes: Iterable[int | str]) -> bytes:
    dimensions: list[_Part] = [(1, message([(1 if isinstance(size, int) else 2, size)])) for size in sizes]
    tensor: list[_Part] = [(1, kind), (2, message(dimensions))]
    return message([(1, name), (2, message([(1, message(tensor))]))])


def _names(content: memoryview, number: int) -> list[str]:
    return [bytes(_bytes(value)).decode() for found, value in fields(content) if found == number]


def _name(content: memoryview, number: int) -> str:
    return next(iter(_names(content, number)), "")


def _bytes(value: int | str | bytes | memoryview) -> memoryview:
    """A field that holds a message or text, as its bytes."""
    if isinstance(value, int | str):
        raise ValueError("a number stands where bytes belong")
    return memoryview(value)
