"""Validation while training: the network alone, at full resolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from deeplab.data.samples import Sample, load_sample
from deeplab.evaluation.confusion import Confusion
from deeplab.network.vgg import DeepLab
from deeplab.preprocessing import Preprocessing, pad_to_grid
from deeplab.scores import upsample_scores

__all__ = ["validate"]


def validate(
    model: DeepLab, samples: Sequence[Sample], preprocessing: Preprocessing, precision: torch.dtype
) -> Confusion:
    """Label photos without the CRF: scores, bilinear interpolation with aligned corners, arg max.

    Args:
        model: the network; it is left in evaluation mode.
        samples: at least one photo with its true labels.
        preprocessing: of the network's weights.
        precision: bfloat16 or float16 for autocast, float32 for none.

    Raises:
        DataError, ImageError: a photo or mask cannot be read or is wrong.
    """
    model.eval()
    confusion = Confusion.empty(samples[0].label_set)
    for sample in samples:
        image, labels = load_sample(sample)
        pixels = torch.from_numpy(pad_to_grid(preprocessing.apply(image)))
        with torch.no_grad(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
            scores = model.aligned(pixels.contiguous(memory_format=torch.channels_last)).float()
        stride = 1 if model.dense_msc else model.output_stride
        predicted = upsample_scores(scores[0].numpy(), labels.shape, stride=stride).argmax(axis=0).astype(np.uint8)
        confusion += Confusion.of(labels, predicted, sample.label_set)
    return confusion
