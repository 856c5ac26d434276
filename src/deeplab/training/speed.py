"""How fast this machine trains, measured for some seconds before a recipe is written."""

from __future__ import annotations

import time

import torch

from deeplab.network.build import build_network
from deeplab.network.variants import find_variant
from deeplab.progress import Show, silent
from deeplab.training.machine import DTYPES, autocast, join
from deeplab.training.new_recipe import CROP_PX, FROZEN, PART, Speed
from deeplab.training.recipe import Solver
from deeplab.training.solver import make_optimizer, segmentation_loss


def measure_speed(classes: int, device: str = "auto", show: Show = silent) -> Speed:
    """Make a few steps with a network of random weights in bfloat16 and float32, and take the faster of the two.

    Args:
        classes: number of labels.
        device: as `deeplab.training.machine.Machine.device`.
        show: takes progress.

    Raises:
        InputError: there is no such device.
    """
    with join(device) as process:
        model = build_network(find_variant("largefov"), classes)
        model.to(process.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub has it
        model.train()
        optimizer = make_optimizer(model, Solver(method="adamw", frozen=FROZEN))
        pixels = torch.zeros(PART, 3, CROP_PX, CROP_PX, device=process.device).to(memory_format=torch.channels_last)
        seconds = {}
        for done, name in enumerate(("bf16", "fp32", "bf16", "fp32"), start=1):  # the first of each is not counted
            start = time.monotonic()
            optimizer.zero_grad()
            with autocast(process.device, DTYPES[name]):
                scores = model(pixels)
            truth = torch.zeros(scores.shape[0], *scores.shape[2:], dtype=torch.int64, device=process.device)
            segmentation_loss(scores, truth, 255).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if process.device.type == "cuda":
                torch.cuda.synchronize(process.device)
            seconds[name] = time.monotonic() - start
            show("measuring the machine", done, 4, "")
        best = min(seconds, key=lambda name: seconds[name])
        return Speed(PART / seconds[best], best, f"measured on {_words(process.device)}, with what else it was doing")


def _words(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} thread{'' if threads == 1 else 's'}"
