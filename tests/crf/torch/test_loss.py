"""The dense-CRF loss in PyTorch: the numbers of `deeplab.crf.dense_crf_loss`, and its gradients."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

import deeplab.crf
from deeplab.crf import GaussianKernel
from deeplab.crf.kernels import NORMALIZATIONS
from deeplab.crf.torch import Kernel, bilateral_features, dense_crf_loss
from deeplab.crf.torch.filters import METHODS
from deeplab.errors import InputError


def random(*shape, seed=0, dtype=torch.float64):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 1, shape)).to(dtype)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize(
    "compatibility", [None, np.float32([[0, 1, 3], [1, 0.5, 2], [3, 2, 0]])], ids=["potts", "matrix"]
)
def test_numbers_are_those_without_pytorch(method, normalization, compatibility):
    logits, features, weights = random(1, 3, 40).requires_grad_(), random(40, 3, seed=1), random(1, 40, seed=2).abs()
    costs = None if compatibility is None else torch.from_numpy(compatibility)
    s = logits.softmax(1)
    s.retain_grad()
    loss = dense_crf_loss(s.log(), [Kernel(features, 0.7, costs, normalization)], weights=weights, method=method)
    loss.backward()
    value, gradient = deeplab.crf.dense_crf_loss(
        s[0].detach().numpy(), [GaussianKernel(features.numpy(), 0.7, compatibility, normalization)],
        weights=weights[0].numpy(), method=method,
    )  # fmt: skip
    assert float(loss.detach()) == pytest.approx(value, rel=1e-4)
    by_softmax = s[0].detach().numpy() * (gradient - (s[0].detach().numpy() * gradient).sum(0))
    np.testing.assert_allclose(logits.grad[0], by_softmax, atol=1e-4 * np.abs(by_softmax).max())


@pytest.mark.parametrize("method", METHODS)
def test_gradients(method):
    logits, weights, w = (
        random(2, 3, 9).requires_grad_(),
        random(2, 9, seed=2).abs().requires_grad_(),
        random(1)[0].requires_grad_(),
    )
    features = random(2, 9, 2, seed=1)
    assert gradcheck(
        lambda x, r, w: dense_crf_loss(x, [Kernel(features, w, None, "symmetric")], weights=r, method=method),
        (logits, weights, w),
    )


def test_gradient_of_features():
    logits, features = random(1, 3, 9), random(1, 9, 2, seed=1).requires_grad_()
    assert gradcheck(lambda f: dense_crf_loss(logits, [Kernel(f)], method="exact"), (features,))


def test_photos_are_averaged_by_their_weights():
    photos = torch.randint(0, 256, (2, 3, 6, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    logits, weights = random(2, 3, 6, 8, dtype=torch.float32), random(2, 6, 8, seed=1, dtype=torch.float32).abs()
    kernels = [[Kernel(bilateral_features(photos[i], 10, 60))] for i in (slice(0, 2), slice(0, 1), slice(1, 2))]
    both, first, second = (
        float(dense_crf_loss(logits[i], kernel, weights=weights[i]))
        for i, kernel in zip((slice(0, 2), slice(0, 1), slice(1, 2)), kernels, strict=True)
    )
    shares = weights.flatten(1).sum(1) / weights.sum()
    assert both == pytest.approx(float(shares[0]) * first + float(shares[1]) * second, rel=1e-5)
    assert float(dense_crf_loss(logits, kernels[0], weights=0 * weights)) == 0


def test_autocast_changes_nothing():
    features, results = random(20, 4, seed=1, dtype=torch.float32), []
    for enabled in (False, True):
        logits = random(2, 3, 20, dtype=torch.float32).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = dense_crf_loss(logits, [Kernel(features)])
        loss.backward()
        results.append((loss, logits.grad))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


LOGITS, KERNELS = torch.zeros(2, 3, 5), [Kernel(torch.zeros(5, 4))]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((LOGITS[0], KERNELS), {}, r"logits have shape \(3, 5\)"),
        ((LOGITS[:, :1], KERNELS), {}, "one label alone"),
        ((LOGITS * torch.nan, KERNELS), {}, "logits has 30 NaN or infinite"),
        ((LOGITS, KERNELS[0]), {}, "kernels is Kernel; expected a sequence"),
        ((LOGITS, KERNELS), {"weights": torch.ones(5)}, r"weights have shape \(5,\); expected \(2, 5\)"),
        ((LOGITS, KERNELS), {"weights": np.ones((2, 5))}, "weights: expected a torch.Tensor"),
        ((LOGITS, KERNELS), {"weights": -torch.ones(2, 5)}, "weights go down to -1"),
        ((LOGITS, KERNELS), {"method": "exakt"}, "did you mean 'exact'"),
    ],
)
def test_bad_input(arguments, options, message):
    with pytest.raises(InputError, match=message):
        dense_crf_loss(*arguments, **options)
