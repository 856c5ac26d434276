"""The VOC protocol over a data set: from stored scores, without and with the CRF, or from predicted label maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFSettings
from deeplab.data.samples import Sample, load_mask, load_sample
from deeplab.errors import DataError, InputError
from deeplab.evaluation.confusion import Confusion
from deeplab.evaluation.stored_scores import StoredScores
from deeplab.images import read_label_map
from deeplab.labels import LabelSet
from deeplab.scores import label_probabilities, refine_in_place

__all__ = ["Evaluation", "evaluate_predictions", "evaluate_scores", "format_table", "to_json"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """The outcome of an evaluation.

    Attributes:
        confusions: one matrix over the whole set for each way of labelling, ``"network"`` and ``"network + CRF"``, or
            ``"predictions"``.
        photos: how many photos were counted.
        facts: what was evaluated (model, its hash, CRF settings), as JSON values.
    """

    confusions: Mapping[str, Confusion]
    photos: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label_set(self) -> LabelSet:
        """The classes."""
        return next(iter(self.confusions.values())).label_set


def evaluate_scores(
    samples: Sequence[Sample],
    scores: StoredScores,
    *,
    crf: CRFSettings | None = None,
    threads: int = 1,
    progress: Progress = lambda done, total: None,
) -> Evaluation:
    """Label photos from stored scores as `deeplab.segment.Segmenter` does, and count (VOC protocol, section 5).

    Args:
        samples: the photos and their true labels.
        scores: the network's scores of these photos.
        crf: also label with the CRF run like this; None: the network alone.
        threads: photos in work at a time. The result does not depend on it.
        progress: called after each photo with the number done and the number of all photos.

    Returns:
        One confusion matrix for ``"network"`` and, with `crf`, one for ``"network + CRF"``.

    Raises:
        ImageError: a photo or mask cannot be read.
        DataError: there are no photos, scores are missing or damaged, or belong to other labels or a photo of another
            size, or a mask is wrong.
        InputError: `threads` is below 1, or a CRF setting is out of range.
    """

    def count(sample: Sample) -> list[Confusion]:
        image, truth = load_sample(sample)
        stored = scores.load(sample.name)
        if stored.photo_size != truth.shape:
            was, now = stored.photo_size, truth.shape
            raise DataError(
                f"{scores.path(sample.name)} belongs to a photo of {was[1]}x{was[0]} px, but {sample.photo} has "
                f"{now[1]}x{now[0]}; store the scores again in a fresh folder"
            )
        probabilities = label_probabilities(
            stored.scores, stored.photo_size, stored.network_size, scores.info.output_stride
        )
        confusions = [_compare(truth, probabilities, sample)]
        if crf is not None:
            # each photo has a thread of its own
            refine_in_place(image, probabilities, crf, network_size=stored.network_size, threads=1)
            confusions.append(_compare(truth, probabilities, sample))
        return confusions

    ways = ["network"] if crf is None else ["network", "network + CRF"]
    facts = {
        "model": scores.info.name,
        "model_sha256": scores.model_sha256,
        "crf": None if crf is None else crf.to_dict(),
    }
    totals = _count_all(samples, count, ways, threads, progress, scores.info.label_set)
    return Evaluation(totals, len(samples), facts)


def evaluate_predictions(
    samples: Sequence[Sample], folder: Path, *, progress: Progress = lambda done, total: None
) -> Evaluation:
    """Count label maps that lie in a folder as ``<photo>.png``, pixel values 0 … L−1.

    Args:
        samples: the photos and their true labels; the photos themselves are not read.
        folder: the predicted label maps, each of its photo's size.
        progress: called after each photo with the number done and the number of all photos.

    Returns:
        One confusion matrix, ``"predictions"``.

    Raises:
        ImageError: a mask or prediction cannot be read.
        DataError: there are no photos, or a prediction is missing, of another size or holds a label out of range.
    """

    def count(sample: Sample) -> list[Confusion]:
        path = folder / f"{sample.name}.png"
        if not path.is_file():
            raise DataError(f"{path} is missing; every photo of the set needs a prediction of its name")
        try:
            return [Confusion.of(load_mask(sample), read_label_map(path), sample.label_set)]
        except InputError as error:
            raise DataError(f"{path}: {error}") from None

    return Evaluation(_count_all(samples, count, ["predictions"], 1, progress), len(samples), {"folder": str(folder)})


def format_table(evaluation: Evaluation, classes: tuple[str, ...] = ()) -> str:
    """Lay an evaluation out as text: IoU of every class, then the means, in percent, one column a way of labelling.

    Args:
        evaluation: what `evaluate_scores` or `evaluate_predictions` returned.
        classes: also give the mean IoU over these alone.

    Raises:
        InputError: a class is not in the label set.
    """
    confusions = evaluation.confusions.values()
    rows = {name: [c.iou[label] for c in confusions] for label, name in enumerate(evaluation.label_set.names)}
    rows[f"mean IoU, {len(evaluation.label_set)} classes"] = [c.mean_iou for c in confusions]
    if classes:
        rows[f"mean IoU, {len(classes)} classes*"] = [c.mean_iou_over(classes) for c in confusions]
    rows["pixel accuracy"] = [c.pixel_accuracy for c in confusions]
    rows["mean class accuracy"] = [c.mean_class_accuracy for c in confusions]
    lines = [(f"IoU, % ({evaluation.photos} photos)", *evaluation.confusions)]
    lines += [(name, *("–" if math.isnan(x) else f"{100 * x:.2f}" for x in values)) for name, values in rows.items()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join([line[0].ljust(widths[0])] + [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)])
        for line in lines
    ]
    rule = "-" * len(table[0])
    table[1:1] = [rule]
    table[2 + len(evaluation.label_set) : 2 + len(evaluation.label_set)] = [rule]
    return "\n".join(table + ([f"* {', '.join(classes)}"] if classes else []))


def to_json(evaluation: Evaluation, classes: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return an evaluation as JSON values: figures in 0–1, None where a class never occurs.

    Args:
        evaluation: what `evaluate_scores` or `evaluate_predictions` returned.
        classes: also give the mean IoU over these alone.

    Raises:
        InputError: a class is not in the label set.
    """
    return {
        **evaluation.facts,
        "photos": evaluation.photos,
        "classes": list(classes),
        "results": {way: _figures(confusion, classes) for way, confusion in evaluation.confusions.items()},
    }


def _figures(confusion: Confusion, classes: tuple[str, ...]) -> dict[str, Any]:
    names = confusion.label_set.names
    return {
        "mean_iou": _or_none(confusion.mean_iou),
        "mean_iou_over_classes": _or_none(confusion.mean_iou_over(classes)) if classes else None,
        "pixel_accuracy": _or_none(confusion.pixel_accuracy),
        "mean_class_accuracy": _or_none(confusion.mean_class_accuracy),
        "iou": dict(zip(names, map(_or_none, confusion.iou), strict=True)),
        "class_accuracy": dict(zip(names, map(_or_none, confusion.class_accuracy), strict=True)),
        "confusion": confusion.counts.tolist(),
    }


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _compare(truth: NDArray[np.uint8], probabilities: NDArray[np.float32], sample: Sample) -> Confusion:
    return Confusion.of(truth, probabilities.argmax(axis=0).astype(np.uint8), sample.label_set)


def _count_all(
    samples: Sequence[Sample],
    count: Callable[[Sample], Iterable[Confusion]],
    ways: Sequence[str],
    threads: int,
    progress: Progress,
    expected: LabelSet | None = None,
) -> dict[str, Confusion]:
    """Add up what `count` gives for every photo, several photos at a time."""
    if threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    if not samples:
        raise DataError("there are no photos to evaluate; check the split's name")
    label_set = samples[0].label_set
    names = label_set.names if expected is None else expected.names
    if stranger := next((s for s in samples if s.label_set != label_set or s.label_set.names != names), None):
        raise DataError(
            f"{stranger.mask} has the labels of {stranger.label_set.name!r}, which differ from those expected, "
            f"{(expected or label_set).name!r}; evaluate a model on masks of its own labels"
        )
    totals = {way: Confusion.empty(label_set) for way in ways}
    with ThreadPoolExecutor(threads) as pool:
        for done, parts in enumerate(pool.map(count, samples), start=1):
            totals = {way: totals[way] + part for way, part in zip(ways, parts, strict=True)}
            progress(done, len(samples))
    return totals
