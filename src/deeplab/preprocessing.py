"""A network's preprocessing: size, channel order, mean, scale and the 8n + 1 grid.

The preprocessing belongs to the weights and travels with them. NumPy only: training and inference share it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError, quoted
from deeplab.images import shrunk

__all__ = ["CAFFE_VGG", "MAX_SIDE_PX", "PAPER", "TORCHVISION", "Preprocessing", "grid_size", "pad_to_grid"]

Triple = tuple[float, float, float]

MAX_SIDE_PX = 513
"""The longest side of a photo as a network sees it where nothing else is said: a little more than VOC's photos have."""

_MOST_SIDE_PX = 65535
_LEAST_SCALE = 0.1


@dataclass(frozen=True)
class Preprocessing:
    """How an RGB uint8 photo becomes the network's input: ``(pixel − mean) / std``, channel by channel.

    Attributes:
        channels: the order the network wants, ``"BGR"`` (Caffe) or ``"RGB"``.
        mean: three means in 0–255 units, in the order of `channels`.
        std: three positive divisors in 0–255 units, in the order of `channels`.
        max_side_px: the longest side of a photo as the network saw it in training and sees it in use, 1–65535 pixels;
            larger ones are shrunk to it.
        photo_scale: part of that size at which the network is shown every photo, in training and in use, 0.1–1: a
            network of lower cost, at that square.

    Raises:
        InputError: a field is outside these bounds.
    """

    channels: Literal["BGR", "RGB"]
    mean: Triple
    std: Triple = (1.0, 1.0, 1.0)
    max_side_px: int = MAX_SIDE_PX
    photo_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.channels not in ("BGR", "RGB"):
            raise InputError(f"preprocessing: channels must be 'BGR' or 'RGB', got {quoted(self.channels)}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise InputError(
                    f"preprocessing: {name} must be three finite numbers in 0–255 units, got {quoted(values)}"
                )
        if min(self.std) <= 0:
            raise InputError(f"preprocessing: std must be positive, got {self.std!r}; use 1 to leave the scale alone")
        side = self.max_side_px
        if not isinstance(side, int) or isinstance(side, bool) or not 1 <= side <= _MOST_SIDE_PX:
            raise InputError(f"preprocessing: max_side_px must be 1–{_MOST_SIDE_PX} pixels, got {side!r}")
        scale = self.photo_scale
        if not isinstance(scale, (int, float)) or isinstance(scale, bool) or not _LEAST_SCALE <= scale <= 1:
            raise InputError(f"preprocessing: photo_scale must be {_LEAST_SCALE}–1, got {quoted(scale)}")

    def shrink(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what the network is shown of a photo (H, W, 3) uint8 RGB: itself, or a smaller copy.

        It is of at most `max_side_px` along its sides, times `photo_scale`.

        Training, validation, evaluation and use share this one rule, so that things keep the size that was learnt.
        """
        return shrunk(photo, min(1.0, self.max_side_px / max(photo.shape[:2])) * self.photo_scale)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn a photo into the network's input, unpadded.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (1, 3, H, W) float32, channels in the order of `channels`. A pixel of the mean colour is 0.

        Raises:
            InputError: the image has another shape or dtype.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(
                f"expected an (H, W, 3) uint8 RGB photo, got {image.shape} {image.dtype}; "
                "deeplab.images.read_image makes one"
            )
        ordered = image if self.channels == "RGB" else image[:, :, ::-1]
        planes = ordered.transpose(2, 0, 1).astype(np.float32, order="C")
        planes -= np.array(self.mean, dtype=np.float32)[:, None, None]
        planes /= np.array(self.std, dtype=np.float32)[:, None, None]
        return planes[None]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; `from_dict` is the way back."""
        fields = {"channels": self.channels, "mean": list(self.mean), "std": list(self.std)}
        return {**fields, "max_side_px": self.max_side_px, "photo_scale": self.photo_scale}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Preprocessing:
        """Build a preprocessing from what `to_dict` gave; what older files lack is as by default.

        Raises:
            InputError: a field is missing, of the wrong type, or out of bounds.
        """
        try:
            mean, std = (tuple(float(value) for value in fields[key]) for key in ("mean", "std"))
            side = fields.get("max_side_px", MAX_SIDE_PX)
            scale = fields.get("photo_scale", 1.0)
            return cls(fields["channels"], mean, std, side, scale)  # type: ignore[arg-type]
        except KeyError as error:
            raise InputError(f"preprocessing needs channels, mean and std; {error.args[0]!r} is missing") from None
        except (OverflowError, TypeError, ValueError) as error:
            raise InputError(f"preprocessing needs three numbers for mean and for std: {error}") from None


def grid_size(size: int, stride: int = 8) -> int:
    """Return the smallest ``stride · n + 1`` ≥ `size` with n ≥ 1, in pixels.

    On such sizes a score map of n + 1 positions spans the photo exactly, first centre to last centre.
    """
    return stride * max(1, math.ceil((size - 1) / stride)) + 1


def pad_to_grid(pixels: NDArray[np.float32], stride: int = 8) -> NDArray[np.float32]:
    """Pad preprocessed pixels at the bottom and right up to `grid_size`.

    Args:
        pixels: (1, 3, H, W) float32 from `Preprocessing.apply`.
        stride: the network's output stride in pixels.

    Returns:
        (1, 3, H', W') float32; the new pixels are 0, which is the mean colour.
    """
    height, width = pixels.shape[2:]
    below, right = grid_size(height, stride) - height, grid_size(width, stride) - width
    return np.pad(pixels, ((0, 0), (0, 0), (0, below), (0, right)))


CAFFE_VGG = Preprocessing("BGR", mean=(103.939, 116.779, 123.68))
"""The VGG authors' published preprocessing."""

PAPER = Preprocessing("BGR", mean=(104.008, 116.669, 122.675))
"""What the DeepLab authors' Caffe configuration subtracts."""

TORCHVISION = Preprocessing(
    "RGB", mean=(0.485 * 255, 0.456 * 255, 0.406 * 255), std=(0.229 * 255, 0.224 * 255, 0.225 * 255)
)
"""torchvision's ImageNet preprocessing, in 0–255 units."""
