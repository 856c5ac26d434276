"""A trained network as one ONNX file that runs without PyTorch: float32, float16 weights, or int8."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from torch import nn

from deeplab.crf import CRFSettings
from deeplab.errors import InputError, ModelError
from deeplab.files import atomic_file, check_output
from deeplab.models import METADATA_KEY, ModelInfo
from deeplab.network.build import Network
from deeplab.network.header import Header, check_header
from deeplab.network.low_rank import Factors, Responses, factorise
from deeplab.network.model_files import written_info
from deeplab.network.onnx_graph import build_graph
from deeplab.network.onnx_nodes import to_onnx
from deeplab.network.vgg import CLASSIFIERS
from deeplab.onnx_runtime import onnx_runtime
from deeplab.preprocessing import Preprocessing, pad_to_grid

Precision = Literal["float32", "float16", "int8"]

ACTIVATION_STEPS = 255
ON_PHOTO = ("conv1_1.", "msc_image.conv1.")


def export_onnx(
    model: Network,
    header: Header,
    path: Path,
    *,
    name: str,
    crf: CRFSettings,
    card: Mapping[str, Any],
    precision: Precision = "float32",
    low_rank: float | None = None,
    calibration: Iterable[NDArray[np.uint8]] = (),
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Write a network as a self-contained model file for `deeplab.runtime.ScoreNetwork`.

    Input ``image`` is float32 (1, 3, H, W) with free H and W, output ``scores`` float32 (1, L, h, w): what
    its ``aligned`` gives: scores every 8 pixels, or of every pixel for FCN-8s and for MSc unless `Variant.strided_msc`.

    Args:
        model: the network, which is put into evaluation mode.
        header: its labels and preprocessing.
        path: the file to write, ``….onnx``.
        name: what the model file calls itself.
        crf: how the CRF runs that suits it.
        card: the model card, any JSON values.
        precision: ``"float16"`` stores weights in half the room and computes in float32. ``"int8"`` stores a quarter
            and computes in integers, some three times as fast.
        low_rank: the share of multiply-adds to leave out, where it costs least, above 0 and below 1, of the layers
            between the first and the classifier; None leaves every layer whole. See `deeplab.network.low_rank`.
        calibration: for int8 and `low_rank`, some tens of photos like those to come, each (H, W, 3) uint8 RGB; they set
            the range of every layer's activations and show where fewer products will do. Read one at a time.
        overwrite: whether to replace a file at `path`.
        say: takes progress lines.

    Raises:
        InputError: the precision is unknown, photos are needed and missing or too few, or an option does not fit.
        ModelError: header and network differ, or a weight is not finite (in float16, not below 65504).
        OutputError: the file cannot be written.
    """
    if precision not in ("float32", "float16", "int8"):
        raise InputError(f"unknown precision {precision!r}; choose float32, float16 or int8")
    if low_rank is not None and not 0 < low_rank < 1:
        raise InputError(f"low_rank is the share of multiply-adds to leave out, above 0 and below 1; got {low_rank}")
    check_header(model, header)
    check_output(path, overwrite=overwrite)
    model = model.eval()
    info = ModelInfo(
        name=name,
        variant=model.variant.name,
        label_set=header.label_set,
        preprocessing=header.preprocessing,
        output_stride=model.score_stride,
        network=model.variant.to_dict(),
        crf=crf,
        card=card,
    )
    metadata = written_info(info)
    _check_weights(model, float(np.finfo(np.float16 if precision == "float16" else np.float32).max))
    steps: dict[str, float] = {}
    factors: dict[str, Factors] = {}
    if precision == "int8" or low_rank is not None:
        pixels = (pad_to_grid(info.preprocessing.apply(photo), info.output_stride) for photo in calibration)
        layers = {} if low_rank is None else _inner_layers(model)
        peaks, responses = _observe(model, header.preprocessing, pixels, layers, say)
        if precision == "int8":
            steps = {name: (peak or 1) / ACTIVATION_STEPS for name, peak in peaks.items()}
        if low_rank is not None:
            factors, left_out = factorise(layers, responses, low_rank)
            ranks = ", ".join(f"{name} {len(layer.basis)}" for name, layer in factors.items())
            say(f"{100 * left_out:.1f} % of the multiply-adds left out; ranks: {ranks}")
    graph = build_graph(model, header.preprocessing, steps, half=precision == "float16", factors=factors)
    content = to_onnx(graph, model.classes)
    helper.set_model_props(content, {METADATA_KEY: metadata})
    onnx.checker.check_model(content)
    with atomic_file(path, overwrite=overwrite) as file:
        file.write(content.SerializeToString())
    say(f"{path}: {model.variant.title}, {precision}, {path.stat().st_size / 1e6:.1f} MB")


def _check_weights(model: Network, largest: float) -> None:
    for name, tensor in model.state_dict().items():
        if not bool((tensor.abs() <= largest).all()):
            raise ModelError(
                f"{name} holds values that are not finite or above {largest:g}; train it again, or use float32"
            )


def _inner_layers(model: Network) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weights and biases, by name, of the convolutions behind another one and before a ReLU."""
    outer = (*ON_PHOTO, *CLASSIFIERS)
    return {
        name: (module.weight.detach().float().numpy(), module.get_parameter("bias").detach().float().numpy())
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and not any(part in f"{name}." for part in outer)
    }


def _observe(
    model: Network,
    preprocessing: Preprocessing,
    photos: Iterable[NDArray[np.float32]],
    layers: Iterable[str],
    say: Callable[[str], None],
) -> tuple[dict[str, float], dict[str, Responses]]:
    """Over all photos, the largest activation behind every ReLU, and the responses of the layers named, by name."""
    graph = build_graph(model, preprocessing)
    names = [node.output[0] for node in graph.nodes if node.op_type == "Relu"]
    outputs = [graph.add("ReduceMax", [name], f"{name}.max", keepdims=0) for name in names]
    outputs += [f"{name}.sum" for name in layers]
    session = onnx_runtime().InferenceSession(to_onnx(graph, model.classes, outputs).SerializeToString())
    peaks = dict.fromkeys(names, 0.0)
    responses = {name: Responses.none(model.get_parameter(f"{name}.bias").numel()) for name in layers}
    count = 0
    for count, pixels in enumerate(photos, start=1):
        found = dict(zip(outputs, session.run(outputs, {"image": pixels}), strict=True))
        peaks = {name: float(np.maximum(peak, found[f"{name}.max"])) for name, peak in peaks.items()}
        responses = {name: answers.plus(found[f"{name}.sum"]) for name, answers in responses.items()}
        if count % 10 == 0:
            say(f"calibration: {count} photos")
    for name, peak in peaks.items():
        if not np.isfinite(peak):
            raise ModelError(f"what {name} answers to these photos is not finite; train the network again")
    if not count:
        raise InputError("int8 and low rank need photos to calibrate on; give some tens of photos like those to come")
    return peaks, responses
