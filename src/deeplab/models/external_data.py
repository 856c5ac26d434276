"""External data, the weights that an ONNX file keeps in other files: read from its bytes before a runtime opens them.

A model file is self-contained. One that names other files could make the runtime read whatever lies there.
"""

from __future__ import annotations

from collections.abc import Iterator

from deeplab.protobuf import fields

# Message → the fields of it that hold messages with tensors somewhere below them (onnx.proto of ONNX 1.23).
_BELOW = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "External"},
    "External": {},
}
_DATA_LOCATION = 14  # of Tensor: not 0 where its values lie in another file
_KEY, _VALUE = 1, 2  # of External
_DEEPEST = 64  # of graphs in nodes in graphs


def external_files(content: bytes) -> list[str]:
    """Return the files beside it that an ONNX model's tensors name, ``"?"`` for one without a name.

    Args:
        content: the whole model file.

    Raises:
        ValueError: the bytes are no protocol buffer of ONNX's kind.
    """
    try:
        return list(_files(memoryview(content), "Model", 0))
    except ValueError as error:
        raise ValueError(f"Protobuf parsing failed: {error}") from None


def _files(content: memoryview, message: str, depth: int) -> Iterator[str]:
    """Yield the files that a message and those below it name."""
    if depth > _DEEPEST:
        raise ValueError("its graphs are nested too deeply")
    files: list[str] = []
    elsewhere = False
    entry = {_KEY: "", _VALUE: ""}
    for number, value in fields(content):
        if isinstance(value, int):
            elsewhere |= message == "Tensor" and number == _DATA_LOCATION and value != 0
        elif number in _BELOW[message]:
            files += _files(value, _BELOW[message][number], depth + 1)
        elif message == "External" and number in entry:
            entry[number] = bytes(value).decode(errors="replace")
    if entry[_KEY] == "location":
        files.append(entry[_VALUE])
    yield from files or ["?"] * elsewhere
