"""The figures that an evaluation prints: their names, and which function makes each of what the photos add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.evaluation import figures
from deeplab.evaluation.bootstrap import Estimate, Figure, estimate
from deeplab.evaluation.calibration import expected_calibration_error
from deeplab.evaluation.evaluate import Evaluation, Outcome

CURVES: dict[str, Figure] = {"mean_iou": figures.mean_iou, "pixel_accuracy": figures.pixel_accuracy}
"""What is drawn over the width of the band around object boundaries, by name."""


_TALLIES, _CONTOURS, _CALIBRATION = attrgetter("tallies"), attrgetter("boundary_f1"), attrgetter("calibration")


class Measure(NamedTuple):
    """One figure of an outcome.

    Attributes:
        title: its name in a table.
        key: its name in JSON.
        figure: makes it of the photos' summed parts.
        parts: what each photo adds, (photos, …).
    """

    title: str
    key: str
    figure: Figure
    parts: Callable[[Outcome], NDArray[Any]]

    def of(self, outcome: Outcome, draws: NDArray[np.int64] | None, *, beyond: Outcome | None = None) -> Estimate:
        """Return the figure with its interval, or, with `beyond`, the gain over that outcome; see `bootstrap`."""
        return estimate(self.figure, self.parts(outcome), draws, minus=None if beyond is None else self.parts(beyond))


def class_measures(evaluation: Evaluation) -> list[Measure]:
    """Return the IoU of every class."""
    names = evaluation.label_set.names
    return [Measure(name, name, partial(_class_iou, label), _TALLIES) for label, name in enumerate(names)]


def headline_measures(evaluation: Evaluation, classes: Sequence[str] = ()) -> list[Measure]:
    """Return the means over classes and pixels that the evaluation allows; one of them over `classes` if given.

    Raises:
        InputError: a class is not in the label set.
    """
    label_set = evaluation.label_set
    chosen = label_set.labels_of(classes)
    occurs = next(iter(evaluation.outcomes.values())).confusion.tally[1] > 0  # the same whatever the way of labelling
    measures = [Measure(f"mean IoU, {_classes(occurs)}", "mean_iou", figures.mean_iou, _TALLIES)]
    if chosen:
        over = partial(figures.mean_iou, labels=chosen)
        measures.append(Measure(f"mean IoU, {_classes(occurs[chosen])}*", "mean_iou_over_classes", over, _TALLIES))
    measures += [
        Measure("pixel accuracy", "pixel_accuracy", figures.pixel_accuracy, _TALLIES),
        Measure("mean class accuracy", "mean_class_accuracy", figures.mean_class_accuracy, _TALLIES),
    ]
    if all(outcome.boundary_f1 is not None for outcome in evaluation.outcomes.values()):
        measures.append(Measure("boundary F1", "boundary_f1", _mean_of_photos, _CONTOURS))
    if all(outcome.calibration is not None for outcome in evaluation.outcomes.values()):
        measures.append(Measure("calibration error", "calibration_error", expected_calibration_error, _CALIBRATION))
    return measures


def _classes(occurs: NDArray[np.bool_]) -> str:
    """Say how many classes a mean is over, and of how many: those that occur."""
    return f"{occurs.sum()} of {occurs.size} classes" if not occurs.all() else f"{occurs.size} classes"


def curve(
    name: str, outcome: Outcome, draws: NDArray[np.int64] | None, *, beyond: Outcome | None = None
) -> list[Estimate]:
    """Return one of the `CURVES`, or its gain over `beyond`, in bands 1, 2, … px wide; empty where none are.

    Both outcomes have bands, or neither.
    """
    if outcome.bands is None:
        return []
    minus = None if beyond is None else beyond.bands
    return [
        estimate(CURVES[name], outcome.bands[:, band], draws, minus=None if minus is None else minus[:, band])
        for band in range(outcome.bands.shape[1])
    ]


def _class_iou(label: int, tallies: NDArray[Any]) -> NDArray[np.float64]:
    by_class: NDArray[np.float64] = figures.iou(tallies)[..., label]
    return by_class


def _mean_of_photos(sums: NDArray[Any]) -> NDArray[np.float64]:
    """(…, 2), the photos' figures added up and their number → the mean; NaN where there are none."""
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])
