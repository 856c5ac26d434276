"""Networks of the paper's shape with eight channels in fc6 and fc7, small enough for one thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deeplab.labels import LabelSet
from deeplab.network.variants import CONV_CHANNELS, VARIANTS, Variant
from deeplab.network.vgg import DeepLab

FC_CHANNELS = 8


@pytest.fixture
def labels() -> LabelSet:
    return LabelSet("pets", ("background", "cat", "dog"))


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Variant:
    """Each of the eight."""
    return replace(VARIANTS[request.param], fc_channels=FC_CHANNELS)


@pytest.fixture(params=[name for name, variant in VARIANTS.items() if not variant.msc])
def single_scale(request: pytest.FixtureRequest) -> Variant:
    """Each of the four without MSc."""
    return replace(VARIANTS[request.param], fc_channels=FC_CHANNELS)


@pytest.fixture
def largefov() -> Variant:
    return replace(VARIANTS["largefov"], fc_channels=FC_CHANNELS)


@pytest.fixture
def build(labels: LabelSet) -> Callable[..., DeepLab]:
    """A function that builds a network whose activations keep their size from layer to layer (He et al. 2015)."""

    def build(variant: Variant, **options: Any) -> DeepLab:
        torch.manual_seed(0)
        model = DeepLab(variant, len(labels), **options)
        for name, parameter in model.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_normal_(parameter)
            else:
                nn.init.normal_(parameter, std=0.1)
        return model.eval()

    return build


@pytest.fixture(scope="session")
def convolutions() -> dict[str, Tensor]:
    """VGG-16's 13 convolutions by this package's names, random."""
    torch.manual_seed(16)
    tensors: dict[str, Tensor] = {}
    channels = 3
    for stage, widths in enumerate(CONV_CHANNELS, start=1):
        for index, width in enumerate(widths, start=1):
            tensors[f"conv{stage}_{index}.weight"] = torch.randn(width, channels, 3, 3) * (2 / 9 / channels) ** 0.5
            tensors[f"conv{stage}_{index}.bias"] = torch.randn(width) * 0.1
            channels = width
    return tensors


@pytest.fixture(scope="session")
def fully_connected() -> dict[str, Tensor]:
    """VGG-16's fc6 and fc7 as convolutions, of 16 channels instead of 4096."""
    torch.manual_seed(67)
    return {
        "fc6.weight": torch.randn(16, 512, 7, 7) * (2 / 25088) ** 0.5,
        "fc6.bias": torch.randn(16) * 0.1,
        "fc7.weight": torch.randn(16, 16, 1, 1) * (2 / 16) ** 0.5,
        "fc7.bias": torch.randn(16) * 0.1,
    }


@pytest.fixture
def thin_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG-16 with a few channels, fast enough for FCN-8s, which pads its images."""
    monkeypatch.setattr("deeplab.network.variants.CONV_CHANNELS", ((4, 4), (4, 4), (8,) * 3, (8,) * 3, (8,) * 3))
