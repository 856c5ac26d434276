"""The features of photos, as `deeplab.crf.kernels` computes them; batched, and differentiable in the deviations."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from deeplab.crf.levels import check_deviations, check_range
from deeplab.crf.torch.checks import check_tensor, working_dtype
from deeplab.errors import InputError


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


def bilateral_features(photos: Tensor, xy_std_px: float | Tensor, rgb_std: float | Sequence[float] | Tensor) -> Tensor:
    """Return the positions of `spatial_features` and the colours over their standard deviation.

    DeepLab section 4.2, equation 2, first kernel.

    Args:
        photos: (B, 3, H, W) uint8, RGB, as they were before any preprocessing for a network; or images (B, C, H, W) or
            (B, H, W), of any number type and number of channels.
        xy_std_px: σα in pixels, above 0; a scalar tensor may learn.
        rgb_std: σβ in the photos' own units, above 0, one for all channels or (C,); a tensor may learn.

    Returns:
        (B, H·W, 2 + C) on the photos' device.

    Raises:
        InputError: the photos have another shape or dtype; their values are floats of 0-1 or around 0, and the
            deviations beyond all of them; a deviation is not a finite number above 0, or lies on another device than
            the photos.
    """
    check_tensor(photos, "photos")
    images = photos[:, None] if photos.ndim == 3 else photos
    if images.ndim != 4 or images.numel() == 0:
        raise InputError(f"photos have shape {tuple(photos.shape)}; expected (B, C, H, W), or (B, H, W) for grey ones")
    if photos.dtype == torch.bool or photos.is_complex():
        raise InputError(f"photos have dtype {photos.dtype}; expected real numbers, such as torch.uint8: 0-255")
    batch, channels, height, width = images.shape
    xy, rgb = _deviation(xy_std_px, "xy_std_px", photos.device), _deviation(rgb_std, "rgb_std", photos.device, channels)
    if photos.is_floating_point():
        low, high, std = (float(number.detach()) for number in (photos.min(), photos.max(), rgb.min()))
        check_range(low, high, std, f"photos are {photos.dtype}")
    colours = images.flatten(2).mT.to(rgb.dtype) / rgb
    return torch.cat([spatial_features(height, width, xy).expand(batch, -1, -1), colours], dim=2)


def _deviation(std: Any, name: str, device: torch.device | None = None, channels: int = 0) -> Tensor:
    """Return one deviation above 0, or one for each of `channels`; a number goes to `device`, a tensor must be there.

    It is float32 or float64, a scalar or (channels,).
    """
    if not isinstance(std, Tensor):
        value = torch.tensor(check_deviations(std, channels, name), device=device)
    elif std.shape not in ((), (channels,)) or not std.is_floating_point() or not _above_zero(std.detach()):
        each = f", or of {channels} of them" if channels else ""
        raise InputError(f"{name} is {std!r}; expected a finite number above 0, or a float tensor of one{each}")
    else:
        value = std
    if device is not None and value.device != device:
        raise InputError(f"{name} is on {value.device} and the photos on {device}; move one to the other")
    return value.to(working_dtype(value))


def _above_zero(std: Tensor) -> bool:
    return bool(((std > 0) & (std < torch.inf)).all())
