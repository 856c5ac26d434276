"""Averaging of weights: a network that is the running mean of those that training went through.

Single steps wander around what they are after; their mean lies nearer to it (Polyak and Juditsky 1992).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The exponential moving average of the weights in training: a ← d·a + (1 − d)·w after each update.

    It begins with the weights as they are. With d = 0 there is none, and the methods do nothing.
    """

    def __init__(self, model: nn.Module, decay: float, means: Mapping[str, Tensor]) -> None:
        """Take a model, d below 1, and the averages so far by the names of its weights, none at the start."""
        self._decay = decay
        moving = ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)
        self._weights = dict(moving) if decay else {}
        self.means = {
            name: torch.empty_like(weight).copy_(means.get(name, weight.detach())).detach()
            for name, weight in self._weights.items()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights that an update left."""
        for name, weight in self._weights.items():
            self.means[name].lerp_(weight, 1 - self._decay)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Give the model the averaged weights for the time of a block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def settle(self) -> None:
        """Give the model the averaged weights for good."""
        self._swap()
        self._weights, self.means = {}, {}

    def _swap(self) -> None:
        for name, weight in self._weights.items():
            weight.data, self.means[name] = self.means[name], weight.data
