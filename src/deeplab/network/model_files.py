"""Model files read back: the network inside one that `deeplab.network.export` wrote, its weights as numbers again.

A model file holds a network's parameters under their own names: float32, float16 (``NAME.half``), or integers that
count steps (`deeplab.network.integers`). Layers on a photo's own pixels have an empty fourth channel, classifiers their
weights as a matrix (C, L). A layer of lower rank is two: ``NAME.basis``, and ``NAME`` from its coordinates to the
channels; read back, it is their product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor

from deeplab.errors import MALFORMED, InputError, ModelError
from deeplab.files import atomic_file, check_output
from deeplab.models import METADATA_KEY, TAUGHT, ModelInfo
from deeplab.models.card_files import CardFile
from deeplab.models.external_data import external_files
from deeplab.network.build import build_network
from deeplab.network.integers import Integers, from_integers
from deeplab.network.variants import Variant, find_variant
from deeplab.preprocessing import Preprocessing


class StoredNetwork(NamedTuple):
    """What a model file holds.

    Attributes:
        info: what it says of itself.
        variant: the network.
        tensors: by parameter name, float32; of int8 files to half a step of what was exported, layers of lower
            rank as they compute. Of a file that `deeplab.teach` made, those of the trunk, conv1 to conv5.
    """

    info: ModelInfo
    variant: Variant
    tensors: dict[str, Tensor]


def read_network(path: Path, content: bytes) -> StoredNetwork:
    """Read the network inside a model file of ours, float32, float16 or int8. No code from the file is run.

    Args:
        path: what errors call it.
        content: the whole file.

    Raises:
        ModelError: the file is damaged, keeps weights in other files, lacks our metadata, or holds another network
            than those of `deeplab.network.variants`.
    """
    try:
        outside = external_files(content)
        model = onnx.load_model_from_string(content)
        metadata = {entry.key: entry.value for entry in model.metadata_props}  # text that is no UTF-8 raises
    except Exception as error:  # protobuf's exceptions share no narrower base
        raise ModelError(
            f"{path} is no ONNX file, or damaged ({' '.join(str(error).split())}); copy it again"
        ) from None
    if outside:
        raise ModelError(f"{path} keeps weights in other files ({outside[0]!r}), which are not read; export it again")
    if METADATA_KEY not in metadata:
        raise ModelError(
            f"{path} is an ONNX file without deeplab's metadata; give one that `deeplab export` made, or a checkpoint"
        )
    try:
        info = ModelInfo.from_json(metadata[METADATA_KEY])
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        variant = _variant(info, model.graph, arrays)
        with torch.device("meta"):
            names: Iterable[str] = build_network(variant, len(info.label_set)).state_dict()
        if info.taught:
            names = [name for name in names if name.startswith("conv")]
        return StoredNetwork(info, variant, {name: _parameter(arrays, name, info.preprocessing) for name in names})
    except (InputError, ModelError) as error:
        raise ModelError(f"{path}: {error}") from None
    except (RuntimeError, *MALFORMED) as error:  # an array's bytes and shape disagree, or its type is unknown
        raise ModelError(f"{path} is damaged ({' '.join(str(error).split())}); copy it again") from None


def restate(
    content: bytes, info: ModelInfo, target: Path, name: str, said: CardFile, *, overwrite: bool = False
) -> None:
    """Write a model file that computes what another one does, bit for bit, but says other things of itself.

    Args:
        content: the other file, whole.
        info: what that one says of itself.
        target: the file to write.
        name: what it calls itself.
        said: the CRF and card that it holds; without a CRF, the other file's.
        overwrite: whether to replace a file at `target`.

    Raises:
        InputError: the card holds other than JSON values.
        OutputError: the file cannot be written.
    """
    check_output(target, overwrite=overwrite)
    metadata = written_info(replace(info, name=name, crf=said.crf or info.crf, card=said.card))
    model = onnx.load_model_from_string(content)
    helper.set_model_props(model, {METADATA_KEY: metadata})
    with atomic_file(target, overwrite=overwrite) as file:
        file.write(model.SerializeToString())


def written_info(info: ModelInfo) -> str:
    """What a model file says of itself, as its metadata has it.

    Raises:
        InputError: the card holds other than JSON values.
    """
    try:
        return info.to_json()
    except TypeError as error:
        raise InputError(f"the model card must hold JSON values alone ({error}); quote dates, for one") from None


def _variant(info: ModelInfo, graph: onnx.GraphProto, arrays: Mapping[str, NDArray[np.generic]]) -> Variant:
    """The network that the file names; the graph of one of an older version tells of its options."""
    name = info.variant.removeprefix(TAUGHT)
    if info.network:
        return Variant.from_dict({**info.network, "name": name})
    variant = find_variant(name)
    nodes = {node.name: node for node in graph.node}
    if "pool1" not in nodes:
        raise ModelError("its graph has no layer pool1; give a model file that `deeplab export` made")
    kernel = next((list(entry.ints) for entry in nodes["pool1"].attribute if entry.name == "kernel_shape"), None)
    if kernel == [2, 2] and not _number(arrays, "begin", 0):  # the authors' 2x2 pools leave a margin to cut
        variant = variant.with_paper_pooling()
    return replace(
        variant,
        fc_channels=variant.fc_channels if info.taught else len(_array(arrays, "fc7.weight")),
        strided_msc=variant.msc and info.output_stride > 1,
        input_zoom=_number(arrays, "image.zoom.factors", 1),
    )


def _number(arrays: Mapping[str, NDArray[np.generic]], name: str, otherwise: int) -> int:
    """The last of a constant's whole numbers."""
    return int(arrays[name].ravel()[-1]) if name in arrays else otherwise


def _parameter(arrays: Mapping[str, NDArray[np.generic]], name: str, preprocessing: Preprocessing) -> Tensor:
    """A parameter as float32, whatever it is stored as."""
    layer, _, kind = name.rpartition(".")
    values = _stored(arrays, name, preprocessing)
    if f"{layer}.basis.bias" in arrays or f"{layer}.basis.bias.half" in arrays:
        outer = _stored(arrays, f"{layer}.weight", preprocessing).astype(np.float64)
        whole = np.tensordot(outer.squeeze((2, 3)), _stored(arrays, f"{layer}.basis.{kind}", preprocessing), 1)
        values = whole + values if kind == "bias" else whole
    return torch.from_numpy(values.astype(np.float32))


def _stored(arrays: Mapping[str, NDArray[np.generic]], name: str, preprocessing: Preprocessing) -> NDArray[Any]:
    """A convolution's weights or biases as floating-point numbers, whatever they are stored as."""
    values = _array(arrays, name)
    if not np.issubdtype(values.dtype, np.integer):
        return values
    layer, _, kind = name.rpartition(".")
    weight, step = _array(arrays, f"{layer}.weight"), _array(arrays, f"{layer}.weight_step")
    if weight.ndim == 2:  # of a classifier, whose biases are no integers
        return from_integers(Integers(weight.T[:, :, None, None], np.zeros(len(step)), step), 1)[0]
    photo = preprocessing if f"{layer}.photo.step" in arrays else None
    stored = Integers(weight[:, :3] if photo else weight, _array(arrays, f"{layer}.bias"), step)
    return from_integers(stored, float(_array(arrays, f"{layer}.input.step")), photo)[kind == "bias"]


def _array(arrays: Mapping[str, NDArray[np.generic]], name: str) -> NDArray[Any]:
    for stored in (name, f"{name}.half"):
        if stored in arrays:
            return arrays[stored]
    raise ModelError(f"it holds no {name}; give a model file that `deeplab export` made")
