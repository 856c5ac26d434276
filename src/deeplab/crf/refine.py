"""Sharpen class probabilities along a photo's edges: the one-line use of the CRF."""

import numpy as np
import numpy.typing as npt

from deeplab.crf.checks import check_image, check_probabilities, thread_count
from deeplab.crf.kernels import bilateral_kernel, spatial_kernel
from deeplab.crf.mean_field import DenseCRF
from deeplab.crf.params import CRFParams, CRFSettings

__all__ = ["refine"]

# The smallest normal float32: a probability of zero counts as this, an energy of 87.3 that no kernel of usual weight
# outvotes. All others enter as they are.
_SMALLEST_PROBABILITY = np.finfo(np.float32).tiny


def refine(
    image: npt.NDArray[np.uint8],
    probabilities: npt.NDArray[np.floating],
    params: CRFParams = CRFParams(),  # noqa: B008 (frozen)
    *,
    iterations: int = 10,
    normalization: str = "after",
    threads: int | None = None,
) -> npt.NDArray[np.float32]:
    """Return the marginals of the fully connected CRF of a photo whose unary energy is -log `probabilities`.

    Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs", section 4.2;
    mean field by Krähenbühl & Koltun 2011, the Gaussian filters by a permutohedral lattice.

    Args:
        image: (H, W, 3) uint8, the photo in RGB, 0-255, as it was before any preprocessing for a network.
        probabilities: (L, H, W) of any float dtype, in 0-1, summing to one over the labels (within 2 %) at every pixel.
            Read-only and strided arrays are welcome. Zeros count as 1.2e-38.
        params: the two kernels' weights and standard deviations.
        iterations: mean field updates; 0 returns the probabilities themselves.
        normalization: "after" (the paper's), "symmetric" (the reference CRF program's), "before" or "none"; see
            `GaussianKernel`.
        threads: None for every core this process may use. The result does not depend on it.

    Returns:
        (L, H, W) float32 in 0-1, summing to one over the labels. The likeliest label is `.argmax(0)`.

    Raises:
        InputError: an argument has the wrong type, shape or values, or the standard deviations are so small that the
            lattice cannot hold the photo.
        MemoryError: the photo does not fit in memory.
    """
    CRFSettings(params, iterations, normalization)  # refuses what is wrong
    thread_count(threads)
    photo = check_image(image)
    height, width, _ = photo.shape
    unary = np.maximum(check_probabilities(probabilities, height, width), _SMALLEST_PROBABILITY)
    np.negative(np.log(unary, out=unary), out=unary)
    kernels = [
        bilateral_kernel(
            photo,
            xy_std_px=params.bilateral_xy_std_px,
            rgb_std=params.bilateral_rgb_std,
            weight=params.bilateral_weight,
            normalization=normalization,
        ),
        spatial_kernel(
            height,
            width,
            xy_std_px=params.spatial_xy_std_px,
            weight=params.spatial_weight,
            normalization=normalization,
        ),
    ]
    return DenseCRF(unary, kernels, threads=threads).infer(iterations)
