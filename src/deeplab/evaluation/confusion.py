"""One confusion matrix over a whole data set, and the figures read off it (VOC protocol, section 5 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.evaluation import figures
from deeplab.labels import LabelSet

__all__ = ["Confusion"]


@dataclass(frozen=True)
class Confusion:
    """Pixel counts by true and predicted label; matrices of parts of a data set add up.

    Attributes:
        counts: (L, L) int64, row = true label, column = predicted label.
        label_set: the L classes.
    """

    counts: NDArray[np.int64]
    label_set: LabelSet

    @classmethod
    def empty(cls, label_set: LabelSet) -> Confusion:
        """No pixels yet."""
        return cls(np.zeros((len(label_set),) * 2, dtype=np.int64), label_set)

    @classmethod
    def of(cls, truth: NDArray[np.uint8], predicted: NDArray[np.uint8], label_set: LabelSet) -> Confusion:
        """Count one photo.

        Args:
            truth: (H, W) labels, 0 … L−1 or void; void pixels are not counted.
            predicted: (H, W) labels, 0 … L−1, also where the truth is void (as VOC's own toolkit asks).
            label_set: the L classes and void.

        Raises:
            InputError: sizes differ, a label is out of range, or an array is not uint8.
        """
        if truth.shape != predicted.shape:
            raise InputError(f"truth is {truth.shape} but the prediction {predicted.shape}; both must be (H, W)")
        if not truth.dtype == predicted.dtype == np.uint8:
            raise InputError(f"truth is {truth.dtype} and the prediction {predicted.dtype}; both must be uint8")
        pairs = truth.astype(np.uint16).ravel() * np.uint16(256) + predicted.ravel()
        counts = np.bincount(pairs, minlength=256 * 256).reshape(256, 256)
        size = len(label_set)
        true, found = counts.sum(1), counts.sum(0)
        true[label_set.void] = 0
        for name, numbers in (("true", true), ("predicted", found)):
            if beyond := np.flatnonzero(numbers[size:]).tolist():
                raise InputError(
                    f"{name} label {size + beyond[0]} is out of range; {label_set.name!r} has labels 0–{size - 1}"
                )
        return cls(counts[:size, :size].astype(np.int64), label_set)

    def __add__(self, other: Confusion) -> Confusion:
        """Counts over both parts."""
        return Confusion(self.counts + other.counts, self.label_set)

    @property
    def tally(self) -> NDArray[np.int64]:
        """What the figures need of it, (3, L); see `deeplab.evaluation.figures`."""
        return figures.tally(self.counts)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union by class, (L,) in 0–1: TP / (TP + FP + FN); NaN for a class without true pixels."""
        return figures.iou(self.tally)

    @property
    def class_accuracy(self) -> NDArray[np.float64]:
        """Share of each class's pixels labelled right, (L,) in 0–1; NaN for a class without true pixels."""
        return figures.class_accuracy(self.tally)

    @property
    def mean_iou(self) -> float:
        """Plain mean of `iou` over the classes with true pixels, which are the same whatever is predicted."""
        return float(figures.mean_iou(self.tally))

    @property
    def mean_class_accuracy(self) -> float:
        """Plain mean of `class_accuracy` over the classes with true pixels."""
        return float(figures.mean_class_accuracy(self.tally))

    @property
    def pixel_accuracy(self) -> float:
        """Share of all counted pixels labelled right, in 0–1."""
        return float(figures.pixel_accuracy(self.tally))
