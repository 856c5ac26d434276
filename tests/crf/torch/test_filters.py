"""The filter's gradients: with respect to the values exactly, and with respect to the features."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from deeplab.crf.exact import filter_exactly
from deeplab.crf.torch import bilateral_features, gaussian_filter
from deeplab.crf.torch.filters import METHODS
from deeplab.errors import InputError


def random(*shape, seed=0, dtype=torch.float64, scale=1.0):
    numbers = np.random.default_rng(seed).normal(0, scale, shape)
    return torch.from_numpy(numbers).to(dtype)


def wants_gradient(tensor):
    return tensor.clone().requires_grad_()


@pytest.mark.parametrize("method", METHODS)
def test_gradient_with_respect_to_values(method):
    values, features = wants_gradient(random(2, 3, 12)), random(2, 12, 2, seed=1)
    assert gradcheck(lambda v: gaussian_filter(v, features, method=method), (values,))
    assert gradgradcheck(lambda v: gaussian_filter(v, features, method=method).square(), (values,))


@pytest.mark.parametrize("batch", [1, 2])
def test_exact_gradient_with_respect_to_features(batch):
    """Features of one member and features that the whole batch shares."""
    values, features = wants_gradient(random(2, 3, 9)), wants_gradient(random(batch, 9, 2, seed=1))

    def run(v, f):
        return gaussian_filter(v, f, method="exact")

    assert gradcheck(run, (values, features))
    assert gradgradcheck(run, (values, features))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 60), st.integers(1, 6), st.sampled_from(METHODS))
def test_the_gradient_is_the_adjoint(batch, channels, points, d, method):
    """<Kx, y> = <x, Kᵀy>, on the native core and in float64 both."""
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float64, 1e-10)):
        x = wants_gradient(random(batch, channels, points, dtype=dtype))
        y = random(batch, channels, points, seed=1, dtype=dtype)
        product = (gaussian_filter(x, random(batch, points, d, seed=2, dtype=dtype, scale=3), method=method) * y).sum()
        product.backward()
        scale = float((x.detach() * x.grad).abs().sum())
        assert abs(float((x.detach() * x.grad).sum() - product.detach())) <= tolerance * scale


def test_native_core_and_pytorch_give_the_same_gradients():
    values, features, g = random(2, 3, 80), random(2, 80, 4, seed=1, scale=3), random(2, 3, 80, seed=2)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        v, f = (wants_gradient(tensor.to(dtype)) for tensor in (values, features))
        gaussian_filter(v, f).backward(g.to(dtype))
        gradients.append((v.grad.double(), f.grad.double()))
    for single, double in zip(*gradients, strict=True):
        torch.testing.assert_close(single, double, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("xy_std_px", "rgb_std"), [(20.0, 10.0), (60.0, 20.0)])
def test_lattice_gradient_with_respect_to_features_follows_the_exact_one(make_scene, xy_std_px, rgb_std):
    """Of a weighted mean, on a photo: within 40 % as a whole, and within a quarter for each standard deviation."""
    image, probabilities = make_scene(40, 50, 4)
    values = torch.from_numpy(probabilities).double().view(1, 4, -1)
    upstream = values - values.roll(7, 2)
    photo = torch.from_numpy(image).permute(2, 0, 1)[None]
    gradients = {}
    for method in METHODS:
        stds = [torch.tensor(std, dtype=torch.float64, requires_grad=True) for std in (xy_std_px, rgb_std)]
        features = bilateral_features(photo, *stds)
        features.retain_grad()
        ones = torch.ones(1, 1, values.shape[2], dtype=torch.float64)
        mean = gaussian_filter(values, features, method=method) / gaussian_filter(ones, features, method=method)
        (mean * upstream).sum().backward()
        gradients[method] = features.grad, torch.stack([std.grad for std in stds])
    (lattice, by_std), (exact, exact_by_std) = gradients["lattice"], gradients["exact"]
    assert float((lattice - exact).norm() / exact.norm()) < 0.4
    torch.testing.assert_close(by_std, exact_by_std, rtol=0.25, atol=0)


def test_exact_filter_is_brute_force():
    values, features = random(1, 2, 30, dtype=torch.float32), random(30, 3, seed=1, dtype=torch.float32)
    filtered = gaussian_filter(values, features, method="exact")[0].numpy()
    np.testing.assert_allclose(filtered, filter_exactly(features.numpy(), values[0].numpy()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_autocast_changes_nothing(method):
    results = []
    for enabled in (False, True):
        values = wants_gradient(random(2, 3, 20, dtype=torch.float32))
        features = wants_gradient(random(2, 20, 4, dtype=torch.float32))
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            filtered = gaussian_filter(values, features, method=method)
            filtered.square().sum().backward()
        results.append((filtered, values.grad, features.grad))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


VALUES, FEATURES = torch.zeros(2, 3, 5), torch.zeros(2, 5, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((VALUES[0], FEATURES), r"values have shape \(3, 5\); expected \(batch, channels, points\)"),
        (
            (VALUES.numpy(), FEATURES),
            r"values: expected a torch.Tensor, not a value of type ndarray: pass torch.as_tensor\(values\)",
        ),
        ((VALUES.int(), FEATURES), r"values have dtype torch.int32; .*values.float\(\)"),
        ((VALUES * torch.nan, FEATURES), "values has 30 NaN or infinite"),
        ((VALUES, FEATURES.numpy()), "features: expected a torch.Tensor"),
        ((VALUES, FEATURES.int()), "features have dtype torch.int32"),
        ((VALUES, FEATURES.mT), r"features have shape \(2, 4, 5\); expected \(2, 5, features\), or \(5, features\)"),
        ((VALUES, FEATURES[:, :, :0]), "features have shape"),
        ((VALUES, torch.zeros(3, 5, 4)), "features have shape"),
        ((VALUES, FEATURES + torch.inf), "features has 40 NaN or infinite"),
        ((VALUES, FEATURES.to("meta")), r"features is on meta and .* on cpu; move one to the other with .to\(\)"),
        ((VALUES, torch.full((2, 5, 4), 1e8).cumsum(1)), "use larger standard deviations"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        gaussian_filter(*arguments)


def test_bad_method():
    with pytest.raises(InputError, match="did you mean 'exact'"):
        gaussian_filter(VALUES, FEATURES, method="exakt")
