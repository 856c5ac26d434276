"""The training loop: stages of a recipe, each from iteration to iteration, resumable at any moment."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deeplab.data.readers import read_samples
from deeplab.data.samples import Sample
from deeplab.errors import DataError, ModelError, OutputError
from deeplab.network.importers import Initialisation
from deeplab.network.vgg import DeepLab
from deeplab.network.weights import Header, save_checkpoint
from deeplab.progress import Say, Show, duration, plain_show
from deeplab.training.batches import Batch, crop_batches
from deeplab.training.checkpoints import Position, load_state, restore_model, restore_optimizer, save_state
from deeplab.training.recipe import Recipe, Solver, Source, WarmUp
from deeplab.training.solver import learning_rate, make_optimizer, segmentation_loss
from deeplab.training.validation import validate
from deeplab.training.warm_up import feature_batches, store_features

__all__ = ["train"]

HEAD = ("fc6.", "fc7.", "fc8.")
SECONDS_BETWEEN_STATES = 120.0
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


class Stage(NamedTuple):
    """One solver over one kind of input: `batches` gives it from an example's number on."""

    name: str
    solver: Solver
    trained: tuple[str, ...]
    forward: Callable[[Tensor], Tensor]
    batches: Callable[[int], Iterator[Batch]]


@dataclass(frozen=True)
class Run:
    """What all stages of a run share."""

    recipe: Recipe
    model: DeepLab
    header: Header
    samples: Sequence[Sample]
    held_out: Sequence[Sample]
    output: Path
    say: Say
    show: Show

    @property
    def precision(self) -> torch.dtype:
        return DTYPES[self.recipe.precision]

    @property
    def state_path(self) -> Path:
        return self.output / "state.safetensors"

    def log(self, **facts: Any) -> None:
        with (self.output / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")


def train(
    recipe: Recipe, data: Path, weights: Initialisation, output: Path, say: Say = print, show: Show | None = None
) -> Path:
    """Train a network (section 5 of the paper), or go on with a run that was stopped.

    A run that is killed at any moment and started again ends in the same weights, bit for bit, on the same machine with
    the same number of threads. What it had logged since its last saved state is then logged again.

    Args:
        recipe: every setting.
        data: the folder that the recipe's paths start from.
        weights: what the convolutions start from.
        output: the run's folder, made if missing: ``state.safetensors`` to resume from, ``log.jsonl`` (one line an
            iteration and a validation), and the result ``<name>.safetensors``. A run with the same recipe in the same
            folder is resumed.
        say: takes lines about what happens.
        show: takes progress; None: a line to `say` every ten seconds.

    Returns:
        The path of the trained checkpoint.

    Raises:
        DataError, ImageError: photos or masks are missing or wrong.
        ModelError: weights do not fit, the folder belongs to a run with another recipe, weights or classes, or the loss
            is not finite.
        OutputError: the folder cannot be written.
    """
    samples = [sample for source in recipe.data for sample in _read(source, data)]
    held_out = _read(recipe.validation, data) if recipe.validation else []
    label_set = samples[0].label_set
    if any(sample.label_set != label_set for sample in samples + held_out):
        raise DataError("all sources of a recipe must share one label set; train on each alone, or map their labels")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {output}: {error.strerror}; choose another with --output") from None
    for leftover in output.glob(".*.tmp"):  # of a killed run
        leftover.unlink()

    torch.manual_seed(recipe.seed)
    model = DeepLab(recipe.network, len(label_set))
    record = weights.apply_to(model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's stubs
    header = Header(recipe.network, label_set, weights.preprocessing, record, recipe.to_dict())
    run = Run(recipe, model, header, samples, held_out, output, say, show or plain_show(say))
    say(f"{len(samples)} photos, {recipe.network.title}, {recipe.network.parameters(len(label_set)):,} parameters")

    stages = _stages(run)
    names = [stage.name for stage in stages]
    position, tensors = Position(names[0], 0), dict[str, Tensor]()
    if run.state_path.is_file():
        position, progress, tensors = load_state(run.state_path, header)
        restore_model(model, tensors)
        header.progress.update(progress)
        say(f"resuming {position.stage} at iteration {position.iteration}")
    for stage in stages[names.index(position.stage) :]:
        optimizer = make_optimizer(model, stage.solver, stage.trained)
        resumed = stage.name == position.stage
        if resumed:
            restore_optimizer(optimizer, tensors)
        _run_stage(run, stage, optimizer, position.iteration if resumed else 0)
    header.progress["iterations"] = recipe.solver.iterations
    result = output / f"{recipe.name}.safetensors"
    for leftover in output.glob("warm_up_*"):  # before the result, which may be called so
        leftover.unlink()
    save_checkpoint(result, model, header)
    return result


def _read(source: Source, data: Path) -> list[Sample]:
    samples = read_samples(source.reader, data / source.path, source.split)
    return list(samples[: source.photos or None])


def _stages(run: Run) -> list[Stage]:
    recipe = run.recipe
    size, crop_px, seed = recipe.solver.micro_batch, recipe.crop_px, recipe.seed
    crops = partial(crop_batches, run.samples, run.header.preprocessing, crop_px, size, seed + 1)
    stages = [Stage("main", recipe.solver, ("",), run.model.__call__, crops)]
    if recipe.warm_up is not None:
        batches = partial(_warm_up_batches, run, recipe.warm_up)
        stages.insert(0, Stage("warm-up", recipe.warm_up.solver, HEAD, run.model.head, batches))
    return stages


def _warm_up_batches(run: Run, warm_up: WarmUp, first: int) -> Iterator[Batch]:
    start = time.monotonic()

    def report(done: int, count: int) -> None:
        run.show("trunk features", done, count, duration(time.monotonic() - start))

    features, labels = store_features(
        run.model,
        run.samples,
        run.header.preprocessing,
        run.recipe.crop_px,
        warm_up.crops_per_photo,
        run.recipe.seed,
        run.output,
        run.precision,
        report,
    )
    return feature_batches(features, labels, warm_up.solver.micro_batch, run.recipe.seed, first)


def _run_stage(run: Run, stage: Stage, optimizer: torch.optim.Optimizer, first: int) -> None:
    """Update the model from iteration `first` to the last; the state is saved every two minutes and at the end."""
    solver = stage.solver

    def save(done: int) -> float:
        position = Position(stage.name, done)
        save_state(run.state_path, run.model, optimizer, position, run.header)
        return time.monotonic()

    if first == solver.iterations:
        return
    if first == 0:
        save(0)  # from here on the folder belongs to this recipe, and the stage before is not needed again
    batches = stage.batches(first * solver.batch)
    recent: deque[float] = deque(maxlen=20)
    saved = started = time.monotonic()
    for done in range(first + 1, solver.iterations + 1):
        rate = learning_rate(solver, done - 1)
        loss = _update(run, stage, optimizer, batches, done - 1, rate)
        recent.append(loss)
        speed = (done - first) * solver.batch / (time.monotonic() - started)
        left = duration((solver.iterations - done) * solver.batch / speed)
        mean_loss = sum(recent) / len(recent)
        facts = f"loss {mean_loss:.4f}  rate {rate:.2e}  {speed:.2f} img/s  ETA {left}"
        run.show(stage.name, done, solver.iterations, facts)
        run.log(stage=stage.name, iteration=done, loss=loss, rate=rate, images_per_second=round(speed, 3))
        last = done == solver.iterations
        if run.held_out and (last or (run.recipe.validate_every and done % run.recipe.validate_every == 0)):
            _validate(run, f"{stage.name} {done}")
        if last or time.monotonic() - saved > SECONDS_BETWEEN_STATES:
            saved = save(done)


def _update(
    run: Run, stage: Stage, optimizer: torch.optim.Optimizer, batches: Iterator[Batch], iteration: int, rate: float
) -> float:
    """Make one update of the weights and return the loss before it."""
    solver, void = stage.solver, run.header.label_set.void
    torch.manual_seed(run.recipe.seed * 1_000_003 + iteration)  # dropout, the same after a resume
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_multiplier"]
    run.model.train()
    optimizer.zero_grad()
    parts = list(islice(batches, solver.batch // solver.micro_batch))
    valid = sum(int((labels != void).sum()) for _, labels in parts)
    total = 0.0
    for inputs, labels in parts:
        with torch.autocast("cpu", run.precision, enabled=run.precision != torch.float32):
            loss = segmentation_loss(stage.forward(inputs), labels, void)
        if solver.loss == "mean":
            loss = loss / max(valid, 1)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    if not math.isfinite(total):
        raise ModelError(
            f"the loss became {total} in iteration {iteration} of {stage.name}; lower learning_rate, or try precision "
            f"fp32, and a fresh --output folder ({run.state_path} keeps the last good state)"
        )
    optimizer.step()
    return total


def _validate(run: Run, moment: str) -> None:
    confusion = validate(run.model, run.held_out, run.header.preprocessing, run.precision)
    run.header.progress[moment] = confusion.mean_iou
    run.say(f"{moment}: validation mean IoU {100 * confusion.mean_iou:.2f}")
    run.log(validation=moment, mean_iou=confusion.mean_iou, pixel_accuracy=confusion.pixel_accuracy)
