"""How far confidence is from accuracy: the expected calibration error of Guo et al. 2017, section 2, equation 3.

A labelling is calibrated where, of the pixels labelled with confidence 0.8, four in five are right. Pixels are sorted
into 15 bins of equal width by confidence; the error is the mean over the bins, weighted by their pixels, of the
difference between their accuracy and their mean confidence. Void pixels do not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15


def calibration_sums(
    truth: NDArray[np.uint8], labels: NDArray[np.uint8], confidence: NDArray[np.floating], void: int
) -> NDArray[np.float64]:
    """Return what one photo adds to the bins.

    Args:
        truth: (H, W) uint8, the true labels.
        labels: (H, W) uint8, those found.
        confidence: (H, W) floating point, 0–1, the probability that these were given.
        void: the label of `truth` that is left out.

    Returns:
        (3, `BINS`) float64, by bin ((m − 1) / `BINS`, m / `BINS`]: its pixels, those labelled right, and the sum of
        their confidences.
    """
    counted = truth != void
    sure = confidence[counted].astype(np.float64)
    right = labels[counted] == truth[counted]
    bins = np.clip(np.ceil(sure * BINS).astype(np.intp) - 1, 0, BINS - 1)
    return np.stack([np.bincount(bins, weights, minlength=BINS) for weights in (np.ones_like(sure), right, sure)])


def expected_calibration_error(sums: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the error of summed bins (…, 3, `BINS`), (…) in 0–1; NaN where nothing is counted."""
    pixels, right, sure = np.moveaxis(sums, -2, 0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(right - sure).sum(-1) / pixels.sum(-1), dtype=np.float64)
