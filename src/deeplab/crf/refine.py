"""Sharpen class probabilities along a photo's edges: the one-line use of the CRF."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.checks import thread_count
from deeplab.crf.checks import (
    as_array,
    both_labels,
    check_label_count,
    check_like_image,
    check_mask,
    check_probabilities,
    check_real,
)
from deeplab.crf.depth import Depth, check_depth
from deeplab.crf.levels import check_deviations, check_image, check_levels
from deeplab.crf.mean_field import infer_by_terms
from deeplab.crf.memory import check_memory
from deeplab.crf.params import CRFParams, CRFSettings, Shortcuts
from deeplab.crf.photo_kernels import kernels_one_by_one, narrowed
from deeplab.crf.terms import make_term
from deeplab.crf.tiles import Tile, tiles_of
from deeplab.crf.unary import softmax_in_place
from deeplab.errors import InputError

__all__ = ["refine", "refine_batch"]

# What lies further away than this many σα moves next to nothing: docs/crf.md has the measurements.
_REACH_STDS = 3.0

# A lattice takes 8 bytes for each feature of a pixel and 8 more, beside the features' own 4: so much is certain.
_LEAST_BYTES_PER_FEATURE = 12


def refine(
    image: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    params: CRFParams | CRFSettings = CRFSettings(),  # noqa: B008 (frozen)
    *,
    iterations: int | None = None,
    normalization: str | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
    fixed: npt.NDArray[np.bool_] | None = None,
    nodata: float | None = None,
    depth: Depth | None = None,
    unary_weights: npt.ArrayLike | None = None,
    shortcuts: Shortcuts = Shortcuts(),  # noqa: B008 (frozen)
    threads: int | None = None,
) -> npt.NDArray[np.float32]:
    """Return the marginals of the fully connected CRF of a photo whose unary energy is -log `probabilities`.

    Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs", section 4.2;
    mean field by Krähenbühl & Koltun 2011, the bilateral filter by a permutohedral lattice.

    >>> photo = np.zeros((4, 6, 3), np.uint8)
    >>> photo[:, 3:] = 255
    >>> cat = np.full((4, 6), 0.3, np.float32)  # the probability of a foreground, unsure at its edge
    >>> cat[:, 4:] = 0.9
    >>> refine(photo, cat, CRFParams(bilateral_rgb_std=20)).argmax(0)[0]
    array([0, 0, 0, 1, 1, 1])

    Args:
        image: the photo, (H, W, 3) uint8, in RGB, as it was before any preprocessing for a network; or any image (H, W)
            or (H, W, C), of any number type and number of channels. Pixels that a masked array leaves out are left out
            as those of `mask` are.
        probabilities: (L, H, W) of any float dtype, in 0-1, summing to one over the labels (within 2 %) at every pixel.
            Zeros count as 1.2e-38. (H, W) are those of a foreground, p, and stand for two labels, [1 - p, p].
            Read-only and strided arrays are welcome.
        params: the two kernels' weights and standard deviations, σβ in the image's own units; or `CRFSettings`, which
            hold the following two as well.
        iterations: mean field updates; 0 returns the probabilities themselves. None: those of the settings, or 10.
        normalization: "after" (the paper's), "symmetric" (the reference CRF program's), "before" or "none"; see
            `GaussianKernel`. None: that of the settings, or "after".
        mask: (H, W) bool, True for the pixels that take part; None: all. The others neither speak nor hear and keep
            their probabilities, scaled to sum to one.
        fixed: (H, W) bool, True for the pixels that speak and do not hear: they keep their probabilities, and the
            others' marginals are those given them. Where they are 0 and 1, a label is certain, such as a user's stroke.
            None: no pixel.
        nodata: the value in any channel of pixels that hold no data, such as -9999 or NaN: they are left out, too.
        depth: `Depth(values, std=…)` of the photo's size: one more coordinate of the bilateral kernel, for edges that
            colour does not show.
        unary_weights: (H, W) float, 0-1: how much each pixel's own probabilities count, their -log times this. 1 for
            all of it, 0 for a pixel that has nothing to say and only hears the others. None: 1. `fixed` pixels keep
            theirs.
        shortcuts: how to save time and memory; `deeplab.crf.PARITY` for none.
        threads: None for as many as the environment variable DEEPLAB_THREADS says, or every core this process may use.
            The result does not depend on it.

    Returns:
        (L, H, W) float32 in 0-1, summing to one over the labels. The likeliest label is `.argmax(0)`.

    Raises:
        InputError: an argument has the wrong type, shape or values, or another size than the image; there is one label
            alone; the image's floats lie in 0-1 or around 0, and its standard deviation beyond all of them; the
            standard deviations are so small that the lattice cannot hold the photo; or the parameters were learnt with
            another number of labels.
        MemoryError: the photo does not fit in memory. Where that is clear beforehand, it is said before any work.
    """
    settings = params if isinstance(params, CRFSettings) else CRFSettings(params)
    settings = CRFSettings(
        settings.params,
        settings.iterations if iterations is None else iterations,
        settings.normalization if normalization is None else normalization,
    )
    if not isinstance(shortcuts, Shortcuts):
        raise InputError(f"shortcuts are {type(shortcuts).__name__}; expected Shortcuts")
    threads = thread_count(threads)
    photo, valid = check_image(image, nodata)
    height, width, channels = photo.shape
    rgb_std = check_deviations(settings.params.bilateral_rgb_std, channels, "bilateral_rgb_std")
    check_levels(photo if valid is None else photo[valid], rgb_std)
    given = _probabilities_of(photo, probabilities)
    settings.params.check_labels(len(given))
    taking_part = valid
    if mask is not None:
        taking_part = check_mask(mask, (height, width), "mask", "pixels that take part") & (valid is None or valid)
    held = None if fixed is None else check_mask(fixed, (height, width), "fixed", "pixels that keep their values")
    check_depth(depth, height, width)
    if unary_weights is not None:
        given = _weighted(given, unary_weights, held)
    tiles = tiles_of(height, width, shortcuts.tile_side_px, _REACH_STDS * settings.params.bilateral_xy_std_px)
    _check_memory(given.shape, tiles, channels + (depth is not None), masked=taking_part is not None)
    if shortcuts.narrow_bilateral:
        settings, depth = narrowed(settings, photo, depth)
    if len(tiles) == 1:
        return _refine_tile(photo, given, tiles[0], settings, depth, taking_part, held, shortcuts, threads)
    refined = np.empty(given.shape, np.float32)
    for tile in tiles:
        marginals = _refine_tile(photo, given, tile, settings, depth, taking_part, held, shortcuts, threads)
        refined[(slice(None), *tile.kept)] = marginals[(slice(None), *tile.kept_of_seen)]
    return refined


def refine_batch(
    images: Sequence[npt.ArrayLike] | npt.NDArray[Any],
    probabilities: Sequence[npt.ArrayLike] | npt.NDArray[Any],
    params: CRFParams | CRFSettings = CRFSettings(),  # noqa: B008 (frozen)
    *,
    threads: int | None = None,
    **options: Any,
) -> list[npt.NDArray[np.float32]]:
    """Return `refine` of every photo, several photos at a time, each on a thread of its own.

    >>> photos, even = np.zeros((3, 4, 6, 3), np.uint8), np.full((3, 2, 4, 6), 0.5)
    >>> [marginals.shape for marginals in refine_batch(photos, even, iterations=5)]
    [(2, 4, 6), (2, 4, 6), (2, 4, 6)]

    Args:
        images: (B, H, W, 3) uint8, or a sequence of images of any sizes, each as `refine` takes it.
        probabilities: (B, L, H, W) float, or a sequence of (L, H, W) or (H, W), one for each image.
        params: as in `refine`, for all photos.
        threads: photos in work at a time; None as in `refine`.
        options: the other options of `refine`, for all photos.

    Returns:
        For each photo its (L, H, W) float32 marginals.

    Raises:
        InputError: there are more photos than probabilities or fewer, or as `refine` raises it.
    """
    counts = _count(images, "images"), _count(probabilities, "probabilities")
    if counts[0] != counts[1]:
        raise InputError(f"{counts[0]} images come with {counts[1]} probabilities; expected one for each")

    def one(pair: tuple[Any, Any]) -> npt.NDArray[np.float32]:
        return refine(*pair, params, threads=1, **options)

    with ThreadPoolExecutor(thread_count(threads)) as pool:
        return list(pool.map(one, zip(images, probabilities, strict=True)))


def _count(batch: Any, name: str) -> int:
    try:
        return len(batch)
    except TypeError:
        raise InputError(f"{name} is {type(batch).__name__}; expected a list, or an array with a batch axis") from None


def _probabilities_of(photo: npt.NDArray[Any], probabilities: Any) -> npt.NDArray[Any]:
    """Return probabilities (L, H, W), or (H, W) of a foreground, as (L, H, W) like the photo (H, W, C)."""
    given, (height, width, channels) = as_array(probabilities, "probabilities"), photo.shape
    labels_last = given.shape[:2] == (height, width)
    if given.ndim > 1 and not labels_last and given.shape[-2:] == (width, channels) != (height, width):
        raise InputError(
            f"image has shape {photo.shape}; expected (height, width, channels) for probabilities of "
            f"{width}x{channels}: pass image.transpose(1, 2, 0)"
        )
    if given.shape == (height, width):
        return both_labels(given)
    check_like_image(given, height, width, "probabilities")
    check_label_count(
        len(given), "probabilities",
        "for those of a foreground, p, pass probabilities[0], which stands for np.stack([1 - p, p])",
    )  # fmt: skip
    return given


def _weighted(
    given: npt.NDArray[Any], weights: npt.ArrayLike, fixed: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.float32]:
    """Return probabilities (L, H, W) to the power of weights (H, W), but for the fixed pixels; they sum to one."""
    array = as_array(weights, "unary_weights")
    check_real(array, "unary_weights")
    if array.shape != given.shape[1:]:
        raise InputError(f"unary_weights have shape {array.shape}; expected {given.shape[1:]} like the image")
    low, high = float(array.min()), float(array.max())
    if not 0 <= low <= high <= 1:
        raise InputError(f"unary_weights go from {low:.4g} to {high:.4g}; expected 0-1: 0 for a pixel with no opinion")
    counting = array.astype(np.float32) if fixed is None else np.where(fixed, 1, array).astype(np.float32)
    energies = np.log(np.maximum(check_probabilities(given), np.finfo(np.float32).tiny)).reshape(given.shape)
    return softmax_in_place(energies * counting)


def _check_memory(shape: tuple[int, ...], tiles: list[Tile], channels: int, *, masked: bool) -> None:
    """Raise MemoryError where the result and one tile's work, at the least they can take, are clearly too much."""
    labels, height, width = shape
    pixels = max(tile.pixels for tile in tiles)
    copies = 0 if len(tiles) == 1 else 2 * labels  # of a tile: what goes in and what comes out
    lattice = 0 if masked else _LEAST_BYTES_PER_FEATURE * (2 + channels)  # a mask may leave next to no pixels
    check_memory(
        4 * labels * height * width + pixels * (lattice + 4 * copies),
        f"refining {labels} labels of {width}x{height} pixels",
        "shrink the photo and its probabilities, or refine it part by part",
    )


def _refine_tile(
    image: npt.NDArray[Any],
    given: npt.NDArray[Any],
    tile: Tile,
    settings: CRFSettings,
    depth: Depth | None,
    mask: npt.NDArray[np.bool_] | None,
    fixed: npt.NDArray[np.bool_] | None,
    shortcuts: Shortcuts,
    threads: int,
) -> npt.NDArray[np.float32]:
    """Return the marginals of what a tile sees, (L, h, w)."""
    photo, probabilities = image[tile.seen], given[(slice(None), *tile.seen)]
    source = check_probabilities(probabilities)
    chosen = None if mask is None else mask[tile.seen].ravel()
    held = None if fixed is None else fixed[tile.seen].ravel()
    if chosen is not None:
        outside: npt.NDArray[np.float32] = source / source.sum(axis=0)
        if not chosen.any():
            return outside.reshape(probabilities.shape)
        source = np.ascontiguousarray(source[:, chosen])
        held = None if held is None else held[chosen]
    corner = tile.seen[0].start, tile.seen[1].start
    kernels = kernels_one_by_one(
        photo, settings, depth=None if depth is None else depth.features(tile.seen),
        exact_spatial=shortcuts.exact_spatial, corner=corner, points=chosen,
    )  # fmt: skip
    terms = (make_term(kernel, source.shape, "lattice", threads) for kernel in kernels)
    refined = infer_by_terms(
        source, True, terms, settings.iterations, fixed=held, prune_below=shortcuts.prune_below, threads=threads
    )
    if chosen is not None:
        outside[:, chosen] = refined
        refined = outside
    return refined.reshape(probabilities.shape)
