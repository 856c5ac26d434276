"""How long the well-known pydensecrf2 takes for one run, where it is installed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module

import numpy as np

from deeplab.crf import CRFParams
from deeplab.data.samples import Sample
from deeplab.evaluation.evaluate import load_scored
from deeplab.evaluation.stored_scores import StoredScores

__all__ = ["pydensecrf_seconds"]


def pydensecrf_seconds(
    samples: Sequence[Sample], scores: StoredScores, params: CRFParams, iterations: int
) -> float | None:
    """Return the median processor time of one run over these photos, in seconds; None where it is not installed.

    Each run is done as its documentation does it: all labels, both kernels, then the likeliest label.

    Raises:
        ImageError: a photo cannot be read.
        DataError: scores or masks are missing or damaged.
    """
    try:
        densecrf, utils = import_module("pydensecrf.densecrf"), import_module("pydensecrf.utils")
    except ImportError:
        return None
    seconds = []
    for sample in samples:
        look, _ = load_scored(sample, scores)
        image, probabilities = look.photo, look.probabilities()
        begun = time.thread_time()
        labels, height, width = probabilities.shape
        crf = densecrf.DenseCRF2D(width, height, labels)
        crf.setUnaryEnergy(utils.unary_from_softmax(probabilities))
        crf.addPairwiseGaussian(params.spatial_xy_std_px, params.spatial_weight)
        crf.addPairwiseBilateral(params.bilateral_xy_std_px, params.bilateral_rgb_std, image, params.bilateral_weight)
        np.argmax(crf.inference(iterations), axis=0)
        seconds.append(time.thread_time() - begun)
    return float(np.median(seconds))
