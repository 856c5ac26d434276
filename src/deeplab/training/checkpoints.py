"""The state of a run on disk: written whole or not at all, so that a kill at any moment loses minutes, not the run.

A state is a safetensors file: the model's tensors as ``model.<name>``, the optimizer's as ``optimizer.<index>.<key>``,
and under the metadata key ``state`` the position and the header of the checkpoint to be, with the validation figures so
far. Random numbers need no saving: each iteration draws its own from the seed and its number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor, nn

from deeplab.errors import DeepLabError, ModelError
from deeplab.files import atomic_file
from deeplab.network.weights import Header, read_safetensors

__all__ = ["Position", "State", "load_state", "restore_model", "restore_optimizer", "save_state"]


class Position(NamedTuple):
    """How far a run has come: the stage's name and the number of iterations done in it."""

    stage: str
    iteration: int


class State(NamedTuple):
    """A run's state as read from disk.

    Attributes:
        position: how far the run had come.
        progress: its validation figures so far, as JSON values.
        tensors: the model's and the optimizer's, by their names in the file.
    """

    position: Position
    progress: dict[str, Any]
    tensors: dict[str, Tensor]


def save_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    header: Header,
) -> None:
    """Write weights, the optimizer's history, position and header, replacing the file before it.

    Raises:
        OutputError: the file cannot be written; the one before it is left as it was.
    """
    tensors = {f"model.{name}": tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value).contiguous()
    content = {"position": list(position), "header": header.to_json()}
    with atomic_file(path, overwrite=True) as file:
        file.write(save(tensors, metadata={"state": json.dumps(content)}))


def load_state(path: Path, header: Header) -> State:
    """Read what `save_state` wrote.

    Args:
        path: the file.
        header: of the run that goes on; its progress does not matter.

    Raises:
        ModelError: the file is damaged, or belongs to a run with another recipe, other weights or other classes.
    """
    tensors, metadata = read_safetensors(path)
    try:
        content = json.loads(metadata["state"])
        found, (stage, iteration) = Header.from_json(content["header"]), content["position"]
    except (DeepLabError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is no state of a training ({error}); give a fresh --output folder") from None
    header = Header.from_json(header.to_json())  # tuples become lists, as in the file
    names = {"recipe": "recipe", "initialisation": "--weights", "preprocessing": "--weights", "label_set": "label set"}
    for part, what in names.items():
        if getattr(found, part) != getattr(header, part):
            raise ModelError(
                f"{path} belongs to a run with another {what}; give a fresh --output folder, or that run's {what}"
            )
    return State(Position(stage, iteration), found.progress, tensors)


def restore_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put a state's weights back into the model."""
    prefix = "model."
    model.load_state_dict({name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)})


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put a state's history back into the optimizer of the same stage."""
    content = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            index, key = rest.split(".")
            like = parameters[int(index)]
            if value.shape == like.shape:  # in the parameter's own memory order: sums must round as before
                value = torch.empty_like(like).copy_(value)
            content["state"].setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(content)
