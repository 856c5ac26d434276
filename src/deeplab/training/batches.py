"""From photos to crops, and from crops to batches.

Training examples go by number: example k of a run is the same whenever and wherever it is asked for.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deeplab.data.augment import Augment, paste_thing, subsample_labels, training_crop
from deeplab.data.samples import Sample, load_sample
from deeplab.errors import DataError, ImageError
from deeplab.preprocessing import Preprocessing
from deeplab.progress import Say
from deeplab.training.balance import ClassBalance, PhotoOrder
from deeplab.training.chance import Stream, draw

Example = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""An input (C, H, W) and labels (h, w), or planes of them (…, h, w)."""

Batch = tuple[Tensor, Tensor]
"""Inputs (B, C, H, W) float32, channels last, and labels (B, …, h, w) int64 on the score map's grid."""


def shuffled_index(position: int, count: int, seed: int) -> int:
    """Which of `count` photos comes at a position of the endless shuffled stream.

    Every pass is a fresh permutation; batches run on across the end of a pass, as in the authors' data layer.
    """
    epoch, place = divmod(position, count)
    return int(_permutation(count, seed, epoch)[place])


@lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return draw(Stream.ORDER, seed, epoch).permutation(count)


class Photos:
    """Labelled photos by number, as large as the network sees them. Safe from several threads.

    Decoded ones stay in memory as long as there is room.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        preprocessing: Preprocessing,
        *,
        cache_bytes: float = 0,
        skip: Say | None = None,
        load: Callable[[Sample], tuple[NDArray[np.uint8], NDArray[np.uint8]]] = load_sample,
    ) -> None:
        """Take photos.

        Args:
            samples: at least one.
            preprocessing: of the weights in training.
            cache_bytes: room for decoded photos; those that come first stay.
            skip: takes a line about each photo that cannot be read, which the next one then stands in for; None: it is
                an error.
            load: loads a photo and its labels.
        """
        self._load_sample = load
        self.samples = samples
        self._preprocessing, self._room, self._skip = preprocessing, cache_bytes, skip
        self._kept: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
        self._bad: set[int] = set()
        self._lock = threading.Lock()

    def load(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Photo number `index` (H, W, 3) uint8 RGB and its labels (H, W) uint8, as the network sees them.

        Neither is to be written to.

        Raises:
            DataError, ImageError: a photo or mask cannot be read or is wrong, or, with `skip`, all of them are.
        """
        for place in range(index, index + len(self.samples)):
            try:
                return self._load(place % len(self.samples))
            except (DataError, ImageError) as error:
                if self._skip is None:
                    raise
                self._note(place % len(self.samples), error, self._skip)
        raise DataError("none of the photos can be read; check the data with `deeplab check-data`")

    def _load(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if index in self._kept:
            return self._kept[index]
        image, labels = self._load_sample(self.samples[index])
        image = self._preprocessing.shrink(image)
        if image.shape[:2] != labels.shape:
            labels = np.array(Image.fromarray(labels).resize(image.shape[1::-1], Image.Resampling.NEAREST))
        photo = image, labels
        size = sum(part.nbytes for part in photo)
        with self._lock:
            if size <= self._room and index not in self._kept:
                self._room -= size
                self._kept[index] = photo
        return photo

    def _note(self, index: int, error: Exception, skip: Say) -> None:
        with self._lock:
            if index not in self._bad:
                self._bad.add(index)
                skip(f"left out: {error}")


@dataclass(frozen=True)
class Crops:
    """The training crops of a run, by number.

    Attributes:
        photos: where they are cut from.
        preprocessing: of the weights in training.
        crop_px: their side, in pixels.
        seed: of their order, places and augmentation.
        label_stride: pixels between neighbouring labels.
        augment: beyond place and mirroring.
        balance: an order of photos, such as one that gives every class its turn; None: `shuffled_index`.
        things: the order of photos whose things are pasted onto others as `augment.copy_paste` says; None: none are.
    """

    photos: Photos
    preprocessing: Preprocessing
    crop_px: int
    seed: int
    label_stride: int = 8
    augment: Augment = field(default_factory=Augment)
    balance: PhotoOrder | None = None
    things: ClassBalance | None = None

    def __call__(self, number: int) -> Example:
        """Crop `number`: pixels (3, crop_px, crop_px) float32 and labels (h, w) uint8.

        Raises:
            DataError, ImageError: a photo or mask cannot be read or is wrong.
        """
        crop = self._cut(self.photo_at(number), draw(Stream.CROP, self.seed, number))
        rng = draw(Stream.PASTE, self.seed, number)
        if self.things is not None and rng.random() < self.augment.copy_paste:
            label_set = self.photos.samples[0].label_set
            crop = paste_thing(crop, self._cut(self.things.photo_at(number), rng), rng, label_set)
        return crop[0], subsample_labels(crop[1], self.label_stride)

    def photo_at(self, number: int) -> int:
        """Which photo crop `number` is of."""
        if self.balance is None:
            return shuffled_index(number, len(self.photos.samples), self.seed)
        return self.balance.photo_at(number)

    def _cut(self, index: int, rng: np.random.Generator) -> Example:
        """A crop of photo `index`, with labels as large as it is."""
        void = self.photos.samples[0].label_set.void
        return training_crop(*self.photos.load(index), self.crop_px, rng, self.preprocessing, void, self.augment)


def batches(
    example: Callable[[int], Example],
    size: int,
    first: int,
    *,
    share: tuple[int, int] = (0, 1),
    workers: int = 1,
    pin: bool = False,
) -> Iterator[Batch]:
    """Yield batches of `size` examples without end, loaded by threads while those before them are in use.

    Args:
        example: makes the example of a number; called from several threads.
        size: examples in a batch.
        first: the number of the first example of all processes' batches.
        share: (rank, count): of all batches, this process takes number rank, rank + count, ….
        workers: threads.
        pin: put batches into page-locked memory, from which a GPU copies while it computes.
    """
    rank, count = share
    ahead = max(2, math.ceil(2 * workers / size))
    with ThreadPoolExecutor(workers) as pool, ThreadPoolExecutor(1) as assembly:
        start = first + rank * size

        def submit() -> Future[Batch]:
            nonlocal start
            examples = [pool.submit(example, number) for number in range(start, start + size)]
            start += count * size
            return assembly.submit(_assemble, examples, pin)

        upcoming = deque(submit() for _ in range(ahead))
        try:
            while True:
                batch = upcoming.popleft().result()
                upcoming.append(submit())
                yield batch
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            assembly.shutdown(wait=False, cancel_futures=True)


def _assemble(examples: list[Future[Example]], pin: bool) -> Batch:
    inputs, labels = zip(*(example.result() for example in examples), strict=True)
    last = [x.transpose(1, 2, 0) for x in inputs]
    stacked = np.stack(last, out=np.empty((len(last), *last[0].shape), np.float32))
    pixels = torch.from_numpy(stacked).permute(0, 3, 1, 2)
    masks = torch.from_numpy(np.stack(labels).astype(np.int64))
    return (pixels.pin_memory(), masks.pin_memory()) if pin else (pixels, masks)
