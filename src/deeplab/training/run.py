"""What all stages of a run share: its network, its data, and the ways it reports and keeps what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deeplab.data.samples import Sample
from deeplab.evaluation.confusion import Confusion
from deeplab.network.build import Network
from deeplab.network.header import Header
from deeplab.network.weights import save_checkpoint
from deeplab.progress import Say, Show
from deeplab.training.batches import Batch, Crops, Example, batches
from deeplab.training.log import Log
from deeplab.training.machine import DTYPES, Machine, Process, totals
from deeplab.training.recipe import Recipe
from deeplab.training.validation import validate

BEST = "best.safetensors"
STATE = "state.safetensors"


@dataclass
class Run:
    """A run in one process.

    Attributes:
        recipe, machine: its settings.
        process: which one this is.
        model: the network, on its device.
        header: of the checkpoint to be; its ``progress`` collects validation figures.
        crops: the training crops by number, those that a warm-up stores; the main stage's have another seed.
        photos: which photos these are, in short; see `deeplab.training.sources.photos_in_short`.
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
    photos: dict[str, Any]
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
    def state_path(self) -> Path:
        """The file to resume from."""
        return self.output / STATE

    def batches(self, examples: Callable[[int], Example], size: int, first: int) -> Iterator[Batch]:
        """This process's batches of `size`, without end, from example `first` of all processes' on."""
        process = self.process
        share, pin = (process.rank, process.count), process.device.type == "cuda"
        return batches(examples, size, first, share=share, workers=process.workers(self.machine.workers), pin=pin)

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
