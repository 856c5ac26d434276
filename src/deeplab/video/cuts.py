"""Scene cuts: where one shot ends and another begins, so that nothing is carried across."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

CUT_THRESHOLD = 0.4
"""How strong a change from one frame to the next is taken for a cut, 0–1; docs/video.md has the measurements."""

_BINS = 8  # per channel
_SAMPLES = 20_000

Item = TypeVar("Item")


def cut_strength(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Return how much the colours of two frames differ, 0–1: how likely there is a cut between them.

    The mean over the four quarters of a frame of half the L1 distance of their colour histograms, of 8x8x8 bins. The
    lesser one of two sets of bins, half a bin apart, counts, so that no small change of exposure is a large one.

    Args:
        before: (H, W, 3) uint8 RGB.
        after: the frame that follows it; of another size, it is a cut.
    """
    if before.shape != after.shape:
        return 1.0
    return min(
        float(np.abs(_histograms(before, offset) - _histograms(after, offset)).sum(axis=1).mean() / 2)
        for offset in (0, 128 // _BINS)
    )


def shots(
    items: Iterable[Item], image: Callable[[Item], NDArray[np.uint8]], threshold: float
) -> Iterator[Iterator[Item]]:
    """Yield the items of each shot, in order; one must be used up before the next is asked for.

    Args:
        items: the frames of a video, in order.
        image: gives an item's frame (H, W, 3) uint8.
        threshold: a change of more than this is a cut; from 1 on nothing is.
    """

    def numbered() -> Iterator[tuple[int, Item]]:
        shot, before = 0, None
        for item in items:
            frame = image(item)
            shot += before is not None and threshold < 1 and cut_strength(before, frame) > threshold
            before = frame
            yield shot, item

    for _, group in groupby(numbered(), key=lambda pair: pair[0]):
        yield (item for _, item in group)


def _histograms(frame: NDArray[np.uint8], offset: int) -> NDArray[np.float64]:
    """(4, bins): the share of each bin of colours in each quarter of a frame."""
    step = max(1, round((frame.shape[0] * frame.shape[1] / _SAMPLES) ** 0.5))
    sample = (frame[::step, ::step].astype(np.intp) + offset) * _BINS // 256
    height, width = sample.shape[:2]
    quarter = 2 * (2 * np.arange(height)[:, None] // height) + 2 * np.arange(width) // width
    side = _BINS + 1  # the offset adds one
    code = ((quarter * side + sample[..., 0]) * side + sample[..., 1]) * side + sample[..., 2]
    counts = np.bincount(code.ravel(), minlength=4 * side**3).reshape(4, -1)
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares
