"""The parts of a label map that become annotations: each class, or each connected part of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.labels import LabelSet


class Region(NamedTuple):
    """A part of a label map.

    Attributes:
        label: its label.
        mask: (H, W) bool, its pixels, at least one.
    """

    label: int
    mask: NDArray[np.bool_]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x, y of the upper left corner, width and height of the smallest box around it, pixels."""
        columns, rows = (np.flatnonzero(self.mask.any(axis=axis)) for axis in (0, 1))
        x, y = int(columns[0]), int(rows[0])
        return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def annotated_labels(label_set: LabelSet) -> tuple[int, ...]:
    """Return the labels that are annotated: all but the background, where the set has one. Void never is."""
    return tuple(label for label in range(len(label_set)) if label != label_set.background)


def regions_of(labels: NDArray[np.uint8], label_set: LabelSet, *, instances: bool = False) -> Iterator[Region]:
    """Yield the annotated regions of a label map (H, W) by label: each class, or with `instances` each part of it.

    A label map does not tell two cats that touch apart: `instances` gives connected parts, see `components_of`.
    """
    for label in annotated_labels(label_set):
        mask = labels == label
        if not mask.any():
            continue
        if not instances:
            yield Region(label, mask)
            continue
        parts = components_of(mask)
        for number in range(1, int(parts.max()) + 1):
            yield Region(label, parts == number)


def components_of(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number the connected parts of a mask (H, W) from 1 on, row by row: (H, W) int32, 0 outside.

    Pixels are connected where they share a side; corners do not count.
    """
    begins = mask & ~np.pad(mask, ((0, 0), (1, 0)))[:, :-1]
    run_of = np.cumsum(begins).reshape(mask.shape) - 1  # the run of pixels in its row that each belongs to
    touching = mask[1:] & mask[:-1]
    above, below = run_of[:-1][touching], run_of[1:][touching]
    parent = np.arange(np.count_nonzero(begins))
    while True:  # each run takes the least number among its neighbours', then that one's, until all agree
        least = np.minimum(parent[above], parent[below])
        before = parent.copy()
        np.minimum.at(parent, before[above], least)
        np.minimum.at(parent, before[below], least)
        parent = parent[parent]
        if np.array_equal(parent, before):
            break
    parts = np.zeros(mask.shape, dtype=np.int32)
    parts[mask] = (np.unique(parent, return_inverse=True)[1] + 1)[run_of[mask]]
    return parts
