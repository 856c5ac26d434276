"""A photo's scores from one look of the network, or as the mean of several: other sizes, and mirrored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deeplab.crf.unary import softmax_in_place
from deeplab.images import resized
from deeplab.preprocessing import grid_size
from deeplab.runtime import ScoreNetwork
from deeplab.scores import upsample_scores

SCALES = (0.75, 1.0, 1.25)
"""How many times as large the views are as the photo."""


def scores(network: ScoreNetwork, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Score a photo by one look at it, as `ScoreNetwork.scores` does."""
    return network.scores(photo)


def mean_scores(network: ScoreNetwork, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Score a photo by the mean of the network's probabilities over views of it.

    Every view is the photo at one of `SCALES`, as it is or mirrored (as in the authors' later DeepLabs).

    Args:
        network: the network.
        photo: (H, W, 3) uint8 RGB.

    Returns:
        (L, h, w) float32 log-probabilities on the grid of `ScoreNetwork.scores`.

    Raises:
        InputError, ModelError: as `ScoreNetwork.scores` raises them.
    """
    stride = network.info.output_stride
    total, views = np.zeros(1, np.float32), 0
    for scale in SCALES:
        view = resized(photo, scale)
        for step in (1, -1):
            seen = network.scores(np.ascontiguousarray(view[:, ::step]))
            dense = upsample_scores(seen, photo.shape[:2], network_size=view.shape[:2], stride=stride)
            total, views = total + softmax_in_place(dense)[:, :, ::step], views + 1
    at_cells = (total / views)[:, ::stride, ::stride]
    below, right = (  # cells that the padding up to the grid adds
        (grid_size(side, stride) - 1) // stride + 1 - cells
        for side, cells in zip(photo.shape[:2], at_cells.shape[1:], strict=True)
    )
    whole = np.pad(at_cells, ((0, 0), (0, below), (0, right)), mode="edge")
    return np.log(np.maximum(whole, np.finfo(np.float32).tiny))


QUALITIES: Mapping[str, Callable[[ScoreNetwork, NDArray[np.uint8]], NDArray[np.float32]]] = MappingProxyType(
    {"fast": scores, "best": mean_scores}
)
"""Ways to score a photo by name; docs/models.md has what they gain and cost."""
