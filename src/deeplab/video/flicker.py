"""Flicker: how many points of a scene change label from one frame to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError

__all__ = ["flicker"]


def flicker(
    labels: NDArray[Any],
    *,
    frames: NDArray[np.uint8] | None = None,
    places: NDArray[np.floating] | None = None,
    most_levels: int = 10,
    void: int = 255,
) -> float:
    """Return the share of points seen in two successive frames whose label differs between the two.

    A pixel is compared with the pixel that shows the same point in the next frame: that at its own place, or where
    `places` say, rounded. Points that leave the frame do not count. Where `frames` are given, points whose colour
    changes by more than `most_levels` in any channel do not count either: with `frames` alone, flicker is that of the
    parts that stand still, and things that move through them are left out.

    Args:
        labels: (T, H, W) integers, the labels of at least two frames.
        frames: (T, H, W, 3) uint8 RGB, the frames themselves.
        places: (T−1, H, W, 2) float, x and y in pixels of each pixel's point in the next frame; None: nothing moves.
        most_levels: how far colours may be apart, in levels of 0–255.
        void: the label of pixels that do not count.

    Returns:
        The share, 0–1; NaN where no point counts.

    Raises:
        InputError: an array has another shape or type.
    """
    count, height, width = _check_labels(labels)
    if frames is not None and (frames.shape != (*labels.shape, 3) or frames.dtype != np.uint8):
        raise InputError(
            f"expected frames {(*labels.shape, 3)} uint8 like the labels, got {frames.shape} {frames.dtype}"
        )
    expected = (count - 1, height, width, 2)
    if places is not None and places.shape != expected:
        raise InputError(f"expected places {expected}, x and y for all frames but the last, got {places.shape}")
    changed, compared = 0, 0
    y, x = np.indices((height, width))
    for now in range(count - 1):
        if places is not None:
            x, y = (np.rint(np.nan_to_num(places[now, ..., axis], nan=-1)).astype(np.intp) for axis in (0, 1))
        counts = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        x_next, y_next = x.clip(0, width - 1), y.clip(0, height - 1)
        before, after = labels[now], labels[now + 1, y_next, x_next]
        counts &= (before != void) & (after != void)
        if frames is not None:
            levels = np.abs(frames[now].astype(np.int16) - frames[now + 1, y_next, x_next])
            counts &= levels.max(axis=-1) <= most_levels
        changed += int(np.count_nonzero((before != after) & counts))
        compared += int(np.count_nonzero(counts))
    return changed / compared if compared else float("nan")


def _check_labels(labels: NDArray[Any]) -> tuple[int, int, int]:
    if labels.ndim != 3 or len(labels) < 2 or labels.size == 0 or labels.dtype.kind not in "ui":
        raise InputError(
            f"expected integer labels (T, H, W) of at least two frames, got shape {labels.shape}, dtype {labels.dtype}"
        )
    count, height, width = labels.shape
    return count, height, width
