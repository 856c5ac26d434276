"""Black and white levels: from pixels of any number type to 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError

_BAND_ROWS = 256  # that are scaled at a time, so that temporaries stay small
_BITS = (8, 10, 12, 14)  # fewer than the 16 of a file, as scanners, microscopes and satellites fill them
_HOT_SHARE = 1000  # one pixel in so many may be brighter than the bits say: hot pixels


class AssumptionWarning(UserWarning):
    """Something was assumed of a photo that its file does not say."""


class Levels(NamedTuple):
    """The value that is black and the one that is white.

    Attributes:
        black: it and what is below becomes 0.
        white: it and what is above becomes 255.
        assumed: the values told, not the type: another photo's may tell something else.
    """

    black: float
    white: float
    assumed: bool = False


def check_range(value_range: Sequence[float] | None) -> None:
    """Check a range, black and white, at the door.

    Raises:
        InputError: it is not two finite numbers, the lower one first.
    """
    if value_range is None:
        return
    try:
        black, white = map(float, value_range)
    except (TypeError, ValueError):
        raise InputError(f"expected a range LO,HI of two numbers, black and white, got {value_range!r}") from None
    if not (np.isfinite(black) and np.isfinite(white) and black < white):
        raise InputError(f"expected a range of two finite numbers, the lower one first, got {black:g},{white:g}")


def levels_of(values: NDArray[Any]) -> Levels:
    """Tell black and white from pixels' type, and where that leaves it open, from their values.

    Integers of more than 8 bits have the fewest of 8, 10, 12, 14 and 16 bits that hold them, but for one pixel in a
    thousand: hot pixels. An 8-bit photo that was stretched to 16 bits, all its values multiples of 257 or 256, has 16.

    Args:
        values: of any shape, at least one, NaN where there is none; bool, integer or float.

    Raises:
        InputError: the values have another type, or can mean anything: negative ones, more than 16 bits, floats that
            leave 0–1.
    """
    if values.dtype == np.bool_:
        return Levels(0, 1)
    if values.dtype == np.uint8:
        return Levels(0, 255)
    if values.dtype.kind not in "uif":
        raise InputError(f"expected pixels of an integer or float dtype, got {values.dtype}")
    low, high = (float(extreme.reduce(values, axis=None)) for extreme in (np.fmin, np.fmax))
    if values.dtype.kind == "f":
        if np.isnan(low):
            raise InputError("every pixel is NaN; expected numbers")
        if low < 0 or high > 1:
            raise InputError(f"float values span {low:g}–{high:g}; expected 0 to 1{_ask(low, high)}")
        return Levels(0, 1)
    if low < 0 or high > 65535:
        raise InputError(f"values span {low:g}–{high:g}; expected at most 16 bits, 0–65535{_ask(low, high)}")
    return Levels(0, 2 ** _bits(values) - 1, assumed=True)


def _ask(low: float, high: float) -> str:
    """Ask for a range, and give an example of one."""
    if low >= 0 and 1 < high <= 255:
        low, high = 0, 255
    if not np.isfinite([low, high]).all() or low == high:
        return ", or what is black and what is white: --range LO,HI (value_range=(LO, HI))"
    return f", or what is black and what is white, such as --range {low:.7g},{high:.7g} (value_range=(LO, HI))"


def _bits(values: NDArray[Any]) -> int:
    """Bits that integers of 0–65535 take up."""
    counts = np.zeros(65536, np.int64)
    for start in range(0, len(values), _BAND_ROWS):
        counts += np.bincount(values[start : start + _BAND_ROWS].ravel().astype(np.intp), minlength=65536)
    present = np.flatnonzero(counts)
    if not present.any() or not (present % 257).any() or not (present % 256).any():
        return 16
    spared = values.size // _HOT_SHARE
    return next((bits for bits in _BITS if counts[2**bits :].sum() <= spared), 16)


def to_uint8(values: NDArray[Any], levels: Levels) -> NDArray[np.uint8]:
    """Scale pixels (H, W, C) to 0–255, from black to white; NaN is black."""
    if values.dtype == np.uint8 and levels[:2] == (0, 255):
        return values
    exact: Any = np.float32 if values.dtype.itemsize <= 2 else np.float64
    scaled = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _BAND_ROWS):
        rows = slice(start, start + _BAND_ROWS)
        band = (values[rows].astype(exact) - exact(levels.black)) * exact(255 / (levels.white - levels.black))
        scaled[rows] = np.rint(np.nan_to_num(np.clip(band, 0, 255), copy=False, nan=0))
    return scaled
