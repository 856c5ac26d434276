"""The state of a run on disk: written whole or not at all, so that a kill at any moment loses minutes, not the run.

A state is a safetensors file: the model's tensors as ``model.<name>``, the optimizer's as ``optimizer.<index>.<key>``,
averages of weights as ``average.<name>``, and under the metadata key ``state`` the position, the header of the
checkpoint to be, with the validation figures so far, which photos are learnt from, and the loss scaler of float16.
Random numbers need no saving: each iteration draws its own (`deeplab.training.chance`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor, nn

from deeplab.documents import parse_json
from deeplab.errors import MALFORMED, DeepLabError, ModelError
from deeplab.files import atomic_file
from deeplab.network.header import Header
from deeplab.network.weights import read_safetensors
from deeplab.training.recipe import Recipe


class Position(NamedTuple):
    """How far a run has come: the stage's name and the number of iterations done in it."""

    stage: str
    iteration: int


class State(NamedTuple):
    """A run's state as read from disk.

    Attributes:
        position: how far the run had come.
        progress: its validation figures so far, as JSON values.
        tensors: the model's, the optimizer's and the averages, by their names in the file.
        scaler: the state of the loss scaler; empty but for float16.
    """

    position: Position
    progress: dict[str, Any]
    tensors: dict[str, Tensor]
    scaler: dict[str, Any]


def save_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    means: Mapping[str, Tensor],
    position: Position,
    header: Header,
    photos: Mapping[str, Any],
) -> None:
    """Write weights, the optimizer's history, averages, position, header and photos, replacing the file before it.

    Raises:
        ModelError: a weight is not finite, so that going on from here would lead nowhere.
        OutputError: the file cannot be written.

    After either, the file before it is as it was.
    """
    tensors = {f"model.{name}": tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    if damaged := [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]:
        raise ModelError(
            f"{damaged[0]} became infinite or NaN by iteration {position.iteration} of {position.stage}; lower "
            f"learning_rate, or try precision fp32, and a fresh --output folder ({path} keeps the last good state)"
        )
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value).contiguous()
    tensors |= {f"average.{name}": mean.contiguous() for name, mean in means.items()}
    content = {"position": list(position), "header": header.to_json(), "scaler": scaler.state_dict(), "photos": photos}
    with atomic_file(path, overwrite=True) as file:
        file.write(save(tensors, metadata={"state": json.dumps(content)}))


def load_state(path: Path, header: Header, photos: Mapping[str, Any]) -> State:
    """Read what `save_state` wrote.

    Args:
        path: the file.
        header: of the run that goes on; its progress does not matter.
        photos: which it learns from, as `deeplab.training.sources.photos_in_short` gives them.

    Raises:
        ModelError: the file is damaged, or belongs to a run with another recipe, other weights, classes or photos.
    """
    tensors, metadata = read_safetensors(path)
    try:
        content = parse_json(metadata["state"])
        found, (stage, iteration), scaler = Header.from_json(content["header"]), content["position"], content["scaler"]
        found = replace(found, recipe=Recipe.from_dict(found.recipe).to_dict())
    except (DeepLabError, *MALFORMED) as error:
        raise ModelError(f"{path} is no state of a training ({error}); give a fresh --output folder") from None
    found, header = (Header.from_json(each.to_json()) for each in (found, header))  # tuples become lists
    names = {"recipe": "recipe", "initialisation": "--weights", "preprocessing": "--weights", "label_set": "label set"}
    parts = [(what, _plain(getattr(found, part)), _plain(getattr(header, part))) for part, what in names.items()]
    parts.append(("list of photos", content.get("photos", photos), dict(photos)))  # older states lack theirs
    for what, before, now in parts:
        if before != now:
            raise ModelError(
                f"{path} belongs to a run with another {what} ({'; '.join(_differences(before, now))}); "
                f"give a fresh --output folder, or that run's {what}"
            )
    return State(Position(stage, iteration), found.progress, tensors, scaler)


def _plain(part: Any) -> Any:
    return part if isinstance(part, dict) else part.to_dict()


def _differences(before: Any, now: Any, where: str = "") -> list[str]:
    """What changed between two nested JSON values, as ``solver.batch: 20 → 30``."""
    if before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        parts = [_differences(before.get(key), now.get(key), f"{where}.{key}".lstrip(".")) for key in keys]
        return [change for part in parts for change in part]
    return [f"{where}: {_brief(before)} → {_brief(now)}"]


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def restore_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put a state's weights back into the model."""
    prefix = "model."
    model.load_state_dict({name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)})


def averages(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state's averages of weights, by the weights' names."""
    prefix = "average."
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
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
            content["state"].setdefault(int(index), {})[key] = value  # load_state_dict brings it to the device
    optimizer.load_state_dict(content)
