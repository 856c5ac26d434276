"""Head warm-up: the trunk runs once over crops of every photo, then fc6 to fc8 learn from the stored features.

A named deviation. The paper starts fc6 and fc7 from ImageNet; where a source of weights has none, fresh ones learn
many times faster alone than end to end.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deeplab.data.samples import Sample
from deeplab.errors import OutputError
from deeplab.files import atomic_file
from deeplab.network.vgg import DeepLab
from deeplab.preprocessing import Preprocessing
from deeplab.training.batches import Batch, crop_batches, load_ahead, shuffled_index

__all__ = ["feature_batches", "store_features"]

PHOTOS_BETWEEN_MARKS = 50


def store_features(
    model: DeepLab,
    samples: Sequence[Sample],
    preprocessing: Preprocessing,
    crop_px: int,
    crops_per_photo: int,
    seed: int,
    folder: Path,
    precision: torch.dtype,
    report: Callable[[int, int], None],
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Run the trunk over crops of every photo and keep its features on disk; a killed run goes on where it stopped.

    Args:
        model: the network whose trunk runs; it is left in training mode.
        samples: the photos.
        preprocessing: of the network's weights.
        crop_px: side of the crops, in pixels.
        crops_per_photo: crops of each photo.
        seed: of the crops.
        folder: where ``warm_up_*`` files are kept; it must belong to this run alone.
        precision: bfloat16 or float16 for autocast, float32 for none.
        report: takes the number of crops done and of all crops.

    Returns:
        Features (N, h, w, C) bfloat16 kept as uint16, and labels (N, h, w) uint8, N = photos · `crops_per_photo`,
        C = 512, both mapped from the disk.

    Raises:
        DataError, ImageError: a photo or mask cannot be read or is wrong.
        OutputError: the disk has no room for the features, or the folder cannot be written.
    """
    cells = model.variant.score_map_size(crop_px, training=True)
    count = len(samples) * crops_per_photo
    shape = (count, cells, cells, model.fc6.in_channels)
    marker, features_path, labels_path = (
        folder / f"warm_up_{name}" for name in ("done.txt", "features.u16", "labels.u8")
    )
    done = int(marker.read_text()) if all(path.is_file() for path in (marker, features_path, labels_path)) else 0
    if not done:
        needed, free = 2 * np.prod(shape, dtype=np.int64), shutil.disk_usage(folder).free
        if needed > free:
            raise OutputError(
                f"{folder} needs {needed / 1e9:.1f} GB for the warm-up's features, its disk has {free / 1e9:.1f} GB "
                "free; make room, or give another --output folder"
            )
        np.memmap(features_path, np.uint16, "w+", shape=shape)
        np.memmap(labels_path, np.uint8, "w+", shape=shape[:3])
    features = np.memmap(features_path, np.uint16, "r+", shape=shape)
    labels = np.memmap(labels_path, np.uint8, "r+", shape=shape[:3])
    model.train()  # for the training geometry of pool4; dropout acts in the head alone
    batches = crop_batches(samples, preprocessing, crop_px, 1, seed, first=done)
    for index, (pixels, mask) in enumerate(islice(batches, count - done), start=done):
        with torch.no_grad(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
            stored = model.trunk(pixels)[0].permute(1, 2, 0).to(torch.bfloat16).contiguous()
        features[index] = stored.view(torch.uint16).numpy()
        labels[index] = mask[0].numpy().astype(np.uint8)
        if (index + 1) % PHOTOS_BETWEEN_MARKS == 0 or index + 1 == count:
            features.flush()
            labels.flush()
            with atomic_file(marker, overwrite=True) as file:
                file.write(str(index + 1).encode())
        report(index + 1, count)
    return features, labels


def feature_batches(
    features: NDArray[np.uint16], labels: NDArray[np.uint8], size: int, seed: int, first: int
) -> Iterator[Batch]:
    """Yield batches of stored features, half of them mirrored, without end, from example number `first` on.

    Args:
        features: (N, h, w, C) bfloat16 kept as uint16.
        labels: (N, h, w) uint8.
        size: examples in a batch.
        seed: of order and mirroring.
        first: the number of the first example.
    """

    def load(start: int) -> Batch:
        picked, masks = [], []
        for position in range(start, start + size):
            index, _ = shuffled_index(position, len(features), seed + 1)
            flip = np.s_[:, ::-1] if np.random.default_rng((seed, 3, position)).random() < 0.5 else np.s_[:, :]
            picked.append(features[index][flip])
            masks.append(labels[index][flip])
        inputs = torch.from_numpy(np.stack(picked)).view(torch.bfloat16).permute(0, 3, 1, 2).float()
        return inputs, torch.from_numpy(np.stack(masks).astype(np.int64))

    return load_ahead(load, size, first)
