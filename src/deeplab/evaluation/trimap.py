"""Accuracy near object boundaries: bands of growing width around them (the paper's figure 5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_choice
from deeplab.labels import LabelSet

WIDTHS = 40
"""The widest band, in pixels; the bands are 1 … 40 px wide."""

AROUND = ("void", "classes")


def boundary_distance(
    truth: NDArray[np.uint8], label_set: LabelSet, around: str = "void", *, reach: int = WIDTHS
) -> NDArray[np.uint8]:
    """Return each pixel's distance to the nearest boundary in the true labels.

    The distance is the chessboard's, max(|Δx|, |Δy|): the pixels within w are those that a square of 2w + 1 pixels,
    moved along the boundary, covers, as the authors' evaluation has it.

    Args:
        truth: (H, W) labels, 0 … L−1 or void.
        label_set: the classes and void.
        around: "void": the boundary is the void pixels, which VOC's annotators drew around every object (the paper's
            way). "classes": for masks without such outlines, it runs between pixels of different classes; the pixels on
            both sides are at distance 1, and where void lies between there is no boundary.
        reach: the largest distance that is told apart, at most 254.

    Returns:
        (H, W) uint8: the distance in pixels, 0 on void outlines, reach + 1 for all beyond reach.

    Raises:
        InputError: `around` is neither.
    """
    check_choice(around, AROUND, "around")
    if around == "void":
        near, nearest = truth == label_set.void, 0
    else:
        near, nearest = _beside_another_class(truth, label_set.void), 1
    distance = np.full(truth.shape, nearest, np.uint8)
    for _ in range(nearest, reach + 1):
        distance += ~near
        near = _grown(near)
    return distance


def band_tallies(
    truth: NDArray[np.uint8],
    predicted: NDArray[np.uint8],
    distance: NDArray[np.uint8],
    label_set: LabelSet,
    *,
    widths: int = WIDTHS,
) -> NDArray[np.int32]:
    """Return the tallies of a photo in the bands 1, 2, … `widths` pixels wide, (widths, 3, L) int32; void is left out.

    Args:
        truth: (H, W) labels, 0 … L−1 or void.
        predicted: (H, W) labels, 0 … L−1.
        distance: (H, W) from `boundary_distance`, its reach at least `widths`.
        label_set: the classes and void.
        widths: the widest band, in pixels.
    """
    inside = (distance <= widths) & (truth != label_set.void)
    rings, true, found = distance[inside].astype(np.intp), truth[inside], predicted[inside]
    right = true == found

    def count(rings: NDArray[np.intp], labels: NDArray[np.uint8]) -> NDArray[np.int64]:
        return np.bincount(rings * 256 + labels, minlength=(widths + 1) * 256).reshape(widths + 1, 256)

    by_ring = np.stack([count(rings[right], true[right]), count(rings, true), count(rings, found)], axis=1)
    return by_ring[1:, :, : len(label_set)].cumsum(axis=0, dtype=np.int32)


def _beside_another_class(truth: NDArray[np.uint8], void: int) -> NDArray[np.bool_]:
    """Mark the pixels that touch one of another class, at a side or a corner."""
    marks = np.zeros(truth.shape, np.bool_)
    here, there = np.s_[:-1], np.s_[1:]
    for one, other in (
        ((slice(None), here), (slice(None), there)),
        ((here, slice(None)), (there, slice(None))),
        ((here, here), (there, there)),
        ((here, there), (there, here)),
    ):
        differ = (truth[one] != truth[other]) & (truth[one] != void) & (truth[other] != void)
        marks[one] |= differ
        marks[other] |= differ
    return marks


def _grown(marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dilate by a 3x3 square."""
    tall = marks.copy()
    tall[1:] |= marks[:-1]
    tall[:-1] |= marks[1:]
    grown = tall.copy()
    grown[:, 1:] |= tall[:, :-1]
    grown[:, :-1] |= tall[:, 1:]
    return grown
