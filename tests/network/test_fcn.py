from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplab.labels import LabelSet
from deeplab.network.build import build_network
from deeplab.network.fcn import CROPS, FCN8s, fcn_layers
from deeplab.network.header import Header
from deeplab.network.variants import FCN8S, UPSAMPLING
from deeplab.network.weights import load_checkpoint, save_checkpoint
from deeplab.preprocessing import PAPER

SMALL = replace(FCN8S, fc_channels=8)


@pytest.fixture
def model(thin_trunk: None) -> FCN8s:
    """With weights that keep activations in size, and skips that speak."""
    torch.manual_seed(0)
    model = FCN8s(SMALL, 3)
    for name, parameter in model.named_parameters():
        if name.endswith("weight") and not name.startswith("upscore"):
            nn.init.kaiming_normal_(parameter)
    return model.eval()


def images(height: int, width: int) -> Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 60


def test_an_input_zoom_scores_every_pixel_of_the_photo(model: FCN8s) -> None:
    zoomed = FCN8s(replace(SMALL, input_zoom=2), 3).eval()
    zoomed.load_state_dict(model.state_dict())
    x = images(20, 25)
    large = F.interpolate(x, (39, 49), mode="bilinear", align_corners=True)
    with torch.no_grad():
        assert torch.equal(zoomed.aligned(x), model.aligned(large)[..., ::2, ::2])


def test_parameters_are_those_of_the_network() -> None:
    with torch.device("meta"):
        model: nn.Module = FCN8s(FCN8S, 21)
    count = sum(parameter.numel() for parameter in model.parameters())
    # VGG-16's convolutions, fc6, fc7, three classifiers, and the 21x21 kernels of the upsampling, by hand.
    assert count == FCN8S.parameters() == 14_714_688 + 102_764_544 + 16_781_312 + 21 * (4097 + 513 + 257) + 441 * 288
    assert isinstance(build_network(FCN8S, 2), FCN8s)


@pytest.mark.parametrize("size", [(1, 1), (33, 41), (64, 50)])
def test_every_pixel_of_any_size_gets_scores(size: tuple[int, int], model: FCN8s) -> None:
    with torch.no_grad():
        assert model.aligned(images(*size)).shape == (1, 3, *size)


def test_the_maps_of_a_photo_of_500_pixels_are_the_authors() -> None:
    size, sizes = 500, {}
    for layer in fcn_layers():
        size = layer.output_size(size)
        sizes[layer.name] = size
    assert [sizes[name] for name in ("conv1_1", "pool3", "pool4", "pool5", "fc6")] == [698, 88, 44, 22, 16]


def test_crops_bring_the_centres_of_cells_together() -> None:
    """A cell's centre in image pixels, through convolutions, pools and transposed convolutions, by hand."""

    def pooled(cell: float, stride: int) -> float:
        return stride * cell + (stride - 1) / 2 - 99  # the image is padded by 100, the first convolution takes one off

    def enlarged(cell: float, kernel: int, stride: int) -> float:
        return (cell - (kernel - 1) / 2) / stride

    (_, *step2), (_, *step4), (_, *step8) = UPSAMPLING
    assert pooled(enlarged(0, *step2) + 3, 32) == pooled(
        CROPS["pool4"], 16
    )  # fc6 sees 7 cells, its centre is the fourth
    assert pooled(enlarged(0, *step4) + CROPS["pool4"], 16) == pooled(CROPS["pool3"], 8)
    assert pooled(enlarged(CROPS["image"], *step8) + CROPS["pool3"], 8) == 0


def test_a_photo_moved_by_the_stride_scores_the_same_moved(model: FCN8s) -> None:
    x = F.pad(images(40, 40), (96, 96, 96, 96))
    with torch.no_grad():
        here, there = model(x), model(x.roll((32, 32), (2, 3)))
    inside = np.s_[..., 64:-64, 64:-64]
    torch.testing.assert_close(there.roll((-32, -32), (2, 3))[inside], here[inside], rtol=1e-3, atol=1e-3)


def test_upsampling_starts_as_bilinear_interpolation(thin_trunk: None) -> None:
    step = FCN8s(SMALL, 2).get_submodule("upscore2")
    ramp = torch.arange(6.0).expand(1, 2, 6, 6)
    with torch.no_grad():
        enlarged = step(ramp)[0, 0, 6]
    expected = (torch.arange(14) - 1.5) / 2
    torch.testing.assert_close(enlarged[3:11], expected[3:11])


def test_scoring_layers_start_from_zero_and_learn(thin_trunk: None) -> None:
    model = FCN8s(SMALL, 3)
    scores = model(images(40, 33))
    assert not scores.any()
    F.cross_entropy(scores, torch.ones(1, 40, 33, dtype=torch.int64)).backward()
    for layer in ("fc8", "score_pool4", "score_pool3"):
        assert model.get_parameter(f"{layer}.bias").grad.abs().sum() > 0  # type: ignore[union-attr]


def test_a_checkpoint_comes_back(model: FCN8s, labels: LabelSet, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "fcn.safetensors", model, Header(SMALL, labels, PAPER))
    loaded, header = load_checkpoint(tmp_path / "fcn.safetensors")
    assert isinstance(loaded, FCN8s)
    assert header.variant == SMALL
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())
