"""The Gaussian filter by its definition, every pair of points: the oracle the lattice is measured against."""

import numpy as np
import numpy.typing as npt

_PAIRS_AT_ONCE = 1 << 22  # 32 MiB of float64


def filter_exactly(features: npt.NDArray[np.float32], values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return Σ_j exp(-|f_i - f_j|² / 2) · values_j for every point i, itself included.

    Takes time N² · (d + C): for a few thousand points.

    Args:
        features: (N, d) float, each column divided by its standard deviation.
        values: (C, N) float.

    Returns:
        (C, N) float32, computed in float64.
    """
    features, values = features.astype(np.float64), values.astype(np.float64)
    features -= features.mean(axis=0)  # the squares below then cancel less
    squares = (features**2).sum(axis=1)
    filtered = np.empty(values.shape, np.float32)
    rows = max(1, _PAIRS_AT_ONCE // len(features))
    for start in range(0, len(features), rows):
        some = slice(start, start + rows)
        exponent = features[some] @ features.T - squares[some, None] / 2 - squares / 2
        filtered[:, some] = values @ np.exp(np.minimum(exponent, 0)).T
    return filtered
