"""Cut-outs: a photo's thing on a transparent ground, with a soft edge and without the colours of what lay behind it."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.errors import InputError
from deeplab.files import atomic_file
from deeplab.seals import is_sealed, sealed
from deeplab.segmentation import Segmentation

__all__ = ["cutout", "foreground_colours", "write_cutout"]

_MAKER = "cutout"  # as the seals of its pictures say
_REACHES_PX = (90, 6)  # of the box that colours are averaged over, first from afar, then from nearby: Forte 2021
_BAND_ROWS = 512  # of a large photo, so that temporaries stay small


def cutout(result: Segmentation, labels: list[int] | None = None) -> NDArray[np.uint8]:
    """Return what a photo holds of some classes on a transparent ground, (H, W, 4) uint8 RGBA.

    How opaque a pixel is, is how strongly the CRF believes in these classes there, averaged over its neighbours. Its
    colour is that of the thing alone (`foreground_colours`), so that no halo of the old background stays.

    Args:
        result: the segmented photo.
        labels: the classes to keep, 0 … L−1; None: all but the background.

    Raises:
        InputError: there is no such label, or none is left.
    """
    count = len(result.label_set)
    kept = [label for label in range(count) if label != result.label_set.background] if labels is None else labels
    if not kept or not all(0 <= label < count for label in kept):
        raise InputError(f"labels to cut out are {kept}; expected some of 0–{count - 1}")
    alpha = _smoothed(result.belief(kept))
    opaque = np.rint(255 * alpha).astype(np.uint8)
    colours = foreground_colours(result.image, alpha)
    colours[opaque == 0] = 0
    return np.dstack([colours, opaque])


def write_cutout(
    path: str | os.PathLike[str], pixels: NDArray[np.uint8], *, photo: Path | None = None, overwrite: bool = False
) -> None:
    """Write a cut-out (H, W, 4) uint8 RGBA as a PNG.

    Args:
        path: the file.
        pixels: the cut-out.
        photo: what it was cut out of; an earlier cut-out of it that nobody changed is replaced.
        overwrite: replace any file.

    Raises:
        OutputError: the file exists, or cannot be written; nothing is left behind.
    """
    encoded = BytesIO()
    Image.fromarray(pixels).save(encoded, format="PNG")
    own = photo is not None and is_sealed(path, _MAKER, photo)
    with atomic_file(path, overwrite=overwrite or own) as file:
        file.write(encoded.getvalue() if photo is None else sealed(encoded.getvalue(), _MAKER, photo))


def foreground_colours(photo: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Estimate the colours of the thing that covers a share `alpha` of every pixel.

    A pixel at an edge is a mixture, I = α F + (1 − α) B. F and B are taken from what lies around, weighted by α and
    1 − α, and F is corrected by what the mixture of the two lacks of I; once from afar, once from nearby (Forte,
    "Approximate Fast Foreground Colour Estimation", ICIP 2021). Where α is 1 the photo's colours stay.

    Args:
        photo: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32, 0–1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    result, margin = photo.copy(), sum(_REACHES_PX)
    for start in range(0, len(photo), _BAND_ROWS):
        kept = slice(start, min(start + _BAND_ROWS, len(photo)))
        seen = slice(max(0, start - margin), kept.stop + margin)
        mixed = (alpha[kept] > 0) & (alpha[kept] < 1)
        if mixed.any():
            inner = slice(kept.start - seen.start, kept.stop - seen.start)
            colours = _foreground(photo[seen].astype(np.float32), alpha[seen, :, None])[inner]
            result[kept][mixed] = np.rint(colours[mixed]).astype(np.uint8)
    return result


def _foreground(image: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[Any]:
    front: NDArray[Any] = image
    back: NDArray[Any] = image
    for reach in _REACHES_PX:
        shares = _mean(alpha, reach), _mean(1 - alpha, reach)
        front, back = (
            _mean(colours * weight, reach) / np.maximum(share, 1e-5)
            for colours, weight, share in ((front, alpha, shares[0]), (back, 1 - alpha, shares[1]))
        )
        front = (front + alpha * (image - alpha * front - (1 - alpha) * back)).clip(0, 255)
    return front


def _mean(values: NDArray[Any], reach: int) -> NDArray[Any]:
    """Return the sums over boxes of `reach` pixels to each side, of what is in the photo, divided by whole boxes."""
    for axis in (0, 1):
        sums = np.cumsum(values, axis=axis, dtype=np.float64)
        ends = np.arange(values.shape[axis])
        last = np.minimum(ends + reach, len(ends) - 1)
        before = ends - reach - 1
        low = np.take(sums, np.maximum(before, 0), axis=axis)
        low[(slice(None),) * axis + (before < 0,)] = 0
        values = ((np.take(sums, last, axis=axis) - low) / (2 * reach + 1)).astype(np.float32)
    return values


def _smoothed(belief: NDArray[Any]) -> NDArray[Any]:
    """Return the mean over every pixel and its neighbours, with the weights 1, 2, 1 along both sides."""
    for axis in (0, 1):
        padded = np.pad(belief, [(1, 1) if axis == along else (0, 0) for along in (0, 1)], mode="edge")
        first, middle, last = (np.take(padded, np.arange(belief.shape[axis]) + step, axis=axis) for step in (0, 1, 2))
        belief = (first + 2 * middle + last) / np.float32(4)
    return belief.clip(0, 1)
