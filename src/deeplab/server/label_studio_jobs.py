"""The worker's computations for Label Studio: a task's photo in, regions out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import MALFORMED, InputError
from deeplab.formats import Labelled, Options, label_studio_results
from deeplab.labels import LabelSet
from deeplab.look import Look
from deeplab.segmentation import Segmentation
from deeplab.server.labelling_config import LabellingConfig
from deeplab.server.task_photos import TaskPhotos
from deeplab.server.uploads import read_photo
from deeplab.server.worker import JobContext
from deeplab.teach.corrections import corrected, touched_parts
from deeplab.teach.drawn import label_studio_mark

_TOLERANCE_PX = 1.0  # of polygons, which people are to move by hand


class Found(NamedTuple):
    """A task's regions as Label Studio takes them, their mean score, 0–1, and the photo's pixels."""

    regions: list[dict[str, Any]]
    score: float
    pixels: int


def predict_task(
    context: JobContext,
    *,
    photo: object,
    places: TaskPhotos,
    most_bytes: int,
    model: str,
    config: LabellingConfig,
    drawn: Sequence[Mapping[str, Any]] = (),
) -> Found:
    """Segment a task's photo by a project's labels.

    Args:
        context: the worker's networks and limits.
        photo: its address in the task.
        places: where photos may come from.
        most_bytes: how large its file may be.
        model: the network's name.
        config: the project's labels, and what draws them.
        drawn: what was drawn by smart tools; the answer then has the parts that it touches, and no others.

    Raises:
        ImageError: the photo cannot be had or read.
        InputError: its address is refused, the model knows none of the labels, or what was drawn is unusable.
        ModelError: the network fails.
    """
    segmenter = context.segmenters[model]
    if not drawn and not any(config.groups[1:]):
        raise InputError(
            f"the labels {', '.join(config.label_set.names[1:])} are no classes of {model}; name them as its classes, "
            "or say which they are: "
            '<Label value="…" predicted_values="cat,dog"/>'
        )
    image = read_photo(places.read(photo, most_bytes)).pixels
    context.step()
    look = segmenter.look(image)
    context.step()
    if drawn:
        labels, confidence = _drawn(look, config, drawn, segmenter.network.path)
    else:
        labels, confidence = _found(look.refined(), config)
    context.step()
    item = Labelled(secrets.token_urlsafe(6), labels, config.label_set)
    regions = label_studio_results(item, config.control, Options(tolerance_px=_TOLERANCE_PX), confidence)
    score = float(np.mean([region["score"] for region in regions])) if regions else 0.0
    return Found(regions, round(score, 4), labels.size)


def _found(result: Segmentation, config: LabellingConfig) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return what a model found by a project's labels (H, W), and how sure it is (H, W)."""
    labels_of = np.zeros(256, np.uint8)
    for label, group in enumerate(config.groups):
        labels_of[list(group)] = label
    return labels_of[result.labels], result.confidence()


def _drawn(
    look: Look, config: LabellingConfig, drawn: Sequence[Mapping[str, Any]], model: Path
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the parts of a project's labels (H, W) that what was drawn touches, and how sure they are (H, W)."""
    marks = [_mark(result, look.photo.shape[:2], config.label_set) for result in drawn]
    result, marked = corrected(look, marks, config.label_set, config.groups, model)
    labels = np.zeros_like(result.labels)
    for label in range(1, len(config.label_set)):
        if (marked == label).any():
            labels[touched_parts(result.labels == label, marked == label)] = label
    return labels, result.confidence()


def _mark(result: Mapping[str, Any], size: tuple[int, int], label_set: LabelSet) -> Any:
    if result.get("image_rotation"):
        raise InputError("the photo is turned in Label Studio; turn it back: marks are understood on upright photos")
    try:
        return label_studio_mark(result, size, label_set)
    except InputError:
        raise
    except MALFORMED as error:
        raise InputError(
            f"what was drawn is not understood ({error}); expected a brush stroke, polygon, key point or box"
        ) from None
