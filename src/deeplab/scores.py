"""From the network's scores to labels: interpolation to the photo's size, and each pixel's likeliest label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError


def upsample_scores(
    scores: NDArray[np.float32],
    size: tuple[int, int],
    *,
    network_size: tuple[int, int] | None = None,
    stride: int = 8,
    rows: slice = slice(None),
) -> NDArray[np.float32]:
    """Interpolate scores bilinearly, corners aligned, at every pixel of a photo (section 3.1 of the paper).

    Score (i, j) belongs to the centre of pixel (8i, 8j) of what the network saw, so h scores span 8 (h − 1) + 1 pixels;
    those beyond the photo are left away. Where the network saw a smaller copy of the photo, each pixel takes the value
    at its own place in that copy.

    Args:
        scores: (L, h, w) floating point.
        size: (H, W) of the photo in pixels.
        network_size: (H, W) of the copy the network saw; None: the photo itself.
        stride: pixels of that copy from one score to the next.
        rows: which of the photo's rows to return.

    Returns:
        (L, H, W) float32, or of these rows (L, rows, W).

    Raises:
        InputError: the scores are not (L, h, w), or too few for what the network saw.
    """
    if scores.ndim != 3:
        raise InputError(f"expected scores (L, h, w), got shape {scores.shape}")
    seen = size if network_size is None else network_size
    for cells, pixels in zip(scores.shape[1:], seen, strict=True):
        if not 1 <= pixels <= stride * (cells - 1) + 1:
            raise InputError(f"{scores.shape[1:]} scores do not span a photo of {seen} pixels at stride {stride}")
    (top, bottom, down), (left, right, across) = (
        _neighbours(*lengths, stride) for lengths in zip(size, seen, scores.shape[1:], strict=True)
    )
    top, bottom, down = top[rows], bottom[rows], down[rows]
    if len(top):
        used = slice(top[0], bottom[-1] + 1)
        scores, top, bottom = scores[:, used], top - used.start, bottom - used.start
    wide = scores[:, :, left].astype(np.float32, copy=False)
    wide += (scores[:, :, right] - wide) * across
    result = np.empty((len(scores), len(top), size[1]), dtype=np.float32)
    step = np.empty(result.shape[1:], dtype=np.float32)
    for plane, target in zip(wide, result, strict=True):  # plane by plane: temporaries stay small, and are used again
        np.take(plane, top, axis=0, out=target, mode="clip")  # "clip" writes straight into out
        np.take(plane, bottom, axis=0, out=step, mode="clip")
        step -= target
        step *= down[:, None]
        target += step
    return result


def _neighbours(
    pixels: int, seen: int, cells: int, stride: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return for every pixel along one side the cells before and after it, and how far it is between the two (0–1)."""
    place = ((np.arange(pixels) + 0.5) * (seen / pixels) - 0.5) / stride
    place = place.clip(0, cells - 1)
    before = place.astype(np.intp)
    return before, np.minimum(before + 1, cells - 1), (place - before).astype(np.float32)


def likeliest(probabilities: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return the most probable label of each pixel, the first of equals, and its probability, float32, both (H, W).

    The labels are of the smallest unsigned type: uint8 up to 256 of them.

    Plane by plane, as whole planes seldom change the answer: np.argmax over the first axis takes ten times as long.
    """
    best = probabilities[0].copy()
    labels = np.zeros(best.shape, np.min_scalar_type(len(probabilities) - 1))
    better = np.empty(best.shape, np.bool_)
    for label, plane in enumerate(probabilities[1:], start=1):
        np.greater(plane, best, out=better)
        labels[better] = label
        np.maximum(best, plane, out=best)
    return labels, best
