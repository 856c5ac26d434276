"""One confusion matrix over a whole data set, and the figures read off it (VOC protocol, section 5 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError
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
            InputError: sizes differ, or a label is out of range.
        """
        if truth.shape != predicted.shape:
            raise InputError(f"truth is {truth.shape} but the prediction {predicted.shape}; both must be (H, W)")
        counted = truth != label_set.void
        size = len(label_set)
        for name, labels in (("true", truth[counted]), ("predicted", predicted)):
            beyond = labels[(labels < 0) | (labels >= size)]
            if beyond.size:
                raise InputError(
                    f"{name} label {beyond[0]} is out of range; {label_set.name!r} has labels 0–{size - 1}"
                )
        rows, columns = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
        return cls(np.bincount(rows * size + columns, minlength=size * size).reshape(size, size), label_set)

    def __add__(self, other: Confusion) -> Confusion:
        """Counts over both parts."""
        return Confusion(self.counts + other.counts, self.label_set)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union by class, (L,) in 0–1: TP / (TP + FP + FN); NaN for a class that never occurs."""
        hits = np.diag(self.counts)
        return _ratio(hits, self.counts.sum(0) + self.counts.sum(1) - hits)

    @property
    def class_accuracy(self) -> NDArray[np.float64]:
        """Share of each class's pixels labelled right, (L,) in 0–1; NaN for a class without true pixels."""
        return _ratio(np.diag(self.counts), self.counts.sum(1))

    @property
    def mean_iou(self) -> float:
        """Plain mean of `iou` over the classes with true pixels, which are the same whatever is predicted."""
        return self.mean_iou_over(self.label_set.names)

    @property
    def mean_class_accuracy(self) -> float:
        """Plain mean of `class_accuracy` over the classes with true pixels."""
        accuracies = self.class_accuracy
        return _mean(accuracies[~np.isnan(accuracies)])

    @property
    def pixel_accuracy(self) -> float:
        """Share of all counted pixels labelled right, in 0–1."""
        return float(_ratio(np.trace(self.counts), self.counts.sum()))

    def mean_iou_over(self, names: tuple[str, ...]) -> float:
        """Plain mean of `iou` over some classes only, by name; those without true pixels are left out.

        Raises:
            InputError: a name is not in the label set.
        """
        known = self.label_set.names
        if unknown := [name for name in names if name not in known]:
            raise InputError(f"{unknown[0]!r} is no class of {self.label_set.name!r}; choose from {', '.join(known)}")
        occurs = self.counts.sum(1) > 0
        return _mean(self.iou[[label for label, name in enumerate(known) if name in names and occurs[label]]])


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(part / whole, dtype=np.float64)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
