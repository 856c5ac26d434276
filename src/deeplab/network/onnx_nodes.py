"""What ONNX graphs are put together from: nodes, constants, and the values that pass between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deeplab.network.low_rank import Factors
from deeplab.network.variants import Layer
from deeplab.preprocessing import Preprocessing

OPSET, IR_VERSION = 17, 8  # older than any ONNX Runtime we support


class Graph(NamedTuple):
    """An ONNX graph under construction.

    Attributes:
        nodes: in the order of computation.
        weights: its constants.
        steps: the value of one step of every activation that is kept as uint8, by name; empty without int8.
        photo: how a photo became the graph's input, where that input is to be turned into uint8 pixels again.
        half: whether float constants are stored as float16.
        factors: layers to write as two of lower rank, by name.
    """

    nodes: list[onnx.NodeProto]
    weights: list[onnx.TensorProto]
    steps: Mapping[str, float]
    photo: Preprocessing | None
    half: bool
    factors: Mapping[str, Factors] = MappingProxyType({})

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node and return its output's name."""
        self.nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def constant(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        """Store values and return their name."""
        if self.half and dtype == np.float32:
            self.weights.append(numpy_helper.from_array(np.asarray(values, np.float16), f"{name}.half"))
            return self.add("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name


class Value(NamedTuple):
    """A tensor (1, C, h, w) of the graph: float32, or uint8 that counts steps of `step` from `zero`.

    `is_image` is set for the network's input, photo pixels minus their mean.
    """

    name: str
    step: float | None = None
    is_image: bool = False
    zero: int = 0


def window(layer: Layer) -> dict[str, Any]:
    """A layer's geometry as the attributes of a pool."""
    before, after = layer.padding
    return {
        "kernel_shape": [layer.kernel] * 2,
        "strides": [layer.stride] * 2,
        "dilations": [layer.dilation] * 2,
        "pads": [before, before, after, after],
    }


def conv_window(layer: Layer) -> dict[str, Any]:
    """A layer's geometry as the attributes of a convolution."""
    return {**window(layer), "group": layer.channels if layer.kind == "average" else 1}


def pointwise(name: str) -> Layer:
    """A convolution of single cells."""
    return Layer(name, "conv", 0, 1, 1, 1, (0, 0))


def to_onnx(graph: Graph, classes: int, outputs: Iterable[str] = ()) -> onnx.ModelProto:
    """A graph as a model: input ``image`` (1, 3, H, W), output ``scores`` (1, L, h, w), and more float `outputs`."""
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, classes, "rows", "columns"])
    content = helper.make_graph(graph.nodes, "deeplab", [image], [scores, *floats], graph.weights)
    return helper.make_model(
        content, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="deeplab"
    )
