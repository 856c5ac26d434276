"""Network and CRF trained together: the loss looks at the CRF's marginals (Zheng et al., ICCV 2015)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplab.crf import CRFSettings
from deeplab.crf.torch import MeanField
from deeplab.network.build import Network
from deeplab.preprocessing import Preprocessing
from deeplab.training.recipe import JointCRF, Solver

PARAMETERS = {
    "weights": ("crf.bilateral_weight", "crf.spatial_weight"),
    "compatibility": ("crf.compatibility",),
    "stds": ("crf.log_std_scale",),
}
"""What of a CRF may learn → its parameters' names beside the network's."""


def build_crf(joint: JointCRF, start: CRFSettings, labels: int) -> MeanField:
    """The CRF as a layer, as it stands before training.

    Raises:
        InputError: the start is one of another number of labels, or a parameter is unknown or out of range.
    """
    changed = start.changed({**joint.params, "iterations": joint.iterations})
    return MeanField(labels, changed, learn_stds="stds" in joint.learn)


def with_crf(model: Network, crf: MeanField) -> nn.Module:
    """Network and CRF as one module: its own names for the network's parameters, ``crf.…`` for the CRF's."""
    return nn.ModuleDict({**dict(model.named_children()), "crf": crf})


def crf_solver(joint: JointCRF, solver: Solver) -> Solver:
    """The main stage's solver with the CRF's rate, and what of the CRF does not learn frozen."""
    fixed = [name for part, names in PARAMETERS.items() if part not in joint.learn for name in names]
    return replace(
        solver, layer_rates={"crf.": joint.rate, **solver.layer_rates}, frozen=(*solver.frozen, *fixed)
    )  # fmt: skip


class JointNetwork(nn.Module):
    """A network with the CRF behind it: preprocessed crops in, the logarithm of each pixel's marginals out.

    The CRF sees the photo itself, and nothing of the padding around it.

    Args:
        model: the network.
        crf: the layer.
        preprocessing: of the network, from whose input the photo comes back.
    """

    def __init__(self, model: Network, crf: MeanField, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.model, self.crf, self._preprocessing = model, crf, preprocessing

    def forward(self, inputs: Tensor) -> Tensor:
        """Log-marginals (B, L, H, W) float32 for crops (B, 3, H, W) of sides 8n + 1; the network's own in padding."""
        scores = self.model(inputs).float()
        dense = F.interpolate(scores, inputs.shape[2:], mode="bilinear", align_corners=True).log_softmax(1)
        if not bool(dense.isfinite().all()):
            return dense  # so is the loss then, on which the loop has its word
        with torch.no_grad():
            for weight in (self.crf.bilateral_weight, self.crf.spatial_weight):
                weight.clamp_(min=0)
        refined = []
        for own, pixels in zip(dense, inputs, strict=True):
            rows, columns = shown(pixels)
            part = self.crf(own[None, :, rows, columns], photo_of(pixels[:, rows, columns], self._preprocessing)[None])
            below, right = (length - side.stop for length, side in zip(own.shape[1:], (rows, columns), strict=True))
            inside = F.pad(part[0], (columns.start, right, rows.start, below))
            outside = torch.ones_like(own[:1])
            outside[:, rows, columns] = 0
            refined.append(inside + own * outside)
        return torch.stack(refined)


def shown(pixels: Tensor) -> tuple[slice, slice]:
    """Where in a crop (3, H, W) there is a photo: rows and columns; all around it is padding, which is 0."""
    there = (pixels != 0).any(0)
    sides = []
    for along in (1, 0):
        found = there.any(along).nonzero()
        sides.append(slice(int(found.min()), int(found.max()) + 1) if len(found) else slice(0, there.shape[1 - along]))
    return sides[0], sides[1]


def photo_of(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """The photo (3, H, W) uint8 RGB that preprocessed pixels (3, H, W) were made of, to the last level."""
    mean, std = (pixels.new_tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    photo = (pixels * std + mean).round().clamp(0, 255).byte()
    return photo if preprocessing.channels == "RGB" else photo.flip(0)
