"""The loss of crops with weak labels: cross-entropy with what is known or estimated, and the CRF's loss on strokes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from deeplab.crf.torch import Kernel, bilateral_features, dense_crf_loss
from deeplab.labels import LabelSet
from deeplab.preprocessing import Preprocessing
from deeplab.training.joint import photo_of, shown
from deeplab.training.solver import segmentation_loss
from deeplab.training.weak.em import em_adapt, em_fixed
from deeplab.training.weak.samples import KINDS
from deeplab.training.weak.settings import ESTIMATED, STROKES, WeakLabels


class WeakLoss(NamedTuple):
    """A loss for targets (B, 2 + L, h, w) as `deeplab.training.weak.crops.WeakCrops` has them.

    Attributes:
        label_set: the classes.
        settings: numbers of the methods.
        preprocessing: of the network, from whose input the photo of strokes comes back.
        weights: (L,) float32 of the classes; None: all count alike.
    """

    label_set: LabelSet
    settings: WeakLabels
    preprocessing: Preprocessing
    weights: Tensor | None = None

    def valid(self, labels: Tensor) -> int:
        """How many positions are known, or will be estimated."""
        return int((labels[:, 0] != self.label_set.void).sum())

    def __call__(self, scores: Tensor, labels: Tensor, inputs: Tensor) -> Tensor:
        """The sum of `segmentation_loss` and, of crops with strokes, the CRF's, which counts as their positions do."""
        scores, void = scores.float(), self.label_set.void
        kinds = [KINDS[int(kind)] for kind in labels[:, 1, 0, 0]]
        truth = torch.stack(
            [
                estimate(own, target, kind, self.label_set, self.settings) if kind in ESTIMATED else target[0]
                for own, target, kind in zip(scores.detach(), labels, kinds, strict=True)
            ]
        )
        loss = segmentation_loss(scores, truth, void, self.weights)
        for own, target, pixels, kind in zip(scores, truth, inputs, kinds, strict=True):
            known = int((target != void).sum())
            if kind == STROKES and known and self.settings.crf_loss and bool(loss.isfinite()):
                loss = loss + self.settings.crf_loss * known * self.crf_loss(own, pixels)
        return loss

    def crf_loss(self, scores: Tensor, pixels: Tensor) -> Tensor:
        """The dense CRF loss of scores (L, h, w) at every pixel of a crop's photo; pixels (3, H, W) preprocessed."""
        dense = F.interpolate(scores[None], pixels.shape[1:], mode="bilinear", align_corners=True)
        rows, columns = shown(pixels)
        photo = photo_of(pixels[:, rows, columns], self.preprocessing)[None]
        settings = self.settings
        features = bilateral_features(photo, settings.crf_loss_xy_std_px, settings.crf_loss_rgb_std)
        return dense_crf_loss(dense[:, :, rows, columns], [Kernel(features)])


def estimate(scores: Tensor, target: Tensor, kind: str, label_set: LabelSet, settings: WeakLabels) -> Tensor:
    """The labels (h, w) int64 of a crop's scores (L, h, w), by its target (2 + L, h, w) and the method's name."""
    background = label_set.background
    assert background is not None
    inside, allowed = target[0] != label_set.void, target[2:].bool()
    if kind != "em-adapt":
        found = em_fixed(scores, allowed | ~inside, background, settings)
        return found.masked_fill(~inside, label_set.void)
    labels = torch.full_like(target[0], label_set.void)
    if bool(inside.any()):
        labels[inside] = em_adapt(scores[:, inside], allowed[:, inside].any(1), background, settings)
    return labels
