"""The network on a stream of frames: on each, or on every Nth with scores interpolated between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Scores = NDArray[np.float32]


def with_scores(items: Iterable[Item], score: Callable[[Item], Scores], every: int) -> Iterator[tuple[Item, Scores]]:
    """Yield every item with its scores.

    `score` runs on the first item, on every Nth after it and on the last; scores between two of these are interpolated
    linearly. No more than `every` + 1 items are held in memory.
    """
    waiting: list[Item] = []
    scores: Scores | None = None
    for item in items:
        waiting.append(item)
        if scores is None or len(waiting) == every:
            yield from _interpolated(waiting, scores, scores := score(item))
            waiting.clear()
    if waiting:
        yield from _interpolated(waiting, scores, score(waiting[-1]))


def _interpolated(items: list[Item], before: Scores | None, after: Scores) -> Iterator[tuple[Item, Scores]]:
    """Yield items with scores on the way from those `before` the first item to those `after`, the last one's own."""
    for step, item in enumerate(items[:-1], start=1):
        share = np.float32(step / len(items))
        yield item, after if before is None else (1 - share) * before + share * after
    yield items[-1], after
