from __future__ import annotations

import pytest
import torch
from torch import nn

from deeplab.errors import InputError
from deeplab.network import variants
from deeplab.network.variants import VARIANTS, find_variant, trunk_layers
from deeplab.network.vgg import DeepLab

# Fields of view and rounded parameter counts: table 2 of the paper. Exact counts, receptive fields: by hand, layer by
# layer, from the authors' published configuration. MSc adds 1,206,121 parameters.
TABLE = {
    "deeplab": (128, 65.1, 65_140_565, 308),
    "deeplab-4x4": (224, 65.1, 65_140_565, 404),
    "deeplab-7x7": (224, 134.3, 134_346_581, 404),
    "largefov": (224, 20.5, 20_505_429, 435),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_the_paper(name: str) -> None:
    field_of_view, millions, parameters, receptive_field = TABLE[name]
    variant, msc = VARIANTS[name], VARIANTS[f"msc-{name}"]
    assert variant.field_of_view_px == msc.field_of_view_px == field_of_view
    assert round(variant.parameters() / 1e6, 1) == millions
    assert variant.parameters() == parameters
    assert msc.parameters() == parameters + 1_206_121
    assert variant.receptive_field_px == receptive_field


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_are_those_of_the_network(name: str) -> None:
    with torch.device("meta"):
        model: nn.Module = DeepLab(VARIANTS[name], 11)
    assert sum(parameter.numel() for parameter in model.parameters()) == VARIANTS[name].parameters(11)


@pytest.mark.parametrize(
    ("name", "image", "training", "cells"),
    [  # from the authors' configuration: crops in training, padded photos in testing
        ("deeplab", 306, True, 39),
        ("deeplab", 514, False, 67),
        ("largefov", 321, True, 41),
        ("largefov", 513, False, 65),
        ("msc-deeplab", 321, True, 41),
        ("msc-largefov", 513, False, 65),
    ],
)
def test_score_map_sizes(name: str, image: int, training: bool, cells: int) -> None:
    assert VARIANTS[name].score_map_size(image, training=training) == cells


def test_vgg_itself_is_the_plain_trunk_at_stride_32() -> None:
    layers = trunk_layers("plain", output_stride=32)
    assert {layer.dilation for layer in layers} == {1}
    assert [layer.stride for layer in layers if layer.kind == "max"] == [2] * 5


def test_the_hole_algorithm_dilates_conv5_by_two() -> None:
    dilations = {layer.name: layer.dilation for layer in trunk_layers("plain")}
    assert [dilations[name] for name in ("conv4_3", "pool4", "conv5_1", "conv5_3", "pool5")] == [1, 1, 2, 2, 2]


def test_the_average_pool_keeps_the_last_convolutions_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "CONV_CHANNELS", ((4, 4), (5, 5), (6, 6, 6), (7, 7, 7), (8, 8, 9)))
    assert [layer.channels for layer in trunk_layers("3x3+average")[-2:]] == [9, 9]


@pytest.mark.parametrize(("pooling", "stride"), [("plain", 64), ("plain", 12), ("3x3", 16), ("2x2", 0)])
def test_impossible_output_strides(pooling: str, stride: int) -> None:
    with pytest.raises(InputError, match="output stride must be a power of two"):
        trunk_layers(pooling, output_stride=stride)  # type: ignore[arg-type]


def test_unknown_names_are_met_with_the_nearest() -> None:
    assert find_variant("largefov").title == "DeepLab-LargeFOV"
    with pytest.raises(InputError, match="did you mean 'largefov'"):
        find_variant("LargeFoV")
