"""From scores as they were understood to probabilities at every pixel of the photo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deeplab.checks import check_number
from deeplab.crf.unary import softmax_in_place
from deeplab.errors import InputError
from deeplab.refinement.understanding import Understanding
from deeplab.scores import likeliest

_LARGEST_LOGIT = 1e9  # −∞ becomes its negative, which no interpolation turns into NaN


def to_probabilities(
    array: NDArray[Any], understanding: Understanding, *, confidence: float = 0.7
) -> NDArray[np.float32]:
    """Return probabilities at the photo's size.

    Scores of another size are interpolated bilinearly, as logits where they are logits, and hard labels as their
    probabilities; a larger map is averaged. A pixel of a label map has its label with probability `confidence`, and the
    others found in the map share the rest; void pixels are undecided between all.

    Args:
        array: the array that `understanding` was made of.
        understanding: what `understand` returned for it.
        confidence: above 1 / L and below 1, for L labels; matters to label maps only.

    Returns:
        (L, H, W) float32, 0–1, summing to 1 over the L labels of `understanding.labels`.

    Raises:
        InputError: the array has another shape than was understood, the confidence is out of range, or pixels have
            probability zero for every label.
    """
    planes = understanding.planes(np.asarray(array))
    count, size = len(understanding.labels), understanding.photo_size
    if understanding.kind == "labels":
        sources = _hard(planes, understanding, _checked(confidence, count))
    elif len(planes) > 1:
        sources = map(_to_float, planes)
    else:
        sources = _against_background(_to_float(planes[0]), understanding)
    result = np.empty((count, *size), dtype=np.float32)
    for target, plane in zip(result, sources, strict=True):  # plane by plane: temporaries stay small
        target[:] = resize_plane(plane, size, understanding.align)
    if understanding.kind in ("logits", "log-probabilities"):
        return softmax_in_place(result)
    np.maximum(result, 0, out=result)
    total = result.sum(axis=0)
    if not total.all():
        raise InputError(
            f"{np.count_nonzero(total == 0)} pixels have probability 0 for all {count} labels; give every pixel some, "
            "for example by a plane for the background"
        )
    result /= total
    return result


def undecided_pixels(array: NDArray[Any], understanding: Understanding) -> NDArray[np.bool_]:
    """Return the photo's pixels (H, W) that a label map has no opinion on: those nearer to void than to labels."""
    if understanding.void is None:
        return np.zeros(understanding.photo_size, dtype=np.bool_)
    void = understanding.planes(np.asarray(array))[0] == understanding.void
    return resize_plane(void.astype(np.float32), understanding.photo_size, understanding.align) > 0.5


def _checked(confidence: float, count: int) -> float:
    value = check_number(confidence, "confidence")
    if not 1 / max(count, 2) < value < 1:
        raise InputError(f"confidence is {value:g}; expected above {1 / max(count, 2):.3g} (chance) and below 1")
    return value


def _to_float(plane: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return plane.astype(np.float32).clip(-_LARGEST_LOGIT, _LARGEST_LOGIT)


def _against_background(plane: NDArray[np.float32], understanding: Understanding) -> Iterator[NDArray[np.float32]]:
    """Yield the background's scores, then the foreground's: full scale − p and p, or 0 and the logit."""
    logits = understanding.kind == "logits"
    yield np.zeros_like(plane) if logits else np.float32(understanding.full) - plane
    yield plane


def _hard(planes: NDArray[Any], understanding: Understanding, confidence: float) -> Iterator[NDArray[np.float32]]:
    count = len(understanding.labels)
    labels = planes[0] if len(planes) == 1 else likeliest(planes)[0]
    other = np.float32((1 - confidence) / max(count - 1, 1))
    open_to_all = labels == understanding.void if understanding.void is not None else None
    for stored in understanding.stored:
        plane = np.where(labels == stored, np.float32(confidence), other)
        if open_to_all is not None:
            plane[open_to_all] = 1 / count
        yield plane


def resize_plane(plane: NDArray[np.float32], size: tuple[int, int], align: str) -> NDArray[np.float32]:
    """Interpolate a plane (h, w) float32 bilinearly to `size` (H, W); where that is smaller, average.

    `align` is "centres" (align_corners=False) or "corners" (align_corners=True); a side that shrinks, or is one cell,
    is always laid edge on edge ("centres").
    """
    if plane.shape == size:
        return plane
    (top, bottom), (left, right) = (
        _covered(cells, pixels, align) for cells, pixels in zip(plane.shape, size, strict=True)
    )
    image = Image.fromarray(np.ascontiguousarray(plane))
    box = (left, top, right, bottom)
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box))


def _covered(cells: int, pixels: int, align: str) -> tuple[float, float]:
    """Return where the photo begins and ends along one side, in cells."""
    if align == "centres" or not 1 < cells <= pixels:
        return 0, cells
    half_pixel = (cells - 1) / (pixels - 1) / 2
    return 0.5 - half_pixel, cells - 0.5 + half_pixel
