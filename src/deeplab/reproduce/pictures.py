"""Pictures of what the CRF does: photos before and after it (figures 4, 7), a class's maps as it runs (figure 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.crf import CRFSettings
from deeplab.data.samples import Sample
from deeplab.errors import DataError
from deeplab.evaluation.evaluate import load_scored
from deeplab.evaluation.stored_scores import StoredScores
from deeplab.files import atomic_file
from deeplab.label_maps import coloured
from deeplab.labels import LabelSet
from deeplab.reproduce.steps import Done
from deeplab.reproduce.work import Work

MAX_SIDE_PX = 500
SCORE_REACH = 8.0  # the log-odds at which the colours of score maps end
UPDATES = (0, 1, 2, 5, 10)

# Where a label is: as it was and right, right only with the CRF, right only without it, wrong in both, void.
CHANGES = LabelSet(
    "changes",
    ("right", "mended by the CRF", "spoiled by the CRF", "wrong"),
    ((236, 236, 236), (0, 114, 178), (230, 130, 0), (120, 120, 120), (255, 255, 255)),
    void=4,
)
# Colours of maps, from low to high.
_BELIEF = ((0, 0, 4), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191))
_SCORE = ((33, 60, 130), (120, 160, 210), (245, 245, 245), (220, 130, 100), (130, 20, 40))

Labels = NDArray[np.uint8]


def draw_gallery(work: Work, crf: CRFSettings, evaluation: Mapping[str, Any]) -> Done:
    """Draw the photos that the CRF helped most, as much as most, and least, by the gain of each photo's own mean IoU.

    The result lists them: ``name``, ``kind`` ("best", "median", "worst"), ``mean_iou`` (network, with CRF), ``size``
    (width, height) and ``images``, the files' names in the folder ``gallery`` by what they show: ``photo`` and
    ``truth``, which may not be free to pass on, ``network``, ``crf`` and ``changes``.
    """
    chosen = _choose(evaluation, work.plan.effort.examples)
    by_name = {sample.name: sample for sample in work.photos.test}
    folder = work.workspace.make_folder("gallery")

    def make() -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "kind": kind,
                "mean_iou": before_after,
                **_draw(by_name[name], work.scores.test, crf, folder),
            }
            for name, kind, before_after in chosen
        ]

    shown = tuple(by_name[name] for name, _, _ in chosen)
    files = [folder / file for sample in shown for file in _names(sample).values()]
    return work.workspace.step("gallery", {**work.inputs(shown, crf), "chosen": chosen}, make, makes=files)


def _choose(evaluation: Mapping[str, Any], count: int) -> list[tuple[str, str, list[float]]]:
    """Name, kind and figures of the photos to show, each once."""
    rows = [
        (name, [before, after])
        for name, before, after in zip(
            evaluation["by_photo"]["names"], *evaluation["by_photo"]["mean_iou"].values(), strict=True
        )
        if before is not None
    ]
    if not rows:
        raise DataError("no test photo has a labelled pixel; check the masks with `deeplab check-data`")
    rows.sort(key=lambda row: row[1][0] - row[1][1])
    middle = max(len(rows) - count, 0) // 2
    chosen: dict[str, tuple[str, str, list[float]]] = {}
    for kind, part in (
        ("best", rows[:count]), ("worst", rows[::-1][:count]), ("median", rows[middle : middle + count])
    ):  # fmt: skip
        for name, figures in part:
            chosen.setdefault(name, (name, kind, figures))
    order = ("best", "median", "worst")
    return sorted(chosen.values(), key=lambda row: order.index(row[1]))


def _draw(sample: Sample, scores: StoredScores, crf: CRFSettings, folder: Path) -> dict[str, Any]:
    look, truth = load_scored(sample, scores)
    network, with_crf = look.labels(), look.refined(crf).labels
    label_set = sample.label_set
    changes = np.select(
        [truth == label_set.void, (network == truth) & (with_crf == truth), with_crf == truth, network == truth],
        [4, 0, 1, 2],
        default=3,
    ).astype(np.uint8)
    shown = {
        "truth": coloured(truth, label_set),
        "network": coloured(network, label_set),
        "crf": coloured(with_crf, label_set),
        "changes": coloured(changes, CHANGES),
    }
    names = _names(sample)
    photo = _fitting(Image.fromarray(look.photo), Image.Resampling.LANCZOS)
    _save(folder / names["photo"], photo)
    for part, picture in shown.items():
        _save(folder / names[part], _fitting(picture, Image.Resampling.NEAREST))
    return {"size": list(photo.size), "images": names}


def _names(sample: Sample) -> dict[str, str]:
    """The files of a photo in the gallery, by what they show."""
    parts = ("truth", "network", "crf", "changes")
    return {"photo": f"{sample.name}.jpg", **{part: f"{sample.name}-{part}.png" for part in parts}}


def draw_mean_field(work: Work, crf: CRFSettings, evaluation: Mapping[str, Any]) -> Done:
    """Draw score and belief maps of one class as mean field runs, on the photo that the CRF helped most (figure 2).

    The belief is the class's probability; the score is its log-odds, the softmax's input up to a constant for each
    pixel. The result: the photo's ``name``, the ``class``, and ``steps``, each the number of ``updates`` and the names
    of the files ``score`` and ``belief`` in the folder ``mean-field``.
    """
    best = _choose(evaluation, 1)[0][0]
    sample = next(sample for sample in work.photos.test if sample.name == best)
    folder = work.workspace.make_folder("mean-field")
    names = {updates: {part: f"{part}-{updates}.png" for part in ("score", "belief")} for updates in UPDATES}

    def make() -> dict[str, Any]:
        look, truth = load_scored(sample, work.scores.test)
        runs = [look.refined(replace(crf, iterations=updates)) for updates in UPDATES]
        beliefs = [run.probabilities for run in runs]
        label = _most_mended(truth, runs[0].labels, runs[-1].labels, sample.label_set)
        steps = []
        for updates, belief in zip(UPDATES, beliefs, strict=True):
            share = np.clip(belief[label], 1e-6, 1 - 1e-6)
            odds = (np.log(share) - np.log1p(-share)) / (2 * SCORE_REACH) + 0.5
            maps = {"score": _tinted(odds, _SCORE), "belief": _tinted(share, _BELIEF)}
            for part, picture in maps.items():
                _save(folder / names[updates][part], _fitting(picture, Image.Resampling.NEAREST))
            steps.append({"updates": updates, **names[updates]})
        return {"name": sample.name, "class": sample.label_set.names[label], "steps": steps}

    files = [folder / file for pair in names.values() for file in pair.values()]
    return work.workspace.step("mean-field", work.inputs((sample,), crf), make, makes=files)


def _most_mended(truth: Labels, before: Labels, after: Labels, label_set: LabelSet) -> int:
    """The class with the most pixels that became right, less those that became wrong; no background, if possible."""
    gains = (after == truth).astype(np.intp) - (before == truth)
    by_class = np.array([gains[truth == label].sum() for label in range(len(label_set))])
    by_class[~np.isin(np.arange(len(label_set)), truth)] = -truth.size
    if label_set.background is not None:
        by_class[label_set.background] = -truth.size
    return int(by_class.argmax())


def _tinted(shares: NDArray[np.floating], ramp: Sequence[tuple[int, int, int]]) -> Image.Image:
    """Show 0–1 as a run of colours, in a palette of 64."""
    places = np.linspace(0, len(ramp) - 1, 64)
    channels = [np.interp(places, np.arange(len(ramp)), channel) for channel in zip(*ramp, strict=True)]
    picture = Image.fromarray((shares.clip(0, 1) * 63).round().astype(np.uint8))
    picture.putpalette(np.stack(channels, axis=-1).round().astype(np.uint8).tobytes())
    return picture


def _fitting(picture: Image.Image, resampling: Image.Resampling) -> Image.Image:
    factor = MAX_SIDE_PX / max(picture.size)
    if factor >= 1:
        return picture
    return picture.resize((max(1, round(picture.width * factor)), max(1, round(picture.height * factor))), resampling)


def _save(path: Path, picture: Image.Image) -> None:
    with atomic_file(path, overwrite=True) as file:
        if path.suffix == ".jpg":
            picture.save(file, format="JPEG", quality=82, optimize=True)
        else:
            picture.save(file, format="PNG", optimize=True)
