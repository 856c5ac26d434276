"""pydensecrf's `utils` module: energies from labels or probabilities, features of grids of any dimension."""

import warnings
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.checks import check_count, check_number
from deeplab.crf.checks import as_array, check_finite, check_real, labels_come_last, labels_first
from deeplab.crf.levels import check_levels
from deeplab.crf.memory import check_memory
from deeplab.crf.pydensecrf.inputs import Array, as_count, as_deviations
from deeplab.errors import InputError

__all__ = [
    "compute_unary",
    "create_pairwise_bilateral",
    "create_pairwise_gaussian",
    "softmax_to_unary",
    "unary_from_labels",
    "unary_from_softmax",
]


def unary_from_labels(labels: npt.ArrayLike, n_labels: int, gt_prob: float, zero_unsure: bool = True) -> Array:
    """Return the energies of a label map that is right with probability `gt_prob`, all other labels sharing the rest.

    Args:
        labels: any shape, N integers: 0 for "could be anything" and the labels from 1 to `n_labels`, if `zero_unsure`;
            otherwise the labels from 0 to `n_labels` - 1.
        n_labels: how many labels there are, "could be anything" not counted; at least 1.
        gt_prob: above 0 and below 1.
        zero_unsure: whether label 0 means that nothing is known.

    Returns:
        (n_labels, N) float32, -log of each label's probability; row i is label i + 1 if `zero_unsure`, else label i.

    Raises:
        InputError: the labels are no integers or out of their range, or another argument is out of its own.
    """
    given = as_array(labels, "labels")
    if given.dtype.kind not in "iub":
        raise InputError(f"labels have dtype {given.dtype}; expected integers")
    count = check_count(n_labels, 1, "n_labels")
    if not 0 < check_number(gt_prob, "gt_prob") < 1:
        raise InputError(f"gt_prob is {gt_prob!r}; expected a probability above 0 and below 1")
    flat = given.reshape(-1).astype(np.int64)
    highest = count if zero_unsure else count - 1
    if flat.size == 0 or flat.min() < 0 or flat.max() > highest:
        found = f"from {flat.min()} to {flat.max()}" if flat.size else "empty"
        raise InputError(f"labels are {found}; expected 0 to {highest} for n_labels={count}, zero_unsure={zero_unsure}")
    energies = np.full((count, flat.size), -np.log((1 - gt_prob) / max(count - 1, 1)), np.float32)
    if zero_unsure:
        sure = np.flatnonzero(flat)
        energies[flat[sure] - 1, sure] = -np.log(gt_prob)
        energies[:, flat == 0] = -np.log(1 / count)
    else:
        energies[flat, np.arange(flat.size)] = -np.log(gt_prob)
    return energies


def unary_from_softmax(sm: npt.ArrayLike, scale: float | None = None, clip: float | None = 1e-5) -> Array:
    """Return the energies -log p of class probabilities.

    Args:
        sm: (L, ...) float, the labels first; N points on all other axes. Values are not checked to be probabilities,
            but clipped to them.
        scale: None, or above 0 and up to 1: how far to trust `sm`, the rest being the uniform distribution.
        clip: probabilities below it count as it; None for no clipping, so that a probability of 0 has the energy inf.

    Returns:
        (L, N) float32.

    Raises:
        InputError: `sm` has too few axes, holds NaN, or sums to one over its last axis in place of its first; or
            another argument is out of its range.
    """
    given = as_array(sm, "sm")
    check_real(given, "sm")
    if given.ndim < 2 or given.size == 0:
        raise InputError(f"sm has shape {given.shape}; expected (labels, ...), at least one point")
    probabilities = given.reshape(given.shape[0], -1).astype(np.result_type(given, np.float32))
    check_finite(probabilities, "sm")
    if labels_come_last(given):
        way = labels_first("sm", given.ndim)
        raise InputError(
            f"sm has shape {given.shape} and sums to one over its last axis; expected the first: pass {way}"
        )
    if scale is not None:
        if not 0 < check_number(scale, "scale") <= 1:
            raise InputError(f"scale is {scale!r}; expected None or a number above 0 and up to 1")
        probabilities = scale * probabilities + (1 - scale) / len(probabilities)
    if clip is not None:
        probabilities = np.clip(probabilities, check_number(clip, "clip"), 1)
    elif probabilities.min() < 0:
        raise InputError(f"sm goes down to {probabilities.min():.4g}; expected probabilities, or a clip above 0")
    with np.errstate(divide="ignore"):
        energies: Array = -np.log(probabilities).astype(np.float32)
    return energies


def create_pairwise_gaussian(sdims: npt.ArrayLike, shape: npt.ArrayLike) -> Array:
    """Return the features of the smoothness kernel on a grid of any dimension: each point's index over `sdims`.

    Args:
        sdims: standard deviations in grid steps, above 0: one for each axis of `shape`, in its order, or one for all.
        shape: of the grid, for example (H, W).

    Returns:
        (axes, N) float32, points in row-major order; for `DenseCRF.addPairwiseEnergy`.

    Raises:
        InputError: `shape` is empty or not of integers above 0, or `sdims` does not fit it.
    """
    sizes = [as_count(size, 1, "shape") for size in np.atleast_1d(as_array(shape, "shape")).tolist()]
    if not sizes:
        raise InputError(f"shape is {shape!r}; expected the size of each axis of the grid")
    deviations = as_deviations(sdims, len(sizes), "sdims")
    _check_memory(sizes, len(sizes))
    return np.indices(sizes, np.float32).reshape(len(sizes), -1) / deviations[:, None]


def create_pairwise_bilateral(sdims: npt.ArrayLike, schan: npt.ArrayLike, img: npt.ArrayLike, chdim: int = -1) -> Array:
    """Return the features of the appearance kernel on a grid of any dimension: positions and channels.

    Args:
        sdims: standard deviations in grid steps, above 0: one for each axis of the grid, in its order, or one for all.
        schan: standard deviations in the image's own levels, above 0: one for each channel, or one for all.
        img: the image, its channels on axis `chdim`; all other axes are the grid.
        chdim: -1 for an image without a channel axis.

    Returns:
        (axes of the grid + channels, N) float32, each row over its deviation, points in row-major order; for
        `DenseCRF.addPairwiseEnergy`.

    Raises:
        InputError: the image has no such axis, no pixels, or values that are not finite, or `sdims` or `schan` does not
            fit it, or the image's floats lie in 0-1 or around 0 and `schan` beyond them.
        MemoryError: the features clearly do not fit.
    """
    image = as_array(img, "img")
    check_real(image, "img")
    axis = check_count(chdim, -1, "chdim")
    if image.size == 0 or axis >= image.ndim or image.ndim < (1 if axis == -1 else 2):
        raise InputError(f"img has shape {image.shape}, chdim is {axis}; expected an axis, or -1 for none")
    channels = image[None] if axis == -1 else np.moveaxis(image, axis, 0)
    deviations = as_deviations(schan, len(channels), "schan")
    check_levels(image, tuple(deviations), "img")
    _check_memory(channels.shape[1:], channels.ndim - 1 + len(channels))
    positions = create_pairwise_gaussian(sdims, channels.shape[1:])
    with np.errstate(over="ignore"):
        levels = channels.reshape(len(channels), -1).astype(np.float32) / deviations[:, None]
    check_finite(levels, "img over schan")
    return np.concatenate([positions, levels])


def _check_memory(sizes: Sequence[int], features: int) -> None:
    points = prod(sizes)
    what = f"a table of {features} features of {points:,} points and its parts"
    check_memory(8 * features * points, what, "use fewer points, such as a smaller image or a part of it")


def compute_unary(labels: npt.ArrayLike, M: int, GT_PROB: float = 0.5) -> Array:
    """Return `unary_from_labels`, which replaces this function."""
    warnings.warn("compute_unary is deprecated; call unary_from_labels", DeprecationWarning, stacklevel=2)
    return unary_from_labels(labels, M, GT_PROB)


def softmax_to_unary(sm: Any, GT_PROB: float = 1) -> Array:
    """Return `unary_from_softmax` without clipping, which replaces this function."""
    warnings.warn("softmax_to_unary is deprecated; call unary_from_softmax", DeprecationWarning, stacklevel=2)
    return unary_from_softmax(sm, None if GT_PROB == 1 else GT_PROB, clip=None)
