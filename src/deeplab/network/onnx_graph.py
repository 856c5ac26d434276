"""The networks as ONNX graphs, in float32 or int8, written layer by layer from the variants table.

Tracing the PyTorch module would give the same nodes with a second compiler in between; written here, the names stay
readable and int8 is a choice of node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from torch import nn

from deeplab.network.build import Network
from deeplab.network.fcn import CROPS, FCN8s, fcn_layers
from deeplab.network.integers import Floats
from deeplab.network.low_rank import Factors
from deeplab.network.onnx_int8 import (
    COORDINATE_STEP,
    balance,
    classify,
    convolve,
    convolve_photo,
    holds_photos,
    quantize,
    real,
)
from deeplab.network.onnx_nodes import Graph, Value, conv_window, pointwise, window
from deeplab.network.variants import MSC_TAPS, SKIPS, UPSAMPLING, Layer, trunk_layers
from deeplab.network.vgg import DeepLab, msc_layer
from deeplab.preprocessing import Preprocessing


def build_graph(
    model: Network,
    preprocessing: Preprocessing,
    steps: Mapping[str, float] | None = None,
    *,
    half: bool = False,
    factors: Mapping[str, Factors] | None = None,
) -> Graph:
    """Write what the network's ``aligned`` computes at test as nodes, each named after its layer.

    Args:
        model: the network.
        preprocessing: of its input.
        steps: the value of one step of every activation, by name, for int8; None: float32.
        half: store float weights as float16, cast when the model is loaded.
        factors: layers to write as two of lower rank, by name.
    """
    factors, steps = factors or {}, steps or {}
    photo = preprocessing if steps and holds_photos(preprocessing) else None
    if steps:
        steps = {**steps, **{f"{name}.basis": COORDINATE_STEP for name in factors}}
        factors = {name: balance(layer) for name, layer in factors.items()}
    graph = Graph([], [], steps, photo, half, factors)
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
        scaled = Value(graph.add("Mul", [real(graph, taps[tap]), factor], f"{tap}.scaled"))
        skip = _crop(graph, _convolve(graph, scaled, model, pointwise(f"score_{tap}"), relu=False), CROPS[tap], x)
        x = Value(graph.add("Add", [x.name, skip.name], f"{tap}.sum"))
    scores = _crop(graph, _upsample(graph, x, model, *UPSAMPLING[-1]), CROPS["image"], taps["image"])
    return _cut(graph, scores, 0, model.variant.input_zoom)


def _run(graph: Graph, model: Network, layers: Iterable[Layer]) -> dict[str, Value]:
    """Append layers one behind the other; return the image and each layer's output by name."""
    x = _zoom(graph, Value("image"), model.variant.input_zoom)._replace(is_image=True)
    taps = {"image": x}
    for layer in layers:
        x = _pool(graph, x, model, layer) if layer.kind == "max" else _convolve(graph, x, model, layer)
        taps[layer.name] = x
    return taps


def _score(graph: Graph, model: Network, x: Value) -> Value:
    return _convolve(graph, _convolve(graph, x, model, pointwise("fc7")), model, pointwise("fc8"), relu=False)


def _upsample(graph: Graph, x: Value, model: Network, name: str, kernel: int, stride: int) -> Value:
    weight = graph.constant(f"{name}.weight", model.get_parameter(f"{name}.weight").detach().float().numpy())
    return Value(graph.add("ConvTranspose", [x.name, weight], name, kernel_shape=[kernel] * 2, strides=[stride] * 2))


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


def _convolve(graph: Graph, x: Value, model: Network, layer: Layer, *, relu: bool = True) -> Value:
    if layer.name in graph.factors:
        basis, basis_bias, weight, bias, _ = graph.factors[layer.name]
        inner = layer._replace(name=f"{layer.name}.basis", channels=len(basis))
        x = _layer(graph, x, basis, basis_bias, inner, relu=False)
        return _layer(graph, x, weight, bias, pointwise(layer.name), relu=relu)
    weight, bias = _average(layer) if layer.kind == "average" else _parameters(model.get_submodule(layer.name))
    return _layer(graph, x, weight, bias, layer, relu=relu)


def _layer(graph: Graph, x: Value, weight: Floats, bias: Floats, layer: Layer, *, relu: bool) -> Value:
    """A convolution; before a ReLU, a float one's own output is ``NAME.sum``."""
    name = layer.name
    if x.step is not None and not relu and name not in graph.steps:
        return classify(graph, x, weight, bias, name)
    if x.step is not None and name in graph.steps:
        return convolve(graph, x, weight, bias, layer, relu=relu)
    if x.is_image and graph.photo and name in graph.steps:
        return convolve_photo(graph, x, weight, bias, layer)
    operands = [graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", bias)]
    output = graph.add("Conv", [real(graph, x), *operands], f"{name}.sum" if relu else name, **conv_window(layer))
    return quantize(graph, graph.add("Relu", [output], name)) if relu else Value(output)


def _parameters(conv: nn.Module) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weight, bias = (conv.get_parameter(name).detach().float().numpy() for name in ("weight", "bias"))
    return weight, bias


def _average(layer: Layer) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An average pool that counts its padding, as a convolution of each channel: exact in int8, at any dilation."""
    weight = np.full((layer.channels, 1, layer.kernel, layer.kernel), layer.kernel**-2, np.float32)
    return weight, np.zeros(layer.channels, np.float32)


def _pool(graph: Graph, x: Value, model: Network, layer: Layer) -> Value:
    assert x.zero == 0
    if max(layer.padding) >= layer.kernel:
        # More than ONNX Runtime pads within a pool, and 1.19 merges a Pad node into it all the same: an average
        # over single cells pads too. Behind a ReLU its zeros are as good as minus infinity.
        padded = Layer(f"{layer.name}.padded", "average", layer.channels, 1, 1, 1, layer.padding)
        x = _convolve(graph, x, model, padded)
        layer = layer._replace(padding=(0, 0))
    if layer.stride > 1:  # Caffe's rounding up, with both sides' padding alike
        before = layer.padding[0]
        layer = layer._replace(padding=(before, before))
    return Value(graph.add("MaxPool", [x.name], layer.name, ceil_mode=int(layer.stride > 1), **window(layer)), x.step)


def _add_branches(graph: Graph, scores: Value, model: DeepLab, taps: Mapping[str, Value]) -> Value:
    maps = []
    for tap, _, _ in MSC_TAPS:
        layer, factor = msc_layer(tap, model.output_stride, dense=model.dense_msc)
        x = _convolve(graph, taps[tap], model, layer)
        x = _convolve(graph, x, model, pointwise(f"msc_{tap}.conv2"))
        maps.append(_zoom(graph, _convolve(graph, x, model, pointwise(f"msc_{tap}.classifier"), relu=False), factor))
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
