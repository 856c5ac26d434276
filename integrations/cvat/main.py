"""deeplab as a serverless function of CVAT: a detector of a model's classes, and an interactor that follows points.

`function.yaml` makes a detector of this file, `function-interactor.yaml` an interactor.
"""

import base64
import binascii
import io
import json
import os

import numpy as np
from PIL import Image

from deeplab import Segmenter
from deeplab.checks import check_number
from deeplab.errors import DeepLabError, InputError
from deeplab.formats import polygons_of, regions_of
from deeplab.labels import LabelSet
from deeplab.teach import Box, Stroke
from deeplab.teach.corrections import corrected, touched_parts

TOLERANCE_PX = 1.0  # of polygons, which people are to move by hand
POINT_PX = 7.0  # the width of what a click marks
THING = LabelSet("thing", ("background", "thing"))


def init_context(context):
    """Load the model that the variable DEEPLAB_MODEL names, or the default one; CVAT calls this once."""
    context.user_data.segmenter = Segmenter.from_pretrained(os.environ.get("DEEPLAB_MODEL") or None)


def handler(context, event):
    """Answer a request of CVAT's: its detectors' {image, threshold}, or its interactors' with points and a box, too."""
    try:
        body, status = answer(context.user_data.segmenter, event.body), 200
    except DeepLabError as error:
        body, status = {"error": str(error)}, 400
    return context.Response(body=json.dumps(body), headers={}, content_type="application/json", status_code=status)


def answer(segmenter, asked):
    """Return what becomes JSON: a list of masks, or one mask.

    Raises:
        DeepLabError: the photo or the points are unusable.
    """
    if not isinstance(asked, dict) or "image" not in asked:
        raise InputError("the request has no image; expected CVAT's {image: …} as application/json")
    look = segmenter.look(photo_in(asked["image"]))
    return thing_at(look, segmenter, asked) if "pos_points" in asked else parts_of(look, asked.get("threshold"))


def photo_in(encoded):
    """Return the photo that a request has in base64; it is read as CVAT shows it.

    Raises:
        InputError: it is no photo.
    """
    try:
        with Image.open(io.BytesIO(base64.b64decode(encoded, validate=True))) as image:
            return image.convert("RGB")
    except (binascii.Error, OSError, TypeError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"the image is no photo in base64 ({error})") from None


def parts_of(look, threshold):
    """Return a mask for each connected part of a class whose mean confidence is at least the threshold, 0–1."""
    found, least = look.refined(), check_number(threshold or 0, "threshold")
    parts = []
    for region in regions_of(found.labels, found.label_set, instances=True):
        confidence = float(found.confidence()[region.mask].mean())
        if confidence < least:
            continue
        (outline,) = polygons_of(region.mask, tolerance_px=TOLERANCE_PX)
        parts.append(
            {
                "confidence": f"{confidence:.4f}",
                "label": found.label_set.names[region.label],
                "type": "mask",
                "points": outline.ravel().tolist(),
                "mask": cropped(region),
            }
        )
    return parts


def cropped(region):
    """Return a mask as CVAT's detectors do: the pixels of its box row by row, 0 or 1, and the box, all inclusive."""
    left, top, width, height = region.box
    right, bottom = left + width - 1, top + height - 1
    return [*region.mask[top : bottom + 1, left : right + 1].ravel().astype(int).tolist(), left, top, right, bottom]


def thing_at(look, segmenter, asked):
    """Return the thing that positive points mark, without what negative points mark, in a box if there is one."""
    marks = [
        Stroke(name, [(x + 0.5, y + 0.5)], POINT_PX)
        for name, key in (("thing", "pos_points"), ("background", "neg_points"))
        for x, y in pairs(asked.get(key) or [], key)
    ]
    if box := pairs(asked.get("obj_bbox") or [], "obj_bbox"):
        if len(box) != 2:
            raise InputError(f"obj_bbox has {len(box)} corners; expected two that lie opposite")
        (x0, x1), (y0, y1) = (sorted(side) for side in np.array(box).T.tolist())
        marks.append(Box("thing", x0, y0, x1, y1))
    if not any(mark.label == "thing" for mark in marks):
        raise InputError("nothing is marked; click on the thing, or draw a box around it")
    every = range(len(look.info.label_set))
    result, drawn = corrected(look, marks, THING, (every, ()), segmenter.network.path)
    thing = touched_parts(result.labels == 1, drawn == 1)
    if not thing.any():
        raise InputError("nothing of the thing is left: what is none of it covers every click on it")
    outline = max(polygons_of(thing, tolerance_px=TOLERANCE_PX), key=len)
    return {"points": outline.tolist(), "mask": thing.astype(int).tolist()}


def pairs(points, key):
    """Return points as pairs of x and y in pixels.

    Raises:
        InputError: they are none.
    """
    try:
        found = np.asarray(points, np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        raise InputError(f"{key} are {str(points)[:80]}; expected [[x, y], …] in pixels of the photo") from None
    if not np.isfinite(found).all():
        raise InputError(f"{key} hold what is no number; expected [[x, y], …] in pixels of the photo")
    return found.tolist()
