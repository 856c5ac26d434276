"""Training examples by number: example k of a run is the same whenever and wherever it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from deeplab.data.augment import subsample_labels, training_crop
from deeplab.data.samples import Sample, load_sample
from deeplab.preprocessing import Preprocessing

__all__ = ["Batch", "crop_batches", "load_ahead", "shuffled_index"]

Batch = tuple[Tensor, Tensor]
"""Inputs (B, C, H, W) float, channels last, and labels (B, h, w) int64 on the score map's grid."""


def shuffled_index(position: int, count: int, seed: int) -> tuple[int, int]:
    """Which of `count` photos comes at a position of the endless shuffled stream, and the pass it belongs to.

    Every pass is a fresh permutation; batches run on across the end of a pass, as in the authors' data layer.
    """
    epoch, place = divmod(position, count)
    return int(np.random.default_rng((seed, 1, epoch)).permutation(count)[place]), epoch


def crop_batches(
    samples: Sequence[Sample], preprocessing: Preprocessing, crop_px: int, size: int, seed: int, first: int
) -> Iterator[Batch]:
    """Yield batches of `size` training crops without end, from example number `first` on."""

    def load(start: int) -> Batch:
        pixels, labels = [], []
        for position in range(start, start + size):
            index, _ = shuffled_index(position, len(samples), seed)
            rng = np.random.default_rng((seed, 2, position))
            image, mask = load_sample(samples[index])
            crop, crop_labels = training_crop(image, mask, crop_px, rng, preprocessing, samples[index].label_set.void)
            pixels.append(crop)
            labels.append(subsample_labels(crop_labels))
        inputs = torch.from_numpy(np.stack(pixels)).contiguous(memory_format=torch.channels_last)
        return inputs, torch.from_numpy(np.stack(labels).astype(np.int64))

    return load_ahead(load, size, first)


def load_ahead(load: Callable[[int], Batch], size: int, first: int) -> Iterator[Batch]:
    """Yield ``load(first)``, ``load(first + size)``, … without end, each loaded while the one before is in use."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        upcoming = pool.submit(load, first)
        while True:
            batch = upcoming.result()
            first += size
            upcoming = pool.submit(load, first)
            yield batch
