"""YOLO's segmentation labels: a text file for each photo, a line for each polygon, and ``data.yaml`` for the names."""

from __future__ import annotations

import json

import numpy as np

from deeplab.formats.labelled import Labelled
from deeplab.formats.options import DEFAULTS, Options
from deeplab.formats.polygons import polygons_of
from deeplab.formats.regions import annotated_labels, regions_of
from deeplab.labels import LabelSet


def yolo_lines(item: Labelled, options: Options = DEFAULTS) -> list[str]:
    """Return a label map's lines ``class x y x y …``: classes from 0 on without the background, x and y in 0–1.

    Each connected part of a class is a line, whatever the options: a line holds one polygon.
    """
    height, width = item.labels.shape
    number_of = {label: number for number, label in enumerate(annotated_labels(item.label_set))}
    lines = []
    for region in regions_of(item.labels, item.label_set):
        for polygon in polygons_of(region.mask, tolerance_px=options.tolerance_px):
            points = (polygon / np.array([width, height])).ravel().tolist()
            lines.append(" ".join([str(number_of[region.label]), *(f"{value:.7g}" for value in points)]))
    return lines


def yolo_names(label_set: LabelSet) -> str:
    """Return ``data.yaml``: photos are looked for in ``images``, beside ``labels``.

    It names no ``path``: ultralytics then takes the folder of ``data.yaml`` itself, wherever it runs, while ``.`` would
    be the folder that it runs in.
    """
    names = [label_set.names[label] for label in annotated_labels(label_set)]
    listed = "".join(f"  {number}: {json.dumps(name, ensure_ascii=False)}\n" for number, name in enumerate(names))
    return f"train: images\nval: images\nnames:\n{listed}"
