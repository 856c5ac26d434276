"""One stage of a run: a solver moves some layers, iteration by iteration, and can be stopped at any moment."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from deeplab.errors import ModelError
from deeplab.network.vgg import ALL_CELLS, Cells
from deeplab.progress import duration
from deeplab.training.batches import Batch
from deeplab.training.checkpoints import Position, restore_optimizer, save_state
from deeplab.training.interruption import stop_requests
from deeplab.training.machine import autocast, parallel, totals
from deeplab.training.recipe import Solver
from deeplab.training.run import Run
from deeplab.training.solver import learning_rate, make_optimizer, segmentation_loss

__all__ = ["Stage", "run_stage"]

SECONDS_BETWEEN_STATES = 120.0


class Stage(NamedTuple):
    """One solver over one kind of input.

    Attributes:
        name: for progress, log and state.
        solver: how weights move.
        trained: beginnings of the names of the layers that do.
        network: batch of inputs → scores; it holds the run's model.
        batches: this process's batches, from the number of the first example on.
    """

    name: str
    solver: Solver
    trained: tuple[str, ...]
    network: nn.Module
    batches: Callable[[int], Iterator[Batch]]


class Motor(NamedTuple):
    """What turns batches into updates."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


def run_stage(run: Run, stage: Stage, first: int, tensors: Mapping[str, Tensor], scaler: Mapping[str, Any]) -> None:
    """Update the model from iteration `first` to the last; the state is saved every two minutes and at the end.

    Args:
        run: what the stages share.
        stage: this one.
        first: iterations done before.
        tensors: of the state to go on from; empty at the start of a stage.
        scaler: likewise, of the loss scaler.

    Raises:
        KeyboardInterrupt: Ctrl-C or a termination signal came; the state is saved.
        ModelError: the loss or a weight is not finite; the last good state is kept.
        OutputError: the state cannot be written; the one before is kept.
    """
    solver = stage.solver
    motor = _make_motor(run, stage, tensors, scaler)

    def save(done: int) -> float:
        if run.process.is_first:
            save_state(run.state_path, run.model, motor.optimizer, motor.scaler, Position(stage.name, done), run.header)
        return time.monotonic()

    if first == solver.iterations:
        return
    if first == 0:
        save(0)  # from here on the folder belongs to this recipe, and the stage before is not needed again
        if run.held_out and 0 in run.recipe.validate_at:
            run.validate(stage.name, 0)
    batches = stage.batches(first * solver.batch)
    recent: deque[float] = deque(maxlen=20)
    saved = started = time.monotonic()
    with stop_requests(run.say, alone=run.process.count == 1) as stop_asked:
        for done in range(first + 1, solver.iterations + 1):
            rate = learning_rate(solver, done - 1)
            loss, stop = _update(run, stage, motor, batches, done - 1, rate, stop_asked)
            recent.append(loss)
            speed = (done - first) * solver.batch / (time.monotonic() - started)
            left = duration((solver.iterations - done) * solver.batch / speed)
            mean_loss = sum(recent) / len(recent)
            facts = f"loss {mean_loss:.4f}  rate {rate:.2e}  {speed:.2f} img/s  ETA {left}"
            run.show(stage.name, done, solver.iterations, facts)
            run.log(stage=stage.name, iteration=done, loss=loss, rate=rate, images_per_second=round(speed, 3))
            last = done == solver.iterations
            if run.held_out and (last or _validation_is_due(run, done)):
                run.validate(stage.name, done)
            if last or stop or time.monotonic() - saved > SECONDS_BETWEEN_STATES:
                saved = save(done)
            if stop:
                run.say(f"stopped {stage.name} at iteration {done}; the same command goes on from there")
                raise KeyboardInterrupt


def _make_motor(run: Run, stage: Stage, tensors: Mapping[str, Tensor], scaler: Mapping[str, Any]) -> Motor:
    optimizer = make_optimizer(run.model, stage.solver, stage.trained)
    restore_optimizer(optimizer, tensors)
    loss_scaler = torch.amp.GradScaler(run.process.device.type, enabled=run.precision == torch.float16)
    if scaler:
        loss_scaler.load_state_dict(dict(scaler))
    return Motor(parallel(stage.network, run.process), optimizer, loss_scaler)


def _validation_is_due(run: Run, done: int) -> bool:
    every = run.recipe.validate_every
    return done in run.recipe.validate_at or (every > 0 and done % every == 0)


def _update(
    run: Run,
    stage: Stage,
    motor: Motor,
    batches: Iterator[Batch],
    iteration: int,
    rate: float,
    stop_asked: Callable[[], bool],
) -> tuple[float, bool]:
    """Make one update of the weights; return the loss before it, and whether any process was asked to stop."""
    solver, process, void = stage.solver, run.process, run.header.label_set.void
    for group in motor.optimizer.param_groups:
        group["lr"] = rate * group["rate_multiplier"]
    motor.network.train()
    motor.optimizer.zero_grad()
    parts = solver.batch // solver.micro_batch
    numbers = range(iteration * parts + process.rank, (iteration + 1) * parts, process.count)
    picks = [_cells(run.recipe.seed, number, solver.every_cell) for number in numbers]
    own = [(inputs, cells.of(labels)) for cells, (inputs, labels) in zip(picks, batches, strict=False)]
    valid = torch.tensor(sum(int((labels != void).sum()) for _, labels in own), device=process.device)
    whole = max(int(totals(process, valid)), 1) if solver.loss == "mean" else 1
    facts = torch.zeros(2, dtype=torch.float64, device=process.device)  # the loss, and requests to stop
    for index, (number, cells, (inputs, labels)) in enumerate(zip(numbers, picks, own, strict=True)):
        # dropout: the same for this part of the batch after a resume, and in whatever process
        torch.manual_seed(run.recipe.seed * 1_000_003 + number)
        pixels, truth = (part.to(process.device, non_blocking=True) for part in (inputs, labels))
        with _gradients_kept_here(motor.network, index + 1 < len(own)):
            with autocast(process.device, run.precision):
                scores = motor.network(pixels) if cells is ALL_CELLS else motor.network(pixels, cells)
            loss = segmentation_loss(scores, truth, void, run.class_weights) / whole
            # gradients are averaged over the processes, where they should be summed
            motor.scaler.scale(loss * process.count).backward()  # type: ignore[no-untyped-call]
        facts[0] += loss.detach()
    facts[1] += stop_asked()
    total, stop = totals(process, facts).tolist()
    if not math.isfinite(total):
        raise ModelError(
            f"the loss became {total} in iteration {iteration} of {stage.name}; lower learning_rate, or try precision "
            f"fp32, and a fresh --output folder ({run.state_path} keeps the last good state)"
        )
    motor.scaler.step(motor.optimizer)
    motor.scaler.update()
    return total, stop > 0


def _cells(seed: int, number: int, step: int) -> Cells:
    """The cells that part `number` of a run's batches is scored at."""
    if step == 1:
        return ALL_CELLS
    row, column = np.random.default_rng((seed, 5, number)).integers(step, size=2)
    return Cells(int(row), int(column), step)


def _gradients_kept_here(network: nn.Module, kept: bool) -> Any:
    """Within it, backward adds to this process's gradients alone; they are shared with the last part of a batch."""
    return network.no_sync() if kept and isinstance(network, DistributedDataParallel) else nullcontext()
