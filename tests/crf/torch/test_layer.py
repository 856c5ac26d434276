"""The layer on photos: refine's result to begin with, and then whatever training makes of it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from deeplab.crf import PARITY, CRFParams, CRFSettings, refine
from deeplab.crf.kernels import NORMALIZATIONS, bilateral_kernel, spatial_kernel
from deeplab.crf.torch import MeanField, bilateral_features, spatial_features
from deeplab.errors import InputError

PARAMS = CRFParams(4.0, 20.0, 10.0, 2.0, 3.0)


@pytest.fixture
def scenes(make_scene):
    """Photos (2, 3, 24, 31) uint8 and probabilities (2, 4, 24, 31)."""
    photos, probabilities = zip(*(make_scene(24, 31, 4, seed) for seed in range(2)), strict=True)
    return torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2), torch.from_numpy(np.stack(probabilities))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_starts_as_refine(scenes, normalization):
    photos, probabilities = scenes
    params = CRFParams(0.05, 20.0, 10.0, 0.1, 3.0) if normalization == "none" else PARAMS
    marginals = MeanField(4, CRFSettings(params, 5, normalization))(probabilities.log(), photos).exp().detach()
    for photo, given, found in zip(photos, probabilities, marginals, strict=True):
        expected = refine(
            photo.permute(1, 2, 0).numpy(),
            given.numpy(),
            params,
            iterations=5,
            normalization=normalization,
            shortcuts=PARITY,
        )
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_features_are_the_numpy_ones(scenes):
    photos, _ = scenes
    bilateral = bilateral_features(photos, 20.0, 7.0)
    for photo, found in zip(photos, bilateral, strict=True):
        expected = bilateral_kernel(photo.permute(1, 2, 0).numpy(), xy_std_px=20, rgb_std=7, weight=1).features
        np.testing.assert_array_equal(found.numpy(), expected)
    expected = spatial_kernel(24, 31, xy_std_px=3, weight=1).features
    np.testing.assert_array_equal(spatial_features(24, 31, 3.0)[0].numpy(), expected)


@pytest.mark.parametrize("learn_stds", [False, True])
def test_learns(scenes, learn_stds):
    """To undo noise in the scores: the loss falls, and every parameter moves that may."""
    photos, probabilities = scenes
    target = probabilities.argmax(1)
    noisy = F.one_hot(target, 4).permute(0, 3, 1, 2) + torch.from_numpy(
        np.random.default_rng(0).normal(0, 1, probabilities.shape)
    )
    layer = MeanField(4, CRFSettings(PARAMS, 3), learn_stds=learn_stds)
    with torch.no_grad():
        layer.bilateral_weight.zero_()  # nothing learnt yet
        layer.spatial_weight.zero_()
    before = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(noisy.float(), photos), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    moved = {name for name, parameter in layer.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == set(before) - ({"log_std_scale"} if not learn_stds else set())


def test_gradients_reach_the_network_before_it(scenes):
    photos, probabilities = scenes
    network = torch.nn.Conv2d(3, 4, 3, padding=1)
    layer = MeanField(4, CRFSettings(PARAMS, 2))
    F.cross_entropy(layer(network(photos / 255), photos), probabilities.argmax(1)).backward()
    assert network.weight.grad.abs().sum() > 0


def test_state_is_kept(scenes):
    photos, probabilities = scenes
    trained, other = (MeanField(4, CRFSettings(PARAMS, 2)) for _ in range(2))
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.1)
    other.load_state_dict(trained.state_dict())
    assert torch.equal(trained(probabilities.log(), photos), other(probabilities.log(), photos))


def test_half_precision_parameters_keep_the_positions(scenes):
    photos, probabilities = scenes
    layer = MeanField(4, CRFSettings(PARAMS, 2))
    expected = layer(probabilities.log(), photos).exp()
    torch.testing.assert_close(layer.half()(probabilities.log(), photos).exp(), expected, atol=1e-3, rtol=0)


def test_shows_its_settings():
    assert "labels=4, CRFSettings(params=CRFParams(bilateral_weight=4.0" in repr(MeanField(4, CRFSettings(PARAMS)))


LOGITS, PHOTOS = torch.zeros(2, 4, 5, 6), torch.zeros(2, 3, 5, 6, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("logits", "photos", "message"),
    [
        (LOGITS[:, :3], PHOTOS, r"logits have shape \(2, 3, 5, 6\); expected \(B, 4, H, W\)"),
        (LOGITS.flatten(2), PHOTOS, r"expected \(B, 4, H, W\)"),
        (LOGITS + torch.nan, PHOTOS, "NaN"),
        (LOGITS, PHOTOS.permute(0, 2, 3, 1), r"pass photos.permute\(0, 3, 1, 2\)"),
        (LOGITS, PHOTOS[0], r"photos have shape \(3, 5, 6\)"),
        (LOGITS, PHOTOS[:1], r"expected \(2, C, 5, 6\), or \(2, 5, 6\), like the logits"),
        (LOGITS, PHOTOS[:, :, :4], r"expected \(2, C, 5, 6\), or \(2, 5, 6\), like the logits"),
        (LOGITS, PHOTOS > 0, "photos have dtype torch.bool; expected real numbers"),
        (LOGITS, PHOTOS[:, :0], r"photos have shape \(2, 0, 5, 6\)"),
        (LOGITS, torch.linspace(0, 1, 180).view(2, 3, 5, 6), "3 takes all colours for alike; .*multiply it by 255"),
        (LOGITS, torch.linspace(-2, 2, 180).view(2, 3, 5, 6), "alike; .*before it was normalised"),
        (LOGITS, PHOTOS.to("meta"), "on cpu and the photos on meta"),
        (LOGITS, PHOTOS.numpy(), "photos: expected a torch.Tensor, not a value of type ndarray"),
    ],
)
def test_bad_input(logits, photos, message):
    with pytest.raises(InputError, match=message):
        MeanField(4)(logits, photos)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": 0}, "labels is 0"),
        ({"labels": 1}, r"a layer of one label alone, .*MeanField\(2\), .*\(B, H, W\), logits\[:, 0\]"),
        ({"labels": 4, "settings": PARAMS}, "settings are CRFParams; expected CRFSettings"),
        ({"labels": 4, "method": "exakt"}, "did you mean 'exact'"),
    ],
)
def test_bad_layer(arguments, message):
    with pytest.raises(InputError, match=message):
        MeanField(**arguments)


def test_the_logits_of_a_foreground_are_those_of_two_labels(scenes):
    """And the gradient, which the softmax of one label alone would lose, is that of the second."""
    photos, probabilities = scenes
    x = torch.logit(probabilities[:, 1], eps=1e-4).requires_grad_()
    layer = MeanField(2, CRFSettings(PARAMS, 2))
    found = layer(x, photos)
    both = torch.stack([torch.zeros_like(x), x], 1)
    assert found.shape == (2, 2, 24, 31)
    assert torch.equal(found, layer(both, photos))
    (alone,) = torch.autograd.grad(found[:, 1].sum(), x)
    assert float(alone.abs().min()) > 0
    with pytest.raises(InputError, match=r"expected \(B, 2, H, W\): for a foreground.*logits\[:, 0\]"):
        layer(x[:, None], photos)


@pytest.mark.parametrize(
    ("cut", "std"),
    [(lambda p: p[:, :1], 20.0), (lambda p: p[:, 0], (20.0,)), (lambda p: p[:, [0, 1, 2, 0]], (9, 20, 30, 40))],
)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float64])
def test_images_of_any_channels_and_type_are_refines(scenes, cut, std, dtype):
    photos, probabilities = scenes
    images, params = cut(photos).to(dtype), CRFParams(4, 20, std, 3, 3)
    marginals = MeanField(4, CRFSettings(params, 3))(probabilities.log(), images).exp().detach()
    for image, given, found in zip(images, probabilities, marginals, strict=True):
        bands = image.numpy() if image.ndim == 2 else image.permute(1, 2, 0).numpy()
        expected = refine(bands, given.numpy(), params, iterations=3, shortcuts=PARITY)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_a_learnt_deviation_for_each_channel():
    photos = torch.randint(0, 256, (1, 2, 5, 6), dtype=torch.uint8)
    std = torch.tensor([20.0, 30.0], requires_grad=True)
    features = bilateral_features(photos, 4.0, std)
    expected = photos.flatten(2).mT / std
    assert torch.equal(features[..., 2:], expected)
    features.sum().backward()
    assert std.grad is not None
    assert std.grad.shape == (2,)
    with pytest.raises(InputError, match=r"rgb_std has shape \(3,\); expected a number, or 2 of them"):
        bilateral_features(photos, 4.0, (3, 4, 5))


@pytest.mark.parametrize(
    "std", [0, -3.0, float("nan"), float("inf"), "3", torch.tensor(-1.0), torch.tensor([3.0]), torch.tensor(3)]
)
def test_bad_deviations(std):
    with pytest.raises(InputError, match=r"xy_std_px is .*expected a .*number"):
        spatial_features(4, 6, std)
    with pytest.raises(InputError, match=r"rgb_std is .*expected a .*number"):
        bilateral_features(PHOTOS, 3.0, std)


def random_crf(seed):
    random = np.random.default_rng(seed)
    weights = random.uniform(0, 4, (2, 4))
    return CRFParams(weights[0], 20.0, 10.0, weights[1], 3.0, random.uniform(-0.5, 2, (4, 4)))


@pytest.mark.parametrize("normalization", ["after", "symmetric"])
def test_starts_from_what_was_learnt_as_refine_runs_it(scenes, normalization):
    photos, probabilities = scenes
    crf = CRFSettings(random_crf(0), 5, normalization)
    marginals = MeanField(4, crf)(probabilities.log(), photos).exp().detach()
    for photo, given, found in zip(photos, probabilities, marginals, strict=True):
        expected = refine(photo.permute(1, 2, 0).numpy(), given.numpy(), crf, shortcuts=PARITY)
        np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)


def test_gives_what_was_learnt():
    start = CRFSettings(CRFParams(4.0, 20.0, (5.0, 10.0, 15.0), 2.0, 3.0), 5, "symmetric")
    layer = MeanField(3, start)
    assert layer.learnt() == start
    assert layer.learnt(10).iterations == 10
    with torch.no_grad():
        layer.log_std_scale += torch.tensor([1.0, 0.0, 0.0])
        layer.bilateral_weight[1] = -1
        layer.compatibility[0, 1] = 3
    learnt = layer.learnt().params
    assert learnt.bilateral_weight == (4, 0, 4)
    assert learnt.spatial_weight == 2
    assert learnt.compatibility[0] == (0, 3, 1)
    assert learnt.bilateral_xy_std_px == pytest.approx(20 * np.e)
    again = MeanField(3, CRFSettings(learnt))
    assert again.learnt().params == learnt


def test_a_start_of_another_number_of_labels_is_refused():
    with pytest.raises(InputError, match="4 labels; expected"):
        MeanField(3, CRFSettings(random_crf(0)))
