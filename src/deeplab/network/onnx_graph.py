"""The networks as ONNX graphs, in float32 or int8, written layer by layer from the variants table.

Tracing the PyTorch module would give the same nodes with a second compiler in between; written here, the names stay
readable and int8 is a choice of node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from deeplab.network.build import Network
from deeplab.network.fcn import CROPS, FCN8s, fcn_layers
from deeplab.network.variants import MSC_TAPS, SKIPS, UPSAMPLING, Layer, trunk_layers
from deeplab.network.vgg import DeepLab, msc_layer

__all__ = ["Graph", "build_graph", "to_onnx"]

OPSET, IR_VERSION = 17, 8  # older than any ONNX Runtime we support

# Weights keep to 7 bits: two products of uint8 and int7 fit the 16-bit sums of processors without VNNI, which
# saturate silently on 8 bits. So every processor gives the same scores.
WEIGHT_STEPS = 63


class Graph(NamedTuple):
    """An ONNX graph under construction.

    `steps` maps the names of the activations that are kept as uint8 to the value of one step; empty without int8.
    """

    nodes: list[onnx.NodeProto]
    weights: list[onnx.TensorProto]
    steps: Mapping[str, float]
    half: bool

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
    """A tensor of the graph: float32, or uint8 that counts steps of `step` from 0."""

    name: str
    step: float | None = None


def build_graph(model: Network, steps: Mapping[str, float] | None = None, *, half: bool = False) -> Graph:
    """Write what the network's ``aligned`` computes at test as nodes, each named after its layer.

    Args:
        model: the network.
        steps: the value of one step of every activation, by name, for int8; None: float32.
        half: store float weights as float16, cast when the model is loaded.
    """
    graph = Graph([], [], steps or {}, half)
    x = _fcn8s(graph, model) if isinstance(model, FCN8s) else _deeplab(graph, model)
    graph.add("Identity", [x.name], "scores")
    return graph


def _deeplab(graph: Graph, model: DeepLab) -> Value:
    stride = model.output_stride
    taps = _run(graph, model, (*trunk_layers(model.variant.pooling, output_stride=stride), model.variant.fc6(stride)))
    x = _score(graph, model, taps["fc6"])
    if model.variant.msc:
        x = _add_branches(graph, x, model, taps)
    return _cut(graph, x, model.margin, model.step)


def _fcn8s(graph: Graph, model: FCN8s) -> Value:
    taps = _run(graph, model, fcn_layers(model.variant))
    x = _score(graph, model, taps["fc6"])
    for upsampling, (tap, scale) in zip(UPSAMPLING, SKIPS, strict=False):
        x = _upsample(graph, x, model, *upsampling)
        factor = graph.constant(f"{tap}.scale", scale)
        scaled = Value(graph.add("Mul", [_real(graph, taps[tap]), factor], f"{tap}.scaled"))
        skip = _crop(graph, _convolve(graph, scaled, model, _pointwise(f"score_{tap}"), relu=False), CROPS[tap], x)
        x = Value(graph.add("Add", [x.name, skip.name], f"{tap}.sum"))
    scores = _crop(graph, _upsample(graph, x, model, *UPSAMPLING[-1]), CROPS["image"], taps["image"])
    return _cut(graph, scores, 0, model.variant.input_zoom)


def _run(graph: Graph, model: Network, layers: Iterable[Layer]) -> dict[str, Value]:
    """Append layers one behind the other; return the image and each layer's output by name."""
    x = _zoom(graph, Value("image"), model.variant.input_zoom)
    taps = {"image": x}
    for layer in layers:
        x = _pool(graph, x, model, layer) if layer.kind == "max" else _convolve(graph, x, model, layer)
        taps[layer.name] = x
    return taps


def _score(graph: Graph, model: Network, x: Value) -> Value:
    return _convolve(graph, _convolve(graph, x, model, _pointwise("fc7")), model, _pointwise("fc8"), relu=False)


def _upsample(graph: Graph, x: Value, model: Network, name: str, kernel: int, stride: int) -> Value:
    weight = graph.constant(f"{name}.weight", model.get_parameter(f"{name}.weight").detach().float().numpy())
    window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
    return Value(graph.add("ConvTranspose", [x.name, weight], name, **window))


def _crop(graph: Graph, x: Value, offset: int, like: Value) -> Value:
    """Cut a map to the size of another, from row and column `offset` on."""
    start = graph.constant(f"{x.name}.start", [offset] * 2, np.int64)
    size = graph.add("Shape", [like.name], f"{x.name}.size", start=2)
    end = graph.add("Add", [start, size], f"{x.name}.end")
    return Value(graph.add("Slice", [x.name, start, end, _axes(graph, x)], f"{x.name}.cut"))


def _cut(graph: Graph, x: Value, margin: int, step: int) -> Value:
    """Leave away a margin on each side of a map, and keep every `step`-th cell."""
    if (margin, step) == (0, 1):
        return x
    bounds = {"begin": margin, "end": -margin or np.iinfo(np.int64).max, "step": step}
    begin, end, every = (graph.constant(name, [cells] * 2, np.int64) for name, cells in bounds.items())
    return Value(graph.add("Slice", [x.name, begin, end, _axes(graph, x), every], "aligned"))


def _axes(graph: Graph, x: Value) -> str:
    """Rows and columns."""
    return graph.constant(f"{x.name}.axes", [2, 3], np.int64)


def _pointwise(name: str) -> Layer:
    return Layer(name, "conv", 0, 1, 1, 1, (0, 0))


def _window(layer: Layer) -> dict[str, Any]:
    before, after = layer.padding
    return {
        "kernel_shape": [layer.kernel] * 2,
        "strides": [layer.stride] * 2,
        "dilations": [layer.dilation] * 2,
        "pads": [before, before, after, after],
    }


def _conv_window(layer: Layer) -> dict[str, Any]:
    return {**_window(layer), "group": layer.channels if layer.kind == "average" else 1}


def _convolve(graph: Graph, x: Value, model: Network, layer: Layer, *, relu: bool = True) -> Value:
    name = layer.name
    weight, bias = _average(layer) if layer.kind == "average" else _parameters(model.get_submodule(name))
    if x.step is not None and name in graph.steps:
        return _convolve_int8(graph, x.name, x.step, weight, bias, layer)
    operands = [graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", bias)]
    output = graph.add("Conv", [_real(graph, x), *operands], f"{name}.sum" if relu else name, **_conv_window(layer))
    return _quantize(graph, graph.add("Relu", [output], name)) if relu else Value(output)


def _parameters(conv: nn.Module) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weight, bias = (conv.get_parameter(name).detach().float().numpy() for name in ("weight", "bias"))
    return weight, bias


def _average(layer: Layer) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An average pool that counts its padding, as a convolution of each channel: exact in int8, at any dilation."""
    weight = np.full((layer.channels, 1, layer.kernel, layer.kernel), layer.kernel**-2, np.float32)
    return weight, np.zeros(layer.channels, np.float32)


def _convolve_int8(graph: Graph, x: str, x_step: float, weight: Any, bias: Any, layer: Layer) -> Value:
    """Convolution and ReLU on integers: what is below 0 ends at the unsigned output's 0."""
    name, step = layer.name, graph.steps[layer.name]
    # as fine as the weights allow, but coarse enough for the bias to fit 32 bits
    weight_step = np.maximum(np.abs(weight).max((1, 2, 3)) / WEIGHT_STEPS, np.abs(bias) / (x_step * 2**30)).clip(1e-30)
    operands = [
        x, *_scale(graph, f"{name}.input", x_step),
        graph.constant(f"{name}.weight", np.rint(weight / weight_step[:, None, None, None]), np.int8),
        graph.constant(f"{name}.weight_step", weight_step),
        graph.constant(f"{name}.weight_zero", np.zeros(len(weight)), np.int8),
        *_scale(graph, name, step),
        graph.constant(f"{name}.bias", np.rint(bias / (weight_step * x_step)), np.int32),
    ]  # fmt: skip
    return Value(graph.add("QLinearConv", operands, f"{name}.u8", **_conv_window(layer)), step)


def _pool(graph: Graph, x: Value, model: Network, layer: Layer) -> Value:
    if max(layer.padding) >= layer.kernel:
        # More than ONNX Runtime pads within a pool, and 1.19 merges a Pad node into it all the same: an average
        # over single cells pads too. Behind a ReLU its zeros are as good as minus infinity.
        padded = Layer(f"{layer.name}.padded", "average", layer.channels, 1, 1, 1, layer.padding)
        x = _convolve(graph, x, model, padded)
        layer = layer._replace(padding=(0, 0))
    if layer.stride > 1:  # Caffe's rounding up, with both sides' padding alike
        before = layer.padding[0]
        layer = layer._replace(padding=(before, before))
    return Value(graph.add("MaxPool", [x.name], layer.name, ceil_mode=int(layer.stride > 1), **_window(layer)), x.step)


def _add_branches(graph: Graph, scores: Value, model: DeepLab, taps: Mapping[str, Value]) -> Value:
    maps = []
    for tap, _, _ in MSC_TAPS:
        layer, factor = msc_layer(tap, model.output_stride, dense=model.dense_msc)
        x = _convolve(graph, taps[tap], model, layer)
        x = _convolve(graph, x, model, _pointwise(f"msc_{tap}.conv2"))
        maps.append(_zoom(graph, _convolve(graph, x, model, _pointwise(f"msc_{tap}.classifier"), relu=False), factor))
    maps.append(_zoom(graph, scores, model.output_stride if model.dense_msc else 1))
    first, *others = maps
    cut = [_crop(graph, x, 0, first).name for x in others]
    return Value(graph.add("Sum", [first.name, *cut], "sum"))


def _zoom(graph: Graph, x: Value, factor: int) -> Value:
    """Bilinear with aligned corners: n cells become factor · (n − 1) + 1."""
    if factor == 1:
        return x
    name = f"{x.name}.zoom"
    factors, rest = ([1, 1, factor, factor], [0, 0, 1 - factor, 1 - factor])
    size = graph.add("Shape", [x.name], f"{name}.from")
    size = graph.add("Mul", [size, graph.constant(f"{name}.factors", factors, np.int64)], f"{name}.times")
    size = graph.add("Add", [size, graph.constant(f"{name}.rest", rest, np.int64)], f"{name}.to")
    options = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    return Value(graph.add("Resize", [x.name, "", "", size], name, **options))


def _scale(graph: Graph, name: str, step: float) -> list[str]:
    return [graph.constant(f"{name}.step", step), graph.constant(f"{name}.zero", 0, np.uint8)]


def _quantize(graph: Graph, name: str) -> Value:
    step = graph.steps.get(name)
    if step is None:
        return Value(name)
    return Value(graph.add("QuantizeLinear", [name, *_scale(graph, name, step)], f"{name}.u8"), step)


def _real(graph: Graph, x: Value) -> str:
    if x.step is None:
        return x.name
    name = f"{x.name}.real"
    return graph.add("DequantizeLinear", [x.name, *_scale(graph, name, x.step)], name)


def to_onnx(graph: Graph, classes: int, outputs: Iterable[str] = ()) -> onnx.ModelProto:
    """A graph as a model: input ``image`` (1, 3, H, W), output ``scores`` (1, L, h, w), and more float `outputs`."""
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, classes, "rows", "columns"])
    content = helper.make_graph(graph.nodes, "deeplab", [image], [scores, *floats], graph.weights)
    return helper.make_model(
        content, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="deeplab"
    )
