"""The Gaussian sum over every pair of points in plain PyTorch, tile by tile, on any device."""

import torch
from torch import Tensor

_PAIRS_AT_ONCE = 1 << 22  # 16 MiB of float32


class ExactSum:
    """Σ_j exp(-|f_i - f_j|² / 2) · values_j over the points of each member of a batch.

    Takes time N² · (d + C) and memory for a few million pairs, whatever N.

    Args:
        features: (B, N, d) float32 or float64, divided by the standard deviations.
    """

    def __init__(self, features: Tensor) -> None:
        self._features = features

    def __call__(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """Return the sum for values (B, C, N). Its matrix is symmetric: `transposed` changes nothing."""
        filtered = torch.empty_like(values)
        rows = max(1, _PAIRS_AT_ONCE // values.shape[-1])
        for features, one, out in zip(self._features, values, filtered, strict=True):
            for start in range(0, len(features), rows):
                some = slice(start, start + rows)
                # Differences before squares: |f|² + |f'|² - 2ff' would cancel in float32.
                distance = torch.cdist(features, features[some], compute_mode="donot_use_mm_for_euclid_dist")
                torch.matmul(one, distance.square_().mul_(-0.5).exp_(), out=out[:, some])
        return filtered
