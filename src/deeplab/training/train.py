"""Training from a recipe, from its photos and starting weights to a checkpoint; resumable at any moment."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deeplab.crf import CRFSettings
from deeplab.errors import InputError, ModelError
from deeplab.files import alone_in, is_file, make_folder
from deeplab.labels import LabelSet
from deeplab.network.build import build_network
from deeplab.network.header import Header
from deeplab.network.importers import Initialisation, load_initialisation
from deeplab.network.vgg import DeepLab
from deeplab.progress import Say, Show, plain_show, silent
from deeplab.training.balance import ClassBalance, PhotoOrder
from deeplab.training.batches import Crops, Photos
from deeplab.training.chance import Stream, main_seed, seed_weights
from deeplab.training.checkpoints import load_state, restore_model
from deeplab.training.joint import JointNetwork, build_crf, crf_solver, with_crf
from deeplab.training.log import open_log
from deeplab.training.loop import Stage, run_stage
from deeplab.training.losses import MaskLoss
from deeplab.training.machine import Machine, Process, join, totals
from deeplab.training.recipe import Recipe
from deeplab.training.run import STATE, Run
from deeplab.training.sources import class_weights, count_classes, photos_in_short, read_sources
from deeplab.training.warm_up import Head, stored_features
from deeplab.training.weak.crops import Shares, WeakCrops, has_weak
from deeplab.training.weak.loss import WeakLoss
from deeplab.training.weak.samples import load, with_masks

HEAD = ("fc6.", "fc7.", "fc8.")
MASKS = "masks_from_boxes"
"""The folder in a run's own for masks that a method makes of boxes beforehand."""


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
        DataError, ImageError: photos or masks are missing or wrong, or are in both lists.
        ModelError: weights do not fit, the folder belongs to a run with another recipe, weights, classes or photos, or
            the loss is not finite.
        OutputError: the folder cannot be written, or another run is at work in it.
        KeyboardInterrupt: Ctrl-C or a termination signal came; the state is saved.
    """
    machine = machine or Machine()
    with join(machine.device) as process, ExitStack() as until_the_end:
        say, show = (say, show or plain_show(say)) if process.is_first else (silent, silent)
        samples, held_out, sizes = read_sources(recipe, data, say, show)
        label_set = samples[0].label_set
        weights = _checked_start(recipe, weights, label_set)
        _check_share(recipe, process)
        make_folder(output)
        if process.is_first:
            until_the_end.enter_context(alone_in(output))
        process.barrier()
        samples = with_masks(samples, output / MASKS, recipe.weak.bbox_seg_crf, show, draw=process.is_first)
        process.barrier()

        seed_weights(recipe.seed)
        model = build_network(recipe.network, len(label_set))
        record = weights.apply_to(model)
        model.to(process.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub has it
        crf = None
        if recipe.crf is not None:
            start = weights.header.crf if weights.header is not None else None
            crf = build_crf(recipe.crf, start or CRFSettings(), len(label_set)).to(process.device)
        preprocessing = replace(
            weights.preprocessing,
            max_side_px=recipe.max_side_px or weights.preprocessing.max_side_px,
            photo_scale=recipe.photo_scale or weights.preprocessing.photo_scale,
        )
        header = Header(recipe.network, label_set, preprocessing, record, recipe.to_dict())
        begins = process.is_first and not is_file(output / STATE)
        counts = count_classes(recipe, samples, say, show) if begins or recipe.goes_by_counts else None
        in_loss = class_weights(recipe, len(label_set), counts)
        skip = say if recipe.skip_bad_photos else None
        crops = Crops(
            Photos(samples, header.preprocessing, cache_bytes=machine.cache_gb * 1e9, skip=skip, load=load),
            header.preprocessing,
            recipe.crop_px,
            recipe.seed,
            recipe.network.label_stride,
            recipe.augment,
            _order(recipe, counts, sizes),
            _things(counts, label_set, recipe.seed) if counts is not None and recipe.augment.copy_paste else None,
        )
        run = Run(
            recipe, machine, process, model, model if crf is None else with_crf(model, crf), crf, header, crops,
            photos_in_short(samples),
            None if in_loss is None else torch.from_numpy(in_loss).to(process.device), held_out, output, say, show,
            open_log(output, tensorboard=machine.tensorboard) if process.is_first else silent,
        )  # fmt: skip
        say(f"{len(samples)} photos, {recipe.network.title}, {recipe.network.parameters(len(label_set)):,} parameters")
        if process.count > 1 or process.device.type != "cpu":
            say(f"{process.count} processes, this one on {process.device}")
        _run_stages(run)
        return _finish(run)


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


def _order(recipe: Recipe, counts: NDArray[np.int64] | None, sizes: tuple[int, ...]) -> PhotoOrder | None:
    """The order of photos, where it is another than that of shuffled passes through all."""
    if recipe.data[0].share:
        return Shares(sizes, tuple(source.share for source in recipe.data), recipe.seed)
    return ClassBalance(counts, recipe.seed) if counts is not None and recipe.sampling == "class_balanced" else None


def _things(counts: NDArray[np.int64], label_set: LabelSet, seed: int) -> ClassBalance:
    """The order of photos whose things are pasted onto others: every class but the background in its turn."""
    if label_set.background is None:
        raise InputError(
            f"copy_paste needs a background to tell things from, which label set {label_set.name!r} lacks: leave it out"
        )
    things = counts.copy()
    things[:, label_set.background] = 0
    if not things.any():
        raise InputError("copy_paste: no photo shows anything but background; leave it out")
    return ClassBalance(things, seed, Stream.THING)


def _check_share(recipe: Recipe, process: Process) -> None:
    """Check that every stage's batch comes in as many parts as can be dealt out evenly."""
    for solver in (recipe.solver, *([recipe.warm_up.solver] if recipe.warm_up else [])):
        parts = solver.batch // solver.micro_batch
        if parts % process.count:
            raise InputError(
                f"a batch of {solver.batch} in parts of micro_batch {solver.micro_batch} makes {parts} parts, which "
                f"{process.count} processes cannot share evenly; change micro_batch or the number of processes"
            )


def _run_stages(run: Run) -> None:
    """Run the stages that a state does not say are over."""
    stages = [_main_stage(run)]
    if run.recipe.warm_up is not None and isinstance(run.model, DeepLab):
        solver = run.recipe.warm_up.solver
        stages.insert(0, Stage("warm-up", solver, HEAD, Head(run.model), _mask_loss(run), stored_features))
    state = load_state(run.state_path, run.header, run.photos) if run.state_path.is_file() else None
    if state is not None:
        restore_model(run.learning, state.tensors)
        run.header.progress.update(state.progress)
        run.say(f"resuming {state.position.stage} at iteration {state.position.iteration}")
    iteration = state.position.iteration if state else 0
    agreed = totals(run.process, torch.tensor(iteration, device=run.process.device))
    if int(agreed) != iteration * run.process.count:
        raise ModelError(
            f"the processes do not see one {run.state_path}; give an --output folder that all machines share"
        )
    names = [stage.name for stage in stages]
    for stage in stages[names.index(state.position.stage) if state else 0 :]:
        run_stage(run, stage, state if state and state.position.stage == stage.name else None)


def _main_stage(run: Run) -> Stage:
    recipe, network, solver = run.recipe, run.model, run.recipe.solver
    if has_weak(run.crops.photos.samples):
        loss = WeakLoss(run.header.label_set, recipe.weak, run.header.preprocessing, run.class_weights)
        return Stage("main", solver, ("",), network, loss, lambda run: WeakCrops(_main_crops(run)))
    if recipe.crf is None or run.crf is None:
        return Stage("main", solver, ("",), network, _mask_loss(run), _main_crops)
    joint = JointNetwork(network, run.crf, run.header.preprocessing)
    return Stage("main", crf_solver(recipe.crf, solver), ("",), joint, _mask_loss(run), _whole_crops)


def _mask_loss(run: Run) -> MaskLoss:
    return MaskLoss(run.header.label_set.void, run.class_weights)


def _main_crops(run: Run) -> Crops:
    return replace(run.crops, seed=main_seed(run.recipe.seed))


def _whole_crops(run: Run) -> Crops:
    """The same with a label for every pixel."""
    return replace(_main_crops(run), label_stride=1)


def _finish(run: Run) -> Path:
    """Write the trained checkpoint, and leave nothing of the warm-up behind."""
    run.header.progress["iterations"] = run.recipe.solver.iterations
    result = run.output / f"{run.recipe.name}.safetensors"
    if run.process.is_first:
        for leftover in run.output.glob("warm_up_*"):  # before the result, which may be called so
            leftover.unlink()
        run.save(result)
    return result
