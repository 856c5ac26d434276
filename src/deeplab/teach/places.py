"""Where photos were marked, as few places as the classifier needs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.teach.onnx_file import STRIDE

_MOST_PLACES_OF_A_LABEL = 256  # in one photo


class Places(NamedTuple):
    """Where a photo was marked: pixels of what the network saw, and their labels, each (N,)."""

    y: NDArray[np.intp]
    x: NDArray[np.intp]
    labels: NDArray[np.intp]


def places_of(drawn: NDArray[np.uint8], void: int) -> Places:
    """Return for each cell of the features and each label one marked pixel, that nearest to the cell's middle.

    Args:
        drawn: (H, W) uint8 labels of what the network saw, `void` where nothing is marked.
        void: the label of such pixels.
    """
    y, x = np.nonzero(drawn != void)
    labels = drawn[y, x].astype(np.intp)
    row, column = (y + STRIDE // 2) // STRIDE, (x + STRIDE // 2) // STRIDE
    distance = (y - row * STRIDE) ** 2 + (x - column * STRIDE) ** 2
    order = np.lexsort((x, y, distance, column, row, labels))
    group = np.stack([labels, row, column])[:, order]
    first = np.append(True, (group[:, 1:] != group[:, :-1]).any(axis=0))[: len(order)]
    chosen = order[first]
    chosen = chosen[thinned(labels[chosen], _MOST_PLACES_OF_A_LABEL)]
    return Places(y[chosen], x[chosen], labels[chosen])


def thinned(labels: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return the indices of at most so many of each label, evenly spread over those there are."""
    kept = []
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        count = min(len(places), most)
        kept.append(places[np.arange(count) * len(places) // count])
    return np.concatenate(kept) if kept else np.zeros(0, np.intp)
