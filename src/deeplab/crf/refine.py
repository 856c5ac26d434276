"""Sharpen class probabilities along a photo's edges: the one-line use of the CRF."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.crf.checks import check_image, check_like_image, check_mask, check_probabilities, thread_count
from deeplab.crf.kernels import GaussianKernel, bilateral_kernel, narrowed_stds, smoothness_kernel, spatial_kernel
from deeplab.crf.mean_field import infer_by_terms
from deeplab.crf.memory import check_memory
from deeplab.crf.params import CRFParams, CRFSettings, Shortcuts
from deeplab.crf.terms import Kernel, make_term
from deeplab.crf.tiles import Tile, tiles_of
from deeplab.errors import InputError

__all__ = ["refine", "refine_batch"]

# What lies further away than this many σα moves next to nothing: docs/crf.md has the measurements.
_REACH_STDS = 3.0

# A lattice over five features takes 48 bytes per pixel beside the features' 20: this much is certain to be needed.
_LEAST_BYTES_PER_PIXEL = 64


def refine(
    image: npt.NDArray[np.uint8],
    probabilities: npt.NDArray[np.floating],
    params: CRFParams = CRFParams(),  # noqa: B008 (frozen)
    *,
    iterations: int = 10,
    normalization: str = "after",
    mask: npt.NDArray[np.bool_] | None = None,
    shortcuts: Shortcuts = Shortcuts(),  # noqa: B008 (frozen)
    threads: int | None = None,
) -> npt.NDArray[np.float32]:
    """Return the marginals of the fully connected CRF of a photo whose unary energy is -log `probabilities`.

    Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs", section 4.2;
    mean field by Krähenbühl & Koltun 2011, the bilateral filter by a permutohedral lattice.

    Args:
        image: (H, W, 3) uint8, the photo in RGB, 0-255, as it was before any preprocessing for a network.
        probabilities: (L, H, W) of any float dtype, in 0-1, summing to one over the labels (within 2 %) at every pixel.
            Read-only and strided arrays are welcome. Zeros count as 1.2e-38.
        params: the two kernels' weights and standard deviations.
        iterations: mean field updates; 0 returns the probabilities themselves.
        normalization: "after" (the paper's), "symmetric" (the reference CRF program's), "before" or "none"; see
            `GaussianKernel`.
        mask: (H, W) bool, True for the pixels that take part; None: all. The others neither speak nor hear and keep
            their probabilities, scaled to sum to one.
        shortcuts: how to save time and memory; `deeplab.crf.PARITY` for none.
        threads: None for as many as the environment variable DEEPLAB_THREADS says, or every core this process may use.
            The result does not depend on it.

    Returns:
        (L, H, W) float32 in 0-1, summing to one over the labels. The likeliest label is `.argmax(0)`.

    Raises:
        InputError: an argument has the wrong type, shape or values, or the standard deviations are so small that the
            lattice cannot hold the photo.
        MemoryError: the photo does not fit in memory. Where that is clear beforehand, it is said before any work.
    """
    settings = CRFSettings(params, iterations, normalization)
    if not isinstance(shortcuts, Shortcuts):
        raise InputError(f"shortcuts are {type(shortcuts).__name__}; expected Shortcuts")
    threads = thread_count(threads)
    photo = check_image(image)
    height, width, _ = photo.shape
    given = check_like_image(probabilities, height, width, "probabilities")
    taking_part = None if mask is None else check_mask(mask, height, width)
    tiles = tiles_of(height, width, shortcuts.tile_side_px, _REACH_STDS * params.bilateral_xy_std_px)
    _check_memory(given.shape, tiles, masked=taking_part is not None)
    if len(tiles) == 1:
        return _refine_tile(photo, given, tiles[0], settings, taking_part, shortcuts, threads)
    refined = np.empty(given.shape, np.float32)
    for tile in tiles:
        marginals = _refine_tile(photo, given, tile, settings, taking_part, shortcuts, threads)
        refined[(slice(None), *tile.kept)] = marginals[(slice(None), *tile.kept_of_seen)]
    return refined


def refine_batch(
    images: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8],
    probabilities: Sequence[npt.NDArray[np.floating]] | npt.NDArray[np.floating],
    params: CRFParams = CRFParams(),  # noqa: B008 (frozen)
    *,
    threads: int | None = None,
    **options: Any,
) -> list[npt.NDArray[np.float32]]:
    """Return `refine` of every photo, several photos at a time, each on a thread of its own.

    Args:
        images: (B, H, W, 3) uint8, or a sequence of (H, W, 3) of any sizes.
        probabilities: (B, L, H, W) float, or a sequence of (L, H, W), one for each image.
        params: as in `refine`, for all photos.
        threads: photos in work at a time; None as in `refine`.
        options: the other options of `refine`, for all photos.

    Returns:
        For each photo its (L, H, W) float32 marginals.

    Raises:
        InputError: there are more photos than probabilities or fewer, or as `refine` raises it.
    """
    if len(images) != len(probabilities):
        raise InputError(f"{len(images)} images come with {len(probabilities)} probabilities; expected one for each")

    def one(pair: tuple[Any, Any]) -> npt.NDArray[np.float32]:
        return refine(*pair, params, threads=1, **options)

    with ThreadPoolExecutor(thread_count(threads)) as pool:
        return list(pool.map(one, zip(images, probabilities, strict=True)))


def _check_memory(shape: tuple[int, ...], tiles: list[Tile], *, masked: bool) -> None:
    """Raise MemoryError where the result and one tile's work, at the least they can take, are clearly too much."""
    labels, height, width = shape
    pixels = max(tile.pixels for tile in tiles)
    copies = 0 if len(tiles) == 1 else 2 * labels  # of a tile: what goes in and what comes out
    lattice = 0 if masked else _LEAST_BYTES_PER_PIXEL  # a mask may leave next to no pixels
    check_memory(
        4 * labels * height * width + pixels * (lattice + 4 * copies),
        f"refining {labels} labels of {width}x{height} pixels",
        "shrink the photo and its probabilities, or refine it part by part",
    )


def _refine_tile(
    image: npt.NDArray[np.uint8],
    given: npt.NDArray[Any],
    tile: Tile,
    settings: CRFSettings,
    mask: npt.NDArray[np.bool_] | None,
    shortcuts: Shortcuts,
    threads: int,
) -> npt.NDArray[np.float32]:
    """Return the marginals of what a tile sees, (L, h, w)."""
    photo, probabilities = image[tile.seen], given[(slice(None), *tile.seen)]
    source = check_probabilities(probabilities)
    kernels = _kernels(photo, tile, settings, shortcuts, exact_spatial=shortcuts.exact_spatial and mask is None)
    if mask is not None:
        chosen = mask[tile.seen].ravel()
        outside: npt.NDArray[np.float32] = source / source.sum(axis=0)
        if not chosen.any():
            return outside.reshape(probabilities.shape)
        source = np.ascontiguousarray(source[:, chosen])
        kernels = (
            GaussianKernel(kernel.features[chosen], kernel.weight, normalization=kernel.normalization)
            for kernel in kernels
        )
    terms = (make_term(kernel, source.shape, "lattice", threads) for kernel in kernels)
    refined = infer_by_terms(
        source, True, terms, settings.iterations, prune_below=shortcuts.prune_below, threads=threads
    )
    if mask is not None:
        outside[:, chosen] = refined
        refined = outside
    return refined.reshape(probabilities.shape)


def _kernels(
    photo: npt.NDArray[np.uint8], tile: Tile, settings: CRFSettings, shortcuts: Shortcuts, *, exact_spatial: bool
) -> Iterator[Kernel]:
    """Yield the two kernels one by one, so that the features of the first can go before the second comes."""
    height, width, _ = photo.shape
    params, normalization = settings.params, settings.normalization
    xy_std_px, rgb_std = params.bilateral_xy_std_px, params.bilateral_rgb_std
    if shortcuts.narrow_bilateral:
        xy_std_px, rgb_std = narrowed_stds(xy_std_px, rgb_std)
    weight = params.bilateral_weight
    yield _placed(
        bilateral_kernel(photo, xy_std_px=xy_std_px, rgb_std=rgb_std, weight=weight, normalization=normalization),
        tile,
        xy_std_px,
    )
    make_spatial = smoothness_kernel if exact_spatial else spatial_kernel
    std_px = params.spatial_xy_std_px
    spatial = make_spatial(height, width, xy_std_px=std_px, weight=params.spatial_weight, normalization=normalization)
    yield _placed(spatial, tile, std_px) if isinstance(spatial, GaussianKernel) else spatial


def _placed(kernel: GaussianKernel, tile: Tile, xy_std_px: float) -> GaussianKernel:
    """Move the kernel's features to where the tile lies in the photo.

    The Gaussian is the same anywhere, but its lattice is not: this way all tiles have the whole photo's and agree where
    they meet.
    """
    rows, columns = tile.seen
    if rows.start or columns.start:
        kernel.features[:, :2] += np.array([columns.start, rows.start], np.float32) / np.float32(max(xy_std_px, 1e-30))
    return kernel
