"""Caffe's solver rules: multipliers by layer, schedules, and momentum with the rate inside the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from deeplab.errors import InputError
from deeplab.network.vgg import CLASSIFIERS
from deeplab.training.recipe import Solver

__all__ = ["CaffeSGD", "learning_rate", "make_optimizer", "segmentation_loss"]


class CaffeSGD(torch.optim.Optimizer):
    """Caffe's stochastic gradient descent: h ← m·h + lr·(g + wd·w), w ← w − h.

    PyTorch keeps the rate outside its history; the two differ whenever the rate changes.
    """

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; a closure is not supported."""
        if closure is not None:
            raise InputError("CaffeSGD takes no closure; compute the gradients before step()")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "history" not in state:
                    state["history"] = torch.zeros_like(parameter)
                history = state["history"]
                history.mul_(group["momentum"])
                history.add_(parameter.grad, alpha=group["lr"])
                history.add_(parameter, alpha=group["lr"] * group["weight_decay"])
                parameter.sub_(history)


def make_optimizer(model: nn.Module, solver: Solver, only: tuple[str, ...] = ("",)) -> torch.optim.Optimizer:
    """Build the optimizer of a stage, with Caffe's multipliers, and freeze what it leaves alone.

    Args:
        model: the network.
        solver: rates, decay and frozen layers.
        only: beginnings of the names of the layers that this stage moves; the others are frozen too.

    Returns:
        The optimizer. Each group carries ``rate_multiplier``, for `learning_rate`.

    Raises:
        InputError: nothing is left to train, or `solver` names a layer that the network lacks.
    """
    layers = [name for name, _ in model.named_parameters()]
    for prefix in (*solver.frozen, *solver.layer_rates):
        if not any(name.startswith(prefix) for name in layers):
            raise InputError(f"solver: no layer's name begins with {prefix!r}; layers are called conv1_1 … fc8")
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        trained = name.startswith(only) and not (solver.frozen and name.startswith(solver.frozen))
        parameter.requires_grad_(trained)
        if not trained:
            continue
        is_bias = name.endswith(".bias")
        rate = _layer_rate(name, solver) * (solver.bias_rate if is_bias else 1.0)
        decays = not is_bias and not name.startswith("crf.")  # a CRF that decays is none
        groups.setdefault((rate, solver.weight_decay if decays else 0.0), []).append(parameter)
    if not groups:
        raise InputError(f"frozen={list(solver.frozen)} leaves nothing to train")
    options = [
        {"params": members, "rate_multiplier": rate, "weight_decay": decay} for (rate, decay), members in groups.items()
    ]
    if solver.method == "adamw":
        return torch.optim.AdamW(options, lr=solver.learning_rate)
    return CaffeSGD(options, lr=solver.learning_rate, momentum=solver.momentum)


def _layer_rate(name: str, solver: Solver) -> float:
    named = [rate for prefix, rate in solver.layer_rates.items() if name.startswith(prefix)]
    is_classifier = any(part in name for part in CLASSIFIERS)
    return named[-1] if named else solver.classifier_rate if is_classifier else 1.0


def learning_rate(solver: Solver, iteration: int) -> float:
    """The base learning rate at an iteration (from 0), before a layer's multiplier."""
    if solver.schedule == "step":
        return float(solver.learning_rate * solver.gamma ** (iteration // solver.step_iterations))
    return float(solver.learning_rate * (1 - iteration / solver.iterations) ** solver.power)


def segmentation_loss(scores: Tensor, labels: Tensor, void: int, weights: Tensor | None = None) -> Tensor:
    """Softmax cross-entropy summed over the positions that are not void.

    Args:
        scores: (B, L, h, w), any float dtype.
        labels: (B, h, w) int64, 0 … L−1 or `void`.
        void: the label to leave out.
        weights: (L,) float32, by which each position counts according to its true label; None: all count alike.
    """
    return nn.functional.cross_entropy(scores.float(), labels, weights, ignore_index=void, reduction="sum")
