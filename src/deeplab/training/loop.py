"""Training from a recipe: data, starting weights, then its stages, resumable at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from deeplab.data.readers import read_samples
from deeplab.data.samples import Sample
from deeplab.errors import DataError, InputError, ModelError
from deeplab.files import alone_in, make_folder
from deeplab.labels import LabelSet
from deeplab.network.build import build_network
from deeplab.network.header import Header
from deeplab.network.importers import Initialisation, load_initialisation
from deeplab.network.vgg import DeepLab
from deeplab.network.weights import save_checkpoint
from deeplab.progress import Say, Show, duration, plain_show
from deeplab.training.batches import Batch, Example, batches
from deeplab.training.checkpoints import Position, load_state, restore_model
from deeplab.training.log import open_log
from deeplab.training.machine import Machine, Process, join, totals
from deeplab.training.recipe import Recipe, Source, WarmUp
from deeplab.training.run import Run, make_crops
from deeplab.training.stage import Stage, run_stage
from deeplab.training.warm_up import Features, Head, store_features

__all__ = ["load_start", "train"]

HEAD = ("fc6.", "fc7.", "fc8.")


def load_start(recipe: Recipe, weights: Path) -> Initialisation:
    """Read what a recipe's network starts from, of the file `weights`, or of the shipped model of that name.

    Raises:
        ModelError: as `load_initialisation` raises it.
    """
    return load_initialisation(
        weights, recipe.network, channels=recipe.channels, seed=recipe.seed, trunk=recipe.start == "trunk"
    )


def train(
    recipe: Recipe,
    data: Path,
    weights: Initialisation,
    output: Path,
    say: Say = print,
    show: Show | None = None,
    machine: Machine | None = None,
) -> Path:
    """Train a network (section 5 of the paper), or go on with a run that was stopped.

    A run that is killed at any moment and started again ends in the same weights, bit for bit, on the same machine's
    CPU with the same number of threads and processes. What it had logged since its last saved state is then logged
    again. Under ``torchrun`` each process computes its share of every batch; the first one alone speaks and writes.

    Args:
        recipe: every setting that the result depends on.
        data: the folder that the recipe's paths start from.
        weights: what the network starts from, of the kind that the recipe's ``start`` says.
        output: the run's folder, made if missing: ``state.safetensors`` to resume from, ``log.jsonl`` (one line an
            iteration and a validation), ``best.safetensors``, the network that validated best, and the result
            ``<name>.safetensors``. A run with the same recipe in the same folder is resumed. Several machines must
            share it.
        say: takes lines about what happens.
        show: takes progress; None: a line to `say` every ten seconds.
        machine: the device, threads and memory to use; None: the defaults.

    Returns:
        The path of the trained checkpoint.

    Raises:
        InputError: the recipe does not fit the number of classes or processes, or there is no such device.
        DataError, ImageError: photos or masks are missing or wrong.
        ModelError: weights do not fit, the folder belongs to a run with another recipe, weights or classes, or the loss
            is not finite.
        OutputError: the folder cannot be written, or another run is at work in it.
        KeyboardInterrupt: Ctrl-C or a termination signal came; the state is saved.
    """
    machine = machine or Machine()
    with join(machine.device) as process, ExitStack() as until_the_end:
        if not process.is_first:
            say, show = _silent, _silent
        return _train(recipe, data, weights, output, say, show or plain_show(say), machine, process, until_the_end)


def _silent(*facts: object, **more: object) -> None:
    """Take what another process says."""


def _train(
    recipe: Recipe,
    data: Path,
    weights: Initialisation,
    output: Path,
    say: Say,
    show: Show,
    machine: Machine,
    process: Process,
    until_the_end: ExitStack,
) -> Path:
    samples = [sample for source in recipe.data for sample in _read(source, data)]
    held_out = _read(recipe.validation, data) if recipe.validation else []
    label_set = samples[0].label_set
    if any(sample.label_set != label_set for sample in samples + held_out):
        raise DataError("all sources of a recipe must share one label set; train on each alone, or map their labels")
    weights = _checked_start(recipe, weights, label_set)
    _check_share(recipe, process)
    _prepare(output, process, until_the_end)

    torch.manual_seed(recipe.seed)
    model = build_network(recipe.network, len(label_set))
    record = weights.apply_to(model)
    model.to(process.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs
    side_px = recipe.max_side_px or weights.preprocessing.max_side_px
    preprocessing = replace(weights.preprocessing, max_side_px=side_px)
    header = Header(recipe.network, label_set, preprocessing, record, recipe.to_dict())
    crops, class_weights = make_crops(recipe, header, samples, machine, say, show)
    in_loss = None if class_weights is None else torch.from_numpy(class_weights).to(process.device)
    log = open_log(output, tensorboard=machine.tensorboard) if process.is_first else _silent
    run = Run(recipe, machine, process, model, header, crops, in_loss, held_out, output, say, show, log)
    say(f"{len(samples)} photos, {recipe.network.title}, {recipe.network.parameters(len(label_set)):,} parameters")
    if process.count > 1 or process.device.type != "cpu":
        say(f"{process.count} processes, this one on {process.device}")
    _run_stages(run)

    header.progress["iterations"] = recipe.solver.iterations
    result = output / f"{recipe.name}.safetensors"
    if process.is_first:
        for leftover in output.glob("warm_up_*"):  # before the result, which may be called so
            leftover.unlink()
        save_checkpoint(result, model, header)
    return result


def _read(source: Source, data: Path) -> list[Sample]:
    names = data / source.names if source.names else None
    samples = read_samples(source.reader, data / source.path, source.split, names=names, crowds=source.crowds)
    return list(samples[: source.photos or None])


def _checked_start(recipe: Recipe, weights: Initialisation, label_set: LabelSet) -> Initialisation:
    """Check that the weights are of the kind that the recipe starts from; other classes' layers are left out."""
    if (weights.header is None) != (recipe.start == "imagenet"):
        given = "published weights" if weights.header is None else "a network of deeplab's"
        wanted = "start: checkpoint, other_labels or trunk" if weights.header is not None else "start: imagenet"
        raise ModelError(f"the recipe says start: {recipe.start}, but --weights is {given}; change one ({wanted})")
    if weights.header is None or recipe.start == "trunk":
        return weights
    if recipe.start == "other_labels":
        return weights.without_classifiers()
    theirs = weights.header.label_set
    if (theirs.names, theirs.void) != (label_set.names, label_set.void):
        raise ModelError(
            f"--weights has the {len(theirs)} labels of {theirs.name!r} ({theirs.names[0]} …), the data the "
            f"{len(label_set)} of {label_set.name!r} ({label_set.names[0]} …); say start: other_labels for fresh "
            "classifiers"
        )
    return weights


def _check_share(recipe: Recipe, process: Process) -> None:
    """Check that every stage's batch comes in as many parts as can be dealt out evenly."""
    for solver in (recipe.solver, *([recipe.warm_up.solver] if recipe.warm_up else [])):
        parts = solver.batch // solver.micro_batch
        if parts % process.count:
            raise InputError(
                f"a batch of {solver.batch} in parts of micro_batch {solver.micro_batch} makes {parts} parts, which "
                f"{process.count} processes cannot share evenly; change micro_batch or the number of processes"
            )


def _prepare(output: Path, process: Process, until_the_end: ExitStack) -> None:
    make_folder(output)
    if process.is_first:
        until_the_end.enter_context(alone_in(output))
    process.barrier()


def _run_stages(run: Run) -> None:
    stages = _stages(run)
    names = [stage.name for stage in stages]
    position, tensors, scaler = Position(names[0], 0), dict[str, Tensor](), dict[str, float]()
    if run.state_path.is_file():
        position, progress, tensors, scaler = load_state(run.state_path, run.header)
        restore_model(run.model, tensors)
        run.header.progress.update(progress)
        run.say(f"resuming {position.stage} at iteration {position.iteration}")
    agreed = totals(run.process, torch.tensor(position.iteration, device=run.process.device))
    if int(agreed) != position.iteration * run.process.count:
        raise ModelError(
            f"the processes do not see one {run.state_path}; give an --output folder that all machines share"
        )
    for stage in stages[names.index(position.stage) :]:
        resumed = stage.name == position.stage
        run_stage(run, stage, position.iteration if resumed else 0, *((tensors, scaler) if resumed else ({}, {})))


def _stages(run: Run) -> list[Stage]:
    recipe = run.recipe
    crops = replace(run.crops, seed=recipe.seed + 1)
    stages = [Stage("main", recipe.solver, ("",), run.model, partial(_share, run, crops, recipe.solver.micro_batch))]
    if recipe.warm_up is not None and isinstance(run.model, DeepLab):
        loaded = partial(_warm_up_batches, run, run.model, recipe.warm_up)
        stages.insert(0, Stage("warm-up", recipe.warm_up.solver, HEAD, Head(run.model), loaded))
    return stages


def _share(run: Run, example: Callable[[int], Example], size: int, first: int) -> Iterator[Batch]:
    """This process's batches."""
    process = run.process
    share, pin = (process.rank, process.count), process.device.type == "cuda"
    return batches(example, size, first, share=share, workers=run.workers, pin=pin)


def _warm_up_batches(run: Run, model: DeepLab, warm_up: WarmUp, first: int) -> Iterator[Batch]:
    start = time.monotonic()

    def report(done: int, count: int) -> None:
        run.show("trunk features", done, count, duration(time.monotonic() - start))

    count = len(run.crops.photos.samples) * warm_up.crops_per_photo
    stored = store_features(
        model, run.crops, count, run.output, run.precision, run.process, run.workers, report
    )  # fmt: skip
    return _share(run, Features(*stored, run.recipe.seed), warm_up.solver.micro_batch, first)
