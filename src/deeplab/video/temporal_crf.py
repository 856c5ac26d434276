"""The dense CRF over several frames at once: every pixel listens to those alike in place, colour and time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deeplab.checks import check_number
from deeplab.crf import CRFSettings, DenseCRF, GaussianKernel, Shortcuts
from deeplab.crf.memory import check_memory
from deeplab.errors import InputError

_FRAMES_APART = 10.0  # in standard deviations: far enough for frames not to hear each other

# Probabilities in and out, and the lattices over six and three features: what is certain to be needed.
_BYTES_PER_LABEL, _BYTES_PER_PIXEL = 8, 100


def refine_frames(
    frames: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    crf: CRFSettings,
    *,
    t_std_frames: float,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Return the marginals of one dense CRF over all pixels of successive frames.

    The bilateral kernel of the DeepLab paper (section 4.2, equation 2) gets a term for time,
    exp(−|pᵢ − pⱼ|² / 2σα² − |Iᵢ − Iⱼ|² / 2σβ² − (tᵢ − tⱼ)² / 2σt²), so that things keep their label from frame to frame
    as far as they keep their colour and stay within σα. The spatial kernel works within each frame: at its few pixels,
    even slow motion would have it take one thing for another.

    Args:
        frames: (T, H, W, 3) uint8 RGB, at equal distances in time.
        probabilities: (L, T, H, W) float, 0–1, summing to 1 over L at every pixel.
        crf: both kernels, iterations and normalisation.
        t_std_frames: σt in frames, above 0.
        threads: None for as many as the environment variable DEEPLAB_THREADS says, or every core.

    Returns:
        (L, T, H, W) float32, 0–1, summing to 1 over L.

    Raises:
        InputError: an array has another shape, type or values, or σt is not above 0.
        MemoryError: the frames do not fit in memory.
    """
    check_number(t_std_frames, "t_std_frames", above_zero=True)
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or frames.size == 0:
        raise InputError(f"expected frames (T, H, W, 3) uint8 RGB, got shape {frames.shape}, dtype {frames.dtype}")
    if probabilities.ndim != 4 or probabilities.shape[1:] != frames.shape[:3]:
        raise InputError(f"expected probabilities (L, *{frames.shape[:3]}), got shape {probabilities.shape}")
    pixels, labels = frames[..., 0].size, len(probabilities)
    check_memory(
        pixels * (labels * _BYTES_PER_LABEL + _BYTES_PER_PIXEL),
        f"a CRF over {len(frames)} frames of {frames.shape[2]}x{frames.shape[1]} pixels and {labels} labels",
        "let it span fewer frames, or shrink them",
    )
    params, normalization = crf.params, crf.normalization
    params.check_labels(labels)
    xy_std_px, rgb_std = params.bilateral_xy_std_px, np.asarray(params.bilateral_rgb_std, np.float32)
    t_apart = 1 / _FRAMES_APART
    alike = np.concatenate([_places(frames, xy_std_px, t_std_frames), frames.reshape(-1, 3) / rgb_std], axis=1)
    near = _places(frames, params.spatial_xy_std_px, t_apart)
    kernels = [
        GaussianKernel(alike, *params.weighing("bilateral"), normalization),
        GaussianKernel(near, *params.weighing("spatial"), normalization),
    ]
    field = DenseCRF.from_probabilities(probabilities, kernels, prune_below=Shortcuts().prune_below, threads=threads)
    return field.infer(crf.iterations)


def _places(frames: NDArray[np.uint8], xy_std_px: float, t_std_frames: float) -> NDArray[np.float32]:
    """(T·H·W, 3) float32: x, y and t of each pixel over their standard deviations."""
    count, height, width, _ = frames.shape
    places = np.empty((count, height, width, 3), np.float32)
    places[..., 0] = np.arange(width) / xy_std_px
    places[..., 1] = np.arange(height)[:, None] / xy_std_px
    places[..., 2] = np.arange(count)[:, None, None] / t_std_frames
    return places.reshape(-1, 3)
