"""A trained network as one ONNX file that runs without PyTorch: float32, float16 weights, or int8.

The graph is written layer by layer from the variants table, as `DeepLab.forward` runs it. Tracing would give the same
nodes with a second compiler in between; written here, the names stay readable and int8 is a choice of node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from deeplab.crf import CRFParams
from deeplab.errors import InputError, ModelError
from deeplab.files import atomic_file
from deeplab.models import METADATA_KEY, ModelInfo
from deeplab.network.variants import MSC_TAPS, Layer, trunk_layers
from deeplab.network.vgg import DeepLab, msc_layer
from deeplab.network.weights import Header
from deeplab.preprocessing import pad_to_grid

__all__ = ["Precision", "export_onnx"]

Precision = Literal["float32", "float16", "int8"]

OPSET, IR_VERSION = 17, 8
WEIGHT_STEPS = 63
ACTIVATION_STEPS = 255


def export_onnx(
    model: DeepLab,
    header: Header,
    path: Path,
    *,
    name: str,
    crf: Mapping[str, Any],
    card: Mapping[str, Any],
    precision: Precision = "float32",
    calibration: Iterable[NDArray[np.uint8]] = (),
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Write a network as a self-contained model file for `deeplab.runtime.ScoreNetwork`.

    Input ``image`` is float32 (1, 3, H, W) with free H and W, output ``scores`` float32 (1, L, h, w): what
    `DeepLab.aligned` gives.

    Args:
        model: the network; dropout is left out.
        header: its labels and preprocessing.
        path: the file to write, ``….onnx``.
        name: what the model file calls itself.
        crf: the CRF that suits it: ``params`` (as `CRFParams.from_dict` takes them), ``iterations``, ``normalization``;
            what is left out keeps its default.
        card: the model card, any JSON values.
        precision: ``"float16"`` stores weights in half the room and computes in float32. ``"int8"`` stores a quarter
            and computes in integers, about twice as fast; the layers that read the image and the classifiers stay
            float32.
        calibration: for int8, some tens of photos like those to come, each (H, W, 3) uint8 RGB; they set the range of
            every layer's activations. Read one at a time.
        overwrite: whether to replace a file at `path`.
        say: takes progress lines.

    Raises:
        InputError: the precision is unknown, int8 without photos, or an option does not fit.
        ModelError: header and network differ, or a weight is not finite (in float16, not below 65504).
        OutputError: the file cannot be written.
    """
    if precision not in ("float32", "float16", "int8"):
        raise InputError(f"unknown precision {precision!r}; choose float32, float16 or int8")
    if header.variant != model.variant or len(header.label_set) != model.classes:
        raise ModelError(
            f"a header of {header.variant.title} with {len(header.label_set)} labels does not describe "
            f"{model.variant.title} with {model.classes}; give the header that came with the network"
        )
    model = model.eval()
    info = ModelInfo(
        name=name,
        variant=model.variant.name,
        label_set=header.label_set,
        preprocessing=header.preprocessing,
        output_stride=1 if model.dense_msc else model.output_stride,
        crf_params=CRFParams.from_dict(crf.get("params", {})),
        crf_iterations=crf.get("iterations", 10),
        crf_normalization=crf.get("normalization", "after"),
        card=card,
    )
    _check_weights(model, np.finfo(np.float16 if precision == "float16" else np.float32).max)
    steps = {}
    if precision == "int8":
        pixels = (pad_to_grid(info.preprocessing.apply(photo), info.output_stride) for photo in calibration)
        steps = _calibrate(model, pixels, say)
    content = _to_onnx(_graph(model, steps, half=precision == "float16"), model.classes)
    helper.set_model_props(content, {METADATA_KEY: info.to_json()})
    onnx.checker.check_model(content)
    with atomic_file(path, overwrite=overwrite) as file:
        file.write(content.SerializeToString())
    say(f"{path}: {model.variant.title}, {precision}, {path.stat().st_size / 1e6:.1f} MB")


def _check_weights(model: DeepLab, largest: float) -> None:
    for name, tensor in model.state_dict().items():
        if not bool((tensor.abs() <= largest).all()):
            raise ModelError(f"{name} holds values that are not finite or above {largest:g}; train it again, or use float32")


class Graph(NamedTuple):
    """An ONNX graph under construction.

    `steps` maps the names of the activations that are kept as uint8 to the value of one step; empty without int8.
    """

    nodes: list[onnx.NodeProto]
    weights: list[onnx.TensorProto]
    steps: Mapping[str, float]
    half: bool

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def constant(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        if self.half and dtype == np.float32:
            self.weights.append(numpy_helper.from_array(np.asarray(values, np.float16), f"{name}.half"))
            return self.add("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name


class Value(NamedTuple):
    """A tensor of the graph: float32, or uint8 that counts steps of `step` from 0."""

    name: str
    step: float | None = None


def _graph(model: DeepLab, steps: Mapping[str, float] | None = None, *, half: bool = False) -> Graph:
    graph = Graph([], [], steps or {}, half)
    variant, stride = model.variant, model.output_stride
    taps = {"image": Value("image")}
    x = taps["image"]
    for layer in trunk_layers(variant.pooling, output_stride=stride):
        x = _pool(graph, x, model, layer) if layer.kind == "max" else _convolve(graph, x, model, layer)
        taps[layer.name] = x
    x = _convolve(graph, x, model, variant.fc6(stride))
    x = _convolve(graph, x, model, _pointwise("fc7"))
    x = _convolve(graph, x, model, _pointwise("fc8"), relu=False)
    if variant.msc:
        x = _add_branches(graph, x, model, taps)
    elif model.margin:
        edges = [graph.constant("margin", [model.margin] * 2, np.int64), graph.constant("end", [-model.margin] * 2, np.int64)]
        x = Value(graph.add("Slice", [x.name, *edges, graph.constant("axes", [2, 3], np.int64)], "aligned"))
    graph.add("Identity", [x.name], "scores")
    return graph


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


def _convolve(graph: Graph, x: Value, model: DeepLab, layer: Layer, *, relu: bool = True) -> Value:
    name = layer.name
    weight, bias = _average(layer) if layer.kind == "average" else _parameters(model.get_submodule(name))
    if x.step and name in graph.steps:
        return _convolve_int8(graph, x, weight, bias, layer)
    operands = [graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", bias)]
    output = graph.add("Conv", [_real(graph, x), *operands], f"{name}.sum" if relu else name, **_conv_window(layer))
    return _quantize(graph, graph.add("Relu", [output], name)) if relu else Value(output)


def _parameters(conv: torch.nn.Module) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weight, bias = (parameter.detach().float().numpy() for parameter in (conv.weight, conv.bias))
    return weight, bias


def _average(layer: Layer) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An average pool, padding counted, as the convolution of each channel alone: exact in int8 too, at any dilation."""
    weight = np.full((layer.channels, 1, layer.kernel, layer.kernel), layer.kernel**-2, np.float32)
    return weight, np.zeros(layer.channels, np.float32)


def _convolve_int8(graph: Graph, x: Value, weight: Any, bias: Any, layer: Layer) -> Value:
    """Convolution and ReLU on integers: what is below 0 ends at the unsigned output's 0."""
    name, step = layer.name, graph.steps[layer.name]
    weight_step = np.maximum(np.abs(weight).max((1, 2, 3)), 1e-12) / WEIGHT_STEPS
    operands = [
        x.name, *_scale(graph, f"{name}.input", x.step),
        graph.constant(f"{name}.weight", np.rint(weight / weight_step[:, None, None, None]), np.int8),
        graph.constant(f"{name}.weight_step", weight_step),
        graph.constant(f"{name}.weight_zero", np.zeros(len(weight)), np.int8),
        *_scale(graph, name, step),
        graph.constant(f"{name}.bias", np.rint(bias / (weight_step * x.step)), np.int32),
    ]  # fmt: skip
    return Value(graph.add("QLinearConv", operands, f"{name}.u8", **_conv_window(layer)), step)


def _pool(graph: Graph, x: Value, model: DeepLab, layer: Layer) -> Value:
    if max(layer.padding) >= layer.kernel:
        # More than ONNX Runtime pads within a pool, and versions before 1.20 merge a Pad node into it all the same: an
        # average over single cells pads too. Behind a ReLU its zeros are as good as minus infinity.
        x = _convolve(graph, x, model, layer._replace(name=f"{layer.name}.padded", kind="average", kernel=1, dilation=1))
        layer = layer._replace(padding=(0, 0))
    if layer.stride > 1:  # Caffe's rounding up, with both sides' padding alike
        before = layer.padding[0]
        layer = layer._replace(padding=(before, before))
    return Value(graph.add("MaxPool", [x.name], layer.name, ceil_mode=int(layer.stride > 1), **_window(layer)), x.step)


def _add_branches(graph: Graph, scores: Value, model: DeepLab, taps: Mapping[str, Value]) -> Value:
    maps = []
    for tap, _, _ in MSC_TAPS:
        layer, zoom = msc_layer(tap, model.output_stride, dense=model.dense_msc)
        x = _convolve(graph, taps[tap], model, layer)
        x = _convolve(graph, x, model, _pointwise(f"msc_{tap}.conv2"))
        maps.append(_zoom(graph, _convolve(graph, x, model, _pointwise(f"msc_{tap}.classifier"), relu=False), zoom))
    maps.append(_zoom(graph, scores, model.output_stride if model.dense_msc else 1))
    first, *others = maps
    graph.add("Shape", [first.name], "size", start=2)
    origin, axes = graph.constant("origin", [0, 0], np.int64), graph.constant("axes", [2, 3], np.int64)
    cut = [graph.add("Slice", [x.name, origin, "size", axes], f"{x.name}.cut") for x in others]
    return Value(graph.add("Sum", [first.name, *cut], "sum"))


def _zoom(graph: Graph, x: Value, factor: int) -> Value:
    """Bilinear with aligned corners: n cells become factor · (n − 1) + 1."""
    if factor == 1:
        return x
    name = f"{x.name}.zoom"
    # factor · (1, L, h, w) + (1 − factor) · (1, L, h − … ): the first two axes keep their sizes
    size = graph.add("Shape", [x.name], f"{name}.from")
    size = graph.add("Mul", [size, graph.constant(f"{name}.factor", [1, 1, factor, factor], np.int64)], f"{name}.times")
    size = graph.add("Add", [size, graph.constant(f"{name}.rest", [0, 0, 1 - factor, 1 - factor], np.int64)], f"{name}.to")
    options = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    return Value(graph.add("Resize", [x.name, "", "", size], name, **options))


def _scale(graph: Graph, name: str, step: float | None) -> list[str]:
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


def _to_onnx(graph: Graph, classes: int, outputs: Iterable[str] = ()) -> onnx.ModelProto:
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, classes, "rows", "columns"])
    content = helper.make_graph(graph.nodes, "deeplab", [image], [scores, *floats], graph.weights)
    return helper.make_model(
        content, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="deeplab"
    )


def _calibrate(model: DeepLab, photos: Iterable[NDArray[np.float32]], say: Callable[[str], None]) -> dict[str, float]:
    """The step of every activation, by name: its largest value over all photos is step 255."""
    import onnxruntime  # type: ignore[import-untyped]

    graph = _graph(model)
    names = [node.output[0] for node in graph.nodes if node.op_type == "Relu"]
    largest = [graph.add("ReduceMax", [name], f"{name}.max", keepdims=0) for name in names]
    session = onnxruntime.InferenceSession(_to_onnx(graph, model.classes, largest).SerializeToString())
    peaks = np.zeros(len(names), np.float32)
    count = 0
    for count, pixels in enumerate(photos, start=1):
        peaks = np.maximum(peaks, session.run(largest, {"image": pixels}))
        if count % 10 == 0:
            say(f"calibration: {count} photos")
    if not count:
        raise InputError("int8 needs photos to calibrate on; give some tens of photos like those to come")
    return {name: max(float(peak), 1e-12) / ACTIVATION_STEPS for name, peak in zip(names, peaks, strict=True)}
