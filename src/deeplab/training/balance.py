"""Rare classes: how often each occurs, weights for the loss, and an order of photos that favours them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from deeplab.data.samples import Sample, load_mask
from deeplab.errors import DataError
from deeplab.training.chance import Stream, draw


def class_counts(
    samples: Sequence[Sample],
    skip_bad: bool = False,
    report: Callable[[int, int], None] = lambda done, count: None,
) -> NDArray[np.int64]:
    """Count every photo's pixels by class: (N, L) int64.

    Args:
        samples: the photos, alike in their label set.
        skip_bad: count nothing where a mask cannot be read, instead of raising.
        report: takes the number of masks done and of all masks.

    Raises:
        DataError: a mask cannot be read or is wrong, and not `skip_bad`.
    """
    counts = np.zeros((len(samples), len(samples[0].label_set)), dtype=np.int64)
    for index, sample in enumerate(samples):
        try:
            labels = load_mask(sample)
        except DataError:
            if not skip_bad:
                raise
        else:
            counts[index] = np.bincount(labels.ravel(), minlength=256)[: counts.shape[1]]
        report(index + 1, len(samples))
    return counts


def median_frequency_weights(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Weights (L,) for the loss by median frequency balancing (Eigen and Fergus 2015, section 6.3.2).

    A class's frequency is its pixels over all labelled pixels of the photos that show it; its weight is the median
    frequency over its own. A class that never occurs gets 0.

    Args:
        counts: (N, L), as `class_counts` gives them.
    """
    shown = np.where(counts > 0, counts.sum(axis=1, keepdims=True), 0).sum(axis=0)
    frequency = counts.sum(axis=0) / np.maximum(shown, 1)
    occurs = frequency > 0
    weights = np.zeros(len(frequency), dtype=np.float32)
    if not occurs.any():
        return weights
    weights[occurs] = np.median(frequency[occurs]) / frequency[occurs]
    return weights


class PhotoOrder(Protocol):
    """An endless stream of photos."""

    def photo_at(self, position: int) -> int:
        """Which photo comes at a position, from 0."""


class ClassBalance(NamedTuple):
    """An endless stream of photos in which every class has its turn: a class is drawn, then a photo that shows it.

    Attributes:
        counts: (N, L), as `class_counts` gives them, with at least one pixel.
        seed: of the stream.
        stream: which it is, of a run's.
    """

    counts: NDArray[np.int64]
    seed: int
    stream: Stream = Stream.CLASS

    def photo_at(self, position: int) -> int:
        """Which photo comes at a position, from 0."""
        rng = draw(self.stream, self.seed, position)
        shown = self.counts > 0
        label = rng.choice(np.flatnonzero(shown.any(axis=0)))
        return int(rng.choice(np.flatnonzero(shown[:, label])))
