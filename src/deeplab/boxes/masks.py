"""Masks from boxes: Bbox-Rect and Bbox-Seg of Papandreou et al., "Weakly- and Semi-Supervised Learning", ICCV 2015."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deeplab.boxes.annotations import BoxedPhoto
from deeplab.crf import CRFParams, CRFSettings, refine
from deeplab.errors import DataError, InputError
from deeplab.labels import LabelSet
from deeplab.teach.marks import Box, checked, draw

BOX_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "bbox-rect": "every pixel of a box is of its class, of the smallest box where several overlap",
        "bbox-seg": "each box is cut out by the dense CRF, its middle fifth held",
    }
)
"""The ways to make a mask of boxes, by the paper's names."""

BBOX_SEG_CRF = CRFSettings(CRFParams(5, 50, 5, 3, 3))
"""How the CRF of `bbox_seg` runs if nothing else is said; docs/training.md has what others give."""

_INSIDE, _LEAST = 0.6, 1e-6  # the probability of a box's class in it before the CRF, and outside it


def checked_boxes(boxed: BoxedPhoto, size: tuple[int, int]) -> tuple[Box, ...]:
    """Return a photo's boxes cut off at its edges; `size` is (H, W).

    Raises:
        DataError: there is none, a box lies outside the photo, or the classes have no background around them.
    """
    background = boxed.label_set.background
    if background is None:
        raise DataError(
            f"the classes of {boxed.source} have no background, which boxes need around them; name one in the names "
            "file (background = NAME)"
        )
    if not boxed.boxes:
        raise DataError(
            f"{boxed.source} says nothing of {boxed.name}: no box and no class; take the photo out of the list"
        )
    try:
        found = checked(boxed.boxes, size, boxed.label_set)
    except InputError as error:
        raise DataError(f"{boxed.source}, photo {boxed.name}: {error}") from None
    return tuple(mark for mark in found if isinstance(mark, Box))


def bbox_rect(boxes: Sequence[Box], size: tuple[int, int], label_set: LabelSet) -> NDArray[np.uint8]:
    """Return the mask in which every pixel of a box is of its class (Bbox-Rect, section 3.3 of the paper).

    Args:
        boxes: labels as numbers, edges in pixels within the photo; where several overlap the smallest counts.
        size: (H, W) of the photo.
        label_set: with a background.

    Returns:
        (H, W) uint8, without void.
    """
    labels = np.full(size, label_set.background, np.uint8)
    for box in sorted(boxes, key=_area, reverse=True):
        labels[_inside(box)] = box.label
    return labels


def bbox_seg(
    photo: NDArray[np.uint8],
    boxes: Sequence[Box],
    label_set: LabelSet,
    crf: CRFSettings = BBOX_SEG_CRF,
    *,
    threads: int | None = None,
) -> NDArray[np.uint8]:
    """Return the mask that the dense CRF cuts out of boxes (Bbox-Seg, section 3.3 of the paper).

    The middle fifth of each box's area is held to be its class, all outside boxes to be background.

    Args:
        photo: (H, W, 3) uint8 RGB.
        boxes: labels as numbers, edges in pixels within the photo.
        label_set: with a background.
        crf: how the CRF runs, its distances in pixels of the photo.
        threads: as `deeplab.crf.refine` has it.

    Returns:
        (H, W) uint8, without void.
    """
    size = photo.shape[0], photo.shape[1]
    held = draw(boxes, size, label_set, size)
    present = [label_set.background or 0, *sorted({int(box.label) for box in boxes})]
    beliefs = np.full((len(present), *size), _LEAST, np.float32)
    beliefs[0] = 1 - _INSIDE
    for box in boxes:
        beliefs[(present.index(int(box.label)), *_inside(box))] = _INSIDE
    for place, label in enumerate(present):
        beliefs[:, held == label] = 0
        beliefs[place, held == label] = 1
    beliefs /= beliefs.sum(axis=0)
    refined = refine(photo, beliefs, crf, fixed=held != label_set.void, threads=threads)
    labels: NDArray[np.uint8] = np.array(present, np.uint8)[refined.argmax(0)]
    return labels


def mask_of(
    boxed: BoxedPhoto,
    photo: NDArray[np.uint8],
    method: str,
    crf: CRFSettings = BBOX_SEG_CRF,
    *,
    threads: int | None = None,
) -> NDArray[np.uint8]:
    """Return the mask of a photo (H, W, 3) uint8 RGB by a method in `BOX_METHODS`: (H, W) uint8.

    Raises:
        DataError: as `checked_boxes` raises it.
    """
    size = photo.shape[0], photo.shape[1]
    boxes = checked_boxes(boxed, size)
    if method == "bbox-rect":
        return bbox_rect(boxes, size, boxed.label_set)
    return bbox_seg(photo, boxes, boxed.label_set, crf, threads=threads)


def _inside(box: Box) -> tuple[slice, slice]:
    """The pixels of a box, at least one."""
    rows, columns = (slice(int(low), max(int(np.ceil(high)), int(low) + 1)) for low, high in
                     ((box.y0, box.y1), (box.x0, box.x1)))  # fmt: skip
    return rows, columns


def _area(box: Box) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)
