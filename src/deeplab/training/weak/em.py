"""The E-step: from a network's scores and what is known of a photo to labels that the M-step, training, takes for true.

Papandreou et al., "Weakly- and Semi-Supervised Learning of a DCNN for Semantic Image Segmentation", ICCV 2015, part 3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deeplab.training.weak.settings import WeakLabels

_MOST_ROUNDS = 50  # of raising biases; a few do, but for ties


def em_fixed(scores: Tensor, allowed: Tensor, background: int, settings: WeakLabels) -> Tensor:
    """Label every cell by scores with fixed biases for a photo's classes (EM-Fixed, and Bbox-EM-Fixed by boxes).

    Args:
        scores: (L, h, w) float, the network's.
        allowed: (L, h, w) bool: which labels each cell may have, at least one.
        background: its label.
        settings: the two biases.

    Returns:
        (h, w) int64.
    """
    bias = scores.new_full((len(scores), 1, 1), settings.foreground_bias)
    bias[background] = settings.background_bias
    return (scores + bias).masked_fill(~allowed, -torch.inf).argmax(0)


def em_adapt(scores: Tensor, present: Tensor, background: int, settings: WeakLabels) -> Tensor:
    """Label every cell by scores with biases that give each of a photo's classes its share (EM-Adapt).

    The biases are the least that do: a class with fewer cells than its share gets those where it lacks least.

    Args:
        scores: (L, N) float, the network's, of the cells within the photo.
        present: (L,) bool: the photo's classes, and the background.
        background: its label.
        settings: the shares; where they add up to more than 1, each is less by the same factor.

    Returns:
        (N,) int64, of each label in `present` at least ⌊share · N⌋ cells.
    """
    classes = present.nonzero()[:, 0]
    own = scores[classes].double()
    share = torch.where(classes == background, settings.background_share, settings.foreground_share).double()
    share = share / share.sum().clamp_min(1.0)
    quota = (share * own.shape[1] + 1e-9).floor().long()
    if len(classes) == 1:
        return classes.expand(own.shape[1])
    biased = own.clone()
    for _ in range(_MOST_ROUNDS):
        label = biased.argmax(0)
        lacking = quota - label.bincount(minlength=len(classes))
        worst = int(lacking.argmax())
        if int(lacking[worst]) <= 0:
            return classes[label]
        margin = _margin(biased, worst)
        needed = margin.kthvalue(int(quota[worst])).values
        biased[worst] += needed + 1e-9 * (1 + needed.abs())
    return classes[_repaired(biased, quota)]


def _margin(biased: Tensor, label: int) -> Tensor:
    """By how much each cell's best other label is ahead of `label`, (N,)."""
    others = biased.clone()
    others[label] = -torch.inf
    return others.amax(0) - biased[label]


def _repaired(biased: Tensor, quota: Tensor) -> Tensor:
    """The likeliest labels (N,), then cells of labels beyond their quota given to those below, the least lacking first.

    Where scores tie, no bias tells cells apart.
    """
    label = biased.argmax(0)
    for short in range(len(quota)):
        for cell in _margin(biased, short).argsort().tolist():
            counts = label.bincount(minlength=len(quota))
            if counts[short] >= quota[short]:
                break
            holder = int(label[cell])
            if holder != short and counts[holder] > quota[holder]:
                label[cell] = short
    return label
