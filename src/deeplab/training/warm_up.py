"""Head warm-up: the trunk runs once over crops of every photo, then fc6 to fc8 learn from the stored features.

A named deviation. The paper starts fc6 and fc7 from ImageNet; where a source of weights has none, fresh ones learn
many times faster alone than end to end.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deeplab.documents import MOST_DIGITS, read_text
from deeplab.errors import OutputError
from deeplab.files import atomic_file, is_file
from deeplab.network.vgg import ALL_CELLS, Cells, DeepLab
from deeplab.progress import duration
from deeplab.training.batches import Example, shuffled_index
from deeplab.training.chance import Stream, draw, main_seed
from deeplab.training.machine import autocast, place_of
from deeplab.training.run import Run

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
        index = shuffled_index(number, len(self._features), main_seed(self._seed))
        mirrored = draw(Stream.MIRROR, self._seed, number).random() < 0.5
        flip = np.s_[:, ::-1] if mirrored else np.s_[:, :]
        features = self._features[index][flip].astype(np.uint32) << 16  # bfloat16 is the upper half of a float32
        return features.view(np.float32).transpose(2, 0, 1), self._labels[index][flip]


def stored_features(run: Run) -> Features:
    """The examples of a run's warm-up: the trunk's features of all its crops, stored first where they are not yet."""
    assert run.recipe.warm_up is not None
    count = len(run.crops.photos.samples) * run.recipe.warm_up.crops_per_photo
    return Features(*store_features(run, count), run.recipe.seed)


def store_features(run: Run, count: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Run the trunk over training crops and keep its features on disk; a killed run goes on where it stopped.

    Args:
        run: of a network with a trunk, which is left in training mode. Of several processes each stores its share, in
            the run's folder, in files ``warm_up_*``.
        count: of its crops the first so many.

    Returns:
        Features (N, h, w, C) bfloat16 kept as uint16, and labels (N, h, w) uint8, N = `count`, C = 512, both mapped
        from the disk.

    Raises:
        DataError, ImageError: a photo or mask cannot be read or is wrong.
        OutputError: the disk has no room for the features, the folder cannot be written, or what is kept in it is
            damaged. What is stored stays.
    """
    model, process, folder = run.model, run.process, run.output
    assert isinstance(model, DeepLab)
    cells = model.variant.score_map_size(run.crops.crop_px, training=True)
    shape = (count, cells, cells, model.fc6.in_channels)
    paths = folder / "warm_up_features.u16", folder / "warm_up_labels.u8"
    marks = [folder / f"warm_up_done_{rank}_of_{process.count}.txt" for rank in range(process.count)]
    try:
        if process.is_first and not (_is_there(paths, shape) and any(map(is_file, marks))):
            _make_room(folder, paths, shape)
        process.barrier()
        with paths[0].open("r+b") as features, paths[1].open("r+b") as labels:
            _store_share(run, model, count, marks[process.rank], features, labels)
    except OSError as error:
        raise OutputError(
            f"cannot store the warm-up's features in {folder}: {error.strerror}; make room, then start again to go on"
        ) from None
    process.barrier()
    return np.memmap(paths[0], np.uint16, "r", shape=shape), np.memmap(paths[1], np.uint8, "r", shape=shape[:3])


def _store_share(run: Run, model: DeepLab, count: int, mark: Path, features: IO[bytes], labels: IO[bytes]) -> None:
    """Store what this process has to and has not yet; `mark` is the file that says how many crops it has done."""
    process, device, start = run.process, place_of(model), time.monotonic()
    own = range(process.rank, count, process.count)
    done = _number_in(mark, len(own)) if is_file(mark) else 0
    model.train()  # for the training geometry of pool4; dropout acts in the head alone
    loaded = run.batches(run.crops, 1, done * process.count)
    for finished, index in enumerate(own[done:], start=done + 1):
        pixels, mask = next(loaded)
        with torch.no_grad(), autocast(device, run.precision):
            trunk = model.trunk(pixels.to(device))
        kept = trunk[0].permute(1, 2, 0).to(torch.bfloat16).contiguous().cpu().view(torch.uint16).numpy()
        for file, values in ((features, kept), (labels, mask[0].numpy().astype(np.uint8))):
            file.seek(index * values.nbytes)
            file.write(values.tobytes())
        if finished % CROPS_BETWEEN_MARKS == 0 or finished == len(own):
            for file in (features, labels):
                file.flush()
                os.fsync(file.fileno())
            with atomic_file(mark, overwrite=True) as marking:
                marking.write(str(finished).encode())
        run.show("trunk features", finished, len(own), duration(time.monotonic() - start))


def _is_there(paths: tuple[Path, Path], shape: tuple[int, int, int, int]) -> bool:
    """Whether both files are there, at their full lengths."""
    return all(
        is_file(path) and path.stat().st_size == length for path, length in zip(paths, _lengths(shape), strict=True)
    )


def _lengths(shape: tuple[int, int, int, int]) -> tuple[int, int]:
    """How many bytes features and labels take."""
    return 2 * math.prod(shape), math.prod(shape[:3])


def _number_in(mark: Path, most: int) -> int:
    """The number of crops that a mark says are done."""
    said = read_text(mark)
    if not said.isdecimal() or len(said) > MOST_DIGITS or int(said) > most:
        raise OutputError(f"{mark} is damaged; delete the folder's warm_up_* files to begin the warm-up anew")
    return int(said)


def _make_room(folder: Path, paths: tuple[Path, Path], shape: tuple[int, int, int, int]) -> None:
    for leftover in folder.glob("warm_up_*"):
        leftover.unlink()
    needed, free = sum(_lengths(shape)), shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"{folder} needs {needed / 1e9:.1f} GB for the warm-up's features, its disk has {free / 1e9:.1f} GB "
            "free; make room, or give another --output folder"
        )
    for path, length in zip(paths, _lengths(shape), strict=True):
        with path.open("wb") as file:
            file.truncate(length)
