"""A model file that names other files is refused before the runtime could open them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab.errors import ModelError
from deeplab.models.external_data import external_files
from deeplab.runtime import ScoreNetwork

onnx = pytest.importorskip("onnx", reason="needs onnx")

Edit = Callable[["onnx.ModelProto"], None]


def in_a_weight(model: onnx.ModelProto) -> None:
    outside(model.graph.initializer[0])


def in_a_constant(model: onnx.ModelProto) -> None:
    node = onnx.helper.make_node("Constant", [], ["spare"], value=tensor())
    outside(node.attribute[0].t)
    model.graph.node.append(node)


def in_a_branch(model: onnx.ModelProto) -> None:
    branch = onnx.helper.make_graph([], "branch", [], [], [tensor()])
    outside(branch.initializer[0])
    model.graph.node.append(onnx.helper.make_node("If", ["condition"], ["chosen"], then_branch=branch))


def in_a_function(model: onnx.ModelProto) -> None:
    node = onnx.helper.make_node("Constant", [], ["spare"], value=tensor())
    outside(node.attribute[0].t)
    opset = onnx.helper.make_opsetid("", 17)
    model.functions.append(onnx.helper.make_function("own", "spare", [], ["spare"], [node], [opset]))


def in_a_sparse_weight(model: onnx.ModelProto) -> None:
    weight = model.graph.sparse_initializer.add()
    weight.values.CopyFrom(tensor())
    outside(weight.values)


def without_a_name(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def without_saying_so(model: onnx.ModelProto) -> None:
    outside(model.graph.initializer[0])
    model.graph.initializer[0].data_location = onnx.TensorProto.DEFAULT


def tensor() -> onnx.TensorProto:
    return onnx.helper.make_tensor("spare", onnx.TensorProto.FLOAT, [1], [1.0])


def outside(weight: onnx.TensorProto) -> None:
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", "../secret.bin")):
        weight.external_data.add(key=key, value=value)


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (in_a_weight, "../secret.bin"),
        (in_a_constant, "../secret.bin"),
        (in_a_branch, "../secret.bin"),
        (in_a_function, "../secret.bin"),
        (in_a_sparse_weight, "../secret.bin"),
        (without_a_name, "?"),
        (without_saying_so, "../secret.bin"),
    ],
)
def test_weights_elsewhere_are_refused(tiny_model: Path, tmp_path: Path, edit: Edit, named: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "other.onnx"
    model = onnx.load(tiny_model)
    edit(model)
    path.write_bytes(model.SerializeToString())
    assert external_files(path.read_bytes()) == [named]
    with pytest.raises(ModelError, match="keeps weights in other files") as caught:
        ScoreNetwork(path)
    assert repr(named) in str(caught.value)


def test_the_runtime_reads_no_file_beside_a_model(tiny_model: Path, tmp_path: Path) -> None:
    """Saved by ONNX itself, with a file that is there and fits."""
    onnx.save(
        onnx.load(tiny_model),
        tmp_path / "split.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    assert (tmp_path / "weights.bin").stat().st_size > 1000
    with pytest.raises(ModelError, match=r"keeps weights in other files \('weights.bin'\)"):
        ScoreNetwork(tmp_path / "split.onnx")


def test_whole_models_name_no_files(tiny_model: Path) -> None:
    assert external_files(tiny_model.read_bytes()) == []


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(ValueError):
        assert all(isinstance(name, str) for name in external_files(content))


@given(st.data())
def test_damaged_models_are_read_or_refused(tiny_model: Path, data: st.DataObject) -> None:
    whole = bytearray(tiny_model.read_bytes())
    for place in data.draw(st.lists(st.integers(0, 600), max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    with suppress(ValueError):
        assert all(isinstance(name, str) for name in external_files(bytes(whole)))


def test_graphs_nested_without_end_are_refused() -> None:
    content = b""
    for _ in range(100):  # a graph in an attribute in a node in a graph
        for number in (6, 5, 1):
            content = bytes([number << 3 | 2, *length(len(content))]) + content
    with pytest.raises(ValueError, match="nested too deeply"):
        external_files(bytes([7 << 3 | 2, *length(len(content))]) + content)


def length(number: int) -> bytes:
    """A number as protocol buffers write it."""
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])
