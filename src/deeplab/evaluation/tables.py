"""An evaluation as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from deeplab.evaluation.bootstrap import LEVEL, Estimate, draw_photos
from deeplab.evaluation.evaluate import Evaluation, Outcome
from deeplab.evaluation.figures import or_none
from deeplab.evaluation.measures import CURVES, class_measures, curve, headline_measures

_PRINTED_WIDTHS = (1, 5, 10, 20, 40)


def format_table(evaluation: Evaluation, classes: Sequence[str] = (), *, resamples: int = 1000, seed: int = 0) -> str:
    """Lay an evaluation out as text, in percent: IoU of every class, then the means, one column a way of labelling.

    The means stand with their 95 % intervals; of two ways, the second's gain stands beside with its own.

    Args:
        evaluation: what `evaluate_scores` or `evaluate_predictions` returned.
        classes: also give the mean IoU over these alone.
        resamples: how many sets of photos the intervals come from; 0 for no intervals.
        seed: of the resampling.

    Raises:
        InputError: a class is not in the label set.
    """
    draws = draw_photos(evaluation.photos, resamples=resamples, seed=seed) if resamples else None
    by_class, means = class_measures(evaluation), headline_measures(evaluation, classes)
    outcomes = list(evaluation.outcomes.values())
    two = len(outcomes) == 2
    lines = [[f"IoU, % ({evaluation.photos} photos)", *evaluation.outcomes, *(["gain"] if two else [])]]
    for measure in by_class + means:
        cells = [_cell(measure.of(outcome, draws if measure in means else None)) for outcome in outcomes]
        gain = [_cell(measure.of(outcomes[1], draws, beyond=outcomes[0]), sign="+")] if two else []
        lines.append([measure.title, *cells, *gain])
    table = _aligned(lines)
    rule = "-" * len(table[0])
    notes = [f"[ ]: {LEVEL:.0%} interval, bootstrap over photos ({resamples} sets)"] if resamples else []
    notes += [f"* {', '.join(classes)}"] if classes else []
    return "\n".join([table[0], rule, *table[1 : len(by_class) + 1], rule, *table[len(by_class) + 1 :], *notes])


def format_trimap(evaluation: Evaluation, *, resamples: int = 1000, seed: int = 0) -> str:
    """Lay the figures in bands around object boundaries out as text, in percent; empty where none were measured.

    Of two ways of labelling, the second's gain stands beside, with its 95 % interval.

    Args:
        evaluation: what `evaluate_scores` or `evaluate_predictions` returned.
        resamples: how many sets of photos the intervals come from; 0 for no intervals.
        seed: of the resampling.
    """
    ways, outcomes = list(evaluation.outcomes), list(evaluation.outcomes.values())
    if any(outcome.bands is None for outcome in outcomes):
        return ""
    draws = draw_photos(evaluation.photos, resamples=resamples, seed=seed) if resamples else None
    tables = []
    for key in CURVES:
        title = f"{key.replace('_', ' ').replace('iou', 'IoU')} near boundaries, %"
        columns = [[_cell(point) for point in curve(key, outcome, None)] for outcome in outcomes]
        two = len(outcomes) == 2
        if two:
            columns.append([_cell(point, sign="+") for point in curve(key, outcomes[1], draws, beyond=outcomes[0])])
        rows = [[f"{width} px", *(column[width - 1] for column in columns)] for width in _PRINTED_WIDTHS]
        table = _aligned([[title, *ways, *(["gain"] if two else [])], *rows])
        tables.append("\n".join([table[0], "-" * len(table[0]), *table[1:]]))
    return "\n\n".join(tables)


def confusion_csv(evaluation: Evaluation) -> str:
    """Return the confusion matrices, in pixels, as CSV: a line a way of labelling and true class, a column a label."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = evaluation.label_set.names
    writer.writerow(["labelled by", "true class", *names])
    for way, outcome in evaluation.outcomes.items():
        writer.writerows([way, name, *row] for name, row in zip(names, outcome.confusion.counts.tolist(), strict=True))
    return text.getvalue()


def to_json(
    evaluation: Evaluation, classes: Sequence[str] = (), *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Return an evaluation as JSON values: figures in 0–1, None where a class never occurs.

    ``results`` holds the figures of every way of labelling, with the ends of their 95 % intervals in ``intervals``, the
    curves over bands of 1 … 40 px, as [value, low, high], in ``trimap``, and in ``calibration``, where confidence is
    known, by bin the pixels, those labelled right, and the sum of their confidences; ``gain`` holds what the second of
    two ways adds, as [value, low, high], and ``trimap_gain`` the same for the curves.

    Args:
        evaluation: what `evaluate_scores` or `evaluate_predictions` returned.
        classes: also give the mean IoU over these alone.
        resamples: how many sets of photos the intervals come from; 0 for no intervals, their ends are then None.
        seed: of the resampling.

    Raises:
        InputError: a class is not in the label set.
    """
    draws = draw_photos(evaluation.photos, resamples=resamples, seed=seed) if resamples else None
    by_class, means = class_measures(evaluation), headline_measures(evaluation, classes)

    def figures_of(outcome: Outcome) -> dict[str, Any]:
        estimates = {measure.key: or_none(measure.of(outcome, draws)) for measure in means}
        class_accuracy = or_none(outcome.confusion.class_accuracy)
        return {
            **{key: value for key, (value, _, _) in estimates.items()},
            "intervals": {key: ends for key, (_, *ends) in estimates.items()},
            "iou": {measure.key: or_none(measure.of(outcome, None))[0] for measure in by_class},
            "class_accuracy": dict(zip((measure.key for measure in by_class), class_accuracy, strict=True)),
            "confusion": outcome.confusion.counts.tolist(),
            "calibration": None if outcome.calibration is None else outcome.calibration.sum(0).tolist(),
            "trimap": {key: [or_none(point) for point in curve(key, outcome, draws)] for key in CURVES},
        }

    content = {
        **evaluation.facts,
        "photos": evaluation.photos,
        "classes": list(classes),
        "bootstrap": {"resamples": resamples, "seed": seed, "level": LEVEL},
        "results": {way: figures_of(outcome) for way, outcome in evaluation.outcomes.items()},
    }
    if len(evaluation.outcomes) == 2:
        before, after = evaluation.outcomes.values()
        gains = {measure: or_none(measure.of(after, draws, beyond=before)) for measure in by_class + means}
        content["gain"] = {measure.key: gains[measure] for measure in means}
        content["gain"]["iou"] = {measure.key: gains[measure] for measure in by_class}
        content["trimap_gain"] = {
            key: [or_none(point) for point in curve(key, after, draws, beyond=before)] for key in CURVES
        }
    return content


def _cell(estimate: Estimate, sign: str = "") -> str:
    value, low, high = (100 * number for number in estimate)
    if math.isnan(value):
        return "–"
    return f"{value:{sign}.2f}" + ("" if math.isnan(low) else f" [{low:{sign}.1f}, {high:{sign}.1f}]")


def _aligned(lines: list[list[str]]) -> list[str]:
    """Pad the cells of a table, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    ]
