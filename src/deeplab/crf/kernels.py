"""Gaussian kernels: which points speak to each other, how strongly, and about what."""

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from deeplab.checks import check_choice, check_count, check_number
from deeplab.crf import _native
from deeplab.crf.checks import as_array, check_energies, check_finite, check_mask, check_real
from deeplab.crf.depth import Depth, check_depth
from deeplab.crf.lattice import SharedLattice
from deeplab.crf.levels import check_deviations, check_image, check_levels
from deeplab.crf.memory import check_memory
from deeplab.errors import InputError

NORMALIZATIONS = ("symmetric", "before", "after", "none")

_MOST_PX = 2**31 - 1  # of a side

_UNKNOWN = "points whose last feature is not known"

_LEAST_STD = 1e-30  # keeps features finite for deviations too small for float32; the lattice has its own word on those


@dataclass(frozen=True, eq=False)
class GaussianKernel:
    """One term of the pairwise energy, weight · μ(l, l') · exp(-|f_i - f_j|² / 2) over all pairs of points i, j.

    Krähenbühl & Koltun 2011, equations 2 and 3. A kernel keeps the lattice over its features once one is built;
    `changed` gives a kernel with another weight, compatibility or normalisation that shares it.

    Attributes:
        features: (N, d) float, f: one row per point, each column already divided by its standard deviation.
        weight: how much the term counts, at least 0.
        compatibility: μ, the cost of two labels side by side. None: the Potts model, 0 for equal labels and 1 for
            others. (L, L) float: the costs themselves; row l, column l' is what hearing l' costs label l. What was
            learnt need not be symmetric; an energy counts half of it and of its transpose. (L,) float: their diagonal,
            all others 0, so that -1 everywhere is the Potts model up to a constant.
        normalization: what a point's message is divided by, with k = K·1 the sum of its kernel values.
            "after": by k, so that each point hears a weighted mean (the DeepLab authors' program).
            "before": each speaker is divided by its own k. "symmetric": both by √k (the reference CRF program).
            "none": by nothing, so that messages grow with the number of points in reach.
        grid: (height, width) of the image whose pixels the points are, row by row; None: they are others, or it is
            not known. A CRF takes only kernels that agree on it.
        unknown: (N,) bool, True for points whose last feature is not known, whatever stands there: between such a point
            and any other the kernel leaves that feature out. None: all are known.

    Raises:
        InputError: the features are not (N, d) finite numbers, the weight is negative or not finite, the compatibility
            is not a finite vector or square matrix, the normalisation has another name, or `unknown` is not (N,) bool.
    """

    features: npt.NDArray[np.float32]
    weight: float = 1.0
    compatibility: npt.NDArray[np.float32] | None = None
    normalization: str = "after"
    grid: tuple[int, int] | None = field(default=None, kw_only=True)
    unknown: npt.NDArray[np.bool_] | None = field(default=None, kw_only=True)
    lattice: SharedLattice = field(default_factory=SharedLattice, repr=False, kw_only=True)
    lattice_without_last: SharedLattice = field(default_factory=SharedLattice, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", _features(self.features))
        if self.unknown is not None:
            self._leave_out_where_unknown(check_mask(self.unknown, (self.points,), "unknown", _UNKNOWN))
        _check_term(self)

    def _leave_out_where_unknown(self, unknown: npt.NDArray[np.bool_]) -> None:
        """Have a last feature that nobody knows left out, and one that all know be one like the others."""
        if unknown.all() and self.features.shape[1] > 1:
            object.__setattr__(self, "features", np.ascontiguousarray(self.features[:, :-1]))
        object.__setattr__(self, "unknown", unknown if 0 < np.count_nonzero(unknown) < len(unknown) else None)

    @property
    def points(self) -> int:
        """N, the number of points."""
        return len(self.features)

    def changed(self, **changes: Any) -> "GaussianKernel":
        """Return a kernel over the same features that shares the lattice, with another `weight` and so on.

        Raises:
            InputError: a value is wrong, or its name is none of `weight`, `compatibility` and `normalization`.
        """
        return _changed(self, changes)

    def at(self, points: npt.NDArray[np.bool_]) -> "GaussianKernel":
        """Return the kernel between some of the points alone; `points` (N,) is True for those."""
        unknown = None if self.unknown is None else self.unknown[points]
        some = replace(self, features=self.features[points], unknown=unknown, grid=None, lattice=SharedLattice())
        return replace(some, lattice_without_last=SharedLattice())


@dataclass(frozen=True, eq=False)
class GridKernel:
    """The Gaussian kernel over the places of an image's pixels, exp(-|p_i - p_j|² / 2σ²), computed exactly.

    What `spatial_kernel` approximates by a lattice, as one sum along columns and one along rows. Its time grows with σ:
    beyond 12 pixels or so the lattice is faster. Distances over 5σ count as nothing: together they are 6e-7 of the sum.

    Attributes:
        height: of the image in pixels; its points are the pixels in row-major order.
        width: of the image in pixels.
        xy_std_px: σ in pixels, above 0.
        weight: as in `GaussianKernel`, like the following.
        compatibility: μ.
        normalization: "after", "symmetric", "before" or "none".

    Raises:
        InputError: a side is below one pixel, σ is not a number above 0, or as `GaussianKernel` raises it.
    """

    height: int
    width: int
    xy_std_px: float
    weight: float = 1.0
    compatibility: npt.NDArray[np.float32] | None = None
    normalization: str = "after"

    def __post_init__(self) -> None:
        for side in ("height", "width"):
            object.__setattr__(self, side, check_count(getattr(self, side), 1, side, most=_MOST_PX))
        object.__setattr__(self, "xy_std_px", check_number(self.xy_std_px, "xy_std_px", above_zero=True))
        _check_term(self)

    @property
    def points(self) -> int:
        """H·W, the number of pixels."""
        return self.height * self.width

    @property
    def grid(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def features(self) -> npt.NDArray[np.float32]:
        """(H·W, 2) float32: x and y of each pixel over σ."""
        return _positions(self.height, self.width, self.xy_std_px)

    def taps(self) -> npt.NDArray[np.float32]:
        """Return the Gaussian at distances of 0, 1, 2 … pixels, float32, up to 5σ or the image's longer side."""
        reach = min(int(np.ceil(5 * self.xy_std_px)), max(self.height, self.width) - 1)
        with np.errstate(over="ignore"):  # a tiny σ leaves the pixel itself alone
            return np.exp(-((np.arange(reach + 1) / self.xy_std_px) ** 2) / 2).astype(np.float32)

    def changed(self, **changes: Any) -> "GridKernel":
        """Return the kernel with another `weight`, `compatibility` or `normalization`.

        Raises:
            InputError: a value is wrong, or its name is none of these.
        """
        return _changed(self, changes)


def spatial_kernel(
    height: int, width: int, *, xy_std_px: float, weight: float, normalization: str = "after"
) -> GaussianKernel:
    """Return the smoothness kernel of an image: exp(-|p_i - p_j|² / 2σγ²), pixels in row-major order.

    DeepLab section 4.2, equation 2, second kernel. `xy_std_px` (σγ) in pixels, above 0.

    Raises:
        InputError: a side is below one pixel, `xy_std_px` is not a number above 0, or as `GaussianKernel` raises it.
    """
    height, width = check_count(height, 1, "height", most=_MOST_PX), check_count(width, 1, "width", most=_MOST_PX)
    features = _positions(height, width, xy_std_px)
    return GaussianKernel(features, weight=weight, normalization=normalization, grid=(height, width))


def bilateral_kernel(
    image: npt.ArrayLike,
    *,
    xy_std_px: float,
    rgb_std: float | npt.ArrayLike,
    weight: float,
    normalization: str = "after",
    depth: Depth | None = None,
) -> GaussianKernel:
    """Return the appearance kernel of an image: exp(-|p_i - p_j|² / 2σα² - |I_i - I_j|² / 2σβ²).

    DeepLab section 4.2, equation 2, first kernel. `image` (H, W) or (H, W, C), of any number type and of any number of
    channels; `xy_std_px` (σα) in pixels, `rgb_std` (σβ), one for all channels or (C,), in the image's own units, all
    above 0. `depth`, of the image's size, adds its own term.

    Raises:
        InputError: the image has another shape or values that are masked or not finite; its values are floats of 0-1 or
            around 0 and the deviations larger than all of them; a standard deviation is not a number above 0; the depth
            has another size than the image; or as `GaussianKernel` raises it.
        MemoryError: the features clearly do not fit.
    """
    array, valid = check_image(image)
    if valid is not None:
        raise InputError("image has masked pixels; expected none: fill them, and take the kernel's at() of the others")
    check_levels(array, check_deviations(rgb_std, array.shape[2], "rgb_std"))
    check_depth(depth, *array.shape[:2])
    features = None if depth is None else depth.features()
    return colour_kernel(array, xy_std_px, rgb_std, weight, normalization, features)


def colour_kernel(
    image: npt.NDArray[Any],
    xy_std_px: float,
    rgb_std: float | npt.ArrayLike,
    weight: float,
    normalization: str,
    depth: tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]] | None = None,
) -> GaussianKernel:
    """Return `bilateral_kernel` of an image (H, W, C) that has been checked; `depth` as `Depth.features` has it."""
    height, width, channels = image.shape
    features = _features_of_grid(height, width, xy_std_px, channels + (depth is not None))
    std = np.maximum(check_deviations(rgb_std, channels, "rgb_std"), _LEAST_STD).astype(np.float32)
    with np.errstate(over="ignore"):  # GaussianKernel has its word on what is not finite then
        np.divide(image, std, out=features[..., 2 : 2 + channels], dtype=np.float32, casting="unsafe")
    unknown = None
    if depth is not None:
        features[..., -1], unknown = depth[0], depth[1].ravel()
    return GaussianKernel(
        features.reshape(height * width, -1), weight, None, normalization, grid=(height, width), unknown=unknown
    )


def _positions(height: int, width: int, std_px: float) -> npt.NDArray[np.float32]:
    """(H·W, 2) float32: x and y of each pixel, x first, over the standard deviation."""
    return _features_of_grid(height, width, std_px, 0).reshape(-1, 2)


def _features_of_grid(height: int, width: int, std_px: float, channels: int) -> npt.NDArray[np.float32]:
    """(H, W, 2 + C) float32: x and y of each pixel over the standard deviation, and room for its channels."""
    deviation = np.float32(max(check_number(std_px, "xy_std_px", above_zero=True), _LEAST_STD))
    count = 2 + channels
    what = f"a kernel of {count} features over {width}x{height} pixels"
    check_memory(4 * height * width * count, what, "shrink the image, or take it part by part")
    features = _native.empty([height, width, count])
    features[..., 0] = np.arange(width, dtype=np.float32) / deviation
    features[..., 1] = np.arange(height, dtype=np.float32)[:, None] / deviation
    return features


def _features(given: Any) -> npt.NDArray[np.float32]:
    array = as_array(given, "features")
    check_real(array, "features")
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"features have shape {array.shape}; expected (points, features), at least one of each")
    with np.errstate(over="ignore"):
        features = np.require(array, np.float32, ("C", "A"))
    check_finite(features, "features")
    return features


def _compatibility(given: Any) -> npt.NDArray[np.float32]:
    array = as_array(given, "compatibility")
    check_real(array, "compatibility")
    with np.errstate(over="ignore"):
        costs = np.require(array, np.float32, ("C", "A"))
    if costs.ndim not in (1, 2) or costs.shape[0] != costs.shape[-1]:
        raise InputError(f"compatibility has shape {costs.shape}; expected (labels,) or (labels, labels)")
    check_energies(costs, "compatibility")
    return costs


_Kernel = TypeVar("_Kernel", GaussianKernel, GridKernel)


def _check_term(kernel: GaussianKernel | GridKernel) -> None:
    object.__setattr__(kernel, "weight", check_number(kernel.weight, "weight"))
    if kernel.compatibility is not None:
        object.__setattr__(kernel, "compatibility", _compatibility(kernel.compatibility))
    check_choice(kernel.normalization, NORMALIZATIONS, "normalization")


def _changed(kernel: _Kernel, changes: dict[str, Any]) -> _Kernel:
    free = ("weight", "compatibility", "normalization")
    if strange := [name for name in changes if name not in free]:
        raise InputError(f"cannot change {', '.join(strange)} of a kernel; expected {', '.join(free)}")
    return replace(kernel, **changes)
