"""Layers on integers: uint8 activations by int8 weights, summed in 32 bits.

Activations count steps from 0, where every ReLU leaves them; where there is no ReLU, from the middle. Weights count
steps of their own in each output channel.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from deeplab.network.integers import Floats, Integers, to_integers
from deeplab.network.low_rank import Factors
from deeplab.network.onnx_bands import convolve_in_bands, has_far_taps
from deeplab.network.onnx_nodes import Graph, Value, conv_window
from deeplab.network.variants import Layer
from deeplab.preprocessing import Preprocessing

# What stands for 0 where values have both signs.
MIDDLE = 128

# One step of a lower rank's coordinates, the strongest of which has the standard deviation 1: they go as far as eight
# of them, for their tails are longer than the normal distribution's.
COORDINATE_STEP = 8 / MIDDLE
WEAKEST = 1e-3  # of the strongest coordinate's standard deviation: below, one counts as if it had this

# A photo's colours and an empty channel: four bytes a pixel are gathered faster than three.
PHOTO_CHANNELS = 4


def holds_photos(preprocessing: Preprocessing) -> bool:
    """Whether uint8 can stand for what a photo becomes: its mean colour, with which it is padded, must be one."""
    return all(0 <= mean <= 255 for mean in preprocessing.mean)


def quantize(graph: Graph, name: str) -> Value:
    """A float tensor in steps, if the graph keeps it so."""
    step = graph.steps.get(name)
    if step is None:
        return Value(name)
    return Value(graph.add("QuantizeLinear", [name, *_scale(graph, name, step)], f"{name}.u8"), step)


def real(graph: Graph, x: Value) -> str:
    """A tensor's name as float32."""
    if x.step is None:
        return x.name
    name = f"{x.name}.real"
    return graph.add("DequantizeLinear", [x.name, *_scale(graph, name, x.step, x.zero)], name)


def convolve(graph: Graph, x: Value, weight: Floats, bias: Floats, layer: Layer, *, relu: bool = True) -> Value:
    """Convolution of uint8, and ReLU: what is below 0 ends at the unsigned output's 0. Without ReLU, 0 lies midway."""
    assert x.step is not None
    return _qlinear(graph, x, to_integers(weight, bias, x.step), layer, 0 if relu else MIDDLE)


def convolve_photo(graph: Graph, x: Value, weight: Floats, bias: Floats, layer: Layer) -> Value:
    """Convolution and ReLU of the network's input, turned into uint8 pixels again.

    A photo's pixels come out as they were; the mean that was subtracted from them goes into the bias. Padding stands
    for the mean colour, as zeros did, rounded to whole grey levels.
    """
    assert graph.photo is not None
    name, (before, after), empty = layer.name, layer.padding, PHOTO_CHANNELS - 3
    pads = graph.constant(f"{name}.pads", [0, 0, before, before, 0, empty, after, after], np.int64)
    scale = [
        graph.constant(f"{name}.photo.step", [*1 / np.array(graph.photo.std), *[1] * empty]),
        graph.constant(f"{name}.photo.zero", [*np.rint(graph.photo.mean), *[0] * empty], np.uint8),
    ]
    padded = graph.add("Pad", [x.name, pads], f"{name}.padded")
    photo = graph.add("QuantizeLinear", [padded, *scale], f"{name}.photo", axis=1)
    stored = to_integers(weight, bias, 1, graph.photo)
    stored = stored._replace(weight=np.pad(stored.weight, ((0, 0), (0, empty), (0, 0), (0, 0))))
    return _qlinear(graph, Value(photo, 1), stored, layer._replace(padding=(0, 0)))


def balance(factors: Factors) -> Factors:
    """Scale the coordinates so that their 8 bits and the 7 of the weights behind them lose about equally.

    All have one step. At their own strength the weak ones are rounded coarsely; at equal strength their weights are,
    for the strongest one's set the step. The fourth root of their standard deviations lies between.
    """
    std = factors.std.clip(WEAKEST * (factors.std[0] or 1))
    scale = std**0.75 * std[0] ** 0.25
    return factors._replace(
        basis=factors.basis / scale[:, None, None, None],
        basis_bias=factors.basis_bias / scale,
        weight=factors.weight * scale[:, None, None],
    )


def classify(graph: Graph, x: Value, weight: Floats, bias: Floats, name: str) -> Value:
    """Float scores (1, L, h, w) of uint8 cells: a pointwise convolution without ReLU, its sums exact."""
    assert x.step is not None
    assert x.zero == 0
    stored = to_integers(weight, np.zeros_like(bias), x.step)
    whole = graph.constant(f"{name}.weight", stored.weight[:, :, 0, 0].T, np.int8)
    steps = [graph.constant(f"{name}.weight_step", stored.weight_step), graph.constant(f"{name}.input.step", x.step)]
    cells = graph.add("Transpose", [x.name], f"{name}.cells", perm=[0, 2, 3, 1])
    sums = graph.add("MatMulInteger", [cells, whole], f"{name}.sums")
    sums = graph.add("Cast", [sums], f"{name}.float", to=TensorProto.FLOAT)
    sums = graph.add("Mul", [sums, graph.add("Mul", steps, f"{name}.step")], f"{name}.real")
    sums = graph.add("Add", [sums, graph.constant(f"{name}.bias", bias)], f"{name}.scores")
    return Value(graph.add("Transpose", [sums], name, perm=[0, 3, 1, 2]))


def _qlinear(graph: Graph, x: Value, stored: Integers, layer: Layer, zero: int = 0) -> Value:
    name, step = layer.name, graph.steps[layer.name]
    assert x.step is not None
    operands = [
        x.name, *_scale(graph, f"{name}.input", x.step, x.zero),
        graph.constant(f"{name}.weight", stored.weight, np.int8),
        graph.constant(f"{name}.weight_step", stored.weight_step),
        graph.constant(f"{name}.weight_zero", np.zeros(len(stored.weight)), np.int8),
        *_scale(graph, name, step, zero),
        graph.constant(f"{name}.bias", stored.bias, np.int32),
    ]  # fmt: skip
    if has_far_taps(layer):
        return Value(convolve_in_bands(graph, operands, layer, f"{name}.u8"), step, zero=zero)
    return Value(graph.add("QLinearConv", operands, f"{name}.u8", **conv_window(layer)), step, zero=zero)


def _scale(graph: Graph, name: str, step: float, zero: int = 0) -> list[str]:
    return [graph.constant(f"{name}.step", step), graph.constant(f"{name}.zero", zero, np.uint8)]
