"""Weights as whole steps: what counts them and what takes them back are each other's inverse."""

from __future__ import annotations

import numpy as np
import pytest

from deeplab.network.integers import Integers, from_integers, to_integers
from deeplab.preprocessing import CAFFE_VGG, PAPER, TORCHVISION, Preprocessing


def layer(seed: int, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Weights (7, C, 3, 3), each channel's of another size and one of them 0, and biases (7,)."""
    random = np.random.default_rng(seed)
    sizes = np.array([1e-3, 0.1, 1, 1, 30, 0, 2], np.float32)
    weight = random.normal(0, 1, (7, channels, 3, 3)).astype(np.float32) * sizes[:, None, None, None]
    return weight, random.normal(0, 1, 7).astype(np.float32)


@pytest.mark.parametrize("photo", [None, CAFFE_VGG, PAPER, TORCHVISION])
@pytest.mark.parametrize("seed", range(5))
def test_whole_steps_come_back_as_they_were(seed: int, photo: Preprocessing | None) -> None:
    random = np.random.default_rng(seed)
    steps = random.uniform(0.001, 2, 7).astype(np.float32)
    whole = random.integers(-63, 64, (7, 3, 3, 3))
    whole[:, 0, 0, 0] = 63  # the largest weight sets the step
    stored = Integers(whole, random.integers(-5000, 5000, 7), steps)
    input_step = 1.0 if photo else 0.03
    weight, bias = from_integers(stored, input_step, photo)
    again = to_integers(weight, bias, input_step, photo)
    assert np.array_equal(again.weight, stored.weight)
    assert np.array_equal(again.bias, stored.bias)
    np.testing.assert_allclose(again.weight_step, steps, rtol=1e-6)


@pytest.mark.parametrize("photo", [None, CAFFE_VGG, PAPER, TORCHVISION])
@pytest.mark.parametrize("seed", range(5))
def test_weights_come_back_to_half_a_step(seed: int, photo: Preprocessing | None) -> None:
    weight, bias = layer(seed)
    input_step = 1.0 if photo else 0.03
    stored = to_integers(weight, bias, input_step, photo)
    assert np.abs(stored.weight).max() <= 63
    assert np.abs(stored.bias).max() < 2**31
    found, found_bias = from_integers(stored, input_step, photo)
    std = np.array(photo.std if photo else (1, 1, 1))[None, :, None, None]
    half = stored.weight_step[:, None, None, None] / 2 * std
    assert (np.abs(found - weight) <= half * 1.0001 + 1e-9).all()
    assert (np.abs(found_bias - bias) <= stored.weight_step * input_step / 2 * 1.0001 + 1e-6).all()


@pytest.mark.parametrize("photo", [CAFFE_VGG, TORCHVISION])
def test_a_layer_on_pixels_answers_as_on_the_networks_input(photo: Preprocessing) -> None:
    weight, bias = layer(9)
    pixels = np.random.default_rng(1).integers(0, 256, (3, 3, 3)).astype(np.float64)  # (C, k, k)
    stored = to_integers(weight, bias, 1, photo)
    on_pixels = ((stored.weight * pixels).sum((1, 2, 3)) + stored.bias) * stored.weight_step
    mean, std = (np.array(values)[:, None, None] for values in (photo.mean, photo.std))
    found, found_bias = from_integers(stored, 1, photo)
    expected = (found * ((pixels - mean) / std)).sum((1, 2, 3)) + found_bias
    np.testing.assert_allclose(on_pixels, expected, rtol=1e-6, atol=1e-4)
