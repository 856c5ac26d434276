"""The features of photos, as `deeplab.crf.kernels` computes them; batched, and differentiable in the deviations."""

import math
from typing import Any

import torch
from torch import Tensor

from deeplab.crf.checks import check_number
from deeplab.crf.torch.checks import check_tensor, working_dtype
from deeplab.errors import InputError

__all__ = ["bilateral_features", "spatial_features"]


def spatial_features(height: int, width: int, xy_std_px: float | Tensor) -> Tensor:
    """Return x and y of each pixel over the standard deviation, x first, pixels in row-major order.

    DeepLab section 4.2, equation 2, second kernel.

    Args:
        height: of the photo, in pixels.
        width: of the photo, in pixels.
        xy_std_px: σγ in pixels, above 0; a scalar tensor may learn, and its device is the result's.

    Returns:
        (1, H·W, 2), one for any batch.

    Raises:
        InputError: `xy_std_px` is not a finite number above 0.
    """
    std = _deviation(xy_std_px, "xy_std_px")
    y, x = (torch.arange(length, device=std.device, dtype=std.dtype) for length in (height, width))
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1)
    return grid.view(1, -1, 2) / std


def bilateral_features(photos: Tensor, xy_std_px: float | Tensor, rgb_std: float | Tensor) -> Tensor:
    """Return the positions of `spatial_features` and the colours over their standard deviation.

    DeepLab section 4.2, equation 2, first kernel.

    Args:
        photos: (B, 3, H, W) uint8, RGB, 0-255, as they were before any preprocessing for a network.
        xy_std_px: σα in pixels, above 0; a scalar tensor may learn.
        rgb_std: σβ in the photos' own levels, above 0; a scalar tensor may learn.

    Returns:
        (B, H·W, 5) on the photos' device.

    Raises:
        InputError: the photos have another shape or dtype, a deviation is not a finite number above 0, or it lies on
            another device than the photos.
    """
    check_tensor(photos, "photos")
    if photos.ndim != 4 or photos.shape[1] != 3:
        hint = ": pass photos.permute(0, 3, 1, 2)" if photos.ndim == 4 and photos.shape[3] == 3 else ""
        raise InputError(f"photos have shape {tuple(photos.shape)}; expected (B, 3, H, W), red, green and blue{hint}")
    if photos.dtype != torch.uint8:
        raise InputError(
            f"photos have dtype {photos.dtype}; expected torch.uint8, their own values 0-255 before any normalisation"
        )
    xy, rgb = (_deviation(std, name, photos.device) for std, name in ((xy_std_px, "xy_std_px"), (rgb_std, "rgb_std")))
    batch, _, height, width = photos.shape
    colours = photos.flatten(2).mT.to(rgb.dtype) / rgb
    return torch.cat([spatial_features(height, width, xy).expand(batch, -1, -1), colours], dim=2)


def _deviation(std: Any, name: str, device: torch.device | None = None) -> Tensor:
    """Return a scalar tensor above 0, float32 or float64; a number goes to `device`, a tensor must be there."""
    if not isinstance(std, Tensor):
        value = torch.tensor(check_number(std, name, above_zero=True), device=device)
    elif std.ndim or not std.is_floating_point() or not 0 < float(std.detach()) < math.inf:
        raise InputError(f"{name} is {std!r}; expected a finite number above 0, or a scalar float tensor of one")
    else:
        value = std
    if device is not None and value.device != device:
        raise InputError(f"{name} is on {value.device} and the photos on {device}; move one to the other")
    return value.to(working_dtype(value))
