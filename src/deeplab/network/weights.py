"""Checkpoints: a network's weights in a safetensors file, and in its metadata one JSON object that describes them.

A model file made of a checkpoint is read as one, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from deeplab.documents import parse_json
from deeplab.errors import MALFORMED, DeepLabError, ModelError
from deeplab.files import atomic_file, is_file
from deeplab.labels import LabelSet
from deeplab.models import shipped_models
from deeplab.network.build import Network, build_network
from deeplab.network.model_files import find_weights, is_model_file, read_network
from deeplab.network.variants import Variant, find_variant
from deeplab.preprocessing import Preprocessing

__all__ = ["HEADER_KEY", "Header", "check_header", "load_checkpoint", "read_safetensors", "save_checkpoint"]

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
                "fc_channels": self.variant.fc_channels,
                "strided_msc": self.variant.strided_msc,
                "input_zoom": self.variant.input_zoom,
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
            DeepLabError, or one of MALFORMED: it is something else.
        """
        content = parse_json(text)
        variant = find_variant(str(content["variant"]))
        return cls(
            variant=replace(
                variant,
                pooling=content["pooling"],
                fc_channels=content["fc_channels"],
                strided_msc=content.get("strided_msc", False),  # older files lack it, and the next one
                input_zoom=content.get("input_zoom", 1),
            ),
            label_set=LabelSet.from_dict(content["label_set"]),
            preprocessing=Preprocessing.from_dict(content["preprocessing"]),
            initialisation=content["initialisation"],
            recipe=content["recipe"],
            progress=content["progress"],
        )


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


def load_checkpoint(path: Path) -> tuple[Network, Header]:
    """Read a checkpoint, or a model file: the network, float32 and in evaluation mode, and its header.

    No code from the file is run.

    Args:
        path: a checkpoint, a model file of ours in any precision, or a shipped model's name.

    Raises:
        ModelError: the file is missing, damaged, not ours, or its tensors do not fit its header.
    """
    path = find_weights(path)
    try:
        tensors, header = (_read_model_file if is_model_file(path) else _read_checkpoint)(path)
        with torch.device("meta"):
            model = build_network(header.variant, len(header.label_set))
    except ModelError:
        raise
    except (DeepLabError, RuntimeError, *MALFORMED) as error:
        raise ModelError(f"{path}: its header is damaged ({' '.join(str(error).split())}); copy it again") from None
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if odd := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
        raise ModelError(
            f"{path}: {odd[0]} is {found.get(odd[0], 'missing')}, but its header ({header.variant.title}, "
            f"{len(header.label_set)} labels) calls for {wanted.get(odd[0], 'no such tensor')}; copy it again"
        )
    _check_finite(path, tensors)
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return model.eval(), header


def _read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Header]:
    tensors, metadata = read_safetensors(path)
    if HEADER_KEY not in metadata:
        raise ModelError(f"{path} is a safetensors file without deeplab's header; give a checkpoint of `deeplab train`")
    return tensors, Header.from_json(metadata[HEADER_KEY])


def _read_model_file(path: Path) -> tuple[dict[str, Tensor], Header]:
    info, variant, tensors = read_network(path)
    came_from = {"source": "deeplab model file", "model": info.name, "card": dict(info.card)}
    return tensors, Header(variant, info.label_set, info.preprocessing, came_from)


def check_header(model: Network, header: Header) -> None:
    """Check that a header describes a network.

    Raises:
        ModelError: variants or numbers of labels differ.
    """
    if header.variant != model.variant or len(header.label_set) != model.classes:
        raise ModelError(
            f"a header of {header.variant.title} with {len(header.label_set)} labels does not describe "
            f"{model.variant.title} with {model.classes}; give the header that came with the network"
        )


def _check_finite(path: Path, tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ModelError(f"{path}: {name} holds values that are not finite; train it again at a lower rate")


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read all tensors and the metadata of a safetensors file.

    Raises:
        ModelError: the file is missing, damaged or of another kind.
    """
    if not is_file(path):
        shipped = ", ".join(shipped_models()) or "none"
        raise ModelError(f"{path}: no such file; check the spelling, or give a shipped model's name ({shipped})")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no safetensors file, or damaged ({error}); copy it again") from None
