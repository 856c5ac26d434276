"""PyTorch's lattice against the native core's, and its own identities."""

import numpy as np
import pytest
import torch

from deeplab.crf.kernels import bilateral_kernel
from deeplab.crf.lattice import build_lattice, filter_by_lattice
from deeplab.crf.torch.lattice import Lattice
from deeplab.errors import InputError


def random_points(points, d, seed=0):
    return np.random.default_rng(seed).normal(0, 4, (points, d)).astype(np.float32)


def both(features, values, transposed=False):
    theirs = filter_by_lattice(build_lattice(features, 1), values, 1, transposed=transposed)
    ours = Lattice(torch.from_numpy(features)[None])(torch.from_numpy(values)[None], transposed=transposed)
    return ours[0].numpy(), theirs


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("transposed", [False, True])
def test_same_numbers_as_the_native_core(d, transposed):
    values = np.random.default_rng(1).uniform(0, 1, (7, 400)).astype(np.float32)
    ours, theirs = both(random_points(400, d), values, transposed)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("transposed", [False, True])
def test_same_numbers_on_a_photo(make_scene, transposed):
    image, probabilities = make_scene(40, 50, 6)
    features = bilateral_kernel(image, xy_std_px=30, rgb_std=5, weight=1).features
    ours, theirs = both(features, probabilities.reshape(6, -1), transposed)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_points_on_the_edges_between_simplices():
    """Whole and half numbers tie in rounding and in ranking."""
    grid = np.stack(np.meshgrid(np.arange(-6, 7), np.arange(-6, 7)), -1).reshape(-1, 2).astype(np.float32) / 2
    values = np.random.default_rng(0).uniform(0, 1, (2, len(grid))).astype(np.float32)
    ours, theirs = both(grid, values)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_transposed_is_the_transpose(d):
    """<Kx, y> = <x, Kᵀy>, and K is not its own transpose where blurs are missing neighbours."""
    lattice = Lattice(torch.from_numpy(random_points(300, d)).double()[None])
    x, y = torch.rand(2, 1, 3, 300, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close((lattice(x) * y).sum(), (x * lattice(y, transposed=True)).sum(), rtol=1e-12, atol=0)
    if d > 1:
        assert not torch.allclose(lattice(x), lattice(x, transposed=True), rtol=1e-6)


def test_a_batch_is_its_members():
    features = torch.from_numpy(random_points(600, 3)).view(4, 150, 3)
    features[2] = features[1]  # the same vertices, yet not shared
    values = torch.rand(4, 5, 150)
    together = Lattice(features)(values)
    for one, f, v in zip(together, features, values, strict=True):
        torch.testing.assert_close(one, Lattice(f[None])(v[None])[0])


def test_the_same_every_time():
    features, values = torch.from_numpy(random_points(500, 4))[None], torch.rand(1, 3, 500)
    assert torch.equal(Lattice(features)(values), Lattice(features)(values))


def test_float64_agrees_with_float32():
    features, values = torch.from_numpy(random_points(500, 2))[None], torch.rand(1, 3, 500)
    double = Lattice(features.double())(values.double())
    torch.testing.assert_close(Lattice(features)(values), double.float(), rtol=1e-4, atol=1e-5)


def test_too_many_standard_deviations():
    with pytest.raises(InputError, match="use larger standard deviations"):
        Lattice(torch.tensor([[[0.0], [1e7]]]))
