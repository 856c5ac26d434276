"""Images of any number type and number of channels: which pixels count, and standard deviations in their own units."""

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.checks import check_number
from deeplab.crf.checks import as_array, check_real
from deeplab.errors import InputError

Deviations = float | tuple[float, ...]
"""One standard deviation for all channels, or one for each."""

# What the largest value of an image may be, by how its levels are stored: floats, and 8 to 16 bits.
_FULL_SCALES = np.array([1, 255, 1023, 4095, 16383, 65535])


def check_image(image: Any, nodata: float | None = None) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
    """Return an image (H, W) or (H, W, C) of any number type as (H, W, C), and which pixels (H, W) a mask leaves.

    A pixel with any channel masked, or equal to `nodata`, is left out, and counts as zero; None: all pixels take part.
    """
    array = as_array(np.ma.getdata(image) if isinstance(image, np.ma.MaskedArray) else image, "image")
    check_real(array, "image")
    if array.ndim not in (2, 3) or array.size == 0:
        raise InputError(
            f"image has shape {array.shape}; expected (height, width) or (height, width, channels), at least one pixel"
        )
    channels = array.reshape(*array.shape[:2], -1)
    masked = _masked(image, channels, nodata)
    if masked is not None:
        channels = np.where(masked[..., None], channels.dtype.type(0), channels)
    if channels.dtype.kind == "f" and not np.isfinite(channels).all():
        raise InputError(
            f"image has {np.count_nonzero(~np.isfinite(channels))} NaN or infinite values; expected finite ones: to "
            "leave those pixels out, pass np.ma.masked_invalid(image)"
        )
    return channels, None if masked is None else ~masked


def _masked(image: Any, channels: npt.NDArray[Any], nodata: float | None) -> npt.NDArray[np.bool_] | None:
    """Return the pixels (H, W) of an image to leave out; None: none."""
    if nodata is None and not np.ma.is_masked(image):
        return None
    masked: npt.NDArray[np.bool_] = np.ma.getmaskarray(image).reshape(channels.shape).copy()
    if nodata is not None:
        value = _number(nodata)
        masked |= np.isnan(channels) if np.isnan(value) else channels == value
    return np.logical_or.reduce(masked, axis=2)  # type: ignore[no-any-return]


def _number(nodata: Any) -> float:
    try:
        return float(nodata if isinstance(nodata, Real) else "none")
    except (OverflowError, ValueError):
        kind = type(nodata).__name__
        raise InputError(f"nodata is of type {kind}; expected a number, or NaN: the value of no data") from None


def check_deviations(given: Any, channels: int, name: str) -> Deviations:
    """Return the standard deviations of an image's channels, above 0: one for all, or one for each of `channels`."""
    array = as_array(given, name)
    if array.ndim == 0:
        return check_number(array.item() if isinstance(given, np.ndarray) else given, name, above_zero=True)
    if array.shape != (channels,):
        raise InputError(f"{name} has shape {array.shape}; expected a number, or {channels} of them")
    return tuple(check_number(std, name, above_zero=True) for std in array.tolist())


def check_levels(image: npt.NDArray[Any], stds: Deviations, name: str = "image") -> None:
    """Raise where an image of floats was normalised, and the standard deviations are of what it was before."""
    if image.dtype.kind == "f" and image.size:
        check_range(float(image.min()), float(image.max()), float(np.min(stds)), f"{name} is {image.dtype}")


def check_range(low: float, high: float, std: float, given: str) -> None:
    """Raise where values from `low` to `high` lie in 0-1 or around 0, and `std`, the least, takes them all for alike.

    A constant image passes: it has nothing to tell apart.
    """
    normalised = high <= 1 if low >= 0 else max(-low, high) <= 3
    if low < high and normalised and std >= max(1.0, -low, high):
        way = (
            f"multiply it by 255, or pass a standard deviation such as {std / 255:.2g}"
            if low >= 0
            else "pass it as it was before it was normalised, or a standard deviation in its units"
        )
        raise InputError(
            f"{given} from {low:.3g} to {high:.3g}, where a standard deviation of {std:g} takes all colours for alike; "
            f"expected both in the same units: {way}"
        )


def in_8_bit_levels(image: npt.NDArray[Any], stds: Deviations) -> float:
    """Return the least of the standard deviations as if the channels' full scale were 255, as that of uint8 is.

    The full scale of other types is the least of 1, 255 and the largest values of 10, 12, 14 and 16 bits that holds a
    channel, so that an image and its deviations may be scaled together.
    """
    if image.dtype == np.uint8:
        return float(np.min(stds))
    largest = np.maximum(image.max((0, 1)).astype(np.float64), -image.min((0, 1)).astype(np.float64))
    full = np.append(_FULL_SCALES, np.inf)[np.searchsorted(_FULL_SCALES, largest)]
    return float(np.min(np.asarray(stds) * 255 / np.where(np.isinf(full), largest, full)))
