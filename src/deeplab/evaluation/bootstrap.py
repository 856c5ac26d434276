"""Confidence intervals: how far a figure would move with other photos of the same kind, by percentile bootstrap.

Photos are drawn with replacement, as many as there are; the figure of each such set is computed from the photos'
summed parts, and the middle 95 % of those figures are the interval (Efron & Tibshirani 1993, chapter 13). Two ways of
labelling are compared on the same draws: the interval of a gain is that of the paired difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError

__all__ = ["Estimate", "draw_photos", "estimate"]

LEVEL = 0.95

Figure = Callable[[NDArray[Any]], NDArray[np.float64]]
"""Takes summed parts with any axes before them, and gives a figure for each."""


class Estimate(NamedTuple):
    """A figure and its 95 % interval; the ends are NaN where the figure is."""

    value: float
    low: float
    high: float


def draw_photos(photos: int, *, resamples: int = 1000, seed: int = 0) -> NDArray[np.int64]:
    """Return how often each photo is in each resampled set, (resamples, photos), every row adding up to `photos`.

    Raises:
        InputError: there are no photos, or `resamples` is below 1.
    """
    if photos < 1 or resamples < 1:
        raise InputError(f"expected at least one photo and one resample, got {photos} and {resamples}")
    return np.random.default_rng(seed).multinomial(photos, np.full(photos, 1 / photos), resamples)


def estimate(
    figure: Figure,
    parts: NDArray[Any],
    draws: NDArray[np.int64] | None,
    *,
    minus: NDArray[Any] | None = None,
) -> Estimate:
    """Return a figure of a set of photos with its 95 % interval.

    Args:
        figure: of the photos' summed parts, e.g. `deeplab.evaluation.figures.mean_iou` of tallies.
        parts: (photos, …), what each photo adds to the sum.
        draws: (resamples, photos) from `draw_photos`; None: no interval, its ends are NaN.
        minus: (photos, …), the same photos labelled another way; the figure is then the gain over that.

    Returns:
        The figure of all photos, and where the middle 95 % of the resampled sets' figures lie. Sets in which it is not
        defined, such as those without any photo of a class, are left out.
    """

    def of(summed: NDArray[Any], other: NDArray[Any] | None) -> NDArray[np.float64]:
        return figure(summed) if other is None else figure(summed) - figure(other)

    value = float(of(parts.sum(0), None if minus is None else minus.sum(0)))
    if draws is None:
        return Estimate(value, float("nan"), float("nan"))
    values = of(_sums(parts, draws), None if minus is None else _sums(minus, draws))
    values = values[~np.isnan(values)]
    if np.isnan(value) or not values.size:
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _sums(parts: NDArray[Any], draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """(resamples, …): exact, as the counts stay below 2⁵³."""
    flat = parts.reshape(len(parts), -1).astype(np.float64)
    return (draws.astype(np.float64) @ flat).reshape(len(draws), *parts.shape[1:])
