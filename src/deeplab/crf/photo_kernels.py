"""The two kernels of the DeepLab CRF over a photo, as `refine` has them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.crf.depth import Depth, check_depth
from deeplab.crf.kernels import GaussianKernel, GridKernel, colour_kernel, spatial_kernel
from deeplab.crf.levels import check_deviations, check_image, check_levels, in_8_bit_levels
from deeplab.crf.params import CRFParams, CRFSettings, Shortcuts
from deeplab.crf.terms import Kernel
from deeplab.errors import InputError

# Up to here two sums of a Gaussian's width take less time than its lattice.
_LARGEST_EXACT_STD_PX = 12.0

# How much too wide the lattice's bilateral kernel is on photos: docs/crf.md has the measurements.
_RGB_STDS, _NARROWINGS = (5.0, 8.0), (1.0, 1.05)


def photo_kernels(
    image: npt.ArrayLike,
    crf: CRFParams | CRFSettings = CRFSettings(),  # noqa: B008 (frozen)
    *,
    depth: Depth | None = None,
    shortcuts: Shortcuts = Shortcuts(),  # noqa: B008 (frozen)
) -> tuple[Kernel, Kernel]:
    """Return the bilateral and the spatial kernel with which `refine` works on a photo (section 4.2, equation 2).

    They keep their lattices: with `changed`, other weights are tried without building them again. (`refine` cuts large
    photos into tiles; these kernels are over the whole of it.)

    >>> photo, even = np.zeros((4, 6, 3), np.uint8), np.full((2, 4, 6), 0.5)
    >>> bilateral, spatial = photo_kernels(photo, CRFParams(bilateral_weight=4))
    >>> for weight in 4, 8:
    ...     crf = DenseCRF.from_probabilities(even, [bilateral.changed(weight=weight), spatial])
    ...     print(crf.infer(10).shape)
    (2, 4, 6)
    (2, 4, 6)

    Args:
        image: (H, W) or (H, W, C) of any number type, without masked pixels; as `refine` takes it.
        crf: the kernels' weights and standard deviations, and of `CRFSettings` their normalisation.
        depth: of the image's size; one more coordinate of the bilateral kernel.
        shortcuts: `exact_spatial` and `narrow_bilateral` count.

    Raises:
        InputError: as `refine` raises it of its image and parameters; or pixels are masked.
        MemoryError: the features clearly do not fit.
    """
    settings = crf if isinstance(crf, CRFSettings) else CRFSettings(crf)
    photo, valid = check_image(image)
    if valid is not None:
        raise InputError("image has masked pixels; expected none: fill them, and take the kernels' at() of the others")
    check_levels(photo, check_deviations(settings.params.bilateral_rgb_std, photo.shape[2], "bilateral_rgb_std"))
    check_depth(depth, *photo.shape[:2])
    if shortcuts.narrow_bilateral:
        settings, depth = narrowed(settings, photo, depth)
    features = None if depth is None else depth.features()
    bilateral, spatial = kernels_one_by_one(photo, settings, depth=features, exact_spatial=shortcuts.exact_spatial)
    return bilateral, spatial


def narrowed(crf: CRFSettings, photo: npt.NDArray[Any], depth: Depth | None = None) -> tuple[CRFSettings, Depth | None]:
    """Return the settings, and the depth, whose lattice is nearest to the bilateral kernel of these.

    Its standard deviations are divided by 1 up to a `bilateral_rgb_std` of 5 levels of 255, by 1.05 from 8 levels on,
    and by what lies between in between. Of a photo (H, W, C) of another type than uint8, 255 levels are its full scale;
    of several deviations the least counts.
    """
    params, rgb_std = crf.params, crf.params.bilateral_rgb_std
    by = float(np.interp(in_8_bit_levels(photo, rgb_std), _RGB_STDS, _NARROWINGS))
    narrow = tuple(std / by for std in rgb_std) if isinstance(rgb_std, tuple) else rgb_std / by
    xy_std_px = params.bilateral_xy_std_px / by
    params = replace(params, bilateral_xy_std_px=xy_std_px, bilateral_rgb_std=narrow)
    return replace(crf, params=params), None if depth is None else depth.scaled(1 / by)


def kernels_one_by_one(
    photo: npt.NDArray[Any],
    crf: CRFSettings,
    *,
    depth: tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]] | None = None,
    exact_spatial: bool = True,
    corner: tuple[int, int] = (0, 0),
    points: npt.NDArray[np.bool_] | None = None,
) -> Iterator[Kernel]:
    """Yield the two kernels one by one, so that the features of the first can go before the second comes.

    Args:
        photo: (H, W, C), checked; or a part of it.
        crf: the kernels' weights, standard deviations, as they are, and normalisation.
        depth: of the photo or its part, as `Depth.features` has it.
        exact_spatial: as `Shortcuts` has it; without effect where `points` leaves some out.
        corner: (y, x) of the part's first pixel. The Gaussian is the same anywhere, but its lattice is not: this way
            all parts have the whole photo's and agree where they meet.
        points: (H·W,) bool, True for the pixels to take; None: all.
    """
    height, width, _ = photo.shape
    params, normalization = crf.params, crf.normalization
    xy_std_px, std_px = params.bilateral_xy_std_px, params.spatial_xy_std_px

    def placed(kernel: GaussianKernel, xy_std_px: float) -> GaussianKernel:
        if any(corner):
            kernel.features[:, :2] += np.array(corner[::-1], np.float32) / np.float32(max(xy_std_px, 1e-30))
        return kernel if points is None else kernel.at(points)

    weight, costs = params.weighing("bilateral")
    bilateral = colour_kernel(photo, xy_std_px, params.bilateral_rgb_std, weight, normalization, depth)
    yield placed(bilateral.changed(compatibility=costs), xy_std_px)
    del bilateral
    weight, costs = params.weighing("spatial")
    if exact_spatial and points is None and std_px <= _LARGEST_EXACT_STD_PX:
        yield GridKernel(height, width, std_px, weight, costs, normalization)
        return
    spatial = spatial_kernel(height, width, xy_std_px=std_px, weight=weight, normalization=normalization)
    yield placed(spatial.changed(compatibility=costs), std_px)
