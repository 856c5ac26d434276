"""Weights in and out: checkpoints (safetensors with a JSON header), and importers of published VGG-16 weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from deeplab.errors import DeepLabError, ModelError
from deeplab.images import atomic_file
from deeplab.labels import LabelSet
from deeplab.network.variants import Variant, find_variant
from deeplab.network.vgg import DeepLab
from deeplab.preprocessing import CAFFE_VGG, Preprocessing

__all__ = ["Header", "Initialisation", "load_checkpoint", "load_vgg_npz", "save_checkpoint"]

HEADER_KEY = "deeplab"


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself, beside its tensors.

    Attributes:
        variant: the network.
        label_set: what its scores mean, in order.
        preprocessing: what its input must look like.
        initialisation: where the weights started from, in words and rules.
        recipe: the training recipe as a dictionary; empty for imported weights.
        progress: stage, iteration and validation figures.
    """

    variant: Variant
    label_set: LabelSet
    preprocessing: Preprocessing
    initialisation: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The header as one JSON object."""
        return json.dumps(
            {
                "format": 1,
                "variant": self.variant.name,
                "pooling": self.variant.pooling,
                "label_set": self.label_set.to_dict(),
                "preprocessing": self.preprocessing.to_dict(),
                "initialisation": self.initialisation,
                "recipe": self.recipe,
                "progress": self.progress,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Header:
        """Read what `to_json` wrote.

        Raises:
            InputError, KeyError, TypeError, ValueError: it is something else.
        """
        content = json.loads(text)
        return cls(
            variant=replace(find_variant(content["variant"]), pooling=content["pooling"]),
            label_set=LabelSet.from_dict(content["label_set"]),
            preprocessing=Preprocessing.from_dict(content["preprocessing"]),
            initialisation=content["initialisation"],
            recipe=content["recipe"],
            progress=content["progress"],
        )


def save_checkpoint(path: Path, model: DeepLab, header: Header) -> None:
    """Write a network and its header, whole or not at all, replacing an earlier checkpoint.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_file(path, overwrite=True) as file:
        file.write(save(tensors, metadata={HEADER_KEY: header.to_json()}))


def load_checkpoint(path: Path) -> tuple[DeepLab, Header]:
    """Read a checkpoint: the network, in evaluation mode, and its header. No code from the file is run.

    Raises:
        ModelError: the file is missing, damaged, not ours, or its tensors do not fit its header.
    """
    tensors, metadata = read_safetensors(path)
    if HEADER_KEY not in metadata:
        raise ModelError(f"{path} is a safetensors file without deeplab's header; give a checkpoint of `deeplab train`")
    try:
        header = Header.from_json(metadata[HEADER_KEY])
        model = DeepLab(header.variant, len(header.label_set))
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (DeepLabError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: header and weights do not fit: {' '.join(str(error).split())}") from None
    return model.eval(), header


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read all tensors and the metadata of a safetensors file.

    Raises:
        ModelError: the file is missing, damaged or of another kind.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; check the spelling")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no safetensors file, or damaged ({error}); copy it again") from None


@dataclass(frozen=True)
class Initialisation:
    """VGG-16 weights from elsewhere, in this package's names.

    Attributes:
        tensors: by parameter name, float32; convolutions (O, I, k, k).
        preprocessing: what these weights expect.
        record: source and rules, for the checkpoint's header.
    """

    tensors: dict[str, Tensor]
    preprocessing: Preprocessing
    record: dict[str, Any]

    def apply_to(self, model: DeepLab) -> dict[str, Any]:
        """Copy the tensors into a network; what they do not name keeps its random initialisation.

        Returns:
            The record, with the layers left to random initialisation named.

        Raises:
            ModelError: a tensor is unknown to the network or has another shape.
        """
        own = model.state_dict()
        for name, tensor in self.tensors.items():
            if name not in own or own[name].shape != tensor.shape:
                wanted = tuple(own[name].shape) if name in own else "no such parameter"
                raise ModelError(f"{name} {tuple(tensor.shape)} does not fit {model.variant.title}: {wanted}")
            own[name].copy_(tensor)
        fresh = sorted({name.rpartition(".")[0] for name in own if name not in self.tensors})
        return {**self.record, "random": fresh}


def load_vgg_npz(path: Path) -> Initialisation:
    """Read VGG-16 convolutions from an ``.npz`` with keys ``conv1_1.weight`` (O, I, 3, 3), ``conv1_1.bias``, ….

    The input is BGR in 0–255 minus VGG's mean. Layers that the file lacks (fc6, fc7) are left to random initialisation.

    Raises:
        ModelError: the file is missing, damaged, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            tensors = {name: torch.from_numpy(archive[name].astype(np.float32)) for name in archive.files}
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or 'no NumPy archive'}") from None
    except Exception as error:  # zip and npy parsers raise many kinds on damaged bytes
        raise ModelError(f"{path} is no NumPy archive, or damaged ({error}); copy it again") from None
    return Initialisation(tensors, CAFFE_VGG, {"source": "VGG-16 npz", "file": path.name})
