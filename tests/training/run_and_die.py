"""Train a tiny network on tiny photos, and kill the process itself at a given moment. Run by test_resume.py.

Arguments: data folder, and any number of deaths: run folder, seconds between saved states, and the moment, with colons
between. The moment is a stage and its step as shown, e.g. ``main 2``; ``write 2``, halfway through the second saved
state; or ``never``. Each has a process of its own, forked once PyTorch is loaded; its output and end are printed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import torch
import torch._dynamo  # slow, and each process would load it for its optimizers

from deeplab.files import atomic_file
from deeplab.network import variants
from deeplab.network.importers import Initialisation
from deeplab.network.vgg import DeepLab
from deeplab.preprocessing import CAFFE_VGG
from deeplab.training import checkpoints, loop, train, warm_up
from deeplab.training.recipe import Recipe, Solver, Source, WarmUp

SMALL = MappingProxyType({"largefov": replace(variants.VARIANTS["largefov"], fc_channels=16)})
THIN = ((8, 8), (8, 8), (16, 16, 16), (16, 16, 16), (16, 16, 16))
RECIPE = Recipe(
    name="tiny",
    variant="largefov",
    data=(Source("set", reader="folder"),),
    validation=Source("set", photos=1, reader="folder"),
    validate_every=2,
    crop_px=41,
    warm_up=WarmUp(Solver(iterations=3, batch=2, micro_batch=2, method="adamw", schedule="poly"), crops_per_photo=2),
    solver=Solver(
        iterations=3, batch=2, micro_batch=1, step_iterations=2, frozen=("conv1_", "conv2_"), every_cell=2, average=0.7
    ),
    shared_photos=True,
    seed=3,
)


def random_trunk() -> Initialisation:
    """Weights that keep activations in size, unlike N(0, 0.01)."""
    generator = torch.Generator().manual_seed(7)
    tensors = {
        name: torch.randn(tensor.shape, generator=generator) * (2 / tensor[0].numel()) ** 0.5
        for name, tensor in DeepLab(variants.find_variant("largefov"), 3).state_dict().items()
        if name.startswith("conv") and name.endswith("weight")
    }
    tensors["conv1_1.weight"] /= 60  # pixels are that large
    return Initialisation(tensors, CAFFE_VGG, {"source": "random"})


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class HalfWriter:
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def write(self, content: bytes) -> None:
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        die()


def run(data: str, output: str, seconds: float, moment: str) -> None:
    writes = 0

    @contextmanager
    def dying_file(path: Path, **options: Any) -> Iterator[Any]:
        nonlocal writes
        writes += 1
        with atomic_file(path, **options) as file:
            yield HalfWriter(file) if moment == f"write {writes}" else file

    def show(stage: str, done: int, total: int, facts: str) -> None:
        if moment == f"{stage} {done}":
            die()

    torch.set_num_threads(1)
    variants.VARIANTS, variants.CONV_CHANNELS = SMALL, THIN
    checkpoints.atomic_file = dying_file  # type: ignore[assignment]
    loop.SECONDS_BETWEEN_STATES = seconds
    warm_up.CROPS_BETWEEN_MARKS = 2
    train.train(RECIPE, Path(data), random_trunk(), Path(output), partial(print, flush=True), show)


def main(data: str, *deaths: str) -> None:
    for death in deaths:
        output, seconds, moment = death.split(":")
        child = os.fork()
        if child == 0:
            run(data, output, float(seconds), moment)
            sys.stdout.flush()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        print(f"ended with signal {os.WTERMSIG(status)}, status {os.WEXITSTATUS(status)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
