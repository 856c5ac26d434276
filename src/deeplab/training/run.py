"""What all stages of a run share: its network, its data, and the ways it reports and keeps what it found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deeplab.data.samples import Sample
from deeplab.errors import DataError, InputError
from deeplab.evaluation.confusion import Confusion
from deeplab.labels import LabelSet
from deeplab.network.build import Network
from deeplab.network.header import Header
from deeplab.network.weights import save_checkpoint
from deeplab.progress import Say, Show, duration
from deeplab.training.balance import balanced_index, class_counts, median_frequency_weights
from deeplab.training.batches import Crops, Photos
from deeplab.training.log import Log
from deeplab.training.machine import DTYPES, Machine, Process, totals
from deeplab.training.recipe import Recipe
from deeplab.training.validation import validate

__all__ = ["Run", "make_crops"]

BEST = "best.safetensors"


@dataclass(frozen=True)
class Run:
    """A run in one process.

    Attributes:
        recipe, machine: its settings.
        process: which one this is.
        model: the network, on its device.
        header: of the checkpoint to be; its ``progress`` collects validation figures.
        crops: the training crops by number, but for their `Crops.seed`, which a stage gives.
        class_weights: (L,) float32 on the device, or None.
        held_out: validation photos.
        output: the run's folder.
        say, show, log: take what happens; silent in all processes but the first.
    """

    recipe: Recipe
    machine: Machine
    process: Process
    model: Network
    header: Header
    crops: Crops
    class_weights: Tensor | None
    held_out: Sequence[Sample]
    output: Path
    say: Say
    show: Show
    log: Log

    @property
    def precision(self) -> torch.dtype:
        """What autocast computes in."""
        return DTYPES[self.recipe.precision]

    @property
    def workers(self) -> int:
        """Threads that load photos in this process."""
        return self.process.workers(self.machine.workers)

    @property
    def state_path(self) -> Path:
        """The file to resume from."""
        return self.output / "state.safetensors"

    def validate(self, stage: str, iteration: int) -> None:
        """Score the held-out photos, each process its share; keep the network if it is the best so far."""
        process, label_set, preprocessing = self.process, self.header.label_set, self.header.preprocessing
        share = self.held_out[process.rank :: process.count]
        counts = validate(self.model, share, label_set, preprocessing, self.precision).counts
        confusion = Confusion(totals(process, torch.from_numpy(counts).to(process.device)).cpu().numpy(), label_set)
        figures = self.header.progress
        best = max((value for name, value in figures.items() if name != "iterations"), default=-1.0)
        figures[f"{stage} {iteration}"] = confusion.mean_iou
        if not process.is_first:
            return
        self.say(f"{stage} {iteration}: validation mean IoU {100 * confusion.mean_iou:.2f}")
        facts = {"mean_iou": confusion.mean_iou, "pixel_accuracy": confusion.pixel_accuracy}
        self.log(stage=stage, iteration=iteration, **facts)
        if confusion.mean_iou > best:
            save_checkpoint(self.output / BEST, self.model, self.header)


def make_crops(
    recipe: Recipe, header: Header, samples: Sequence[Sample], machine: Machine, say: Say, show: Show
) -> tuple[Crops, NDArray[np.float32] | None]:
    """Prepare a recipe's training crops, and the weights (L,) of classes in the loss, None for none.

    Raises:
        InputError: the recipe gives weights for another number of classes.
        DataError: a mask has to be counted and cannot be read, or none has a labelled pixel.
    """
    label_set, counts = header.label_set, None
    if recipe.sampling == "class_balanced" or recipe.class_weights == "median_frequency":
        start = time.monotonic()

        def report(done: int, count: int) -> None:
            show("counting classes", done, count, duration(time.monotonic() - start))

        counts = class_counts(samples, recipe.skip_bad_photos, report)
        if not counts.any():
            raise DataError("no training photo has a labelled pixel; check the data with `deeplab check-data`")
        if never := [name for name, pixels in zip(label_set.names, counts.sum(axis=0), strict=True) if not pixels]:
            say(f"no training photo shows {', '.join(never)}")
    order = None
    if counts is not None and recipe.sampling == "class_balanced":
        order = partial(balanced_index, counts=counts, seed=recipe.seed)
    skip = say if recipe.skip_bad_photos else None
    crops = Crops(
        Photos(samples, header.preprocessing, cache_bytes=machine.cache_gb * 1e9, skip=skip),
        header.preprocessing,
        recipe.crop_px,
        recipe.seed,
        header.variant.label_stride,
        recipe.augment,
        order,
    )
    return crops, _class_weights(recipe, label_set, counts)


def _class_weights(recipe: Recipe, label_set: LabelSet, counts: NDArray[np.int64] | None) -> NDArray[np.float32] | None:
    if recipe.class_weights == "even":
        return None
    if recipe.class_weights == "median_frequency":
        assert counts is not None
        return median_frequency_weights(counts)
    if len(recipe.class_weights) != len(label_set):
        raise InputError(
            f"class_weights has {len(recipe.class_weights)} numbers, but there are {len(label_set)} classes"
        )
    return np.array(recipe.class_weights, dtype=np.float32)
