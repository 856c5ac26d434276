"""COCO's annotations (Lin et al. 2014): one JSON file, masks as run lengths or polygons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.formats.labelled import Labelled
from deeplab.formats.options import DEFAULTS, Options
from deeplab.formats.polygons import polygons_of
from deeplab.formats.regions import annotated_labels, regions_of
from deeplab.formats.runs import compress_runs, runs_of
from deeplab.labels import LabelSet

Mask = NDArray[np.bool_]


def _compressed(mask: Mask, tolerance_px: float) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": compress_runs(runs_of(mask))}


def _uncompressed(mask: Mask, tolerance_px: float) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": runs_of(mask).tolist()}


def _polygons(mask: Mask, tolerance_px: float) -> list[list[float]]:
    return [polygon.ravel().tolist() for polygon in polygons_of(mask, tolerance_px=tolerance_px)]


SEGMENTATIONS: Mapping[str, Callable[[Mask, float], Any]] = MappingProxyType(
    {"rle": _compressed, "uncompressed": _uncompressed, "polygons": _polygons}
)
"""How a mask (H, W) becomes an annotation's ``segmentation``, by name; takes the polygons' tolerance too."""


def coco_document(
    items: Iterable[Labelled], label_set: LabelSet, options: Options = DEFAULTS, *, segmentation: str = "rle"
) -> dict[str, Any]:
    """Return label maps as the content of a COCO file, plain JSON values.

    Args:
        items: the label maps.
        label_set: theirs; its classes but for the background are the categories.
        options: see `Options`.
        segmentation: one of `SEGMENTATIONS`.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    write = SEGMENTATIONS[segmentation]
    for image_id, item in enumerate(items, start=1):
        height, width = item.labels.shape
        name = options.photo_prefix + item.photo
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for region in regions_of(item.labels, label_set, instances=options.instances):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": coco_id(region.label, label_set),
                    "segmentation": write(region.mask, options.tolerance_px),
                    "area": int(np.count_nonzero(region.mask)),
                    "bbox": list(region.box),
                    "iscrowd": 0,
                }
            )
    categories = [
        {"id": coco_id(label, label_set), "name": label_set.names[label], "supercategory": ""}
        for label in annotated_labels(label_set)
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def coco_id(label: int, label_set: LabelSet) -> int:
    """Return a label's category id: the label itself where label 0 is the background, else one more, never 0."""
    return label if label_set.background == 0 else label + 1
