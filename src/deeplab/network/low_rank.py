"""Convolutions in two steps of lower rank: fewer multiply-adds for almost the same responses.

Over photos, a layer's N responses hardly leave a subspace of r < N dimensions. So a convolution to the r coordinates in
it and a pointwise one from there to the N channels come to nearly the same, at r / N of the products and a few more
(Zhang, Zou, He and Sun, "Accelerating Very Deep Convolutional Networks for Classification and Detection", TPAMI 2016,
sections 2.1 and 2.4). Where it costs least is measured, on photos; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deeplab.errors import InputError

RANKS = 32  # ranks are multiples of this, as processors' vectors are
CELLS_PER_CHANNEL = 4  # fewer would lie in a subspace by chance
HALVINGS = 60
STILL = 1e-12  # variance to squared mean at which a layer counts as one that never moves


class Responses(NamedTuple):
    """What a layer answered to photos, before its ReLU.

    Attributes:
        cells: how many.
        total: the sum of the answers over all cells, (N,) float64.
        products: the sum of their outer products, (N, N) float64.
    """

    cells: int
    total: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def none(cls, channels: int) -> Responses:
        """No answers yet."""
        return cls(0, np.zeros(channels), np.zeros((channels, channels)))

    def plus(self, answers: NDArray[np.float32]) -> Responses:
        """These and a map (1, N, h, w) more."""
        columns = answers.reshape(answers.shape[1], -1).astype(np.float64)
        return Responses(
            self.cells + columns.shape[1], self.total + columns.sum(1), self.products + columns @ columns.T
        )


class Factors(NamedTuple):
    """A layer as two: its own window to r orthonormal coordinates of mean 0, then pointwise to its N channels.

    Attributes:
        basis: weights (r, C, k, k) float32.
        basis_bias: (r,) float32.
        weight: (N, r, 1, 1) float32.
        bias: (N,) float32.
        std: the coordinates' standard deviations over the photos, falling, (r,) float32.
    """

    basis: NDArray[np.float32]
    basis_bias: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    std: NDArray[np.float32]


def factorise(
    layers: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    responses: Mapping[str, Responses],
    share: float,
) -> tuple[dict[str, Factors], float]:
    """Leave out a share of the layers' multiply-adds, where the product of their kept shares of variance falls least.

    Args:
        layers: each one's weights (N, C, k, k) and biases (N,).
        responses: of the same layers.
        share: of all their multiply-adds, above 0.

    Returns:
        Those layers that take fewer multiply-adds as two; and the share left out, a little more than asked for, because
        ranks come in steps.

    Raises:
        InputError: the share is more than the lowest ranks leave out, or the photos are too few.
    """
    for name, (cells, _, products) in responses.items():
        if cells < CELLS_PER_CHANNEL * len(products):
            raise InputError(
                f"{name} answered in {cells} cells, too few to know its {len(products)} channels by; give more photos"
            )
    spectra = {name: _spectrum(*layers[name], responses[name]) for name in layers}
    whole = sum(layer.multiply_adds(len(layer.bias)) for layer in spectra.values())

    def left_out(price: float) -> float:
        return 1 - sum(layer.multiply_adds(layer.best(price / whole)) for layer in spectra.values()) / whole

    most = left_out(np.inf)
    if most <= 0:
        raise InputError(f"no layer of this network has more than {RANKS} channels, so none can be of lower rank")
    if share > most:
        raise InputError(f"at most {most:.3f} of the multiply-adds can be left out here, not {share}; ask for less")
    low, high = 0.0, 1.0
    while left_out(high) < share:
        high *= 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if left_out(middle) >= share else (middle, high)
    ranks = {name: layer.best(high / whole) for name, layer in spectra.items()}
    cut = {name: spectra[name].factors(rank) for name, rank in ranks.items() if rank < len(spectra[name].bias)}
    return cut, left_out(high)


class _Spectrum(NamedTuple):
    """A layer and its principal responses, the strongest first: variances (N,), directions (N, N) in columns."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    cells: int
    mean: NDArray[np.float64]
    variances: NDArray[np.float64]
    directions: NDArray[np.float64]

    def multiply_adds(self, rank: int) -> int:
        """Multiply-adds that the layer takes with this rank; of full rank it stays as it is."""
        channels, taps = len(self.bias), int(np.prod(self.weight.shape[1:]))
        return self.cells * (channels * taps if rank == channels else rank * (taps + channels))

    def lost(self, rank: int) -> float:
        """-log of the share of variance that this rank keeps; 0 for a layer that never moves."""
        floor = STILL * float(np.square(self.mean).sum()) + np.finfo(np.float64).tiny
        return -float(np.log((self.variances[:rank].sum() + floor) / (self.variances.sum() + floor)))

    def best(self, price: float) -> int:
        """The rank at which loss and price together are least; at an infinite price, that of fewest multiply-adds."""
        channels = len(self.bias)
        ranks: list[int] = [*range(RANKS, channels, RANKS), channels]
        if price == np.inf:
            return min(ranks, key=self.multiply_adds)
        return min(ranks, key=lambda rank: self.lost(rank) + price * self.multiply_adds(rank))

    def factors(self, rank: int) -> Factors:
        kept = self.directions[:, :rank]
        parts = (
            np.tensordot(kept.T, self.weight, 1), kept.T @ (self.bias - self.mean), kept[:, :, None, None], self.mean,
            np.sqrt(self.variances[:rank]),
        )  # fmt: skip
        return Factors(*(part.astype(np.float32) for part in parts))


def _spectrum(weight: NDArray[np.float32], bias: NDArray[np.float32], responses: Responses) -> _Spectrum:
    mean = responses.total / responses.cells
    variances, directions = np.linalg.eigh(responses.products / responses.cells - np.outer(mean, mean))
    return _Spectrum(
        weight.astype(np.float64), bias.astype(np.float64), responses.cells, mean,
        variances[::-1].clip(0), directions[:, ::-1],
    )  # fmt: skip
