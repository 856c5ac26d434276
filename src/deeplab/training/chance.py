"""Chance: every random number of a run, in one place.

Each is drawn from a stream of its own by the recipe's seed and a number: of a pass over the photos, a crop, or a part
of a batch. So nothing of it needs saving, and threads and processes draw the same as one would.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """What is drawn, and by what number."""

    ORDER = 1
    """The order of photos, by pass."""
    CROP = 2
    """A crop's place, mirroring, scale and colours, by crop."""
    MIRROR = 3
    """Whether stored features are mirrored, by example."""
    CLASS = 4
    """A class, then a photo of it, by crop."""
    CELLS = 5
    """Which cells of a score map are scored, by part of a batch."""
    PASTE = 6
    """Whether a thing is pasted onto a crop, and where it comes from in its photo, by crop."""
    THING = 7
    """A class, then a photo of it to take a thing from, by crop."""


def draw(stream: Stream, seed: int, number: int) -> np.random.Generator:
    """A generator for what one number of a stream needs."""
    return np.random.default_rng((seed, int(stream), number))


def main_seed(seed: int) -> int:
    """The seed of the main stage's crops, which are others than those that the warm-up stores."""
    return seed + 1


def seed_weights(seed: int) -> None:
    """Let the layers that no weights are given for start from this seed."""
    torch.manual_seed(seed)


def seed_dropout(seed: int, number: int) -> None:
    """Let dropout be the same for part `number` of a run's batches after a resume, and in whatever process."""
    torch.manual_seed(seed * 1_000_003 + number)
