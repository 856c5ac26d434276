"""The paper's eight networks as one table (sections 3.1, 3.2 and 4.3, tables 1 and 2), and a baseline. No PyTorch.

A `Variant` holds what tells one network from another; everything else (layers, padding, fields of view, parameters,
score-map sizes) is derived from it, so that nothing can disagree with the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from deeplab.checks import choose
from deeplab.errors import InputError, quoted

Pooling = Literal["plain", "2x2", "3x3", "3x3+average"]

CONV_CHANNELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
OPTIONS = ("pooling", "fc_channels", "strided_msc", "input_zoom")  # what a network may have other than its row says
INPUT_ZOOMS = (1, 2, 4)  # divisors of the score map's stride
MSC_CHANNELS = 128
# Where multi-scale prediction reads, the channels there, and the stride of that map in image pixels.
MSC_TAPS = (("image", 3, 1), ("pool1", 64, 2), ("pool2", 128, 4), ("pool3", 256, 8), ("pool4", 512, 8))
# The maps that FCN-8s reads scores from too, each scaled: their activations are far larger than fc7's, and the authors'
# network that learns all at once brings them down so.
SKIPS = (("pool4", 0.01), ("pool3", 0.0001))
# Its transposed convolutions: name, kernel, stride.
UPSAMPLING = (("upscore2", 4, 2), ("upscore_pool4", 4, 2), ("upscore8", 16, 8))


class Layer(NamedTuple):
    """One windowed layer: a convolution, a max pool or an average pool.

    `padding` is (before, after), in cells of the layer's input, alike for rows and columns.
    """

    name: str
    kind: Literal["conv", "max", "average"]
    channels: int
    kernel: int
    stride: int
    dilation: int
    padding: tuple[int, int]

    def output_size(self, size: int) -> int:
        """Cells along one side of the output for `size` cells of input.

        Max pools round up, as Caffe does, as long as the last window starts within the input.
        """
        extent = (self.kernel - 1) * self.dilation + 1
        span = size + sum(self.padding) - extent
        if self.kind == "max":
            return min(-(-span // self.stride), (size + self.padding[0] - 1) // self.stride) + 1
        return span // self.stride + 1


@dataclass(frozen=True)
class Variant:
    """One network of the paper.

    Attributes:
        name: the name used by recipes, checkpoints and the command line.
        title: the paper's name.
        fc6_kernel: side of the first fully connected layer's kernel after decimation, in taps.
        fc6_dilation: its input stride, the paper's "hole", in score-map cells.
        fc_channels: channels of fc6 and fc7.
        pooling: the trunk's pools. ``"plain"``: VGG's own 2x2 pools made dense by the hole algorithm, as the paper
            describes; ``"2x2"``: the same with the padding of the authors' base configuration; ``"3x3"`` and
            ``"3x3+average"``: the authors' 3x3 pools with padding 1, the latter with an average pool behind pool5.
        msc: multi-scale prediction from the image and pool1 to pool4 (section 4.3 of the paper).
        strided_msc: the MSc branches stay strided at test, as the paper describes; otherwise they run dense there and
            scores come at full resolution, as in the authors' configuration.
        input_zoom: how many times larger than the photo the network's image is: 1 in the paper. 2 and 4 tell apart what
            is thinner than 8 pixels, at 4 and 16 times the work.
        skips: not a network of the paper but FCN-8s (Long et al. 2015): stride 32, scores of pool3 and pool4 added,
            learnt upsampling to full resolution.
    """

    name: str
    title: str
    fc6_kernel: int
    fc6_dilation: int
    fc_channels: int
    pooling: Pooling
    msc: bool = False
    strided_msc: bool = False
    input_zoom: int = 1
    skips: bool = False

    def __post_init__(self) -> None:
        if self.input_zoom not in INPUT_ZOOMS:
            raise InputError(f"input_zoom must be one of {', '.join(map(str, INPUT_ZOOMS))}, got {self.input_zoom}")

    @property
    def base_name(self) -> str:
        """The name of the single-scale network that an MSc network starts from; its own name where it is none."""
        return self.name.removeprefix("msc-")

    @property
    def label_stride(self) -> int:
        """Photo pixels between the positions that the loss looks at in training: 8 / `input_zoom`, or 1 for FCN-8s."""
        return 1 if self.skips else 8 // self.input_zoom

    @property
    def fc6_padding(self) -> int:
        """Zeros on each side of fc6's input, in cells of 8 pixels: the score map keeps its size."""
        return (self.fc6_kernel - 1) * self.fc6_dilation // 2

    def fc6(self, output_stride: int = 8) -> Layer:
        """The first fully connected layer as a convolution of a map with one cell every `output_stride` pixels.

        Raises:
            InputError: its dilation or padding is no whole number of such cells. The base network's taps lie 16 pixels
                off the cells of stride 32, which is why it stops at 16.
        """
        (dilation, rest), (padding, more) = (
            divmod(8 * cells, output_stride) for cells in (self.fc6_dilation, self.fc6_padding)
        )
        if rest or more:
            raise InputError(
                f"output stride {output_stride} px divides not both dilation ({8 * self.fc6_dilation} px) and padding "
                f"({8 * self.fc6_padding} px) of {self.title}'s fc6; give 8 or a finer one"
            )
        return Layer("fc6", "conv", self.fc_channels, self.fc6_kernel, 1, dilation, (padding, padding))

    @property
    def field_of_view_px(self) -> int:
        """The paper's "field of view" (table 2), in pixels of the network's image: (k - 1) · hole · 8 + 32."""
        return (self.fc6_kernel - 1) * self.fc6_dilation * 8 + 32

    @property
    def receptive_field_px(self) -> int:
        """Side of the square of pixels of the network's image that one score depends on, all layers counted."""
        side, jump = 1, 1
        for layer in trunk_layers(self.pooling):
            side += (layer.kernel - 1) * layer.dilation * jump
            jump *= layer.stride
        return side + (self.fc6_kernel - 1) * self.fc6_dilation * jump

    def parameters(self, classes: int = 21) -> int:
        """Number of weights and biases with a `classes`-way classifier."""
        channels, count = 3, 0
        for width in (width for stage in CONV_CHANNELS for width in stage):
            count += (channels * 9 + 1) * width
            channels = width
        count += (channels * self.fc6_kernel**2 + 1) * self.fc_channels
        count += (self.fc_channels + 1) * self.fc_channels
        count += (self.fc_channels + 1) * classes
        if self.msc:
            for _, channels, _ in MSC_TAPS:
                count += (channels * 9 + 1) * MSC_CHANNELS + (MSC_CHANNELS + 1) * (MSC_CHANNELS + classes)
        if self.skips:
            taps = [layer for layer in trunk_layers(self.pooling) if layer.name in dict(SKIPS)]
            count += sum((layer.channels + 1) * classes for layer in taps)
            count += sum(classes**2 * kernel**2 for _, kernel, _ in UPSAMPLING)
        return count

    def score_map_size(self, image_px: int, *, training: bool = False) -> int:
        """Cells along one side of the trunk's score map for a photo of `image_px` pixels along that side.

        The base network's pool4 is padded in testing alone, so its maps differ between the two (`test_margin`).
        """
        size = zoomed_size(image_px, self.input_zoom)
        for layer in trunk_layers(self.pooling, training=training):
            size = layer.output_size(size)
        return size

    @property
    def test_margin(self) -> int:
        """Cells of 8 pixels that testing adds on each side of the training positions, to be cut for aligned scores."""
        return 1 if self.pooling == "2x2" else 0

    def to_dict(self) -> dict[str, Any]:
        """The name and what may differ from its row of the table, as JSON values; `from_dict` is the way back."""
        return {"name": self.name, **{option: getattr(self, option) for option in OPTIONS}}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Variant:
        """The variant of a name with the options given; those that older versions lacked are the table's.

        Raises:
            InputError, or one of MALFORMED: it is something else.
        """
        options = {key: value for key, value in content.items() if key != "name"}
        if unknown := options.keys() - set(OPTIONS):
            raise InputError(f"a network has no option {quoted(min(unknown))}; update deeplab-crf")
        return replace(find_variant(str(content["name"])), **options)

    def with_paper_pooling(self) -> Variant:
        """The same network with the pools that the paper describes: plain VGG pools, made dense."""
        return replace(self, pooling="plain")


def zoomed_size(size: int, zoom: int) -> int:
    """Cells along one side of a map that is enlarged with aligned corners: the first and last stay where they are."""
    return zoom * (size - 1) + 1


def trunk_layers(pooling: Pooling, *, training: bool = False, output_stride: int = 8) -> tuple[Layer, ...]:
    """Layers conv1_1 to pool5, in order, for a score map with one cell every `output_stride` pixels.

    Plain VGG pools reach the wanted stride by the hole algorithm (`atrous`), 32 being VGG itself. The authors'
    configurations state their stride-1 layers directly; `atrous` then makes them denser than 8 where that is asked for.

    Raises:
        InputError: the pools cannot give that stride.
    """
    plain = pooling == "plain"
    conv5_dilation = 1 if plain else 2
    # (kernel, stride, dilation, padding) of pool1 … pool5
    pools: dict[Pooling, tuple[tuple[int, int, int, tuple[int, int]], ...]] = {
        "plain": ((2, 2, 1, (0, 1)),) * 5,
        "2x2": (*(((2, 2, 1, (0, 1)),) * 3), (2, 1, 1, (0, 0) if training else (1, 1)), (2, 1, 2, (1, 2))),
        "3x3": (*(((3, 2, 1, (1, 1)),) * 3), (3, 1, 1, (1, 1)), (3, 1, 1, (1, 1))),
    }
    pools["3x3+average"] = pools["3x3"]
    layers: list[Layer] = []
    for stage, (widths, (kernel, stride, dilation, padding)) in enumerate(
        zip(CONV_CHANNELS, pools[pooling], strict=True), start=1
    ):
        hole = conv5_dilation if stage == 5 else 1
        for index, width in enumerate(widths, start=1):
            layers.append(Layer(f"conv{stage}_{index}", "conv", width, 3, 1, hole, (hole, hole)))
        layers.append(Layer(f"pool{stage}", "max", widths[-1], kernel, stride, dilation, padding))
    if pooling == "3x3+average":
        layers.append(Layer("pool5a", "average", CONV_CHANNELS[-1][-1], 3, 1, 1, (1, 1)))
    return atrous(layers, output_stride)


def atrous(layers: list[Layer], output_stride: int) -> tuple[Layer, ...]:
    """The hole algorithm (section 3.1 of the paper): skip subsampling beyond `output_stride`, dilate what follows.

    The result equals the given layers exactly at the subsampled positions.

    Raises:
        InputError: the layers' strides do not multiply to `output_stride` or beyond.
    """
    dense: list[Layer] = []
    jump, factor = 1, 1
    for layer in layers:
        before, after = layer.padding
        skip = layer.stride if jump * layer.stride > output_stride else 1
        dense.append(
            layer._replace(
                stride=layer.stride // skip,
                dilation=layer.dilation * factor,
                padding=(before * factor, after * factor),
            )
        )
        jump *= layer.stride // skip
        factor *= skip
    if jump != output_stride:
        raise InputError(f"output stride must be a power of two, at most {jump * factor} here, got {output_stride}")
    return tuple(dense)


_BASE = (
    Variant("deeplab", "DeepLab", 4, 4, 4096, "2x2"),
    Variant("deeplab-4x4", "DeepLab-4x4", 4, 8, 4096, "2x2"),
    Variant("deeplab-7x7", "DeepLab-7x7", 7, 4, 4096, "2x2"),
    Variant("largefov", "DeepLab-LargeFOV", 3, 12, 1024, "3x3+average"),
)


def _with_msc(variant: Variant) -> Variant:
    return replace(
        variant,
        name=f"msc-{variant.name}",
        title=variant.title.replace("DeepLab", "DeepLab-MSc", 1),
        pooling="3x3+average" if variant.pooling == "3x3+average" else "3x3",
        msc=True,
    )


VARIANTS: Mapping[str, Variant] = MappingProxyType({v.name: v for v in (*_BASE, *map(_with_msc, _BASE))})
"""The eight networks, by name, in the paper's order: four single-scale ones, then the same with MSc."""


FCN8S = Variant("fcn8s", "FCN-8s", 7, 4, 4096, "plain", skips=True)
"""The baseline of Long, Shelhamer and Darrell (2015), which is none of the paper's eight."""


def find_variant(name: str) -> Variant:
    """The variant or baseline called `name`; an `InputError` names them all and the nearest."""
    return choose(name, {**VARIANTS, FCN8S.name: FCN8S}, "network variant")
