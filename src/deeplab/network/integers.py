"""A convolution's weights as whole steps, and back: what int8 does to a weight stands beside what undoes it.

Each output channel's weights count steps of their own, biases steps of the weight's times the input's. A layer that
reads a photo's own pixels has the photo's mean and scale in its weights and biases; a photo's pixels have the step 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.preprocessing import Preprocessing

# Weights keep to 7 bits: two products of uint8 and int7 fit the 16-bit sums of processors without VNNI, which
# saturate silently on 8 bits. So every processor gives the same scores.
WEIGHT_STEPS = 63

Floats = NDArray[np.floating[Any]]


class Integers(NamedTuple):
    """A convolution in steps: weights (O, C, k, k) and biases (O,), whole numbers, and the value (O,) of a step."""

    weight: Floats
    bias: Floats
    weight_step: Floats


def to_integers(weight: Floats, bias: Floats, input_step: float, photo: Preprocessing | None = None) -> Integers:
    """Count weights and biases in steps, as fine as each channel's weights allow; but the biases must fit 32 bits.

    Args:
        weight: (O, C, k, k).
        bias: (O,).
        input_step: the value of one step of the input.
        photo: for a layer on a photo's own pixels, what makes the network's input of them; `input_step` is then 1.
    """
    if photo is not None:
        mean, std = _colours(photo)
        weight = weight / std
    step = np.maximum(np.abs(weight).max((1, 2, 3)) / WEIGHT_STEPS, np.abs(bias) / (input_step * 2**30))
    step = np.asarray(step.clip(1e-30), np.float32)
    whole = np.asarray(np.rint(weight / step[:, None, None, None]))
    if photo is not None:
        bias = bias - (whole * mean).sum((1, 2, 3)) * step
    return Integers(whole, np.asarray(np.rint(bias / (step * input_step))), step)


def from_integers(stored: Integers, input_step: float, photo: Preprocessing | None = None) -> tuple[Floats, Floats]:
    """Weights (O, C, k, k) and biases (O,), float64, that `to_integers` counts so: to half a step what they were."""
    weight_step, input_step = stored.weight_step.astype(np.float64), float(input_step)
    weight = stored.weight * weight_step[:, None, None, None]
    bias = stored.bias * weight_step * input_step
    if photo is None:
        return weight, bias
    mean, std = _colours(photo)
    return weight * std, bias + (weight * mean).sum((1, 2, 3))


def _colours(photo: Preprocessing) -> tuple[Floats, Floats]:
    """A photo's mean and scale, (1, 3, 1, 1)."""
    mean, std = (np.array(values, np.float64)[None, :, None, None] for values in (photo.mean, photo.std))
    return mean, std
