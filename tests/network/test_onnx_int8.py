"""Layers on integers, one at a time: against float32, and against what ONNX Runtime computes in one node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from deeplab.network.onnx_int8 import classify, convolve, convolve_photo, holds_photos
from deeplab.network.onnx_nodes import Graph, Value, conv_window, pointwise
from deeplab.network.variants import VARIANTS, Layer
from deeplab.onnx_runtime import onnx_runtime
from deeplab.preprocessing import CAFFE_VGG, PAPER, TORCHVISION, Preprocessing

FC6 = VARIANTS["largefov"].fc6()


def run(graph: Graph, output: str, dtype: int, **inputs: NDArray[Any]) -> NDArray[Any]:
    kinds = {np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.float32): TensorProto.FLOAT}
    given = [
        helper.make_tensor_value_info(name, kinds[x.dtype], (1, x.shape[1], "h", "w")) for name, x in inputs.items()
    ]
    wanted = [helper.make_tensor_value_info(output, dtype, (1, "c", "y", "x"))]
    content = helper.make_graph(graph.nodes, "layer", given, wanted, graph.weights)
    model = helper.make_model(content, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    result: NDArray[Any] = onnxruntime.InferenceSession(model.SerializeToString(), options).run([output], inputs)[0]
    return result


def int8_graph(preprocessing: Preprocessing | None = None, **steps: float) -> Graph:
    return Graph([], [], steps, preprocessing, False)


def convolved(
    x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], layer: Layer, *, relu: bool = True
) -> NDArray[np.float64]:
    """Convolution and ReLU by the definition, in float64."""
    before, after = layer.padding
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (before, after), (before, after)))
    reach = (layer.kernel - 1) * layer.dilation
    rows, columns = x.shape[2] - reach, x.shape[3] - reach
    total = np.zeros((1, len(weight), rows, columns)) + bias[None, :, None, None]
    for i in range(layer.kernel):
        for j in range(layer.kernel):
            top, left = i * layer.dilation, j * layer.dilation
            total += np.einsum("oc,bcyx->boyx", weight[:, :, i, j], x[:, :, top : top + rows, left : left + columns])
    return total.clip(0) if relu else total


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (3, 30), (12, 12), (13, 23), (24, 25), (25, 12), (41, 34)])
def test_far_taps_by_bands_are_those_of_one_node(size: tuple[int, int], relu: bool) -> None:
    random = np.random.default_rng(4)
    layer = FC6._replace(channels=5)
    weight = random.normal(0, 0.1, (5, 6, 3, 3)).astype(np.float32)
    bias = random.normal(0, 1, 5).astype(np.float32)
    x = random.integers(0, 256, (1, 6, *size), dtype=np.uint8)
    graph = int8_graph(fc6=0.5)
    output = convolve(graph, Value("x", 0.03), weight, bias, layer, relu=relu)
    found = run(graph, output.name, TensorProto.UINT8, x=x)
    names = [f"fc6.{part}" for part in ("input.step", "input.zero", "weight", "weight_step", "weight_zero")]
    plain = int8_graph()
    plain.weights.extend(graph.weights)
    operands = ["x", *names, "fc6.step", "fc6.zero", "fc6.bias"]
    plain.add("QLinearConv", operands, "one", **conv_window(layer))
    assert np.array_equal(found, run(plain, "one", TensorProto.UINT8, x=x))
    expected = convolved(0.03 * x, weight, bias, layer, relu=relu)
    assert len(np.unique(found)) > min(4, x.size // 6)
    values = 0.5 * (found.astype(np.float64) - output.zero)
    assert np.abs(values - expected.clip(-64, 0.5 * (255 - output.zero))).max() < 0.5 + 54 * 0.5 / 63 * 0.1 * 4


def test_without_a_relu_what_is_negative_stays() -> None:
    """Two layers, the values in between on both sides of 0."""
    random = np.random.default_rng(8)
    x = random.integers(0, 256, (1, 6, 11, 9), dtype=np.uint8)
    inner = Layer("inner", "conv", 5, 3, 1, 1, (1, 1))
    weights = [random.normal(0, 0.1, shape).astype(np.float32) for shape in ((5, 6, 3, 3), (4, 5, 1, 1))]
    biases = [random.normal(0, 1, count).astype(np.float32) for count in (5, 4)]
    between = convolved(0.03 * x, weights[0], biases[0], inner, relu=False)
    assert between.min() < -1 < 1 < between.max()
    expected = convolved(between, weights[1], biases[1], pointwise("outer"))
    steps = {"inner": np.abs(between).max() / 127, "outer": expected.max() / 255}
    graph = int8_graph(**steps)
    y = convolve(graph, Value("x", 0.03), weights[0], biases[0], inner, relu=False)
    found = run(graph, convolve(graph, y, weights[1], biases[1], pointwise("outer")).name, TensorProto.UINT8, x=x)
    assert np.abs(steps["outer"] * found - expected).max() < 0.05 * expected.max()


@pytest.mark.parametrize("preprocessing", [CAFFE_VGG, PAPER, TORCHVISION])
def test_every_pixel_of_a_photo_comes_out_as_it_was(preprocessing: Preprocessing) -> None:
    random = np.random.default_rng(5)
    photo = np.stack([random.permutation(256).reshape(16, 16) for _ in range(3)], axis=2).astype(np.uint8)
    layer = Layer("conv1_1", "conv", 7, 3, 1, 1, (1, 1))
    weight = random.normal(0, 1, (7, 3, 3, 3)).astype(np.float32)
    bias = random.normal(0, 1, 7).astype(np.float32)
    image = preprocessing.apply(photo)
    expected = convolved(image, weight, bias, layer)
    step = expected.max() / 255
    graph = int8_graph(preprocessing, conv1_1=step)
    output = convolve_photo(graph, Value("image", is_image=True), weight, bias, layer).name
    pixels = run(graph, "conv1_1.photo", TensorProto.UINT8, image=image)
    ordered = photo if preprocessing.channels == "RGB" else photo[:, :, ::-1]
    assert np.array_equal(pixels[0, :3, 1:-1, 1:-1], ordered.transpose(2, 0, 1))
    assert not pixels[:, 3].any()
    found = step * run(graph, output, TensorProto.UINT8, image=image)
    assert np.sqrt(np.square(found - expected).mean()) < 0.02 * expected.std()


def test_padding_is_the_mean_colour_to_half_a_grey_level() -> None:
    """Where all weights are 1, a corner's sum of four cells is off by at most five pads of three channels."""
    layer, bias = Layer("conv1_1", "conv", 1, 3, 1, 1, (1, 1)), np.zeros(1, np.float32)
    image = CAFFE_VGG.apply(np.full((5, 5, 3), 200, np.uint8))
    weight = np.ones((1, 3, 3, 3), np.float32)
    expected = convolved(image, weight, bias, layer)
    graph = int8_graph(CAFFE_VGG, conv1_1=expected.max() / 255)
    found = run(graph, convolve_photo(graph, Value("image"), weight, bias, layer).name, TensorProto.UINT8, image=image)
    rounding = sum(round(mean) - mean for mean in CAFFE_VGG.mean)
    step = expected.max() / 255
    assert step * found[0, 0, 0, 0] == pytest.approx(expected[0, 0, 0, 0] + 5 * rounding, abs=step)
    assert step * found[0, 0, 2, 2] == pytest.approx(expected[0, 0, 2, 2], abs=step)


def test_means_that_no_pixel_has_stay_float() -> None:
    assert all(holds_photos(known) for known in (CAFFE_VGG, PAPER, TORCHVISION))
    assert not holds_photos(Preprocessing("RGB", mean=(0, 0, -1)))
    assert not holds_photos(Preprocessing("RGB", mean=(256, 0, 0)))


def test_a_classifier_rounds_its_weights_alone() -> None:
    random = np.random.default_rng(6)
    weight = random.normal(0, 0.01, (21, 40, 1, 1)).astype(np.float32)
    bias = random.normal(0, 1, 21).astype(np.float32)
    x = random.integers(0, 256, (1, 40, 6, 9), dtype=np.uint8)
    graph = int8_graph()
    found = run(graph, classify(graph, Value("x", 0.25), weight, bias, "fc8").name, TensorProto.FLOAT, x=x)
    step = np.abs(weight).max((1, 2, 3), keepdims=True) / 63  # 7 bits
    rounded = (np.rint(weight / step) * step)[:, :, 0, 0]
    expected = np.einsum("oc,bcyx->boyx", rounded, 0.25 * x) + bias[None, :, None, None]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
