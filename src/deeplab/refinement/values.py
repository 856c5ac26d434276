"""The kinds of scores: probabilities, log-probabilities, logits or labels; which labels, at which scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_choice
from deeplab.errors import InputError

KINDS = ("probabilities", "log-probabilities", "logits", "labels")

_FULL_SCALES = (1, 100, 255, 65535)  # floats, percent, 8 bits, 16 bits
_SLACK = 0.02  # how far sums of rounded probabilities are off; the CRF accepts as much
_MOST_LABELS_8_BIT = 64  # a plane of bytes with more different values is a grey image as likely as a label map


def span(array: NDArray[Any]) -> tuple[float, float]:
    """Return the least and the largest value.

    Raises:
        InputError: the array holds NaN or +∞. −∞ is the logarithm of zero.
    """
    low, high = float(array.min()), float(array.max())
    if np.isnan(low):
        raise InputError(f"the scores hold {np.isnan(array).sum()} NaN; expected numbers: mend the model's output")
    if high == np.inf:
        raise InputError(f"the scores hold {np.isposinf(array).sum()} times +inf; expected finite values: clip them")
    return low, high


def kind_of(planes: NDArray[Any], low: float, high: float, asked: str | None, void: int | None) -> str:
    """Return what the values of scores (L, h, w) are, one of `KINDS`; see `deeplab.refinement.understand`.

    Args:
        planes: the scores; L = 1 is the foreground's score or a label map.
        low: their least value.
        high: their largest value.
        asked: the kind, where it is known.
        void: the value in a label map that means "no opinion", which may be negative.

    Raises:
        InputError: the values do not tell, or are none of the kind asked for.
    """
    if asked is not None:
        _check_asked(planes, low, check_choice(asked, KINDS, "kind"))
        return asked
    if len(planes) == 1 and planes.dtype.kind == "f" and low == high == 1:
        raise InputError(
            "the scores are one plane of nothing but 1, as softmax over one label makes it: give the logits of the "
            "foreground, or their sigmoid (if these are labels: --kind labels, kind=…)"
        )
    found = _kind_of_plane(planes[0], low, high, void) if len(planes) == 1 else _kind_of_planes(planes, low, high)
    if found is not None:
        return found
    given = f"{planes.dtype} scores spanning {low:.4g} to {high:.4g}"
    if len(planes) == 1:
        raise InputError(
            f"{given} in one plane may be labels, the foreground's probabilities (say 255 for certain) or its logits: "
            "say which with --kind labels, probabilities or logits (kind=…)"
        )
    if len(planes) in (3, 4) and planes.dtype == np.uint8:
        raise InputError(
            f"{len(planes)} planes of {given} look like colours: give one label per pixel, or the scores themselves "
            "(if these are scores: --kind logits or probabilities, kind=…)"
        )
    raise InputError(
        f"{given} that do not sum to one over the {len(planes)} labels may be logits or independent probabilities: say "
        "which with --kind logits (softmax) or --kind probabilities (divided by their sum) (kind=…)"
    )


def normalised(planes: NDArray[Any], low: float, high: float) -> str | None:
    """Return "probabilities" or "log-probabilities" where (L, h, w) sum to one over L, one-hot "labels"; else None."""
    if len(planes) == 1:
        return None
    if low >= -_SLACK:
        sums = planes.sum(axis=0, dtype=np.float64)
        rounding = len(planes) / 2 if planes.dtype.kind in "iu" else 0
        for full in _FULL_SCALES:
            if np.abs(sums - full).max() <= _SLACK * full + (rounding if full > 1 else 0):
                one_hot = low == 0 and high == full and (planes.max(axis=0) == full).all()
                return "labels" if one_hot else "probabilities"
    elif high <= _SLACK and planes.dtype.kind == "f":
        sums = sum(np.exp(plane, dtype=np.float64) for plane in planes)
        if np.abs(sums - 1).max() <= _SLACK:
            return "log-probabilities"
    return None


def _kind_of_planes(planes: NDArray[Any], low: float, high: float) -> str | None:
    logits = "logits" if low < 0 and planes.dtype.kind == "f" else None  # negative integers have an unknown scale
    return normalised(planes, low, high) or logits


def _kind_of_plane(plane: NDArray[Any], low: float, high: float, void: int | None) -> str | None:
    if plane.dtype == np.uint8 and len(np.unique(plane)) > _MOST_LABELS_8_BIT:
        return None
    if plane.dtype.kind != "f" or ((low >= 0 or low == void) and (plane == np.rint(plane)).all()):
        return "labels"
    if low < 0:
        return "logits"
    return "probabilities" if high <= 1 else None


def _check_asked(planes: NDArray[Any], low: float, kind: str) -> None:
    if kind == "probabilities" and low < -_SLACK:
        raise InputError(f"probabilities go down to {low:.4g}; expected none below 0: are they --kind logits?")
    if len(planes) > 1:
        return
    if kind == "log-probabilities":
        raise InputError("one plane of log-probabilities leaves the background open; give np.exp of them")
    if kind == "labels" and not (planes == np.rint(planes)).all():
        raise InputError(f"a label map of {planes.dtype} holds values that are no whole numbers; give its labels")


def labels_in(plane: NDArray[Any], void: int | None) -> tuple[tuple[int, ...], tuple[int, ...], int | None]:
    """Return the labels of a label map (h, w), what stands in it for each, and which value is void (None: none is).

    Args:
        plane: whole numbers of any dtype.
        void: the value that means "no opinion"; None: 255, but in a map of 0 and 255, a mask, that is label 1.

    Raises:
        InputError: there is nothing but void, or a label is negative.
    """
    found = tuple(int(value) for value in np.unique(plane))
    if void is None and found == (0, 255):
        return (0, 1), found, None
    void = 255 if void is None else void
    stored = tuple(value for value in found if value != void)
    if not stored:
        raise InputError(
            f"the label map holds nothing but {void}, void; expected labels (--void, void=…, says another value)"
        )
    if stored[0] < 0:
        raise InputError(
            f"the label map holds {stored[0]}; expected labels from 0 on: if it means no opinion, give "
            f"--void {stored[0]} (void={stored[0]})"
        )
    return stored, stored, void if void in found else None


def full_scale(planes: NDArray[Any], high: float) -> float:
    """Return the value of one plane of probabilities that means certainty.

    Raises:
        InputError: the values exceed 1 and their dtype has no full scale.
    """
    if high <= 1:
        return 1.0
    if planes.dtype.kind == "u" and planes.dtype.itemsize <= 2:
        return float(np.iinfo(planes.dtype).max)
    raise InputError(f"the foreground's probabilities reach {high:.4g}; expected 0–1: divide by their full scale")
