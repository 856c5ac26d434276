"""The Gaussian sum over every pair of points as a Triton kernel: tiled as attention is, and skipping what is far apart.

Nothing of size N² is stored. Differences of features, their squares and the exponential are float32 throughout; only
the product with the values runs on the matrix units, each factor split in three TF32 parts, close to float32.
"""

import math

import torch
import triton  # type: ignore[import-not-found,import-untyped,unused-ignore]
import triton.language as tl  # type: ignore[import-not-found,import-untyped,unused-ignore]
from torch import Tensor

_TILE = 64  # points
_MOST_CHANNELS = 64  # of one program, in its registers
_LEAST_CHANNELS = 16  # that the matrix units take


@triton.jit  # type: ignore[untyped-decorator,unused-ignore]
def _sum_kernel(  # type: ignore[no-untyped-def]
    features,  # (B, D, P)
    low,  # (B, D, P / TILE): the least of each feature in each tile
    high,  # (B, D, P / TILE): the greatest
    values,  # (B, P, C)
    out,  # (B, P, C)
    points,  # P, padded to whole tiles
    width,  # C, padded to whole programs
    cutoff,  # squared distance from which two tiles do not speak to each other
    D: tl.constexpr,
    TILE: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    mine = tl.program_id(0)
    tiles = tl.num_programs(0)
    member = tl.program_id(1).to(tl.int64)
    features += member * D * points
    low += member * D * tiles
    high += member * D * tiles
    values += member * points * width
    out += member * points * width
    within = tl.arange(0, TILE)
    channels = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    rows = mine * TILE + within
    total = tl.zeros((TILE, CHANNELS), tl.float32)
    for other in range(tiles):
        apart = 0.0
        for a in tl.static_range(D):
            below = tl.load(low + a * tiles + other) - tl.load(high + a * tiles + mine)
            above = tl.load(low + a * tiles + mine) - tl.load(high + a * tiles + other)
            gap = tl.maximum(tl.maximum(below, above), 0.0)
            apart += gap * gap
        if apart < cutoff:
            columns = other * TILE + within
            squared = tl.zeros((TILE, TILE), tl.float32)
            for a in tl.static_range(D):
                here = tl.load(features + a * points + rows)
                there = tl.load(features + a * points + columns)
                difference = here[:, None] - there[None, :]
                squared += difference * difference
            kernel = tl.exp2(squared * -0.7213475204444817)  # 1 / (2 ln 2)
            heard = tl.load(values + columns[:, None] * width + channels[None, :])
            total = tl.dot(kernel, heard, total, input_precision="tf32x3")
    tl.store(out + rows[:, None] * width + channels[None, :], total)


class TritonSum:
    """Σ_j exp(-|f_i - f_j|² / 2) · values_j over the points of each member of a batch.

    What a point does not hear of tiles beyond the cut-off is below 1e-6 of the largest value.

    Args:
        features: (B, N, d) float32, divided by the standard deviations.
    """

    def __init__(self, features: Tensor) -> None:
        batch, points, self._d = features.shape
        self._points = points
        self._padded = triton.cdiv(points, _TILE) * _TILE
        self._cutoff = cutoff(points)
        order = _morton_order(features)
        self._place = order.argsort(1)  # where each point went
        last = order[:, -1:].expand(batch, self._padded - points)  # pads the last tile; speaks with values of zero
        self._order = torch.cat([order, last], dim=1)
        ordered = features.gather(1, self._order[..., None].expand(-1, -1, self._d))
        self._features = ordered.mT.contiguous()
        self._low, self._high = _boxes(self._features)

    def __call__(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """Return the sum for values (B, C, N). Its matrix is symmetric: `transposed` changes nothing."""
        batch, count, _ = values.shape
        channels = min(_MOST_CHANNELS, max(_LEAST_CHANNELS, triton.next_power_of_2(count)))
        programs = triton.cdiv(count, channels)
        width = programs * channels
        spoken = values.new_zeros(batch, self._padded, width)
        order = self._order[:, : self._points, None].expand(-1, -1, count)
        spoken[:, : self._points, :count] = values.mT.gather(1, order)
        heard = torch.empty_like(spoken)
        with torch.cuda.device_of(spoken):  # type: ignore[no-untyped-call]
            _sum_kernel[(self._padded // _TILE, batch, programs)](
                self._features,
                self._low,
                self._high,
                spoken,
                heard,
                self._padded,
                width,
                self._cutoff,
                D=self._d,
                TILE=_TILE,
                CHANNELS=channels,
            )
        return heard[..., :count].gather(1, self._place[..., None].expand(-1, -1, count)).mT.contiguous()


def cutoff(points: int) -> float:
    """Return the squared distance beyond which all N kernel values together stay below 1e-6: N·exp(-r² / 2) = 1e-6."""
    return 2 * math.log(points / 1e-6)


def active_tile_pairs(features: Tensor) -> float:
    """Return the share of all pairs of tiles within the cut-off, for features (B, N, d): the work that is left."""
    tiled = TritonSum(features)
    active = total = 0
    for low, high in zip(tiled._low, tiled._high, strict=True):
        for mine_low, mine_high in zip(low.mT, high.mT, strict=True):
            gap = torch.maximum(low.mT - mine_high, mine_low - high.mT).clamp_(min=0)
            active += int((gap.square().sum(1) < tiled._cutoff).sum())
            total += len(gap)
    return active / total


def _boxes(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest feature of each tile, (B, d, tiles) each, for features (B, d, P)."""
    tiles = features.view(*features.shape[:2], -1, _TILE)
    return tiles.amin(3), tiles.amax(3)


def _morton_order(features: Tensor) -> Tensor:
    """Return the points of each member along a Z-order curve through the features, (B, N) int64.

    Neighbours along the curve are neighbours in space, so that the boxes of tiles are small.
    """
    d = features.shape[2]
    bits = min(16, 62 // d)
    start = features.amin(1, keepdim=True)
    extent = (features - start).amax((1, 2), keepdim=True).clamp_(min=1e-30)
    cell = ((features - start) * ((2**bits - 1) / extent)).long()
    code = torch.zeros_like(cell[..., 0])
    for bit in range(bits - 1, -1, -1):
        for a in range(d):
            code = (code << 1) | ((cell[..., a] >> bit) & 1)
    return code.argsort(stable=True, dim=1)
