"""FCN-8s (Long, Shelhamer and Darrell 2015): the baseline that stands beside the paper's networks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplab.network.variants import FCN8S, SKIPS, UPSAMPLING, Layer, Variant, trunk_layers
from deeplab.network.vgg import convolve, pool, zoom

IMAGE_PADDING_PX = 100
CROPS = {"pool4": 5, "pool3": 9, "image": 31}
"""Cells left away at the top and left of each map before it meets the next, which undoes the padding of the image."""


class FCN8s(nn.Module):
    """VGG-16 at stride 32, its scores summed with those of pool4 and pool3 and enlarged by learnt upsampling.

    Layers carry Caffe's names: the trunk's and ``fc6``, ``fc7``, ``fc8`` (the authors' ``score_fr``), ``score_pool4``,
    ``score_pool3``; ``upscore2``, ``upscore_pool4``, ``upscore8``. Scoring layers start from zero, upsampling from
    bilinear interpolation (section 4 of their paper), fc6 and fc7 from N(0, 0.01) where no weights are loaded. All
    three steps are trained at once, with pool3 and pool4 scaled as in the authors' configuration for that; the last
    upsampling learns too, unless a recipe freezes ``upscore8`` as the authors do.

    Args:
        variant: `FCN8S`, or the same with fewer channels in fc6 and fc7.
        classes: number of labels.
    """

    score_stride = 1
    """Image pixels between neighbouring scores."""

    def __init__(self, variant: Variant = FCN8S, classes: int = 21) -> None:
        super().__init__()
        self.variant, self.classes = variant, classes
        channels = 3
        for layer in fcn_layers(variant):
            if layer.kind == "conv":
                self.add_module(layer.name, nn.Conv2d(channels, layer.channels, layer.kernel))
                channels = layer.channels
            elif layer.name in dict(SKIPS):
                self.add_module(f"score_{layer.name}", nn.Conv2d(channels, classes, 1))
        self.fc7 = nn.Conv2d(channels, channels, 1)
        self.fc8 = nn.Conv2d(channels, classes, 1)
        for name, kernel, stride in UPSAMPLING:
            self.add_module(name, nn.ConvTranspose2d(classes, classes, kernel, stride, bias=False))
        self._initialise()

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, L, H, W) for preprocessed images (B, 3, H, W) of any size, whatever `Variant.input_zoom`."""
        image = zoom(images, self.variant.input_zoom)
        x, taps = image, dict[str, Tensor]()
        for layer in fcn_layers(self.variant):
            x = F.relu(convolve(x, self.get_submodule(layer.name), layer)) if layer.kind == "conv" else pool(x, layer)
            taps[layer.name] = x
        x = F.dropout(x, 0.5, self.training)
        x = self.fc8(F.dropout(F.relu(self.fc7(x)), 0.5, self.training))
        for (upsampling, _, _), (tap, scale) in zip(UPSAMPLING, SKIPS, strict=False):
            x = self.get_submodule(upsampling)(x)
            x = x + _crop(self.get_submodule(f"score_{tap}")(scale * taps[tap]), CROPS[tap], x)
        scores = _crop(self.get_submodule(UPSAMPLING[-1][0])(x), CROPS["image"], image)
        return scores[..., :: self.variant.input_zoom, :: self.variant.input_zoom]

    def aligned(self, images: Tensor) -> Tensor:
        """As `forward`: score (i, j) belongs to pixel (i, j)."""
        scores: Tensor = self(images)
        return scores

    @torch.no_grad()
    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if name.startswith("upscore"):
                parameter.copy_(_bilinear(self.classes, parameter.shape[-1]))
            elif name.endswith("bias") or name.startswith(("fc8", "score")):
                parameter.zero_()
            else:
                nn.init.normal_(parameter, std=0.01)


def fcn_layers(variant: Variant = FCN8S) -> tuple[Layer, ...]:
    """Layers conv1_1 to fc6, in order: VGG itself on an image padded by 100 px, fc6 without padding."""

    def layers() -> Iterator[Layer]:
        for layer in (*trunk_layers(variant.pooling, output_stride=32), variant.fc6(32)):
            paddings = {"conv1_1": (IMAGE_PADDING_PX,) * 2, "fc6": (0, 0)}
            yield layer._replace(padding=paddings.get(layer.name, layer.padding))

    return tuple(layers())


def _crop(x: Tensor, offset: int, like: Tensor) -> Tensor:
    rows, columns = like.shape[-2:]
    return x[..., offset : offset + rows, offset : offset + columns]


def _bilinear(classes: int, kernel: int) -> Tensor:
    """Weights (L, L, k, k) that enlarge each map by k / 2, bilinearly, and mix none."""
    ramp = 1 - (torch.arange(kernel) - (kernel - 1) / 2).abs() / (kernel / 2)
    return torch.eye(classes)[:, :, None, None] * torch.outer(ramp, ramp)
