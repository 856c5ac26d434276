"""The plug-in's three panels: napari makes each from a function's arguments.

Only the names of napari's own types are strings here, which napari resolves; the others have to be there as they are.
"""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from deeplab.crf import CRFParams, CRFSettings
from deeplab.crf.params import PARAMETERS
from deeplab.errors import InputError
from deeplab.labels import LabelSet
from deeplab.models import DEFAULT_MODEL, shipped_models
from deeplab.napari.layers import labels_layer, labels_of, pixels_of
from deeplab.napari.strokes import refined_labels
from deeplab.segment import Segmenter
from deeplab.teach import Teacher

if TYPE_CHECKING:
    import napari.layers
    import napari.types


def _slider(name: str) -> dict[str, Any]:
    least, most = PARAMETERS[name].usual
    return {"min": least, "max": most, "step": 0.5, "tooltip": f"{PARAMETERS[name].symbol}: {PARAMETERS[name].help}"}


_Model = Annotated[str, {"choices": list(shipped_models())}]
_File = Annotated[Path | None, {"mode": "r", "filter": "*.onnx", "tooltip": "A model file in place of a shipped one"}]
_Target = Annotated[Path | None, {"mode": "w", "filter": "*.onnx", "tooltip": "Where the taught model is written"}]
_Weight = Annotated[float, _slider("bilateral_weight")]
_Distance = Annotated[float, _slider("bilateral_xy_std_px")]
_Levels = Annotated[float, _slider("bilateral_rgb_std")]
_Confidence = Annotated[float, {"min": 0.01, "max": 0.99, "step": 0.01, "tooltip": "How likely a label is right"}]
_Nothing = Annotated[int, {"min": 1, "max": 65535, "tooltip": "Strokes of this number mean: nothing here, label 0"}]
_Names = Annotated[str, {"tooltip": "Names of the classes, with commas between, in the order of their numbers"}]


def segment(
    image: "napari.layers.Image", model: _Model = DEFAULT_MODEL, model_file: _File = None, crf: bool = True
) -> "napari.types.LayerDataTuple":
    """Label an image, or each slice of a stack, by a model's classes; see `deeplab.Segmenter`."""
    pixels = pixels_of(image)
    segmenter = _loaded(str(model_file) if _given(model_file) else model)
    slices = pixels.reshape(-1, *pixels.shape[-3:])
    found = [segmenter.segment(slices[number], crf).labels for number in _shown(range(len(slices)), "Segmenting")]
    labels = np.stack(found).reshape(pixels.shape[:-1])
    return labels_layer(labels, image, f"{image.name} classes", segmenter.info.label_set)


def refine(
    image: "napari.layers.Image",
    labels: "napari.layers.Labels",
    strokes: "napari.layers.Labels | None" = None,
    nothing: _Nothing = 255,
    confidence: _Confidence = 0.7,
    bilateral_weight: _Weight = 5.0,
    bilateral_xy_std_px: _Distance = 50.0,
    bilateral_rgb_std: _Levels = 3.0,
    volume: bool = False,
) -> "napari.types.LayerDataTuple":
    """Draw labels along an image's edges by the dense CRF, strokes held as they are; slice by slice, or as a volume."""
    pixels = pixels_of(image)
    axes = pixels.shape[:-1]
    given = labels_of(labels, axes, "labels")
    drawn = np.zeros(axes, np.int64) if strokes is None or strokes is labels else labels_of(strokes, axes, "strokes")
    if volume and len(axes) == 2:
        raise InputError(f"image layer {image.name!r} is no volume, it has 2 axes; leave volume out")
    crf = CRFSettings(CRFParams(bilateral_weight, bilateral_xy_std_px, bilateral_rgb_std))
    refined = refined_labels(
        pixels,
        given,
        drawn,
        crf,
        nothing=nothing,
        confidence=confidence,
        spacing_px=tuple(image.scale[-3:] / image.scale[-1]) if volume else None,
        through=lambda numbers: _shown(numbers, "Refining"),
    )
    return labels_layer(refined, image, f"{labels.name} refined")


def teach(
    image: "napari.layers.Image",
    strokes: "napari.layers.Labels",
    names: _Names = "",
    trunk: _Model = DEFAULT_MODEL,
    save_as: _Target = None,
) -> "napari.types.LayerDataTuple":
    """Learn classes from strokes on an image or some slices of a stack, and label all of it; see `deeplab.teach`."""
    pixels = pixels_of(image)
    drawn = labels_of(strokes, pixels.shape[:-1], "strokes")
    values = np.unique(drawn[drawn != 0])
    called = tuple(name.strip() for name in names.split(",") if name.strip()) or tuple(map(str, values))
    if len(values) < 2 or len(called) != len(values):
        raise InputError(
            f"layer {strokes.name!r} has strokes of {len(values)} numbers besides 0, for {len(called)} names; "
            "paint strokes of two or more, what lies around things being one of them, and name all or none"
        )
    label_set = LabelSet("taught", called)
    marks = np.where(drawn == 0, label_set.void, np.searchsorted(values, drawn)).reshape(-1, *drawn.shape[-2:])
    slices = pixels.reshape(-1, *pixels.shape[-3:])
    teacher = Teacher(label_set, trunk, cache=_features().name)
    for number in _shown(np.flatnonzero((marks != label_set.void).any(axis=(1, 2))), "Learning"):
        teacher.mark(slices[number], marks[number])
    if _given(save_as):
        teacher.save(str(save_as), overwrite=True)
    found = [teacher.segment(slices[number]).labels for number in _shown(range(len(slices)), "Segmenting")]
    return labels_layer(values[np.stack(found)].reshape(drawn.shape), image, f"{image.name} taught")


@lru_cache(maxsize=2)
def _loaded(model: str) -> Segmenter:
    return Segmenter.from_pretrained(model)


@lru_cache(maxsize=1)
def _features() -> TemporaryDirectory[str]:
    """Return a folder for images' features, which goes with this process."""
    return TemporaryDirectory(prefix="deeplab-")


def _given(file: Path | None) -> bool:
    return file is not None and str(file) not in ("", ".")  # as an empty field gives it


def _shown(numbers: Iterable[int], what: str) -> Iterable[int]:
    """Yield the numbers of slices, and let napari show how far they have come."""
    from napari.utils import progress

    shown: Iterable[int] = progress(list(numbers), desc=what)
    return shown
