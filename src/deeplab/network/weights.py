"""Files of weights: opened and read once, whatever they are; and checkpoints, which are written here too.

A checkpoint is a safetensors file with a network's weights, and in its metadata one JSON object that describes them. A
model file made of a checkpoint is read as one, too. Published weights of VGG-16 come in four kinds of file more.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from deeplab.arrays import open_npz
from deeplab.documents import parse_json
from deeplab.errors import MALFORMED, DeepLabError, InputError, ModelError, quoted
from deeplab.files import atomic_file, is_file, is_folder
from deeplab.models import ModelInfo, shipped_models
from deeplab.models.card_files import CardFile
from deeplab.network.build import Network, build_network
from deeplab.network.caffemodel import read_caffemodel
from deeplab.network.header import Header, check_header
from deeplab.network.model_files import read_network

HEADER_KEY = "deeplab"
ONNX_START = b"\x08"  # the field ir_version, which every writer puts first; a caffemodel starts with its name


@dataclass(frozen=True)
class Weights:
    """A file of weights, read whole.

    Attributes:
        path: the file.
        kind: ``"safetensors"``, ``"model file"``, ``"npz"``, ``"torch"`` or ``"caffemodel"``.
        content: its bytes.
        tensors: by their names in the file; a caffemodel's are ``LAYER.0``, the weights, and ``LAYER.1``, the biases.
        header: of a network of ours, if the file holds one.
        info: what a model file says of itself.
    """

    path: Path
    kind: str
    content: bytes
    tensors: Mapping[str, Tensor]
    header: Header | None = None
    info: ModelInfo | None = None

    @property
    def sha256(self) -> str:
        """The file's SHA-256."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def card(self) -> CardFile:
        """The CRF and the card that a model file holds; of a checkpoint the CRF that was trained with it."""
        crf = None if self.header is None else self.header.crf
        return CardFile(crf, {} if self.info is None else dict(self.info.card))

    def network(self) -> tuple[Network, Header]:
        """The network, float32 and in evaluation mode, and its header.

        Raises:
            ModelError: the file holds none of ours, or its tensors do not fit its header.
        """
        if self.header is None:
            raise ModelError(
                f"{self.path} is a file without deeplab's header; give a checkpoint of `deeplab train`, a model file, "
                "or a shipped model's name"
            )
        if self.info is not None and self.info.taught:
            raise ModelError(
                f"{self.path} was taught by marks and holds conv1 to conv5 alone; train from it with a recipe that "
                "says start: trunk, or give the model that it was taught on"
            )
        try:
            with torch.device("meta"):
                model = build_network(self.header.variant, len(self.header.label_set))
        except (DeepLabError, RuntimeError, *MALFORMED) as error:
            raise _damaged_header(self.path, error) from None
        wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}
        if odd := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
            raise ModelError(
                f"{self.path}: {odd[0]} is {found.get(odd[0], 'missing')}, but its header "
                f"({self.header.variant.title}, {len(self.header.label_set)} labels) calls for "
                f"{wanted.get(odd[0], 'no such tensor')}; copy it again"
            )
        _check_finite(self.path, self.tensors)
        model.load_state_dict({name: tensor.float() for name, tensor in self.tensors.items()}, assign=True)
        return model.eval(), self.header


def open_weights(path: Path) -> Weights:
    """Read a file of weights, told apart by content: ours, or published ones of VGG-16.

    Args:
        path: a checkpoint, a model file of ours in any precision, a shipped model's name, or a ``.safetensors``,
            ``.npz``, PyTorch or ``.caffemodel`` file. No code from the file is run.

    Raises:
        ModelError: the file is missing, damaged or of another kind.
    """
    if not (is_file(path) or is_folder(path)):
        path = shipped_models().get(str(path), path)
    content = _read(path)
    kind = _kind(path, content)
    return _READERS[kind](path, content)


def load_checkpoint(path: Path) -> tuple[Network, Header]:
    """Read a network of ours: float32 and in evaluation mode, and its header.

    Args:
        path: a checkpoint, a model file of ours in any precision, or a shipped model's name.

    Raises:
        ModelError: the file is missing, damaged, not ours, or its tensors do not fit its header.
    """
    return open_weights(path).network()


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read all tensors and the metadata of a safetensors file.

    Raises:
        ModelError: the file is missing, damaged or of another kind.
    """
    return _parse_safetensors(path, _read(path))


def save_checkpoint(path: Path, model: Network, header: Header, *, half: bool = False) -> None:
    """Write a network and its header, whole or not at all, replacing an earlier checkpoint.

    Args:
        path: the file to write.
        model: the network.
        header: what it says of itself.
        half: store float16, in half the room, to ship a network or start another from; not to go on training.

    Raises:
        ModelError: header and network differ, or a weight has no finite value (in float16, is not below 65504).
        OutputError: the file cannot be written.
    """
    check_header(model, header)
    dtype = torch.float16 if half else torch.float32
    tensors = {name: tensor.detach().to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    _check_finite(path, tensors)
    with atomic_file(path, overwrite=True) as file:
        file.write(save(tensors, metadata={HEADER_KEY: header.to_json()}))


def _check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ModelError(f"{path}: {name} holds values that are not finite; train it again at a lower rate")


def _damaged_header(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path}: its header is damaged ({' '.join(str(error).split())}); copy it again")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        absent = isinstance(error, FileNotFoundError)
        reason = "no such file" if absent else getattr(error, "strerror", None) or error
        shipped = ", ".join(shipped_models()) or "none"
        raise ModelError(f"{path}: {reason}; check the spelling, or give a shipped model's name ({shipped})") from None


def _kind(path: Path, content: bytes) -> str:
    if content[:2] == b"PK":
        try:
            members = zipfile.ZipFile(io.BytesIO(content)).infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            raise ModelError(f"{path} is truncated or damaged; copy it again") from None
        if not any(member.filename.endswith("data.pkl") for member in members):
            return "npz"
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):  # a bomb, perhaps
            raise ModelError(f"{path} is compressed, which PyTorch's files are not; save it with torch.save")
        return "torch"
    if content[8:9] == b"{":  # before ONNX: the length of a safetensors header may start with any byte
        return "safetensors"
    if content[:1] == ONNX_START:
        return "model file"
    return "torch" if content[:1] == b"\x80" else "caffemodel"


def _parse_safetensors(path: Path, content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        tensors = load(content)
        header = parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, *MALFORMED) as error:  # the latter of a type of number that PyTorch lacks, for one
        raise ModelError(f"{path} is no safetensors file, or damaged ({error}); copy it again") from None
    return tensors, header.get("__metadata__", {})


def _open_safetensors(path: Path, content: bytes) -> Weights:
    tensors, metadata = _parse_safetensors(path, content)
    header = None
    if HEADER_KEY in metadata:
        try:
            header = Header.from_json(metadata[HEADER_KEY])
        except (DeepLabError, *MALFORMED) as error:
            raise _damaged_header(path, error) from None
    return Weights(path, "safetensors", content, tensors, header)


def _open_model_file(path: Path, content: bytes) -> Weights:
    info, variant, tensors = read_network(path, content)
    came_from = {"source": "deeplab model file", "model": info.name, "card": dict(info.card)}
    header = Header(variant, info.label_set, info.preprocessing, came_from, crf=info.crf)
    return Weights(path, "model file", content, tensors, header, info)


def _open_npz(path: Path, content: bytes) -> Weights:
    try:
        with open_npz(path, content) as archive:
            tensors = {name: torch.from_numpy(archive[name].astype(np.float32)) for name in archive.names}
    except (InputError, ValueError) as error:  # ValueError: text that is no number
        raise ModelError(f"{path} is no NumPy archive, or damaged ({error}); copy it again") from None
    return Weights(path, "npz", content, tensors)


def _open_caffemodel(path: Path, content: bytes) -> Weights:
    arrays = read_caffemodel(path, content)
    tensors = {
        f"{name}.{i}": torch.from_numpy(array) for name, blobs in arrays.items() for i, array in enumerate(blobs)
    }
    return Weights(path, "caffemodel", content, tensors)


def _open_torch(path: Path, content: bytes) -> Weights:
    try:
        tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling damaged bytes raises many kinds
        reason = " ".join(str(error).split())[:120]
        raise ModelError(f"{path} is no PyTorch state dict, or damaged ({reason}); copy it again") from None
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in tensors.items()
    ):
        raise ModelError(f"{path} is a PyTorch file, but no state dict; save model.state_dict()")
    for name, tensor in tensors.items():
        if not _is_plain(tensor):
            raise ModelError(f"{path}: {quoted(name)} is no plain array of numbers; save model.state_dict()")
    return Weights(path, "torch", content, tensors)


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds real numbers, and each of them in the file."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized or tensor.is_complex():
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


_READERS: Mapping[str, Callable[[Path, bytes], Weights]] = {
    "safetensors": _open_safetensors,
    "model file": _open_model_file,
    "npz": _open_npz,
    "torch": _open_torch,
    "caffemodel": _open_caffemodel,
}
