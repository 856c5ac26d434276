"""Train a tiny network on tiny photos; run by test_processes.py, alone and in several processes under torchrun.

Arguments: data folder, run folder, and a stage with its step at which the first process asks itself to stop, or none.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from run_and_die import RECIPE, SMALL, THIN, random_trunk

from deeplab.network import variants
from deeplab.training.train import train


def main(data: str, output: str, moment: str = "") -> None:
    def show(stage: str, done: int, total: int, facts: str) -> None:
        if moment == f"{stage} {done}":
            os.kill(os.getpid(), signal.SIGINT)

    torch.set_num_threads(1)
    variants.VARIANTS, variants.CONV_CHANNELS = SMALL, THIN
    assert RECIPE.warm_up is not None
    warm_up = replace(RECIPE.warm_up, solver=replace(RECIPE.warm_up.solver, micro_batch=1))
    solver = replace(RECIPE.solver, batch=4, frozen=())
    recipe = replace(RECIPE, warm_up=warm_up, solver=solver, validation=replace(RECIPE.data[0], photos=0))
    train(recipe, Path(data), random_trunk(), Path(output), partial(print, flush=True), show)


if __name__ == "__main__":
    main(*sys.argv[1:])
