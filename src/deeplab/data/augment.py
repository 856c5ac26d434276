"""The paper's training crops: pad, crop, mirror; and labels on the score map's grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deeplab.preprocessing import Preprocessing

__all__ = ["subsample_labels", "training_crop"]


def training_crop(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    crop_px: int,
    rng: np.random.Generator,
    preprocessing: Preprocessing,
    void: int,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Cut one training example as the authors' data layer does: a random square, mirrored half of the time.

    Photos smaller than the square are padded at the bottom and right: pixels with the mean, which is zero after
    preprocessing, labels with void.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8.
        crop_px: side of the square, in pixels.
        rng: decides on the place and the mirroring.
        preprocessing: of the weights in training.
        void: the label that padding gets.

    Returns:
        The preprocessed crop (3, crop_px, crop_px) float32, and its labels (crop_px, crop_px) uint8.
    """
    top, left = (int(rng.integers(max(side - crop_px, 0) + 1)) for side in labels.shape)
    window = np.s_[top : top + crop_px, left : left + crop_px]
    pixels = preprocessing.apply(image[window])[0]
    height, width = pixels.shape[1:]
    crop = np.zeros((3, crop_px, crop_px), dtype=np.float32)
    crop[:, :height, :width] = pixels
    crop_labels = np.full((crop_px, crop_px), void, dtype=np.uint8)
    crop_labels[:height, :width] = labels[window]
    if rng.random() < 0.5:
        crop, crop_labels = crop[:, :, ::-1], crop_labels[:, ::-1]
    return crop, crop_labels


def subsample_labels(labels: NDArray[np.uint8], stride: int = 8) -> NDArray[np.uint8]:
    """Labels (…, H, W) at the score map's cells: plain decimation of the 8n + 1 grid (section 3.1 of the paper)."""
    return labels[..., ::stride, ::stride]
