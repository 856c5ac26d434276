"""Labels refined by the CRF with strokes held fixed: of a photo, of slices one by one, or of a whole volume."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFSettings
from deeplab.crf import refine as refine_photo
from deeplab.crf.memory import check_memory
from deeplab.crf.volume import refine_volume
from deeplab.errors import InputError

_MOST_LABELS = 255

Through = Callable[[Iterable[int]], Iterable[int]]
"""Passes numbers of slices on, and shows how far they have come."""


def refined_labels(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    strokes: NDArray[np.int64],
    crf: CRFSettings,
    *,
    nothing: int,
    confidence: float,
    spacing_px: Sequence[float] | None = None,
    through: Through = iter,
) -> NDArray[np.int64]:
    """Return labels drawn along an image's edges; strokes hold.

    Args:
        pixels: (H, W, 3) or (D, H, W, 3) uint8.
        labels: (H, W) or (D, H, W), any numbers; 0 is a label like the others.
        strokes: of the same shape, 0 where there are none.
        crf: the CRF's settings, in pixels.
        nothing: strokes of this number stand for label 0.
        confidence: how likely a label is right, between chance and 1.
        spacing_px: how far apart voxels are along the three axes, in pixels: (D, H, W) is one volume. None: each slice
            is a photo of its own.
        through: see `Through`.

    Raises:
        InputError: there are fewer than two labels, too many, or the confidence is out of range.
        MemoryError: the volume does not fit.
    """
    values = np.union1d(labels, np.where(strokes == nothing, 0, strokes)[strokes != 0])
    if not 2 <= len(values) <= _MOST_LABELS:
        raise InputError(f"there are {len(values)} labels, counting 0; expected 2 to {_MOST_LABELS}: paint some")
    if not 1 / len(values) < confidence < 1:
        raise InputError(f"confidence is {confidence:g}; expected above {1 / len(values):.3g} (chance) and below 1")
    check_memory(8 * len(values) * labels.size, f"refining {len(values)} labels of {labels.shape}", "crop the image")

    def of(part: Any) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return _believed(labels[part], strokes[part], values, nothing, confidence)

    if pixels.ndim == 3:
        probabilities, fixed = of(...)
        return _likeliest(values, refine_photo(pixels, probabilities, crf, fixed=fixed))
    if spacing_px is not None:
        probabilities, _ = of(...)  # what is certain stays so beside the kernels' weights
        return _likeliest(values, _refined_volume(pixels, probabilities, crf, spacing_px))
    result = np.empty_like(labels)
    for number in through(range(len(pixels))):
        probabilities, fixed = of(number)
        result[number] = _likeliest(values, refine_photo(pixels[number], probabilities, crf, fixed=fixed))
    return result


def _likeliest(values: NDArray[np.int64], beliefs: NDArray[np.float32]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = values[beliefs.argmax(axis=0)]
    return found


def _believed(
    labels: NDArray[np.int64], strokes: NDArray[np.int64], values: NDArray[np.int64], nothing: int, confidence: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the probability of each of the values, and where strokes make it certain."""
    fixed = strokes != 0
    own = np.where(fixed, np.where(strokes == nothing, 0, strokes), labels)
    known = np.where(fixed, np.float32(1), np.float32(confidence))
    other = (1 - known) / np.float32(len(values) - 1)
    return np.stack([np.where(own == value, known, other) for value in values]), fixed


def _refined_volume(
    pixels: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    crf: CRFSettings,
    spacing_px: Sequence[float],
) -> NDArray[np.float32]:
    """Return the marginals of a CRF over all voxels, of a grey volume by its levels alone."""
    grey = (pixels == pixels[..., :1]).all()
    depth, height, width = spacing_px
    params = crf.params.numbers()
    return refine_volume(
        pixels[..., 0] if grey else pixels,
        probabilities,
        spacing_mm=(depth, height, width),
        value_std=params["bilateral_rgb_std"],
        bilateral_weight=params["bilateral_weight"],
        bilateral_std_mm=params["bilateral_xy_std_px"],
        spatial_weight=params["spatial_weight"],
        spatial_std_mm=params["spatial_xy_std_px"],
        iterations=crf.iterations,
        normalization=crf.normalization,
    )
