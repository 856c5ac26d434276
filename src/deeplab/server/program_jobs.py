"""The worker's computations for programs: each a function of the `JobContext`, sent as a `functools.partial` of it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.crf import CRFSettings
from deeplab.crf.memory import check_memory
from deeplab.refinement import load_scores, refine_scores, understand
from deeplab.refinement.score_files import write_labels
from deeplab.segmentation import Segmentation
from deeplab.server import pictures
from deeplab.server.crf_request import requested_crf
from deeplab.server.uploads import Upload, as_file, read_photo
from deeplab.server.worker import JobContext


class Done(NamedTuple):
    """The answer to a program's request, a file or what becomes JSON, and of its photo the pixels and the notes.

    The notes say what was assumed, as in `deeplab.images.Reading`.
    """

    content: bytes | dict[str, Any]
    pixels: int
    notes: tuple[str, ...] = ()


def segment_upload(
    context: JobContext,
    *,
    photo: Upload,
    model: str,
    crf: bool,
    changes: Mapping[str, float],
    form: str,
    min_confidence: float,
    classes: tuple[str, ...],
) -> Done:
    """Segment a photo; the answer is a file, one of `pictures.PICTURES` or "npz", or a description ("json").

    Args:
        context: the worker's networks and limits.
        photo: the photo.
        model: the network's name.
        crf: whether the CRF runs.
        changes: its parameters that are not to be the model's own, in pixels of the photo; see `requested_crf`.
        form: of the answer.
        min_confidence: pixels below it become void.
        classes: the names of those that files shall hold; () for all.

    Raises:
        ImageError: the photo cannot be read or is too large.
        InputError: there is no such class.
        ModelError: the network fails.
    """
    segmenter = context.segmenters[model]
    wanted = segmenter.info.label_set.labels_of(classes)
    image, notes, _ = read_photo(photo)
    context.step()
    look = segmenter.look(image)
    context.step()
    result = look.refined(requested_crf(look.info.crf, changes, look.enlargement)) if crf else look.unrefined()
    result = result.with_min_confidence(min_confidence)
    context.step()
    labels, label_set = result.labels, result.label_set
    if form in pictures.PICTURES:
        return Done(pictures.PICTURES[form].render(result, wanted), labels.size, notes)
    if form == "npz":
        labels = pictures.only(labels, wanted, label_set)
        names = np.array(label_set.names)
        return Done(_npz(labels=labels, confidence=result.confidence(), names=names), labels.size, notes)
    return Done({**_described(photo.name, model, result), "notes": notes}, labels.size, notes)


def _described(name: str, model: str, result: Segmentation) -> dict[str, Any]:
    height, width = result.labels.shape
    shares, confidence, label_set = result.shares(), result.confidence(), result.label_set
    return {
        "name": name,
        "width": width,
        "height": height,
        "model": model,
        "classes": [
            {
                "index": (index := label_set.names.index(class_name)),
                "name": class_name,
                "share": round(share, 6),
                "confidence": round(float(confidence[result.labels == index].mean()), 4),
            }
            for class_name, share in shares.items()
        ],
        "void": round(max(0.0, 1 - sum(shares.values())), 6),
    }


def refine_upload(
    context: JobContext,
    *,
    photo: Upload,
    scores: Upload,
    key: str | None,
    options: Mapping[str, Any],
    confidence: float,
    crf: CRFSettings,
    form: str,
) -> Done:
    """Refine another model's scores by a photo; the answer is the label map as PNG, or an .npz with confidence.

    Args:
        context: the worker's networks and limits.
        photo: the photo.
        scores: .npy, .npz or a label map, as `deeplab.refinement.load_scores` reads it, which unpickles nothing.
        key: which array of an .npz of several.
        options: those of `deeplab.refinement.understand`.
        confidence: how far a label map is trusted.
        crf: the CRF's parameters, in pixels of the photo.
        form: "mask" or "npz".

    Raises:
        ImageError: the photo or label map cannot be read or is too large.
        InputError: the scores cannot be read or understood, or do not fit the photo, or an option is unusable.
        MemoryError: the result would not fit.
    """
    image, notes, _ = read_photo(photo)
    context.step()
    with as_file(scores, Path(scores.name).suffix.lower()) as path:
        given = load_scores(path, key=key)
        _check_result(given, image, options)
        result = refine_scores(image, given, crf, confidence=confidence, threads=context.threads, **options)
        context.step()
        if form == "npz":
            archive = _npz(
                labels=result.labels,
                confidence=result.probabilities.max(axis=0),
                before=result.before,
                understood=np.array(str(result.understanding)),
            )
            return Done(archive, result.labels.size, notes)
        written = path.with_name("labels.png")
        write_labels(written, result.labels, None)
        return Done(written.read_bytes(), result.labels.size, notes)


def _check_result(scores: NDArray[Any], image: NDArray[np.uint8], options: Mapping[str, Any]) -> None:
    """Raise MemoryError where the probabilities at the photo's size, before and after, would not fit."""
    height, width = image.shape[:2]
    labels = len(understand(scores, (height, width), **options).labels)
    check_memory(8 * labels * height * width, f"refining {labels} labels of {width}x{height} pixels", "shrink both")


def _npz(**arrays: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # the stubs' keyword allow_pickle
    return file.getvalue()
