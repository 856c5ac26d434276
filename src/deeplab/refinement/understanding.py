"""Interpretation of an array of scores: its axes, the kind of its values, its labels, and how it lies on the photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_choice
from deeplab.errors import InputError
from deeplab.refinement import values

AXES = {2: ("HW", "WH"), 3: ("LHW", "HWL", "LWH", "WHL")}
"""Orders of the axes by their number: labels, height, width. Only those with height first are ever guessed."""

ALIGNMENTS = ("centres", "corners")

_IN_WORDS = {
    "HW": "", "WH": ", width before height", "LHW": ", channels first", "HWL": ", channels last",
    "LWH": ", channels first, width before height", "WHL": ", channels last, width before height",
}  # fmt: skip


@dataclass(frozen=True)
class Understanding:
    """What `understand` made of an array. `str` gives it in one line.

    Attributes:
        shape: the array's, as given.
        dtype: the array's, by name.
        axes: the order of the axes: a key of height H, width W, labels L; a leading batch axis of 1 is left out.
        kind: "probabilities", "log-probabilities", "logits" or "labels". Scores of one plane are the foreground's.
        labels: the labels the scores decide between, ascending.
        stored: what stands in a label map for each of `labels`; equal to them but for masks of 0 and 255.
        full: the value that stands for a probability of one (1, 255 …); for the foreground's probabilities only.
        void: the value in a label map that means "no opinion"; None: there is none.
        size: (h, w) of the scores.
        photo_size: (H, W) of the photo.
        align: where they differ, which points of the two coincide: the outer edges ("centres": pixels are squares, as
            with align_corners=False), or the centres of the corner pixels ("corners": align_corners=True).
    """

    shape: tuple[int, ...]
    dtype: str
    axes: str
    kind: str
    labels: tuple[int, ...]
    stored: tuple[int, ...]
    full: float
    void: int | None
    size: tuple[int, int]
    photo_size: tuple[int, int]
    align: str

    def __str__(self) -> str:
        """Return what was understood as one line."""
        what = f"{self.shape} {self.dtype} → {self._content()}{_IN_WORDS[self.axes]}"
        (height, width), (photo_height, photo_width) = self.size, self.photo_size
        photo = f"the photo ({photo_width}x{photo_height})"
        if self.size == self.photo_size:
            return f"{what}, as large as {photo}"
        if not _fits(self.size, self.photo_size):
            return f"{what}, {width}x{height} stretched over {photo}, {self.align} aligned"
        factor = (photo_width / width + photo_height / height) / 2
        if factor < 1:
            return f"{what}, {1 / factor:.3g}x larger than {photo}: averaged"
        return f"{what}, {factor:.3g}x smaller than {photo}: upsampled, {self.align} aligned"

    def _content(self) -> str:
        count = len(self.labels)
        void = "" if self.void is None else f", {self.void} void"
        if self.kind == "labels" and self.stored != self.labels:
            return f"a mask, {self.stored[1]} the foreground"
        if self.kind == "labels":
            listed = ", ".join(map(str, self.labels)) if count <= 8 else f"{self.labels[0]}–{self.labels[-1]}"
            return f"label map of {count} label{'s' * (count > 1)} ({listed}{void})"
        if "L" not in self.axes or self.shape[-3 + self.axes.index("L")] == 1:
            scale = f" of 0–{self.full:g}" if self.full != 1 else ""
            return f"{self.kind}{scale} of the foreground, label 1, against background, label 0"
        return f"{self.kind} of {count} labels"

    def planes(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the array this was understood of as (L, h, w), L = 1 for a single plane: a view of it.

        Raises:
            InputError: the array has another shape.
        """
        if array.shape != self.shape:
            raise InputError(f"the scores have shape {array.shape}, but shape {self.shape} was understood; pass those")
        return _planes(array.reshape(self.shape[-len(self.axes) :]), self.axes)


def understand(
    array: NDArray[Any],
    photo_size: tuple[int, int],
    *,
    kind: str | None = None,
    axes: str | None = None,
    align: str | None = None,
    stretch: bool = False,
    void: int | None = None,
) -> Understanding:
    """Find out what an array of scores is; what is given is not guessed.

    Three axes are labels × height × width or height × width × labels, whichever fits the photo, and a single plane is
    the foreground's score or a label map. Values that sum to one over the labels are probabilities (also at 100, 255 or
    65535 full scale, and one-hot labels), those whose exponentials do are log-probabilities, others with negative ones
    among them logits. Whole numbers in one plane are labels, values in 0–1 the foreground's probabilities, others with
    negative ones among them its logits.

    Args:
        array: (L, h, w), (h, w, L) or (h, w), also behind a batch axis of 1; any bool, integer or float dtype.
        photo_size: (H, W) of the photo, pixels.
        kind: one of `deeplab.refinement.values.KINDS`. Probabilities need not sum to one then.
        axes: one of `AXES`.
        align: one of `ALIGNMENTS`. None: "corners" where the photo's sides are s (h − 1) + 1 and s (w − 1) + 1 for a
            whole s ≥ 2, else "centres".
        stretch: the scores cover the whole photo although their sides are not in its proportion.
        void: the value in a label map that means "no opinion". None: 255, but in a map of 0 and 255, a mask.

    Raises:
        InputError: the array fits neither the photo nor what was asked, holds NaN, or may be read in several ways; the
            message names the option that decides.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise InputError(f"the scores have dtype {array.dtype}; expected bool, integers or floats")
    if array.size == 0:
        raise InputError(f"the scores are empty (shape {array.shape}); expected at least one pixel and one label")
    grid = array[0] if array.ndim == 4 and len(array) == 1 else array
    if grid.ndim not in AXES:
        batch = f": scores of one photo at a time, such as scores[0] of {len(array)}" if array.ndim == 4 else ""
        raise InputError(
            f"the scores have shape {array.shape}; expected (labels, height, width), (height, width, labels) or "
            f"(height, width){batch}"
        )
    check_choice(align or ALIGNMENTS[0], ALIGNMENTS, "align")
    low, high = values.span(grid)
    axes = _axes(grid, photo_size, axes, stretch, low, high)
    planes = _planes(grid, axes)
    size = planes.shape[1], planes.shape[2]
    kind = values.kind_of(planes, low, high, kind, void)
    labels = stored = tuple(range(max(len(planes), 2)))
    if kind != "labels" or len(planes) > 1:
        void = None
    else:
        labels, stored, void = values.labels_in(planes[0], void)
    return Understanding(
        shape=array.shape,
        dtype=str(array.dtype),
        axes=axes,
        kind=kind,
        labels=labels,
        stored=stored,
        full=values.full_scale(planes, high) if kind == "probabilities" and len(planes) == 1 else 1.0,
        void=void,
        size=size,
        photo_size=photo_size,
        align=align or _alignment(size, photo_size),
    )


def _planes(grid: NDArray[Any], axes: str) -> NDArray[Any]:
    """Return (L, h, w), a view."""
    return np.transpose(grid, [axes.index(axis) for axis in "LHW" if axis in axes]).reshape(-1, *_size(grid, axes))


def _size(grid: NDArray[Any], axes: str) -> tuple[int, int]:
    return grid.shape[axes.index("H")], grid.shape[axes.index("W")]


def _axes(
    grid: NDArray[Any], photo_size: tuple[int, int], asked: str | None, stretch: bool, low: float, high: float
) -> str:
    """Return the order of the axes: the one asked for, else the one that fits the photo."""
    orders = AXES[grid.ndim]
    if asked is not None and check_choice(asked, sum(AXES.values(), ()), "axes") not in orders:
        raise InputError(f"axes are {asked}, but the scores have shape {grid.shape}: expected one of {_listed(orders)}")
    guesses = orders[: len(orders) // 2] if asked is None else (asked,)
    fitting = list(guesses) if stretch else _fitting(guesses, grid, photo_size)
    if len(fitting) > 1:
        summing = [axes for axes in fitting if values.normalised(_planes(grid, axes), low, high)]
        fitting = summing if len(summing) == 1 else fitting
    if len(fitting) == 1:
        return fitting[0]
    height, width = photo_size
    given = f"scores of shape {grid.shape} and a photo of {width}x{height} (height {height}, width {width})"
    if fitting:
        raise InputError(f"{given}: which axis is which? Say it with --axes {_listed(fitting)} (axes=…)")
    if asked is None and (turned := _fitting(orders[len(guesses) :], grid, photo_size)):
        raise InputError(
            f"{given} fit only with width before height: say so with --axes {_listed(turned)} (axes=…), or save the "
            "scores of the photo as it stands upright"
        )
    raise InputError(
        f"{given} differ in proportion: cut off the margins that the model's input had around the photo, or, if the "
        "whole photo was squeezed into these sides, give --stretch (stretch=True)"
    )


def _fitting(orders: Sequence[str], grid: NDArray[Any], photo_size: tuple[int, int]) -> list[str]:
    """Return those orders of the axes that give the photo's size, else those that give its proportion."""
    exact = [axes for axes in orders if _size(grid, axes) == photo_size]
    return exact or [axes for axes in orders if _fits(_size(grid, axes), photo_size)]


def _listed(names: Sequence[str]) -> str:
    return " or ".join(names)


def _fits(size: tuple[int, int], photo_size: tuple[int, int]) -> bool:
    """Tell whether one factor explains both sides, each off by less than a cell either way (models round)."""
    least = max(pixels / (cells + 1) for cells, pixels in zip(size, photo_size, strict=True))
    most = min(pixels / (cells - 1) if cells > 1 else np.inf for cells, pixels in zip(size, photo_size, strict=True))
    return least < most


def _alignment(size: tuple[int, int], photo_size: tuple[int, int]) -> str:
    """Return "corners" for sides s (h − 1) + 1 with one whole s ≥ 2 and not s · h; frameworks have "centres" else."""
    if 1 in size:
        return "centres"
    sides = list(zip(size, photo_size, strict=True))
    whole = all(pixels % cells == 0 for cells, pixels in sides)
    steps = [divmod(pixels - 1, cells - 1) for cells, pixels in sides]
    regular = all(a == b for a, b in pairwise(steps)) and steps[0][1] == 0 and steps[0][0] >= 2
    return "corners" if regular and not whole else "centres"
