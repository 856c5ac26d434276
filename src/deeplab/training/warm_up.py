"""Head warm-up: the trunk runs once over crops of every photo, then fc6 to fc8 learn from the stored features.

A named deviation. The paper starts fc6 and fc7 from ImageNet; where a source of weights has none, fresh ones learn
many times faster alone than end to end.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deeplab.documents import MOST_DIGITS, read_text
from deeplab.errors import OutputError
from deeplab.files import atomic_file, is_file
from deeplab.network.vgg import ALL_CELLS, Cells, DeepLab
from deeplab.training.batches import Crops, Example, batches, shuffled_index
from deeplab.training.machine import Process, autocast, place_of

__all__ = ["Features", "Head", "store_features"]

CROPS_BETWEEN_MARKS = 50


class Head(nn.Module):
    """fc6 to fc8 of a network as a network of their own, sharing its weights: features (B, 512, h, w) → scores."""

    def __init__(self, model: DeepLab) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, cells: Cells = ALL_CELLS) -> Tensor:
        """Scores (B, L, h, w) of the cells that `cells` picks."""
        return self.model.head(features, cells)


class Features:
    """Stored trunk features as training examples by number, half of them mirrored."""

    def __init__(self, features: NDArray[np.uint16], labels: NDArray[np.uint8], seed: int) -> None:
        """Take features (N, h, w, C), bfloat16 kept as uint16, labels (N, h, w), and a seed for order and mirroring."""
        self._features, self._labels, self._seed = features, labels, seed

    def __call__(self, number: int) -> Example:
        """Example `number`: features (C, h, w) float32 and labels (h, w) uint8."""
        index = shuffled_index(number, len(self._features), self._seed + 1)
        mirrored = np.random.default_rng((self._seed, 3, number)).random() < 0.5
        flip = np.s_[:, ::-1] if mirrored else np.s_[:, :]
        features = self._features[index][flip].astype(np.uint32) << 16  # bfloat16 is the upper half of a float32
        return features.view(np.float32).transpose(2, 0, 1), self._labels[index][flip]


def store_features(
    model: DeepLab,
    crops: Crops,
    count: int,
    folder: Path,
    precision: torch.dtype,
    process: Process,
    workers: int,
    report: Callable[[int, int], None],
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Run the trunk over training crops and keep its features on disk; a killed run goes on where it stopped.

    Args:
        model: the network whose trunk runs; it is left in training mode.
        crops: where crops 0 … `count` − 1 come from.
        count: how many crops.
        folder: where ``warm_up_*`` files are kept; it must belong to this run alone, and be the same in all processes.
        precision: bfloat16 or float16 for autocast, float32 for none.
        process: of several processes each stores its share.
        workers: threads that load photos.
        report: takes the number of crops that this process has done and all that it has to do.

    Returns:
        Features (N, h, w, C) bfloat16 kept as uint16, and labels (N, h, w) uint8, N = `count`, C = 512, both mapped
        from the disk.

    Raises:
        DataError, ImageError: a photo or mask cannot be read or is wrong.
        OutputError: the disk has no room for the features, the folder cannot be written, or what is kept in it is
            damaged.
    """
    cells = model.variant.score_map_size(crops.crop_px, training=True)
    shape = (count, cells, cells, model.fc6.in_channels)
    paths = folder / "warm_up_features.u16", folder / "warm_up_labels.u8"
    marks = [folder / f"warm_up_done_{rank}_of_{process.count}.txt" for rank in range(process.count)]
    if process.is_first and not (_is_there(paths, shape) and any(map(is_file, marks))):
        _make_room(folder, paths, shape)
    process.barrier()
    features = np.memmap(paths[0], np.uint16, "r+", shape=shape)
    labels = np.memmap(paths[1], np.uint8, "r+", shape=shape[:3])
    own, mark, device = range(process.rank, count, process.count), marks[process.rank], place_of(model)
    done = _number_in(mark, len(own)) if is_file(mark) else 0
    model.train()  # for the training geometry of pool4; dropout acts in the head alone
    loaded = batches(crops, 1, done * process.count, share=(process.rank, process.count), workers=workers)
    for finished, index in enumerate(own[done:], start=done + 1):
        pixels, mask = next(loaded)
        with torch.no_grad(), autocast(device, precision):
            trunk = model.trunk(pixels.to(device))
        features[index] = trunk[0].permute(1, 2, 0).to(torch.bfloat16).contiguous().cpu().view(torch.uint16).numpy()
        labels[index] = mask[0].numpy().astype(np.uint8)
        if finished % CROPS_BETWEEN_MARKS == 0 or finished == len(own):
            features.flush()
            labels.flush()
            with atomic_file(mark, overwrite=True) as file:
                file.write(str(finished).encode())
        report(finished, len(own))
    process.barrier()
    return features, labels


def _is_there(paths: tuple[Path, Path], shape: tuple[int, int, int, int]) -> bool:
    """Whether both files are there, at their full lengths."""
    lengths = 2 * math.prod(shape), math.prod(shape[:3])
    return all(is_file(path) and path.stat().st_size == length for path, length in zip(paths, lengths, strict=True))


def _number_in(mark: Path, most: int) -> int:
    """The number of crops that a mark says are done."""
    said = read_text(mark)
    if not said.isdecimal() or len(said) > MOST_DIGITS or int(said) > most:
        raise OutputError(f"{mark} is damaged; delete the folder's warm_up_* files to begin the warm-up anew")
    return int(said)


def _make_room(folder: Path, paths: tuple[Path, Path], shape: tuple[int, int, int, int]) -> None:
    for leftover in folder.glob("warm_up_*"):
        leftover.unlink()
    needed, free = 2 * np.prod(shape, dtype=np.int64), shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"{folder} needs {needed / 1e9:.1f} GB for the warm-up's features, its disk has {free / 1e9:.1f} GB "
            "free; make room, or give another --output folder"
        )
    np.memmap(paths[0], np.uint16, "w+", shape=shape)
    np.memmap(paths[1], np.uint8, "w+", shape=shape[:3])
