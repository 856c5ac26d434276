"""The VOC protocol's figures, of one tally or of thousands at once.

A tally is what the figures need of a confusion matrix: (3, L) int64, for each class how many pixels are labelled right,
how many are truly of it, and how many are labelled so. Tallies of photos add up to the tally of the set, so every
figure of a set is a figure of a sum. All functions take tallies (…, 3, L) and work over the last two axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Tallies = NDArray[np.integer] | NDArray[np.floating]
Figures = NDArray[np.float64]


def tally(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the tallies (…, 3, L) of confusion matrices (…, L, L), rows true and columns predicted."""
    return np.stack([np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), counts.sum(-2)], axis=-2)


def iou(tallies: Tallies) -> Figures:
    """Intersection over union by class, (…, L) in 0–1: TP / (TP + FP + FN); NaN for a class without true pixels.

    It would be 0 if the class were found somewhere, which is in the figures of the classes that are there.
    """
    hits, true, predicted = np.moveaxis(tallies, -2, 0)
    return _ratio(hits, np.where(true > 0, true + predicted - hits, 0))


def class_accuracy(tallies: Tallies) -> Figures:
    """Share of each class's pixels labelled right, (…, L) in 0–1; NaN for a class without true pixels."""
    return _ratio(tallies[..., 0, :], tallies[..., 1, :])


def pixel_accuracy(tallies: Tallies) -> Figures:
    """Share of all counted pixels labelled right, (…) in 0–1; NaN where nothing is counted."""
    return _ratio(tallies[..., 0, :].sum(-1), tallies[..., 1, :].sum(-1))


def mean_iou(tallies: Tallies, labels: Sequence[int] | None = None) -> Figures:
    """Plain mean of `iou` over the classes with true pixels, (…) in 0–1; NaN where there are none.

    Those classes are the same whatever is predicted. `labels` narrows the mean to some classes.
    """
    chosen = tallies if labels is None else tallies[..., list(labels)]
    return _mean_over_true(iou(chosen), chosen)


def mean_class_accuracy(tallies: Tallies) -> Figures:
    """Plain mean of `class_accuracy` over the classes with true pixels, (…) in 0–1; NaN where there are none."""
    return _mean_over_true(class_accuracy(tallies), tallies)


def or_none(values: Iterable[float]) -> list[float | None]:
    """Return figures as JSON has them, None for NaN."""
    return [None if math.isnan(value) else float(value) for value in values]


def _mean_over_true(by_class: Figures, tallies: Tallies) -> Figures:
    occurs = tallies[..., 1, :] > 0
    return _ratio(np.where(occurs, by_class, 0).sum(-1), occurs.sum(-1))


def _ratio(part: Tallies, whole: Tallies) -> Figures:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(part / whole, dtype=np.float64)
