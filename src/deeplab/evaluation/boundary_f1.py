"""Boundary F1: how well the contours of each class match the true ones.

Csurka, Larlus & Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC 2013; averaged as in
the CamVid comparison of Badrinarayanan, Kendall & Cipolla, "SegNet", 2017, section 4: over the classes truly in a
photo, then over photos.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from deeplab.labels import LabelSet

__all__ = ["TOLERANCE", "boundary_f1"]

TOLERANCE = 0.0075
"""How far apart contours that match may lie, as a share of the photo's diagonal."""


def boundary_f1(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], label_set: LabelSet, *, tolerance: float = TOLERANCE
) -> NDArray[np.float64]:
    """Return the boundary F1 of every class in one photo.

    A class's contour is its pixels with a neighbour (left, right, above, below) of another class; the photo's frame is
    no contour. Precision is the share of the predicted contour's pixels nearer than the tolerance (Euclidean) to a
    pixel of the true contour, recall the share of the true one's that near to the predicted; F1 is their harmonic mean.

    Void outlines are closed first: void takes the class of its neighbours, from both sides, as far in as the tolerance
    reaches. Void that is left is unknown: predicted labels there are void too, and no contour runs along it.

    Args:
        truth: (H, W) labels, 0 … L−1 or void.
        predicted: (H, W) labels, 0 … L−1.
        label_set: the classes and void.
        tolerance: as a share of the photo's diagonal.

    Returns:
        (L,) in 0–1; NaN for a class that is not truly in the photo, and for one without a contour in either.
    """
    radius_px = tolerance * math.hypot(*truth.shape)
    void = label_set.void
    true_labels = _close_outlines(truth, void, int(radius_px))
    found_labels = np.where(true_labels == void, np.uint8(void), predicted)
    true_edges, found_edges = _edges(true_labels, void), _edges(found_labels, void)
    scores = np.full(len(label_set), np.nan)
    for label in np.unique(truth[truth != void]):
        true = true_edges & (true_labels == label)
        found = found_edges & (found_labels == label)
        if not true.any() and not found.any():
            continue
        hits = np.count_nonzero(found & _within(true, radius_px))
        recalled = np.count_nonzero(true & _within(found, radius_px))
        if hits and recalled:
            precision, recall = hits / np.count_nonzero(found), recalled / np.count_nonzero(true)
            scores[label] = 2 * precision * recall / (precision + recall)
        else:
            scores[label] = 0
    return scores


def _close_outlines(labels: NDArray[np.uint8], void: int, steps: int) -> NDArray[np.uint8]:
    """Let the classes grow into void, a pixel a step: down, up, right, left."""
    closed = labels.copy()
    for _ in range(steps):
        before = closed.copy()
        for target, source in ((closed, before), (closed.T, before.T)):
            for to, since in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])):
                open_ = target[to] == void
                target[to][open_] = source[since][open_]
    return closed


def _edges(labels: NDArray[np.uint8], void: int) -> NDArray[np.bool_]:
    """Mark the pixels beside one of another class."""
    marks = np.zeros(labels.shape, np.bool_)
    for along, turned in ((labels, marks), (labels.T, marks.T)):
        differs = (along[1:] != along[:-1]) & (along[1:] != void) & (along[:-1] != void)
        turned[1:] |= differs
        turned[:-1] |= differs
    return marks


def _within(marks: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    """Dilate by the open disc of a radius: row by row, the disc is a run of pixels, found by running sums."""
    height, width = marks.shape
    sums = np.zeros((height, width + 1), np.int32)
    marks.cumsum(axis=1, out=sums[:, 1:])
    columns = np.arange(width)
    near = np.zeros_like(marks)
    for down in range(min(math.ceil(radius_px), height)):
        half = math.ceil(math.sqrt(radius_px**2 - down**2)) - 1  # the largest with half² + down² < radius²
        runs = sums[:, np.minimum(columns + half + 1, width)] > sums[:, np.maximum(columns - half, 0)]
        near[down:] |= runs[: height - down]
        near[: height - down] |= runs[down:]
    return near
