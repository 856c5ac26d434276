"""What a batch's scores are measured by: how many positions count, and the sum of the loss over them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from deeplab.training.solver import segmentation_loss


class Loss(Protocol):
    """A loss summed over the positions that count, by whose number the loop divides it for the mean."""

    def valid(self, labels: Tensor) -> int:
        """How many positions of a batch's labels count."""

    def __call__(self, scores: Tensor, labels: Tensor, inputs: Tensor) -> Tensor:
        """The sum, a scalar, for scores (B, L, h, w), labels as the examples have them, and the inputs they are of."""


class MaskLoss(NamedTuple):
    """Cross-entropy with masks: labels (B, h, w) int64, void where nothing is known.

    Attributes:
        void: the label to leave out.
        weights: (L,) float32 of the classes; None: all count alike.
    """

    void: int
    weights: Tensor | None = None

    def valid(self, labels: Tensor) -> int:
        """How many positions are not void."""
        return int((labels != self.void).sum())

    def __call__(self, scores: Tensor, labels: Tensor, inputs: Tensor) -> Tensor:
        """The sum of `segmentation_loss`."""
        return segmentation_loss(scores, labels, self.void, self.weights)
