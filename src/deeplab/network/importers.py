"""What training starts from: published VGG-16 weights in this package's names and a variant's shapes, or our own."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deeplab.arrays import open_npz
from deeplab.errors import InputError, ModelError, quoted
from deeplab.network.build import Network
from deeplab.network.caffemodel import read_caffemodel
from deeplab.network.decimation import ChannelRule, decimate
from deeplab.network.model_files import find_weights, is_model_file
from deeplab.network.variants import CONV_CHANNELS, Variant
from deeplab.network.vgg import CLASSIFIERS
from deeplab.network.weights import HEADER_KEY, Header, load_checkpoint, read_safetensors
from deeplab.preprocessing import CAFFE_VGG, PAPER, TORCHVISION, Preprocessing

__all__ = ["Initialisation", "load_initialisation", "load_vgg_npz"]

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

    Known are: an ``.npz`` of VGG-16 (`load_vgg_npz`), the state dict of torchvision's ``vgg16`` (``.pth`` or
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
    path = find_weights(path)
    source = _READERS[_kind(path)](path)
    record = {**source.record, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    if source.header is not None and trunk:
        return replace(source.trunk(), record={**record, "layers": "conv1 to conv5"})
    if source.header is not None:
        _check_kin(path, source.header.variant, variant)
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


def load_vgg_npz(path: Path) -> Initialisation:
    """Read VGG-16 from an ``.npz`` with keys ``conv1_1.weight`` (O, I, 3, 3), ``conv1_1.bias``, ….

    The input is BGR in 0–255 minus VGG's mean. ``fc6.weight`` (4096, 512, 7, 7), ``fc7.weight`` (4096, 4096, 1, 1) and
    their biases may be there; layers that the file lacks are left to random initialisation.

    Raises:
        ModelError: the file is missing, damaged, or holds something else.
    """
    try:
        with open_npz(path) as archive:
            tensors = {name: torch.from_numpy(archive[name].astype(np.float32)) for name in archive.names}
    except (InputError, ValueError) as error:  # ValueError: text that is no number
        raise ModelError(f"{path} is no NumPy archive, or damaged ({error}); copy it again") from None
    return Initialisation(_checked(path, tensors), CAFFE_VGG, {"source": "VGG-16 npz", "file": path.name})


def _load_torch(path: Path) -> Initialisation:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling damaged bytes raises many kinds
        reason = " ".join(str(error).split())[:120]
        raise ModelError(f"{path} is no PyTorch state dict, or damaged ({reason}); copy it again") from None
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise ModelError(f"{path} is a PyTorch file, but no state dict; save model.state_dict()")
    for name, tensor in content.items():
        if not _is_plain(tensor):
            raise ModelError(f"{path}: {quoted(name)} is no plain array of numbers; save model.state_dict()")
    return _from_torchvision(path, content)


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds real numbers, and each of them in the file."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized or tensor.is_complex():
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _load_safetensors(path: Path) -> Initialisation:
    tensors, metadata = read_safetensors(path)
    if HEADER_KEY not in metadata:
        return _from_torchvision(path, tensors)
    return _load_own(path)


def _load_own(path: Path) -> Initialisation:
    model, header = load_checkpoint(path)
    kind = "model file" if is_model_file(path) else "checkpoint"
    record = {"source": f"deeplab {kind}", "file": path.name, "variant": header.variant.name}
    return Initialisation(
        model.state_dict(), header.preprocessing, {**record, "started_from": header.initialisation}, header
    )


def _from_torchvision(path: Path, state: Mapping[str, Tensor]) -> Initialisation:
    """The ``vgg16`` of torchvision: RGB in 0–1, normalised; its layers are numbered, activations and pools included."""
    names, number = {}, 0
    for layer, following in zip(CONVOLUTIONS, (*CONVOLUTIONS[1:], ""), strict=True):
        names[f"features.{number}"] = layer
        number += 2 if layer[:5] == following[:5] else 3
    names |= {"classifier.0": "fc6", "classifier.3": "fc7"}
    tensors = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        if layer in names:
            tensors[f"{names[layer]}.{kind}"] = tensor.float()
    for name in ("fc6.weight", "fc7.weight"):
        if name in tensors:
            tensors[name] = _as_convolution(tensors[name], 7 if name == "fc6.weight" else 1)
    return Initialisation(_checked(path, tensors), TORCHVISION, {"source": "torchvision vgg16", "file": path.name})


def _load_caffemodel(path: Path) -> Initialisation:
    """By layer name; VGG's own fully connected layers are matrices, DeepLab's are convolutions already."""
    tensors: dict[str, Tensor] = {}
    preprocessing = PAPER
    for name, arrays in read_caffemodel(path).items():
        ours = "fc8" if name.startswith("fc8") else name
        if len(arrays) != 2 or ours not in (*CONVOLUTIONS, "fc6", "fc7", "fc8"):
            continue
        weight, bias = (torch.from_numpy(array) for array in arrays)
        matrix = weight.ndim == 2 or weight.shape[:2] == (1, 1)
        if matrix:
            weight = _as_convolution(weight.reshape(weight.shape[-2:]), 7 if ours == "fc6" else 1)
        if matrix and ours == "fc6":
            preprocessing = CAFFE_VGG
        tensors |= {f"{ours}.weight": weight, f"{ours}.bias": bias.reshape(-1)}
    return Initialisation(_checked(path, tensors), preprocessing, {"source": "caffemodel", "file": path.name})


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


_READERS: Mapping[str, Callable[[Path], Initialisation]] = {
    "npz": load_vgg_npz,
    "torch": _load_torch,
    "safetensors": _load_safetensors,
    "model file": _load_own,
    "caffemodel": _load_caffemodel,
}


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if start[:2] == b"PK":
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
            if not any(member.filename.endswith("data.pkl") for member in members):
                return "npz"
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):  # a bomb, perhaps
                raise ModelError(f"{path} is compressed, which PyTorch's files are not; save it with torch.save")
            return "torch"
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror}; check the path, or give a shipped model's name"
        ) from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        raise ModelError(f"{path} is truncated or damaged; copy it again") from None
    if start[8:] == b"{":
        return "safetensors"
    if is_model_file(path):
        return "model file"
    return "torch" if start[:1] == b"\x80" else "caffemodel"
