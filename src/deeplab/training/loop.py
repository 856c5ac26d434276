"""The training loop: batches become gradients, gradients become weights, and every two minutes weights become a file.

A photo becomes a crop and crops a batch in `deeplab.training.batches`; a state becomes a file in
`deeplab.training.checkpoints`.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from deeplab.errors import ModelError
from deeplab.network.vgg import ALL_CELLS, Cells
from deeplab.progress import duration
from deeplab.training.averaging import WeightAverage
from deeplab.training.batches import Batch, Example
from deeplab.training.chance import Stream, draw, seed_dropout
from deeplab.training.checkpoints import Position, State, averages, restore_optimizer, save_state
from deeplab.training.interruption import stop_requests
from deeplab.training.losses import Loss
from deeplab.training.machine import autocast, parallel, totals
from deeplab.training.recipe import Solver
from deeplab.training.run import Run
from deeplab.training.solver import learning_rate, make_optimizer

SECONDS_BETWEEN_STATES = 120.0
LONG_HOURS = 24  # a stage that takes longer is announced once, with what to do


class Stage(NamedTuple):
    """One solver over one kind of input.

    Attributes:
        name: for progress, log and state.
        solver: how weights move.
        trained: beginnings of the names of the layers that do.
        network: batch of inputs → scores; it holds the run's model.
        loss: what the scores are measured by.
        examples: gives the run's training examples by number, once they are needed.
    """

    name: str
    solver: Solver
    trained: tuple[str, ...]
    network: nn.Module
    loss: Loss
    examples: Callable[[Run], Callable[[int], Example]]


class Learner(NamedTuple):
    """What turns batches into updates of the weights.

    Attributes:
        network: the stage's, in as many processes as there are.
        optimizer: moves the weights that the stage trains.
        scaler: of the loss, for float16.
        average: of the weights, if the solver wants one.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: WeightAverage


class Part(NamedTuple):
    """A part of a batch: its number in the run, inputs (B, C, H, W), labels (B, …, h, w), and the cells they are of."""

    number: int
    inputs: Tensor
    labels: Tensor
    cells: Cells


def run_stage(run: Run, stage: Stage, state: State | None = None) -> None:
    """Update the model until the stage's last iteration; the state is saved every two minutes and at the end.

    Args:
        run: what the stages share.
        stage: this one.
        state: to go on from, the model's weights already in it; None: the stage begins.

    Raises:
        KeyboardInterrupt: Ctrl-C or a termination signal came; the state is saved.
        ModelError: the loss, a gradient or a weight is not finite; the last good state is kept.
        OutputError: the state cannot be written; the one before is kept.
    """
    solver, first = stage.solver, 0 if state is None else state.position.iteration
    if first == solver.iterations:
        return
    learner = _make_learner(run, stage, state)
    if first == 0:
        _save(run, stage, learner, 0)  # now the folder belongs to this recipe, and the stage before is not needed again
        if run.held_out and 0 in run.recipe.validate_at:
            run.validate(stage.name, 0)
    batches = run.batches(stage.examples(run), solver.micro_batch, first * solver.batch)
    recent: deque[float] = deque(maxlen=20)
    saved = started = time.monotonic()
    with stop_requests(run.say, alone=run.process.count == 1) as stop_asked:
        for done in range(first + 1, solver.iterations + 1):
            rate = learning_rate(solver, done - 1)
            parts = _next_parts(run, solver, batches, done - 1)
            loss, stop = _gradients(run, stage, learner, parts, rate, stop_asked)
            if not math.isfinite(loss):
                raise ModelError(
                    f"the loss became {loss} in iteration {done - 1} of {stage.name}; lower learning_rate, or try "
                    f"precision fp32, and a fresh --output folder ({run.state_path} keeps the last good state)"
                )
            if broken := _broken_gradient(run):
                _save(run, stage, learner, done - 1)
                raise ModelError(
                    f"the gradient of {broken} became infinite or NaN in iteration {done - 1} of {stage.name}; lower "
                    f"learning_rate, or try precision fp32, and a fresh --output folder ({run.state_path} keeps the "
                    "state before it)"
                )
            learner.scaler.step(learner.optimizer)
            learner.scaler.update()
            learner.average.update()
            recent.append(loss)
            speed = (done - first) * solver.batch / (time.monotonic() - started)
            left = duration((solver.iterations - done) * solver.batch / speed)
            facts = f"loss {sum(recent) / len(recent):.4f}  rate {rate:.2e}  {speed:.2f} img/s  ETA {left}"
            run.show(stage.name, done, solver.iterations, facts)
            if done == first + 2:  # the first one is slower than the others
                _say_if_long(run, stage, (solver.iterations - done) * solver.batch / speed / 3600)
            run.log(stage=stage.name, iteration=done, loss=loss, rate=rate, images_per_second=round(speed, 3))
            last = done == solver.iterations
            if last:
                learner.average.settle()
            if run.held_out and (last or _validation_is_due(run, done)):
                with learner.average.in_use():
                    run.validate(stage.name, done)
            if last or stop or time.monotonic() - saved > SECONDS_BETWEEN_STATES:
                _save(run, stage, learner, done)
                saved = time.monotonic()
            if stop:
                run.say(f"stopped {stage.name} at iteration {done}; the same command goes on from there")
                raise KeyboardInterrupt


def _say_if_long(run: Run, stage: Stage, hours: float) -> None:
    if hours > LONG_HOURS:
        run.say(
            f"{stage.name} will take some {hours:,.0f} hours on this machine: give its solver fewer iterations than "
            f"{stage.solver.iterations:,}, or have a recipe written that suits it, `deeplab recipes new DATA --hours 1`"
        )


def _make_learner(run: Run, stage: Stage, state: State | None) -> Learner:
    optimizer = make_optimizer(run.learning, stage.solver, stage.trained)
    scaler = torch.amp.GradScaler(run.process.device.type, enabled=run.precision == torch.float16)
    if state is not None:
        restore_optimizer(optimizer, state.tensors)
        if state.scaler:
            scaler.load_state_dict(state.scaler)
    average = WeightAverage(run.learning, stage.solver.average, averages(state.tensors) if state else {})
    return Learner(parallel(stage.network, run.process), optimizer, scaler, average)


def _save(run: Run, stage: Stage, learner: Learner, done: int) -> None:
    if run.process.is_first:
        _, optimizer, scaler, average = learner
        position = Position(stage.name, done)
        save_state(run.state_path, run.learning, optimizer, scaler, average.means, position, run.header, run.photos)


def _validation_is_due(run: Run, done: int) -> bool:
    every = run.recipe.validate_every
    return done in run.recipe.validate_at or (every > 0 and done % every == 0)


def _next_parts(run: Run, solver: Solver, batches: Iterator[Batch], iteration: int) -> list[Part]:
    """This process's parts of an iteration's batch."""
    count, process = solver.batch // solver.micro_batch, run.process
    parts = []
    for number in range(iteration * count + process.rank, (iteration + 1) * count, process.count):
        inputs, labels = next(batches)
        cells = _draw_cells(run.recipe.seed, number, solver.every_cell)
        parts.append(Part(number, inputs, cells.of(labels), cells))
    return parts


def _draw_cells(seed: int, number: int, step: int) -> Cells:
    if step == 1:
        return ALL_CELLS
    row, column = draw(Stream.CELLS, seed, number).integers(step, size=2)
    return Cells(int(row), int(column), step)


def _gradients(
    run: Run, stage: Stage, learner: Learner, parts: list[Part], rate: float, stop_asked: Callable[[], bool]
) -> tuple[float, bool]:
    """Compute an update's gradients; return the loss before it, and whether any process was asked to stop."""
    for group in learner.optimizer.param_groups:
        group["lr"] = rate * group["rate_multiplier"]
    learner.network.train()
    learner.optimizer.zero_grad()
    loss = _add_gradients(run, stage, learner, parts)
    facts = torch.stack([loss, loss.new_tensor(float(stop_asked()))])
    total, stop = totals(run.process, facts).tolist()
    return total, stop > 0


def _broken_gradient(run: Run) -> str:
    """The name of a parameter whose gradient is not finite; "": none. float16's scaler has its own way with those."""
    if run.precision == torch.float16:
        return ""
    learning = ((name, weight.grad) for name, weight in run.learning.named_parameters())
    broken = (name for name, grad in learning if grad is not None and not bool(grad.isfinite().all()))
    return next(broken, "")


def _add_gradients(run: Run, stage: Stage, learner: Learner, parts: list[Part]) -> Tensor:
    """Sum the gradients of this process's parts; return its share of the loss, a float64 scalar."""
    process = run.process
    valid = torch.tensor(sum(stage.loss.valid(part.labels) for part in parts), device=process.device)
    whole = max(int(totals(process, valid)), 1) if stage.solver.loss == "mean" else 1
    total = torch.zeros((), dtype=torch.float64, device=process.device)
    for part in parts:
        seed_dropout(run.recipe.seed, part.number)
        pixels, truth = (x.to(process.device, non_blocking=True) for x in (part.inputs, part.labels))
        with _gradients_kept_here(learner.network, part is not parts[-1]):
            with autocast(process.device, run.precision):
                cells = () if part.cells is ALL_CELLS else (part.cells,)
                scores = learner.network(pixels, *cells)
            loss = stage.loss(scores, truth, pixels) / whole
            # gradients are averaged over the processes, where they should be summed
            learner.scaler.scale(loss * process.count).backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total


def _gradients_kept_here(network: nn.Module, kept: bool) -> Any:
    """Within it, backward adds to this process's gradients alone; they are shared with the last part of a batch."""
    return network.no_sync() if kept and isinstance(network, DistributedDataParallel) else nullcontext()
