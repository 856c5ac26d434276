"""The permutohedral lattice in PyTorch: the native core's filter on any device, in float32 or float64.

Adams, Baek & Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", 2010. The numbers are those of
`deeplab.crf.lattice`. Every sum runs in a fixed order, so that results do not change from run to run.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from deeplab.crf.lattice import way_to_nearer
from deeplab.errors import InputError

# Beyond this a float32 coordinate has fewer than four bits left for the position within its simplex.
_LARGEST_COORDINATE = 1 << 20


class Lattice:
    """The lattices over the points of each member of a batch, built once and used for many filters.

    One structure holds the whole batch, the member being one more part of a vertex's name: every step then takes the
    same few launches for any batch.

    Args:
        features: (B, N, d) float32 or float64, finite, divided by the standard deviations.

    Raises:
        InputError: the features span too many standard deviations.
    """

    def __init__(self, features: Tensor) -> None:
        self._batch, self._points, d = features.shape
        cells, rank, weight = _simplices(features.flatten(0, 1))
        steps = _steps(d, features.device)
        member = torch.arange(self._batch, device=features.device).repeat_interleave(self._points)
        keys = torch.stack([((cells + _corner(r, rank))[:, :d] * steps[:d]).sum(1) for r in range(d + 1)], dim=1)
        keys += (member * steps[d])[:, None]

        key, entry = keys.flatten().sort(stable=True)
        key, vertex, count = torch.unique_consecutive(key, return_inverse=True, return_counts=True)
        self._slice_vertex = torch.empty_like(vertex).scatter_(0, entry, vertex).view_as(keys)
        self._splat_first = count.cumsum(0) - count
        self._splat_point = entry // (d + 1)
        self._splat_weight = weight.flatten()[entry]
        self._slice_weight = weight / (1 + 2.0**-d)  # what the blurs of all axes add up to at most
        # One step along an axis takes 1 from every coordinate and adds d + 1 to the axis's own.
        ahead = [(d + 1) * step - steps[:d].sum() for step in [*steps[:d], torch.zeros_like(steps[0])]]
        self._neighbours = [(_find(key, key - delta), _find(key, key + delta)) for delta in ahead]

    def __call__(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """Return about Σ_j exp(-|f_i - f_j|² / 2) · values_j, up to a factor that normalisation takes out.

        `transposed` runs the blurs backwards, which is the exact transpose.

        Args:
            values: (B, C, N), the features' dtype.
            transposed: filter with the transposed matrix.

        Returns:
            (B, C, N).
        """
        rows = values.mT.flatten(0, 1)  # (B N, C)
        vertices = F.embedding_bag(
            self._splat_point, rows, self._splat_first, mode="sum", per_sample_weights=self._splat_weight
        )
        for before, after in reversed(self._neighbours) if transposed else self._neighbours:
            padded = F.pad(vertices, (0, 0, 0, 1))  # a missing neighbour is the row of zeros at the end
            vertices = (padded[before] + padded[after]).mul_(0.5).add_(vertices)
        rows = F.embedding_bag(self._slice_vertex, vertices, mode="sum", per_sample_weights=self._slice_weight)
        return rows.view(self._batch, self._points, -1).mT.contiguous()


def _simplices(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the simplex around each point.

    Returns:
        (N, d + 1) int64, the coordinates of the simplex's vertex of colour 0; (N, d + 1) int64, the rank of each
        coordinate by how far the point lies beyond that vertex; (N, d + 1), the point's barycentric weights.
    """
    d = features.shape[1]
    elevated = _elevate(features)
    if not bool((elevated.abs() <= _LARGEST_COORDINATE).all()):
        raise InputError(
            f"features reach {float(features.abs().max()):.3g} standard deviations; the lattice holds up to about "
            f"{_LARGEST_COORDINATE / (d + 1):.0g}; {way_to_nearer(features.detach().cpu().numpy())}"
        )
    cell = (elevated * (1 / (d + 1))).round()
    excess = cell.sum(1, keepdim=True).long()
    offset = elevated - cell * (d + 1)
    first = torch.ones(d + 1, d + 1, dtype=torch.bool, device=features.device).tril(-1)  # of two equals
    mine, other = offset[:, :, None], offset[:, None, :]
    rank = ((other > mine) | ((other == mine) & first)).sum(2)
    # Rounding may have left the plane of zero sum: the coordinates rounded furthest go back by one cell.
    rank += excess
    wrap = (rank < 0).long() - (rank > d).long()
    rank += wrap * (d + 1)
    cell += wrap
    beyond = (elevated - cell * (d + 1)) * (1 / (d + 1))
    sorted_ = torch.empty_like(beyond).scatter_(1, rank, beyond)
    falls = (sorted_[:, :-1] - sorted_[:, 1:]).flip(1)
    weight = torch.cat([sorted_[:, -1:] + (1 - sorted_[:, :1]), falls], dim=1)
    return cell.long() * (d + 1), rank, weight


def _elevate(features: Tensor) -> Tensor:
    """Embed points (N, d) in the plane of zero sum, (N, d + 1), stretched so that the blur has unit deviation."""
    d = features.shape[1]
    deviation = float(np.float32(math.sqrt(2 / 3) * (d + 1)))  # rounded here, as the native core does
    stretch = [1 / math.sqrt((i + 1) * (i + 2)) * deviation for i in range(d)]
    along = features * torch.tensor(stretch, dtype=torch.float32, device=features.device)
    later = torch.zeros_like(features[:, 0])
    columns = []
    for j in range(d, 0, -1):
        columns.append(later - j * along[:, j - 1])
        later = later + along[:, j - 1]
    return torch.stack([later, *reversed(columns)], dim=1)


def _corner(colour: int, rank: Tensor) -> Tensor:
    """How far the simplex's vertex of a colour lies from that of colour 0, (N, d + 1)."""
    corners = rank.shape[1]
    return colour - corners * (rank > corners - 1 - colour)


def _steps(d: int, device: torch.device) -> Tensor:
    """What one unit of each coordinate, and last one member of the batch, adds to a vertex's 64-bit key.

    Random steps: two of n vertices share a key with probability below n² / 2⁶⁵. The key is linear, so all neighbours
    in one direction lie one constant apart.
    """
    steps = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, size=d + 1)
    return torch.from_numpy(steps | 1).to(device)


def _find(keys: Tensor, wanted: Tensor) -> Tensor:
    """Return where each wanted key stands among sorted keys; one past the last where it is missing."""
    place = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
    return torch.where(keys[place] == wanted, place, len(keys))
