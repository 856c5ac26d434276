"""The VOC protocol over a data set: from stored scores, without and with the CRF, or from predicted label maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_count
from deeplab.crf import CRFSettings
from deeplab.data.samples import Sample, load_mask, load_sample
from deeplab.errors import DataError, ImageError, InputError
from deeplab.evaluation.boundary_f1 import boundary_f1
from deeplab.evaluation.calibration import calibration_sums
from deeplab.evaluation.confusion import Confusion
from deeplab.evaluation.predictions import prediction_table, read_prediction
from deeplab.evaluation.stored_scores import StoredScores
from deeplab.evaluation.trimap import band_tallies, boundary_distance
from deeplab.files import is_file, sha256_of
from deeplab.labels import LabelSet
from deeplab.look import Look
from deeplab.progress import Show, silent

__all__ = ["Evaluation", "Extras", "Outcome", "check_samples", "evaluate_predictions", "evaluate_scores", "load_scored"]

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Extras:
    """What is measured beside the confusion matrix.

    Attributes:
        trimap: "void" or "classes", the boundaries that the bands lie around; see
            `deeplab.evaluation.trimap.boundary_distance`. None: no bands.
        boundary_f1: whether contours are compared; see `deeplab.evaluation.boundary_f1`.
    """

    trimap: str | None = None
    boundary_f1: bool = False


@dataclass(frozen=True)
class Outcome:
    """All photos of a set, labelled one way.

    Attributes:
        confusion: one matrix over the whole set.
        tallies: (photos, 3, L) int64, each photo's own; see `deeplab.evaluation.figures`.
        bands: (photos, 40, 3, L) int32, the tallies in bands 1 … 40 px wide, or None.
        boundary_f1: (photos, 2) float64: the mean boundary F1 over a photo's classes, and 1; 0 and 0 for a photo
            without any contour. The set's figure is the ratio of the sums. Or None.
        calibration: (photos, 3, 15) float64, see `deeplab.evaluation.calibration`; None where no confidence is known.
    """

    confusion: Confusion
    tallies: NDArray[np.int64]
    bands: NDArray[np.int32] | None = None
    boundary_f1: NDArray[np.float64] | None = None
    calibration: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Evaluation:
    """The outcome of an evaluation.

    Attributes:
        outcomes: by way of labelling: ``"network"`` and ``"network + CRF"``, or ``"predictions"``.
        facts: what was evaluated (model, its hash, CRF settings), as JSON values.
    """

    outcomes: Mapping[str, Outcome]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label_set(self) -> LabelSet:
        """The classes."""
        return next(iter(self.outcomes.values())).confusion.label_set

    @property
    def photos(self) -> int:
        """How many photos were counted."""
        return len(next(iter(self.outcomes.values())).tallies)


def evaluate_scores(
    samples: Sequence[Sample],
    scores: StoredScores,
    *,
    crf: CRFSettings | None = None,
    extras: Extras = Extras(),
    threads: int = 1,
    show: Show = silent,
) -> Evaluation:
    """Label photos from stored scores as `deeplab.segment.Segmenter` does, and count (VOC protocol, section 5).

    Args:
        samples: the photos and their true labels.
        scores: the network's scores of these photos.
        crf: also label with the CRF run like this; None: the network alone.
        extras: what to measure beside the confusion matrix.
        threads: photos in work at a time. The result does not depend on it.
        show: takes progress after each photo.

    Returns:
        An outcome for ``"network"`` and, with `crf`, one for ``"network + CRF"``.

    Raises:
        ImageError: a photo or mask cannot be read.
        DataError: there are no photos, scores are missing or damaged, or belong to other labels or a photo of another
            size, or a mask is wrong.
        InputError: `threads` is below 1, or a CRF setting is out of range.
    """

    def label(sample: Sample) -> tuple[Labels, list[_Labelled]]:
        look, truth = load_scored(sample, scores, threads=1)  # each photo has a thread of its own
        found = [look.unrefined()] if crf is None else [look.unrefined(), look.refined(crf)]
        return truth, [_Labelled(each.labels, each.confidence()) for each in found]

    ways = ["network"] if crf is None else ["network", "network + CRF"]
    facts = {
        "model": scores.info.name,
        "model_sha256": scores.model_sha256,
        "crf": None if crf is None else crf.to_dict(),
    }
    check_samples(samples, scores.info.label_set)
    return Evaluation(_count_all(samples, label, ways, extras, threads, show), facts | _said(extras))


def evaluate_predictions(
    samples: Sequence[Sample],
    folder: Path,
    *,
    numbers: str | None = None,
    extras: Extras = Extras(),
    threads: int = 1,
    show: Show = silent,
) -> Evaluation:
    """Count label maps that lie in a folder as ``<photo>.png``.

    Args:
        samples: the photos and their true labels; the photos themselves are not read.
        folder: the predicted label maps, each of its photo's size.
        numbers: what their pixel values are: ``"labels"``, 0 … L−1, ``"masks"``, what the masks store, or None for what
            they show; see `deeplab.evaluation.predictions`.
        extras: what to measure beside the confusion matrix.
        threads: photos in work at a time. The result does not depend on it.
        show: takes progress after each photo.

    Returns:
        One outcome, ``"predictions"``.

    Raises:
        ImageError: a mask or prediction cannot be read.
        DataError: there are no photos, or a prediction is missing, of another size or holds a label out of range or
            other labels, or it cannot be told whether the predictions hold labels or the masks' values.
        InputError: `threads` is below 1, or `numbers` is something else.
    """

    def label(sample: Sample) -> tuple[Labels, list[_Labelled]]:
        path = folder / f"{sample.name}.png"
        if not is_file(path):
            raise DataError(f"{path} is missing; every photo of the set needs a prediction of its name")
        truth, found = load_mask(sample), read_prediction(path, sample.label_set, table)
        try:
            Confusion.of(truth, found, sample.label_set)
        except InputError as error:
            raise DataError(f"{path}: {error}") from None
        return truth, [_Labelled(found, None)]

    check_samples(samples)
    table = prediction_table(samples, folder, numbers)
    outcomes = _count_all(samples, label, ["predictions"], extras, threads, show)
    return Evaluation(outcomes, {"folder": str(folder)} | _said(extras))


def load_scored(sample: Sample, scores: StoredScores, *, threads: int | None = None) -> tuple[Look, Labels]:
    """Load a photo with what the network said of it.

    Args:
        sample: the photo and its mask.
        scores: of this photo, too.
        threads: at most this many for the CRF; see `Look`.

    Returns:
        The network's look at the photo, and the true labels (H, W) uint8.

    Raises:
        ImageError: the photo cannot be read.
        DataError: scores are missing or damaged, or belong to a photo of another size, or the mask is wrong.
    """
    image, truth = load_sample(sample)
    stored = scores.load(sample.name)
    if stored.photo_size != truth.shape:
        was, now = stored.photo_size, truth.shape
        raise DataError(
            f"{scores.path(sample.name)} belongs to a photo of {was[1]}x{was[0]} px, but {sample.photo} has "
            f"{now[1]}x{now[0]}; store the scores again in a fresh folder"
        )
    if stored.photo_sha256 != sha256_of(sample.photo, ImageError):
        raise DataError(
            f"{sample.photo} has changed since its scores were stored; store them again, naming the model (--model)"
        )
    return Look(image, stored.scores, stored.network_size, scores.info, threads), truth


def check_samples(samples: Sequence[Sample], expected: LabelSet | None = None) -> None:
    """Check that there are photos, and that all masks have one set of labels, with the names of those `expected`.

    Raises:
        DataError: they have not.
    """
    if not samples:
        raise DataError("there are no photos to evaluate; check the split's name")
    label_set = samples[0].label_set
    names = label_set.names if expected is None else expected.names
    if stranger := next((s for s in samples if s.label_set != label_set or s.label_set.names != names), None):
        raise DataError(
            f"{stranger.mask} has the labels of {stranger.label_set.name!r}, which differ from those expected, "
            f"{(expected or label_set).name!r}; evaluate a model on masks of its own labels"
        )


class _Labelled(NamedTuple):
    """One photo, labelled one way: (H, W) uint8 labels and, where it is known, (H, W) float32 confidence."""

    labels: Labels
    confidence: NDArray[np.float32] | None


class _Parts(NamedTuple):
    """What one photo adds to an `Outcome`, by the names there."""

    tallies: NDArray[np.int64]
    bands: NDArray[np.int32] | None
    boundary_f1: NDArray[np.float64] | None
    calibration: NDArray[np.float64] | None


def _said(extras: Extras) -> dict[str, Any]:
    return {} if extras.trimap is None else {"trimap_around": extras.trimap}


def _count_all(
    samples: Sequence[Sample],
    label: Callable[[Sample], tuple[Labels, list[_Labelled]]],
    ways: Sequence[str],
    extras: Extras,
    threads: int,
    show: Show,
) -> dict[str, Outcome]:
    """Count what `label` gives for every photo, several photos at a time: its true labels, and those of each way."""
    check_count(threads, 1, "threads")

    def count(sample: Sample) -> list[tuple[Confusion, _Parts]]:
        truth, labelled = label(sample)
        return [_count(truth, found, sample.label_set, extras) for found in labelled]

    totals = [Confusion.empty(samples[0].label_set) for _ in ways]
    rows: list[list[_Parts]] = []
    pool = ThreadPoolExecutor(threads)
    try:
        for counted in pool.map(count, samples):
            totals = [total + confusion for total, (confusion, _) in zip(totals, counted, strict=True)]
            rows.append([parts for _, parts in counted])
            show("evaluating", len(rows), len(samples), "")
    finally:
        pool.shutdown(cancel_futures=True)
    columns = zip(*rows, strict=True)
    return {way: _outcome(total, column) for way, total, column in zip(ways, totals, columns, strict=True)}


def _outcome(total: Confusion, photos: Sequence[_Parts]) -> Outcome:
    tallies, *others = zip(*photos, strict=True)
    return Outcome(total, np.stack(tallies), *(None if parts[0] is None else np.stack(parts) for parts in others))


def _count(truth: Labels, found: _Labelled, label_set: LabelSet, extras: Extras) -> tuple[Confusion, _Parts]:
    """Count one photo, labelled one way."""
    labels, confidence = found
    confusion = Confusion.of(truth, labels, label_set)
    bands = contours = calibration = None
    if extras.trimap is not None:
        bands = band_tallies(truth, labels, boundary_distance(truth, label_set, extras.trimap), label_set)
    if extras.boundary_f1:
        by_class = boundary_f1(truth, labels, label_set)
        by_class = by_class[~np.isnan(by_class)]
        contours = np.array([by_class.mean(), 1.0] if by_class.size else [0.0, 0.0])
    if confidence is not None:
        calibration = calibration_sums(truth, labels, confidence, label_set.void)
    return confusion, _Parts(confusion.tally, bands, contours, calibration)
