"""The paper's training crops: pad, crop, mirror; augmentation beyond it where asked; labels on the score map's grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import InputError
from deeplab.labels import LabelSet
from deeplab.preprocessing import Preprocessing

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Augment:
    """How training photos are varied beyond the paper's random crops and mirroring: by default, not at all.

    Attributes:
        scale_min, scale_max: photos are enlarged by a factor drawn between the two, evenly on a logarithmic scale.
        colour: brightness, contrast and saturation are each multiplied by 1 ± up to this much, 0–1.
        copy_paste: the part of crops onto which a thing of another photo is pasted (Ghiasi et al. 2021), 0–1.
    """

    scale_min: float = 1.0
    scale_max: float = 1.0
    colour: float = 0.0
    copy_paste: float = 0.0

    def __post_init__(self) -> None:
        if not 0.1 <= self.scale_min <= self.scale_max <= 10:
            raise InputError(
                f"scale_min and scale_max must be in order and lie in 0.1–10, got {self.scale_min} and {self.scale_max}"
            )
        for name in ("colour", "copy_paste"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must lie in 0–1, got {getattr(self, name)}")


def training_crop(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    crop_px: int,
    rng: np.random.Generator,
    preprocessing: Preprocessing,
    void: int,
    augment: Augment | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Cut one training example as the authors' data layer does: a random square, mirrored half of the time.

    Photos smaller than the square are padded at the bottom and right: pixels with the mean, which is zero after
    preprocessing, labels with void.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8.
        crop_px: side of the square, in pixels.
        rng: decides on the place, the mirroring and the augmentation.
        preprocessing: of the weights in training.
        void: the label that padding gets.
        augment: what else is varied; None: nothing.

    Returns:
        The preprocessed crop (3, crop_px, crop_px) float32, and its labels (crop_px, crop_px) uint8.
    """
    augment = augment or Augment()
    scale = math.exp(rng.uniform(math.log(augment.scale_min), math.log(augment.scale_max)))
    side = max(1, round(crop_px / scale))
    top, left = (int(rng.integers(max(length - side, 0) + 1)) for length in labels.shape)
    window = np.s_[top : top + side, left : left + side]
    photo, mask = image[window], labels[window]
    if side != crop_px:
        photo, mask = _resize(photo, mask, crop_px, side)
    if augment.colour:
        photo = vary_colours(photo, 1 + augment.colour * rng.uniform(-1, 1, 3))
    pixels = preprocessing.apply(photo)[0]
    height, width = mask.shape
    crop = np.zeros((crop_px, crop_px, 3), dtype=np.float32).transpose(2, 0, 1)  # in memory, channels last
    crop[:, :height, :width] = pixels
    crop_labels = np.full((crop_px, crop_px), void, dtype=np.uint8)
    crop_labels[:height, :width] = mask
    if rng.random() < 0.5:
        crop, crop_labels = crop[:, :, ::-1], crop_labels[:, ::-1]
    return crop, crop_labels


def _resize(
    photo: NDArray[np.uint8], mask: NDArray[np.uint8], crop_px: int, side: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Bring what may be less than `side` pixels along an edge to the scale at which `side` becomes `crop_px`."""
    height, width = (max(1, round(length * crop_px / side)) for length in mask.shape)
    resized = [
        Image.fromarray(np.ascontiguousarray(part)).resize((width, height), method)
        for part, method in ((photo, Image.Resampling.BILINEAR), (mask, Image.Resampling.NEAREST))
    ]
    return np.array(resized[0]), np.array(resized[1])


def vary_colours(photo: NDArray[np.uint8], factors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Multiply a photo's brightness, contrast (about its mean) and saturation (about each pixel's luma), in this order.

    Args:
        photo: (H, W, 3) uint8 RGB.
        factors: (3,), one for each; 1 changes nothing.

    Returns:
        (H, W, 3) uint8, cut off at 0 and 255.
    """
    # All three are linear in a pixel's colour, so one matrix and one offset do.
    brightness, contrast, saturation = factors
    mixing = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * np.outer(LUMA, np.ones(3)))
    pixels = photo.reshape(-1, 3).astype(np.float32) @ mixing.astype(np.float32)
    pixels += np.float32(brightness * (1 - contrast) * photo.mean() + 0.5)  # 0.5: whole numbers by cutting off
    np.clip(pixels, 0, 255, out=pixels)
    varied: NDArray[np.uint8] = pixels.astype(np.uint8).reshape(photo.shape)
    return varied


def paste_thing(
    crop: tuple[NDArray[np.float32], NDArray[np.uint8]],
    other: tuple[NDArray[np.float32], NDArray[np.uint8]],
    rng: np.random.Generator,
    label_set: LabelSet,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Paste all of one class of another crop onto a crop, where it lies there (Ghiasi et al. 2021).

    Args:
        crop: pixels (3, H, W) float32 and labels (H, W) uint8; not written to.
        other: likewise, as large.
        rng: draws the class among those that cover at most half of `other`; where there is none, `crop` comes back.
        label_set: of both; its background and void are no things.

    Returns:
        As `crop`.
    """
    area = np.bincount(other[1].ravel(), minlength=256)
    area[[label for label in (label_set.background, label_set.void) if label is not None]] = 0
    things = np.flatnonzero((area > 0) & (area <= other[1].size // 2))
    if not things.size:
        return crop
    pasted = other[1] == rng.choice(things)
    return np.where(pasted, other[0], crop[0]), np.where(pasted, other[1], crop[1])


def subsample_labels(labels: NDArray[np.uint8], stride: int = 8) -> NDArray[np.uint8]:
    """Labels (…, H, W) at the score map's cells: plain decimation of the 8n + 1 grid (section 3.1 of the paper)."""
    return labels[..., ::stride, ::stride]
