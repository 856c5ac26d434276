"""A trained network for each variant: given, or trained and exported here (section 5 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeplab.crf import CRFSettings
from deeplab.documents import parse_json, read_text
from deeplab.errors import MALFORMED, DataError, ModelError
from deeplab.files import sha256_of
from deeplab.models import ModelInfo
from deeplab.network.variants import find_variant
from deeplab.reproduce.plan import Plan
from deeplab.reproduce.steps import Workspace
from deeplab.runtime import ScoreNetwork

if TYPE_CHECKING:
    from deeplab.training.recipe import Recipe

_MOST_BYTES = 1 << 30  # of a training's log


@dataclass(frozen=True)
class Model:
    """A model file to measure.

    Attributes:
        path: the file.
        sha256: of the file.
        info: what it says of itself.
        origin: where it comes from, in words.
        parameters: how many weights and biases it has.
        training: what the training step gave, or None.
        seconds: what training and export took.
    """

    path: Path
    sha256: str
    info: ModelInfo
    origin: str
    parameters: int
    training: Mapping[str, Any] | None
    seconds: Mapping[str, float]


def obtain(plan: Plan, name: str, workspace: Workspace) -> Model:
    """Return the model file of a variant: the one given, or a checkpoint exported, or one trained first.

    Raises:
        DataError, ImageError: training photos or masks are missing or wrong, or a training's log is.
        ModelError: weights or a checkpoint do not fit, or training fails.
        OutputError: a file cannot be written.
    """
    given, training, seconds = plan.given.get(name), None, {}
    if given is not None and given.suffix != ".safetensors":
        info = ScoreNetwork(given, threads=1).info
        parameters = find_variant(name).parameters(len(info.label_set))
        return Model(given, sha256_of(given, ModelError), info, "given as a model file", parameters, None, {})
    if given is None:
        training, seconds["training"] = workspace.step(
            "training",
            _training_inputs(plan, name),
            lambda: _train(plan, name, workspace),
            makes=[_checkpoint(plan, name)],
        )
    checkpoint, path = _checkpoint(plan, name), workspace.folder / "model.onnx"
    inputs = {"checkpoint_sha256": sha256_of(checkpoint, ModelError)}
    exported, seconds["export"] = workspace.step(
        "export", inputs, lambda: _export(checkpoint, path, name, workspace), makes=[path]
    )
    origin = "trained here" if given is None else "given as a checkpoint"
    info = ScoreNetwork(path, threads=1).info
    return Model(path, sha256_of(path, ModelError), info, origin, exported["parameters"], training, seconds)


def _checkpoint(plan: Plan, name: str) -> Path:
    """The trained network of a variant, be it there yet or not."""
    given = plan.given.get(name)
    return given or plan.output / name / "training" / f"{plan.recipes[name].name}.safetensors"


def _start(plan: Plan, name: str) -> Path:
    """The weights that training a variant begins with."""
    base = find_variant(name).base_name
    if plan.recipes[name].start == "checkpoint" and base != name:
        return _checkpoint(plan, base)
    assert plan.weights is not None  # as make_plan sees to
    return plan.weights


def _training_inputs(plan: Plan, name: str) -> dict[str, Any]:
    return {"recipe": plan.recipes[name].to_dict(), "weights_sha256": sha256_of(_start(plan, name), ModelError)}


def _train(plan: Plan, name: str, workspace: Workspace) -> dict[str, Any]:
    """Train as the recipe says; a run that was stopped goes on."""
    import torch

    from deeplab.network.weights import load_checkpoint
    from deeplab.training.machine import Machine
    from deeplab.training.train import load_start, train

    if plan.threads is not None:
        torch.set_num_threads(plan.threads)
    recipe: Recipe = plan.recipes[name]
    start = load_start(recipe, _start(plan, name))
    folder = workspace.make_folder("training")
    checkpoint = train(recipe, plan.data, start, folder, workspace.say, workspace.show, Machine(plan.device))
    header = load_checkpoint(checkpoint)[1]
    return {
        "initialisation": header.initialisation,
        "progress": header.progress,
        "images_per_second": _images_per_second(folder / "log.jsonl"),
    }


def _images_per_second(log: Path) -> float | None:
    """The speed that the main stage's last line tells."""
    try:
        for line in reversed(read_text(log, most_bytes=_MOST_BYTES).splitlines()):
            entry = parse_json(line)
            if entry["stage"] == "main" and "images_per_second" in entry:
                return float(entry["images_per_second"])
    except MALFORMED as error:
        raise DataError(f"{log} is damaged ({error}); delete it") from None
    return None


def _export(checkpoint: Path, path: Path, name: str, workspace: Workspace) -> dict[str, Any]:
    from deeplab.network.export import export_onnx
    from deeplab.network.weights import load_checkpoint

    model, header = load_checkpoint(checkpoint)
    card = {"recipe": header.recipe, "initialisation": header.initialisation, "progress": header.progress}
    export_onnx(model, header, path, name=name, crf=CRFSettings(), card=card, overwrite=True, say=workspace.say)
    return {"parameters": sum(tensor.numel() for tensor in model.state_dict().values())}
