"""The atrous VGG-16 with its classifier and, for the MSc networks, multi-scale prediction (sections 3.1, 3.2, 4.3)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from deeplab.errors import InputError
from deeplab.network.variants import MSC_CHANNELS, MSC_TAPS, Layer, Variant, trunk_layers, zoomed_size

__all__ = ["ALL_CELLS", "CLASSIFIERS", "Cells", "DeepLab", "convolve", "msc_layer", "pool", "zoom"]

CLASSIFIERS = ("fc8.", "score_pool", ".classifier.")
"""Parts of the names of layers that end in one score a class."""


class Cells(NamedTuple):
    """Cells of a score map: every `step`-th of every `step`-th row, from (`row`, `column`) on, both below `step`."""

    row: int
    column: int
    step: int

    def of(self, maps: Tensor) -> Tensor:
        """The cells of maps (…, h, w)."""
        return maps[..., self.row :: self.step, self.column :: self.step]


ALL_CELLS = Cells(0, 0, 1)


class DeepLab(nn.Module):
    """One of the paper's networks, built from its `Variant`.

    Layers carry Caffe's names (``conv1_1`` … ``conv5_3``, ``fc6``, ``fc7``, ``fc8``; ``msc_image`` … ``msc_pool4``), so
    that weights from elsewhere load by name. New layers start from N(0, 0.01) with zero bias, MSc's convolutions from
    N(0, 0.001), pool4's from N(0, 0.005), as in the authors' configuration.

    Args:
        variant: the row of the table to build.
        classes: number of labels, 21 for VOC.
        output_stride: pixels of the network's image between neighbouring scores: 8; finer ones give the same scores on
            a denser grid, coarser ones (16 and 32, single-scale networks with the paper's pooling) on a sparser one.

    Raises:
        InputError: the variant cannot have that output stride.
    """

    def __init__(self, variant: Variant, classes: int = 21, *, output_stride: int = 8) -> None:
        super().__init__()
        if variant.msc and output_stride > 8:
            raise InputError(
                f"{variant.title} reads maps of stride 8, got output stride {output_stride}; give 8 or less"
            )
        variant.fc6(output_stride)
        self.variant, self.classes, self.output_stride = variant, classes, output_stride
        channels = 3
        for layer in trunk_layers(variant.pooling, output_stride=output_stride):
            if layer.kind == "conv":
                self.add_module(layer.name, nn.Conv2d(channels, layer.channels, layer.kernel))
                channels = layer.channels
        self.fc6 = nn.Conv2d(channels, variant.fc_channels, variant.fc6_kernel)
        self.fc7 = nn.Conv2d(variant.fc_channels, variant.fc_channels, 1)
        self.fc8 = nn.Conv2d(variant.fc_channels, classes, 1)
        if variant.msc:
            for tap, tap_channels, _ in MSC_TAPS:
                self.add_module(f"msc_{tap}", MultiScaleBranch(tap_channels, classes))
        self.apply(_initialise)
        if variant.msc:
            for name in ("conv1", "conv2"):
                nn.init.normal_(self.get_parameter(f"msc_pool4.{name}.weight"), std=0.005)

    def forward(self, images: Tensor, cells: Cells = ALL_CELLS) -> Tensor:
        """Scores (B, L, h, w) for preprocessed images (B, 3, H, W).

        Without MSc h = (H - 1) / 8 + 1 for H = 8n + 1 (more at test where `Variant.test_margin` is set). MSc gives the
        same in training, and (H, W) itself at test unless `Variant.strided_msc`. `Variant.input_zoom` z makes the 8 in
        this 8 / z, and (H, W) that of the enlarged image. `cells` are the ones to score, without MSc; see `head`.
        """
        features, taps = self._run_trunk(images)
        scores = self.head(features, cells)
        return self._add_branches(scores, taps) if self.variant.msc else scores

    def aligned(self, images: Tensor) -> Tensor:
        """As `forward` at test, for every variant without the margin: score (i, j) belongs to photo pixel (si, sj).

        s is `score_stride`.
        """
        scores: Tensor = self(images)
        margin, step = self.margin, self.step
        return scores[..., margin : scores.shape[-2] - margin : step, margin : scores.shape[-1] - margin : step]

    @property
    def margin(self) -> int:
        """Cells of the score map that testing adds on each side of the aligned ones."""
        return self.variant.test_margin * 8 // self.output_stride

    @property
    def step(self) -> int:
        """Every how many-th cell of the score map counts: finer than the photo's pixels is of no use."""
        return self.variant.input_zoom if self._is_dense else 1

    @property
    def dense_msc(self) -> bool:
        """Whether scores come at full resolution: MSc at test, unless `Variant.strided_msc`."""
        return self._is_dense and not self.training

    @property
    def score_stride(self) -> int:
        """Photo pixels between neighbouring scores of `aligned`."""
        return 1 if self._is_dense else self.output_stride // self.variant.input_zoom

    @property
    def _is_dense(self) -> bool:
        return self.variant.msc and not self.variant.strided_msc

    def trunk(self, images: Tensor) -> Tensor:
        """Features (B, 512, h, w) behind pool5 for preprocessed images (B, 3, H, W)."""
        return self._run_trunk(images)[0]

    def head(self, features: Tensor, cells: Cells = ALL_CELLS) -> Tensor:
        """Scores (B, L, h, w) from the trunk's features (B, 512, h, w): fc6, fc7 with dropout 0.5, and fc8.

        Where `cells` picks fewer than all, theirs alone: fc6's hole is a multiple of their step, so that it reads no
        others, and the scores are those of the whole map (the hole algorithm, section 3.1, turned round).

        Raises:
            InputError: fc6's hole is no multiple of the step.
        """
        layer = self.variant.fc6(self.output_stride * cells.step)
        x = F.relu(self._convolve(cells.of(features), layer), inplace=True)
        x = F.dropout(x, 0.5, self.training)
        x = F.dropout(F.relu(self.fc7(x), inplace=True), 0.5, self.training)
        scores: Tensor = self.fc8(x)
        return scores

    def _run_trunk(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        x = zoom(x, self.variant.input_zoom)
        taps = {"image": x}
        for layer in trunk_layers(self.variant.pooling, training=self.training, output_stride=self.output_stride):
            x = F.relu(self._convolve(x, layer), inplace=True) if layer.kind == "conv" else pool(x, layer)
            taps[layer.name] = x
        return x, taps

    def _convolve(self, x: Tensor, layer: Layer) -> Tensor:
        return convolve(x, self.get_submodule(layer.name), layer)

    def _add_branches(self, scores: Tensor, taps: dict[str, Tensor]) -> Tensor:
        """Sum the trunk's scores and the branches', all brought to the image branch's size."""
        maps = []
        for tap, _, _ in MSC_TAPS:
            layer, factor = msc_layer(tap, self.output_stride, dense=self.dense_msc)
            maps.append(zoom(self.get_submodule(f"msc_{tap}")(taps[tap], layer), factor))
        maps.append(zoom(scores, self.output_stride if self.dense_msc else 1))
        total, *others = maps
        rows, columns = total.shape[-2:]
        for other in others:
            total = total + other[..., :rows, :columns]
        return total


class MultiScaleBranch(nn.Module):
    """Scores from one map (section 4.3): 3x3 and 1x1 convolutions to 128 channels, then a 1x1 classifier."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, MSC_CHANNELS, 3)
        self.conv2 = nn.Conv2d(MSC_CHANNELS, MSC_CHANNELS, 1)
        self.classifier = nn.Conv2d(MSC_CHANNELS, classes, 1)

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """Scores (B, L, h / stride, w / stride) from a map (B, C, h, w); `layer` is the 3x3 convolution's geometry."""
        x = F.dropout(F.relu(convolve(x, self.conv1, layer)), 0.5, self.training)
        x = F.dropout(F.relu(self.conv2(x)), 0.5, self.training)
        scores: Tensor = self.classifier(x)
        return scores


def msc_layer(tap: str, output_stride: int, *, dense: bool) -> tuple[Layer, int]:
    """The 3x3 convolution of one branch, and the zoom that brings its scores to the resolution of the sum.

    Strided, every branch ends at `output_stride`; dense, each keeps its map's stride and is enlarged to the image's.
    """
    native = {name: stride for name, _, stride in MSC_TAPS}[tap]
    actual = min(native, output_stride)  # a trunk finer than 8 has finer maps, read with as many holes
    hole = native // actual
    stride, zoom = (1, actual) if dense else (output_stride // actual, 1)
    return Layer(f"msc_{tap}.conv1", "conv", MSC_CHANNELS, 3, stride, hole, (hole, hole)), zoom


def convolve(x: Tensor, conv: nn.Module, layer: Layer) -> Tensor:
    """Convolve a map (B, C, h, w) with a layer's weights in the geometry that `layer` gives."""
    weight, bias = conv.get_parameter("weight"), conv.get_parameter("bias")
    return F.conv2d(x, weight, bias, layer.stride, layer.padding[0], layer.dilation)


def pool(x: Tensor, layer: Layer) -> Tensor:
    """Pool a map (B, C, h, w) behind a ReLU as Caffe does."""
    if layer.kind == "average":  # as a convolution, for it may be dilated; padding counts as zeros, as in Caffe
        ones = x.new_ones(x.shape[1], 1, layer.kernel, layer.kernel)
        return F.conv2d(x, ones, None, layer.stride, layer.padding[0], layer.dilation, x.shape[1]) / layer.kernel**2
    if layer.stride > 1:
        return F.max_pool2d(x, layer.kernel, layer.stride, layer.padding[0], ceil_mode=True)
    x = F.pad(x, layer.padding * 2)  # behind a ReLU, zero is as good as minus infinity
    return F.max_pool2d(x, layer.kernel, 1, dilation=layer.dilation)


def zoom(maps: Tensor, factor: int) -> Tensor:
    """Enlarge maps (B, C, h, w) bilinearly with aligned corners: n cells become factor · (n − 1) + 1."""
    if factor == 1:
        return maps
    size = [zoomed_size(side, factor) for side in maps.shape[-2:]]
    return F.interpolate(maps, size, mode="bilinear", align_corners=True)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, MultiScaleBranch):  # after its children: apply() goes depth first
        nn.init.normal_(module.conv1.weight, std=0.001)
        nn.init.normal_(module.conv2.weight, std=0.001)
    elif isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
