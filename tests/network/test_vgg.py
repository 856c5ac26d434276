from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from deeplab.errors import InputError
from deeplab.network.variants import VARIANTS, Layer, Variant, trunk_layers
from deeplab.network.vgg import Cells, DeepLab, pool

Build = Callable[..., DeepLab]


def images(height: int, width: int, seed: int = 1) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 60


def same(found: Tensor, expected: Tensor) -> bool:
    """Equal up to the rounding of float32 sums taken in another order."""
    return found.shape == expected.shape and bool((found - expected).abs().max() < 1e-4 * expected.abs().max())


def test_scores_in_testing(variant: Variant, build: Build) -> None:
    model, x = build(variant), images(33, 41)
    with torch.no_grad():
        scores, aligned = model(x), model.aligned(x)
    sizes = (33, 41) if variant.msc else tuple(map(variant.score_map_size, (33, 41)))
    assert scores.shape == (2, 3, *sizes)
    assert aligned.shape == (2, 3, *((33, 41) if variant.msc else (5, 6)))


def test_scores_in_training_and_gradients_everywhere(variant: Variant, build: Build) -> None:
    model = build(variant).train()
    scores = model(images(33, 41))
    assert scores.shape == (2, 3, 5, 6)
    scores.square().sum().backward()
    still = [name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert not still


@pytest.mark.parametrize("name", ["deeplab", "largefov"])
@pytest.mark.parametrize("training", [True, False])
def test_score_map_size_is_the_size_of_any_score_map(name: str, training: bool, build: Build) -> None:
    model = build(replace(VARIANTS[name], fc_channels=8)).train(training)
    for size in range(17, 27):
        with torch.no_grad():
            rows = model(images(size, 9)).shape[2]
        assert rows == model.variant.score_map_size(size, training=training)


@pytest.mark.parametrize("name", ["msc-deeplab", "msc-largefov"])
def test_the_papers_msc_is_strided_at_test_too(name: str, build: Build) -> None:
    model = build(replace(VARIANTS[name], fc_channels=8, strided_msc=True))
    with torch.no_grad():
        assert model(images(33, 41)).shape == (2, 3, 5, 6)


@pytest.mark.parametrize("name", ["deeplab", "largefov", "msc-largefov"])
def test_an_input_zoom_is_the_network_on_the_enlarged_photo(name: str, build: Build) -> None:
    variant, x = replace(VARIANTS[name], fc_channels=8), images(33, 41)
    usual, zoomed = build(variant), build(replace(variant, input_zoom=2))
    large = np.stack([_enlarged(plane) for plane in x.numpy().reshape(-1, 33, 41)]).reshape(2, 3, 65, 81)
    with torch.no_grad():
        expected, found = usual.aligned(torch.from_numpy(large)), zoomed.aligned(x)
        trained = [model.train()(image) for model, image in ((usual, torch.from_numpy(large)), (zoomed, x))]
    assert (zoomed.score_stride, zoomed.variant.label_stride) == (1 if variant.msc else 4, 4)
    assert same(found, expected[..., ::2, ::2] if variant.msc else expected)
    assert trained[0].shape == trained[1].shape == (2, 3, 9, 11)
    assert zoomed.variant.score_map_size(33, training=True) == 9


def _enlarged(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Twice as large with aligned corners: means of neighbours go in between."""
    for _ in range(2):
        larger = np.empty((2 * len(plane) - 1, plane.shape[1]), np.float32)
        larger[::2], larger[1::2] = plane, (plane[1:] + plane[:-1]) / 2
        plane = larger.T
    return plane


def test_msc_scores_line_up_at_any_size(build: Build) -> None:
    """A photo that ends between grid points scores as the same photo padded, but for what its border hides."""
    model = build(replace(VARIANTS["msc-largefov"], fc_channels=8))
    for name, parameter in model.named_parameters():
        if not name.startswith(("msc_image", "msc_pool1")):
            parameter.data.zero_()  # what remains sees a few pixels
    x = images(33, 41)
    with torch.no_grad():
        cut, full = model(x[..., :30, :37]), model(x)
    assert cut.shape == (2, 3, 30, 37)
    assert same(cut[..., :24, :30], full[..., :24, :30])


def test_the_base_network_is_aligned_behind_its_margin(build: Build) -> None:
    """In testing pool4 is padded, which shifts the map by one cell against training."""
    variant, x = replace(VARIANTS["deeplab"], fc_channels=8), images(97, 97)
    model = build(variant)
    for index in (1, 2, 3):
        kernel = model.get_parameter(f"conv5_{index}.weight").data
        kernel[:] = F.pad(kernel[:, :, 1:2, 1:2], (1, 1, 1, 1))  # no reach, so that borders matter near borders alone
    with torch.no_grad():
        tested = model.trunk(x)
        trained = model.train().trunk(x)
    assert same(tested[..., 3:-3, 3:-3], trained[..., 2:-2, 2:-2])


def test_dense_equals_strided_with_the_papers_pooling(single_scale: Variant, build: Build) -> None:
    """Section 3.1: the dense computation equals VGG's own, at the subsampled positions."""
    variant, x = single_scale.with_paper_pooling(), images(70, 97)
    coarse = 16 if variant.name == "deeplab" else 32
    with torch.no_grad():
        dense, strided = (build(variant, output_stride=stride).aligned(x) for stride in (8, coarse))
    assert same(dense[..., :: coarse // 8, :: coarse // 8], strided)


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("column", [0, 1])
def test_some_cells_score_as_in_the_whole_map(single_scale: Variant, row: int, column: int, build: Build) -> None:
    model, x, cells = build(single_scale), images(73, 97), Cells(row, column, 2)
    with torch.no_grad():
        assert same(model(x, cells), cells.of(model(x)))


def test_the_base_networks_fc6_lies_between_the_cells_of_stride_32(build: Build) -> None:
    """Its taps at -6, -2, 2 and 6 cells meet every fourth cell from cell 2 on only."""
    variant, x = replace(VARIANTS["deeplab"], fc_channels=8).with_paper_pooling(), images(97, 97)
    with pytest.raises(InputError, match="output stride 32 px divides not"):
        build(variant, output_stride=32)
    model, vgg = build(variant), build(replace(variant, fc6_dilation=8), output_stride=32)
    with torch.no_grad():
        features = F.pad(vgg.trunk(x), (1, 2, 1, 2))
        strided = vgg.fc8(F.relu(vgg.fc7(F.relu(vgg.fc6(features)))))
        dense = model(x)[..., 2::4, 2::4]
    assert same(dense, strided[..., :3, :3])


def test_dense_equals_strided_with_the_authors_pooling(variant: Variant, build: Build) -> None:
    x, variant = images(33, 49), replace(variant, strided_msc=True)
    with torch.no_grad():
        usual, fine = (build(variant, output_stride=stride).aligned(x) for stride in (8, 4))
    assert fine.shape == (2, 3, 9, 13)
    assert same(fine[..., ::2, ::2], usual)


def test_msc_stops_at_stride_8() -> None:
    with pytest.raises(InputError, match="reads maps of stride 8, got output stride 16"):
        DeepLab(VARIANTS["msc-largefov"].with_paper_pooling(), output_stride=16)


def caffe_pool(x: NDArray[np.float32], kind: str, kernel: int, stride: int, pad: int) -> NDArray[np.float64]:
    """Caffe's pooling layer for one map (H, W), window by window, after its documentation."""
    sizes = []
    for side in x.shape:
        size = -(-(side + 2 * pad - kernel) // stride) + 1
        sizes.append(size - 1 if pad and (size - 1) * stride >= side + pad else size)
    result = np.zeros(sizes)
    for i, j in np.ndindex(*sizes):
        window = [
            x[row, column]
            for row in range(i * stride - pad, i * stride - pad + kernel)
            for column in range(j * stride - pad, j * stride - pad + kernel)
            if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]
        ]
        result[i, j] = max(window) if kind == "max" else sum(window) / kernel**2
    return result


@pytest.mark.parametrize(
    ("pooling", "name", "kernel", "stride", "pad"),
    [
        ("2x2", "pool1", 2, 2, 0),
        ("2x2", "pool4", 2, 1, 1),
        ("3x3", "pool3", 3, 2, 1),
        ("3x3+average", "pool5", 3, 1, 1),
        ("3x3+average", "pool5a", 3, 1, 1),
    ],
)
def test_pools_are_caffes(pooling: str, name: str, kernel: int, stride: int, pad: int) -> None:
    layer: Layer = {layer.name: layer for layer in trunk_layers(pooling)}[name]  # type: ignore[arg-type]
    random = np.random.default_rng(3)
    for height in range(3, 8):
        x = random.random((height, height + 1), dtype=np.float32)
        found = pool(torch.from_numpy(x)[None, None], layer)[0, 0].numpy()
        expected = caffe_pool(x, layer.kind, kernel, stride, pad)
        assert found.shape == expected.shape == (layer.output_size(height), layer.output_size(height + 1))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
