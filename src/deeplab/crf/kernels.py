"""Gaussian kernels: which points speak to each other, how strongly, and about what."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplab.crf.checks import check_choice, check_energies, check_finite, check_number, check_real
from deeplab.errors import InputError

__all__ = ["NORMALIZATIONS", "GaussianKernel", "bilateral_kernel", "spatial_kernel"]

NORMALIZATIONS = ("symmetric", "before", "after", "none")


@dataclass(frozen=True, eq=False)
class GaussianKernel:
    """One term of the pairwise energy, weight · μ(l, l') · exp(-|f_i - f_j|² / 2) over all pairs of points i, j.

    Krähenbühl & Koltun 2011, equations 2 and 3.

    Attributes:
        features: (N, d) float, f: one row per point, each column already divided by its standard deviation.
        weight: how much the term counts, at least 0.
        compatibility: μ, the cost of two labels side by side. None: the Potts model, 0 for equal labels and 1 for
            others. (L, L) float, symmetric: the costs themselves.
        normalization: what a point's message is divided by, with k = K·1 the sum of its kernel values.
            "after": by k, so that each point hears a weighted mean (the DeepLab authors' program).
            "before": each speaker is divided by its own k. "symmetric": both by √k (the reference CRF program).
            "none": by nothing, so that messages grow with the number of points in reach.

    Raises:
        InputError: the features are not (N, d) finite numbers, the weight is negative or not finite, the compatibility
            is not a finite symmetric matrix, or the normalisation has another name.
    """

    features: npt.NDArray[np.float32]
    weight: float = 1.0
    compatibility: npt.NDArray[np.float32] | None = None
    normalization: str = "after"

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", _features(self.features))
        object.__setattr__(self, "weight", check_number(self.weight, "weight"))
        if self.compatibility is not None:
            object.__setattr__(self, "compatibility", _compatibility(self.compatibility))
        check_choice(self.normalization, NORMALIZATIONS, "normalization")


def spatial_kernel(
    height: int, width: int, *, xy_std_px: float, weight: float, normalization: str = "after"
) -> GaussianKernel:
    """Return the smoothness kernel of an image: exp(-|p_i - p_j|² / 2σγ²), pixels in row-major order.

    DeepLab section 4.2, equation 2, second kernel. `xy_std_px` (σγ) in pixels, above 0.

    Raises:
        InputError: `xy_std_px` is not a number above 0, or as `GaussianKernel` raises it.
    """
    return GaussianKernel(_positions(height, width, xy_std_px), weight=weight, normalization=normalization)


def bilateral_kernel(
    image: npt.NDArray[np.uint8], *, xy_std_px: float, rgb_std: float, weight: float, normalization: str = "after"
) -> GaussianKernel:
    """Return the appearance kernel of a photo: exp(-|p_i - p_j|² / 2σα² - |I_i - I_j|² / 2σβ²).

    DeepLab section 4.2, equation 2, first kernel. `image` (H, W, C) of any number of channels; `xy_std_px` (σα) in
    pixels, `rgb_std` (σβ) in the image's own levels, both above 0.

    Raises:
        InputError: the image is not (H, W, C), a standard deviation is not a number above 0, or as `GaussianKernel`
            raises it.
    """
    array = np.asarray(image)
    if array.ndim != 3:
        raise InputError(f"image has shape {array.shape}; expected (H, W, C): for one channel, pass image[..., None]")
    height, width, channels = array.shape
    colours = array.reshape(-1, channels).astype(np.float32) / _deviation(rgb_std, "rgb_std")
    features = np.concatenate([_positions(height, width, xy_std_px), colours], axis=1)
    return GaussianKernel(features, weight=weight, normalization=normalization)


def _positions(height: int, width: int, std_px: float) -> npt.NDArray[np.float32]:
    """(H·W, 2) float32: x and y of each pixel, x first, over the standard deviation."""
    deviation = _deviation(std_px, "xy_std_px")
    features = np.empty((height, width, 2), np.float32)
    features[..., 0] = np.arange(width, dtype=np.float32) / deviation
    features[..., 1] = np.arange(height, dtype=np.float32)[:, None] / deviation
    return features.reshape(-1, 2)


def _deviation(std: float, name: str) -> np.float32:
    """Keep features finite for deviations too small for float32; the lattice has its own word on those."""
    return np.float32(max(check_number(std, name, above_zero=True), 1e-30))


def _features(given: Any) -> npt.NDArray[np.float32]:
    array = np.asarray(given)
    check_real(array, "features")
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"features have shape {array.shape}; expected (points, features), at least one of each")
    with np.errstate(over="ignore"):
        features = np.ascontiguousarray(array, dtype=np.float32)
    check_finite(features, "features")
    return features


def _compatibility(given: Any) -> npt.NDArray[np.float32]:
    array = np.asarray(given)
    check_real(array, "compatibility")
    with np.errstate(over="ignore"):
        matrix = array.astype(np.float32)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"compatibility has shape {matrix.shape}; expected (labels, labels)")
    check_energies(matrix, "compatibility")
    if not np.allclose(matrix, matrix.T):
        raise InputError("compatibility is not symmetric; pass (m + m.T) / 2")
    return matrix
