"""Validation while training: the network, alone or with the CRF in training, at full resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from deeplab.crf import CRFSettings, refine
from deeplab.crf.unary import softmax_in_place
from deeplab.data.samples import Sample, load_sample
from deeplab.evaluation.confusion import Confusion
from deeplab.labels import LabelSet
from deeplab.network.build import Network
from deeplab.preprocessing import Preprocessing, pad_to_grid
from deeplab.scores import likeliest, upsample_scores
from deeplab.training.machine import autocast, place_of


def validate(
    model: Network,
    samples: Sequence[Sample],
    label_set: LabelSet,
    preprocessing: Preprocessing,
    precision: torch.dtype,
    crf: CRFSettings | None = None,
) -> Confusion:
    """Label photos: scores, bilinear interpolation with aligned corners, the CRF if there is one, arg max.

    Args:
        model: the network, on any device; it is left in evaluation mode.
        samples: photos with their true labels.
        label_set: the classes.
        preprocessing: of the network's weights.
        precision: bfloat16 or float16 for autocast, float32 for none.
        crf: its distances in pixels of what the network sees; None: the network alone.

    Raises:
        DataError, ImageError: a photo or mask cannot be read or is wrong.
    """
    model.eval()
    device, stride = place_of(model), model.score_stride
    confusion = Confusion.empty(label_set)
    for sample in samples:
        image, labels = load_sample(sample)
        seen = preprocessing.shrink(image)
        pixels = torch.from_numpy(pad_to_grid(preprocessing.apply(seen), stride)).to(device)
        with torch.no_grad(), autocast(device, precision):
            scores = model.aligned(pixels.contiguous(memory_format=torch.channels_last))[0].float().cpu().numpy()
        dense = upsample_scores(scores, labels.shape, network_size=seen.shape[:2], stride=stride)
        if crf is not None:
            enlarged = crf.scaled(max(labels.shape) / max(seen.shape[:2]))
            dense = refine(image, softmax_in_place(dense), enlarged)
        confusion += Confusion.of(labels, likeliest(dense)[0], label_set)
    return confusion
