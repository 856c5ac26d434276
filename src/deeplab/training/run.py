"""What all stages of a run share: its network, its data, and the ways it reports and keeps what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deeplab.crf import CRFSettings
from deeplab.crf.torch import MeanField
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
        learning: all that may learn: the network, and a CRF in training with it.
        crf: that CRF, or None.
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
    learning: nn.Module
    crf: MeanField | None
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
        counts = validate(self.model, share, label_set, preprocessing, self.precision, self.learnt_crf()).counts
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
            self.save(self.output / BEST)

    def learnt_crf(self) -> CRFSettings | None:
        """The CRF in training as it stands, as it runs at test; None: there is none."""
        joint = self.recipe.crf
        return None if self.crf is None or joint is None else self.crf.learnt(joint.test_iterations)

    def save(self, path: Path) -> None:
        """Write the network as a checkpoint, with the CRF that was trained with it."""
        save_checkpoint(path, self.model, replace(self.header, crf=self.learnt_crf()))
