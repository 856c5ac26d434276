"""The dense CRF over volumes such as CT and MR, whose voxels may be longer than wide, in slabs that fit in memory."""

from collections.abc import Callable, Iterator
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deeplab.checks import check_choice, check_count, check_number, thread_count
from deeplab.crf.checks import as_array, both_labels, check_label_count, check_mask, check_probabilities, check_real
from deeplab.crf.kernels import NORMALIZATIONS, GaussianKernel
from deeplab.crf.levels import check_deviations
from deeplab.crf.mean_field import infer_by_terms
from deeplab.crf.memory import check_memory
from deeplab.crf.params import Shortcuts
from deeplab.crf.terms import make_term
from deeplab.crf.tiles import cut
from deeplab.errors import InputError

SLAB_VOXELS = 24_000_000
"""How many voxels are worked on at a time where nothing else is said."""

# What lies further away than this many σα moves next to nothing: docs/crf.md has the measurements.
_REACH_STDS = 3.0

# A lattice takes 8 bytes for each feature of a voxel and 8 more, beside the features' own 4: so much is certain.
_LEAST_BYTES_PER_FEATURE = 12


class _Work(NamedTuple):
    """What is the same for every slab; the standard deviations of the places in voxels."""

    volume: npt.NDArray[Any]
    probabilities: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_] | None
    value_std: npt.NDArray[np.float32]
    bilateral: tuple[float, npt.NDArray[np.float32]]
    spatial: tuple[float, npt.NDArray[np.float32]]
    iterations: int
    normalization: str
    threads: int


def refine_volume(
    volume: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    spacing_mm: float | tuple[float, float, float],
    value_std: float | tuple[float, ...],
    bilateral_weight: float = 5.0,
    bilateral_std_mm: float = 5.0,
    spatial_weight: float = 3.0,
    spatial_std_mm: float = 2.0,
    iterations: int = 10,
    normalization: str = "after",
    mask: npt.NDArray[np.bool_] | None = None,
    slab_voxels: int = SLAB_VOXELS,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Return the marginals of the fully connected CRF of a volume whose unary energy is -log `probabilities`.

    The two kernels of the DeepLab paper (section 4.2, equation 2) with places p in mm along three axes, and the values
    of one or several modalities for the colours:

        w1 · exp(-|p_i - p_j|² / 2σα² - |I_i - I_j|² / 2σβ²) + w2 · exp(-|p_i - p_j|² / 2σγ²)

    Both by a permutohedral lattice. A volume of more than `slab_voxels` is cut along its longest axis into slabs, which
    overlap by 3σα, or by a fifth of a slab where that is less, and have the whole volume's lattice.

    >>> scan = np.zeros((4, 8, 8), np.int16)  # Hounsfield units, slices 5 mm apart
    >>> scan[:, 4:] = 300
    >>> bone = np.full((4, 8, 8), 0.4)  # a model's probability
    >>> bone[:, 5:] = 0.8
    >>> refine_volume(scan, bone, spacing_mm=(5, 0.8, 0.8), value_std=50).argmax(0)[2, :, 3]
    array([0, 0, 0, 0, 1, 1, 1, 1])

    Args:
        volume: (D, H, W), or (D, H, W, C) of C modalities; of any number type, and in any order of the axes.
        probabilities: (L, D, H, W) of any float dtype, in 0-1, summing to one over the labels (within 2 %) at every
            voxel. (D, H, W) are those of a foreground, p, and stand for two labels, [1 - p, p].
        spacing_mm: how far apart voxels lie along the volume's axes in mm, above 0; one number for all three.
        value_std: σβ, how alike the values must be, in the volume's own units: Hounsfield units of a CT. Above 0, one
            for all modalities or one for each. MR has no units: a tenth of the range between tissues is a start.
        bilateral_weight: w1, at least 0.
        bilateral_std_mm: σα, how far that reaches, above 0.
        spatial_weight: w2, at least 0.
        spatial_std_mm: σγ, above 0.
        iterations: mean field updates; 0 returns the probabilities themselves.
        normalization: "after", "symmetric", "before" or "none"; see `GaussianKernel`.
        mask: (D, H, W) bool, True for the voxels that take part, such as those of the body; None: all. The others keep
            their probabilities, scaled to sum to one, and may hold NaN.
        slab_voxels: how many voxels are worked on at a time, at the least three slices; 0: all.
        threads: None for as many as DEEPLAB_THREADS says, or every core. The result does not depend on it.
        progress: takes how many slabs are done, and how many there are.

    Returns:
        (L, D, H, W) float32 in 0-1, summing to one over the labels. The likeliest label is `.argmax(0)`.

    Raises:
        InputError: an argument has the wrong type, shape or values, there is one label alone, or the standard
            deviations are so small that the lattice cannot hold the volume.
        MemoryError: the result and one slab do not fit in memory. Where that is clear, it is said before any work.
    """
    voxels = _check_volume(volume)
    given = _check_like(probabilities, voxels.shape[:3])
    spacing = _check_spacing(spacing_mm)
    taking_part = None if mask is None else check_mask(mask, voxels.shape[:3], "mask", "voxels that take part")
    stds = check_deviations(value_std, voxels.shape[3], "value_std")
    work = _Work(
        voxels, given, taking_part, np.asarray(stds, np.float32),
        _kernel(bilateral_weight, bilateral_std_mm, "bilateral", spacing),
        _kernel(spatial_weight, spatial_std_mm, "spatial", spacing),
        check_count(iterations, 0, "iterations"), check_choice(normalization, NORMALIZATIONS, "normalization"),
        thread_count(threads),
    )  # fmt: skip
    axis, slabs = _slabs(
        voxels.shape[:3], spacing, bilateral_std_mm, check_count(slab_voxels, 0, "slab_voxels", most=2**40)
    )
    _check_memory(work, axis, slabs)
    for _, kept, _ in slabs:
        _check_values(work, _at(axis, kept))
    labels = len(given) if given.ndim == 4 else 2
    refined = np.empty((labels, *voxels.shape[:3]), np.float32)
    for number, (seen, kept, kept_of_seen) in enumerate(slabs, start=1):
        marginals = _refine_slab(work, _at(axis, seen))
        refined[(slice(None), *_at(axis, kept))] = marginals[(slice(None), *_at(axis, kept_of_seen))]
        del marginals  # before the next slab takes its memory
        if progress is not None:
            progress(number, len(slabs))
    return refined


def _check_values(work: _Work, part: tuple[slice, ...]) -> None:
    """Raise unless the values and the probabilities of a part are usable: all that can be known before the work."""
    values = work.volume[part] if work.mask is None else work.volume[part][work.mask[part]]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(
            "volume has NaN or infinite values; expected finite ones: pass mask= to leave those voxels out"
        )
    check_probabilities(_both(work, part))


def _both(work: _Work, part: tuple[slice, ...]) -> npt.NDArray[Any]:
    """Return the probabilities (L, d, h, w) of a part, those of a foreground as both labels'."""
    if work.probabilities.ndim == 3:
        return both_labels(work.probabilities[part])
    return work.probabilities[(slice(None), *part)]


def _refine_slab(work: _Work, part: tuple[slice, ...]) -> npt.NDArray[np.float32]:
    """Return the marginals of a part of the volume, (L, d, h, w)."""
    probabilities = _both(work, part)
    source = check_probabilities(probabilities)
    chosen = None if work.mask is None else work.mask[part].ravel()
    outside: npt.NDArray[np.float32] | None = None
    if chosen is not None:
        outside = source / source.sum(axis=0)
        if not chosen.any():
            return outside.reshape(probabilities.shape)
        source = np.ascontiguousarray(source[:, chosen])
    terms = (make_term(kernel, source.shape, "lattice", work.threads) for kernel in _kernels(work, part, chosen))
    refined = infer_by_terms(
        source, True, terms, work.iterations, prune_below=Shortcuts().prune_below, threads=work.threads
    )
    if outside is not None:
        outside[:, chosen] = refined
        refined = outside
    return refined.reshape(probabilities.shape)


def _kernels(work: _Work, part: tuple[slice, ...], chosen: npt.NDArray[np.bool_] | None) -> Iterator[GaussianKernel]:
    """Yield both kernels one by one, so that the features of the first can go before the second comes."""
    values = work.volume[part]
    for (weight, stds), channels in ((work.bilateral, values.shape[3]), (work.spatial, 0)):
        features = np.empty((*values.shape[:3], 3 + channels), np.float32)
        for axis, (window, std, length) in enumerate(zip(part, stds, work.volume.shape, strict=False)):
            places = np.arange(*window.indices(length), dtype=np.float32) / std
            features[..., axis] = places.reshape([-1 if other == axis else 1 for other in range(3)])
        if channels:
            with np.errstate(over="ignore"):
                np.divide(values, work.value_std, out=features[..., 3:], dtype=np.float32, casting="unsafe")
        rows = features.reshape(-1, 3 + channels)
        yield GaussianKernel(rows if chosen is None else rows[chosen], weight, normalization=work.normalization)


def _slabs(
    shape: tuple[int, ...], spacing: tuple[float, ...], std_mm: float, most: int
) -> tuple[int, list[tuple[slice, slice, slice]]]:
    """Return the longest axis, and along it what each slab sees, keeps, and keeps of what it sees."""
    axis = int(np.argmax(np.multiply(shape, spacing)))
    length = shape[axis]
    side = max(3, most // (prod(shape) // length)) if most and prod(shape) > most else length
    return axis, cut(length, side, ceil(_REACH_STDS * std_mm / spacing[axis]))


def _at(axis: int, window: slice) -> tuple[slice, ...]:
    return tuple(window if other == axis else slice(None) for other in range(3))


def _check_volume(volume: Any) -> npt.NDArray[Any]:
    """Return the volume as (D, H, W, C)."""
    array = as_array(volume, "volume")
    check_real(array, "volume")
    if array.ndim not in (3, 4) or array.size == 0:
        raise InputError(
            f"volume has shape {array.shape}; expected (depth, height, width), or with one more axis for modalities, "
            "at least one voxel"
        )
    return array.reshape(*array.shape[:3], -1)


def _check_like(probabilities: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    given = as_array(probabilities, "probabilities")
    if given.shape == shape:
        return given
    if given.ndim != 4 or given.shape[1:] != shape:
        last = given.ndim == 4 and given.shape[:3] == shape
        hint = ": the labels come first, so pass np.moveaxis(probabilities, -1, 0)" if last else ""
        raise InputError(
            f"probabilities have shape {given.shape}; expected (labels, {', '.join(map(str, shape))}) like the "
            f"volume{hint}"
        )
    check_label_count(len(given), "probabilities", "for those of a foreground, p, pass probabilities[0]")
    return given


def _check_spacing(given: Any) -> tuple[float, ...]:
    array = as_array(given, "spacing_mm")
    if array.shape not in ((), (3,)):
        raise InputError(f"spacing_mm has shape {array.shape}; expected a number, or 3: one for each axis")
    return tuple(check_number(mm, "spacing_mm", above_zero=True) for mm in np.broadcast_to(array, 3).tolist())


def _kernel(
    weight: float, std_mm: float, name: str, spacing: tuple[float, ...]
) -> tuple[float, npt.NDArray[np.float32]]:
    """Return a kernel's weight, and its standard deviation in voxels along each axis."""
    std = check_number(std_mm, f"{name}_std_mm", above_zero=True)
    return check_number(weight, f"{name}_weight"), np.maximum(std / np.array(spacing), 1e-30).astype(np.float32)


def _check_memory(work: _Work, axis: int, slabs: list[tuple[slice, slice, slice]]) -> None:
    """Raise MemoryError where the result and one slab's work, at the least they can take, are clearly too much."""
    shape, channels = work.volume.shape[:3], work.volume.shape[3]
    labels = len(work.probabilities) if work.probabilities.ndim == 4 else 2
    thickest = max(seen.stop - seen.start for seen, _, _ in slabs)
    seen = prod(shape) // shape[axis] * thickest
    lattice = 0 if work.mask is not None else _LEAST_BYTES_PER_FEATURE * (3 + channels)
    copies = 8 * labels if len(slabs) > 1 else 0  # of a slab: what goes in and what comes out
    check_memory(
        4 * labels * prod(shape) + seen * (lattice + copies),
        f"refining {labels} labels of {'x'.join(map(str, shape))} voxels, {thickest} slices of them at a time",
        "take smaller slabs (slab_voxels=), fewer labels, or a part of the volume",
    )
