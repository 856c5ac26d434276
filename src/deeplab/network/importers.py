"""What training starts from: published VGG-16 weights in this package's names and a variant's shapes, or our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from deeplab.errors import ModelError
from deeplab.network.build import Network
from deeplab.network.decimation import ChannelRule, decimate
from deeplab.network.header import Header
from deeplab.network.variants import CONV_CHANNELS, Variant
from deeplab.network.vgg import CLASSIFIERS
from deeplab.network.weights import Weights, open_weights
from deeplab.preprocessing import CAFFE_VGG, PAPER, TORCHVISION, Preprocessing

CONVOLUTIONS = tuple(f"conv{s}_{i}" for s, widths in enumerate(CONV_CHANNELS, 1) for i in range(1, len(widths) + 1))


@dataclass(frozen=True)
class Initialisation:
    """Weights from elsewhere, in this package's names.

    Attributes:
        tensors: by parameter name, float32; weights (O, I, k, k), biases (O,).
        preprocessing: what these weights expect.
        record: source, the file's SHA-256 and rules, for the checkpoint's header.
        header: of the network of ours that they come from, if they do.
    """

    tensors: dict[str, Tensor]
    preprocessing: Preprocessing
    record: dict[str, Any]
    header: Header | None = None

    def apply_to(self, model: Network) -> dict[str, Any]:
        """Copy the tensors into a network; what they do not name keeps its random initialisation.

        Classifiers over another number of classes are left out.

        Returns:
            The record, with the layers left to random initialisation named.

        Raises:
            ModelError: a tensor is unknown to the network or has another shape.
        """
        own = model.state_dict()
        copied = set()
        for name, tensor in self.tensors.items():
            if _belongs_to_classes(name) and len(tensor) != model.classes:
                continue
            if name not in own or own[name].shape != tensor.shape:
                wanted = f"expected {tuple(own[name].shape)}" if name in own else "it has no such parameter"
                raise ModelError(f"{name} {tuple(tensor.shape)} does not fit {model.variant.title}: {wanted}")
            own[name].copy_(tensor)
            copied.add(name)
        fresh = sorted({name.rpartition(".")[0] for name in own if name not in copied})
        return {**self.record, "random": fresh}

    def trunk(self) -> Initialisation:
        """The same with conv1 to conv5 alone."""
        return replace(self, tensors={name: tensor for name, tensor in self.tensors.items() if name.startswith("conv")})

    def without_classifiers(self) -> Initialisation:
        """The same without the layers that belong to the classes of where they come from."""
        kept = {name: tensor for name, tensor in self.tensors.items() if not _belongs_to_classes(name)}
        return replace(self, tensors=kept, record={**self.record, "classifiers": "fresh"})


def _belongs_to_classes(name: str) -> bool:
    return any(part in name for part in (*CLASSIFIERS, "upscore"))


def load_initialisation(
    path: Path, variant: Variant, *, channels: ChannelRule = "even", seed: int = 0, trunk: bool = False
) -> Initialisation:
    """Read weights for a variant from any known kind of file, told apart by content.

    Known are: an ``.npz`` of VGG-16 by this package's names, the state dict of torchvision's ``vgg16`` (``.pth`` or
    ``.safetensors``), a ``.caffemodel`` of VGG-16 or of DeepLab itself, and deeplab's own checkpoints and model files,
    such as the fine-tuned network that an MSc network starts from. fc6 and fc7 are decimated for the variant
    (`decimate`).

    Args:
        path: the file, or a shipped model's name. No code from the file is run.
        variant: the network to fill.
        channels: which channels of wider fully connected layers to keep.
        seed: for ``"random"``.
        trunk: of a network of ours take conv1 to conv5 alone; it may then be of any variant.

    Raises:
        InputError: the channel rule is unknown.
        ModelError: the file is missing, damaged or of another kind, its layers do not fit, or it holds another network
            of ours than `variant` or, for MSc, its single-scale base.
    """
    weights = open_weights(path)
    source = _READERS[weights.kind](weights) if weights.header is None else _own(weights, trunk=trunk)
    record = {**source.record, "file": weights.path.name, "sha256": weights.sha256}
    if source.header is not None and trunk:
        return replace(source.trunk(), record={**record, "layers": "conv1 to conv5"})
    if source.header is not None:
        _check_kin(weights.path, source.header.variant, variant)
        return replace(source, record=record)
    tensors, rule = decimate(source.tensors, variant, channels=channels, seed=seed)
    return replace(source, tensors=tensors, record={**record, **rule})


def _check_kin(path: Path, found: Variant, wanted: Variant) -> None:
    """Check that a checkpoint's network may start another: itself, or the single-scale base of an MSc network."""
    same_pools = (found.pooling == "plain") == (wanted.pooling == "plain")
    same_zoom = found.input_zoom == wanted.input_zoom or found.name == wanted.name  # a frozen base stays as it was
    related = found.name in (wanted.name, wanted.base_name)
    if related and found.fc_channels == wanted.fc_channels and same_pools and same_zoom:
        return
    has, needs = (
        f"{v.title} ({v.fc_channels} channels in fc6 and fc7, {v.pooling} pools, input zoom {v.input_zoom})"
        for v in (found, wanted)
    )
    base = f" or of its base, {wanted.base_name!r}" if wanted.base_name != wanted.name else ""
    raise ModelError(f"{path} holds {has}, which cannot start {needs}; give one of {wanted.name!r}{base}")


def _own(weights: Weights, *, trunk: bool) -> Initialisation:
    if trunk and weights.info is not None and weights.info.taught and weights.header is not None:
        source = {"source": "deeplab model file", "variant": weights.info.variant}
        return Initialisation(dict(weights.tensors), weights.header.preprocessing, source, weights.header)
    model, header = weights.network()
    kind = "model file" if weights.info else "checkpoint"
    record = {"source": f"deeplab {kind}", "variant": header.variant.name, "started_from": header.initialisation}
    return Initialisation(model.state_dict(), header.preprocessing, record, header)


def _from_npz(weights: Weights) -> Initialisation:
    """VGG-16 by this package's names: ``conv1_1.weight`` (O, I, 3, 3), …, BGR in 0–255 minus its mean.

    ``fc6.weight`` (4096, 512, 7, 7), ``fc7.weight`` (4096, 4096, 1, 1) and their biases may be there.
    """
    return Initialisation(_checked(weights.path, dict(weights.tensors)), CAFFE_VGG, {"source": "VGG-16 npz"})


def _from_torchvision(weights: Weights) -> Initialisation:
    """The ``vgg16`` of torchvision: RGB in 0–1, normalised; its layers are numbered, activations and pools included."""
    names, number = {}, 0
    for layer, following in zip(CONVOLUTIONS, (*CONVOLUTIONS[1:], ""), strict=True):
        names[f"features.{number}"] = layer
        number += 2 if layer[:5] == following[:5] else 3
    names |= {"classifier.0": "fc6", "classifier.3": "fc7"}
    tensors = {}
    for name, tensor in weights.tensors.items():
        layer, _, kind = name.rpartition(".")
        if layer in names:
            tensors[f"{names[layer]}.{kind}"] = tensor.float()
    for name in ("fc6.weight", "fc7.weight"):
        if name in tensors:
            tensors[name] = _as_convolution(tensors[name], 7 if name == "fc6.weight" else 1)
    return Initialisation(_checked(weights.path, tensors), TORCHVISION, {"source": "torchvision vgg16"})


def _from_caffemodel(weights: Weights) -> Initialisation:
    """By layer name; VGG's own fully connected layers are matrices, DeepLab's are convolutions already."""
    tensors: dict[str, Tensor] = {}
    preprocessing = PAPER
    layers: dict[str, list[Tensor]] = {}
    for name, tensor in weights.tensors.items():
        layers.setdefault(name.rpartition(".")[0], []).append(tensor)
    for name, arrays in layers.items():
        ours = "fc8" if name.startswith("fc8") else name
        if len(arrays) != 2 or ours not in (*CONVOLUTIONS, "fc6", "fc7", "fc8"):
            continue
        weight, bias = arrays
        matrix = weight.ndim == 2 or weight.shape[:2] == (1, 1)
        if matrix:
            weight = _as_convolution(weight.reshape(weight.shape[-2:]), 7 if ours == "fc6" else 1)
        if matrix and ours == "fc6":
            preprocessing = CAFFE_VGG
        tensors |= {f"{ours}.weight": weight, f"{ours}.bias": bias.reshape(-1)}
    return Initialisation(_checked(weights.path, tensors), preprocessing, {"source": "caffemodel"})


def _as_convolution(matrix: Tensor, kernel: int) -> Tensor:
    """(O, I · k · k) as (O, I, k, k); another shape passes, for `_checked` to name."""
    if matrix.ndim != 2 or matrix.shape[1] % kernel**2:
        return matrix
    return matrix.reshape(len(matrix), -1, kernel, kernel)


def _checked(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Pass on VGG-16's 13 convolutions and, if there, the fully connected layers behind them; refuse anything else."""
    fully = [name for name in ("fc6", "fc7", "fc8") if f"{name}.weight" in tensors]
    if fully not in ([], ["fc6", "fc7"], ["fc6", "fc7", "fc8"]):
        raise ModelError(f"{path} holds {' and '.join(fully)} alone; give a file with fc6 and fc7, or with neither")
    widths = [width for stage in CONV_CHANNELS for width in stage] + [len(tensors[f"{name}.weight"]) for name in fully]
    wanted: dict[str, tuple[int, ...]] = {}
    channels = 3
    for layer, width in zip((*CONVOLUTIONS, *fully), widths, strict=True):
        kernel = 3 if layer in CONVOLUTIONS else tensors["fc6.weight"].shape[-1] if layer == "fc6" else 1
        wanted |= {f"{layer}.weight": (width, channels, kernel, kernel), f"{layer}.bias": (width,)}
        channels = width
    if odd := sorted(wanted.keys() ^ tensors.keys()):
        problem = "lacks" if odd[0] in wanted else "holds"
        raise ModelError(f"{path} {problem} {odd[0]}; expected the weights and biases of VGG-16, {CONVOLUTIONS[0]} …")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name]:
            raise ModelError(f"{path}: {name} has shape {tuple(tensor.shape)}, but VGG-16's is {wanted[name]}")
        if not bool(tensor.isfinite().all()):
            raise ModelError(f"{path}: {name} holds values that are not finite; give another source of weights")
    return tensors


_READERS: Mapping[str, Callable[[Weights], Initialisation]] = {
    "npz": _from_npz,
    "torch": _from_torchvision,
    "safetensors": _from_torchvision,
    "caffemodel": _from_caffemodel,
}
