"""Layers of lower rank, against the singular value decomposition of their responses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.network.low_rank import Factors, Responses, factorise

INPUTS, CHANNELS, CELLS = 200, 96, 4000
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def layer(seed: int, decay: float) -> Layer:
    """A pointwise layer whose outputs' principal parts shrink by `decay` from each to the next."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(random.normal(size=(CHANNELS, CHANNELS)))[0]
    weight = directions * decay ** np.arange(CHANNELS) @ random.normal(size=(CHANNELS, INPUTS))
    return weight[:, :, None, None].astype(np.float32), random.normal(size=CHANNELS).astype(np.float32)


def cells(seed: int = 9) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0, 2, (INPUTS, CELLS)).astype(np.float32)


def answers(layer: Layer, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return layer[0][:, :, 0, 0] @ x + layer[1][:, None]


def responses(layer: Layer, x: NDArray[np.float32]) -> Responses:
    """Of two maps of unequal size."""
    maps = answers(layer, x)[None, :, None]
    return Responses.none(CHANNELS).plus(maps[..., : CELLS // 3]).plus(maps[..., CELLS // 3 :])


def through(factors: Factors, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The coordinates and the layer's answers from them."""
    inner = answers((factors.basis, factors.basis_bias), x)
    return inner, answers((factors.weight, factors.bias), inner)


def test_no_other_answers_of_that_rank_are_nearer() -> None:
    one, x = layer(0, 0.95), cells()
    found = factorise({"one": one}, {"one": responses(one, x)}, 0.3)["one"]
    rank = len(found.basis)
    inner, near = through(found, x)
    expected = answers(one, x)
    singular = np.linalg.svd(expected - expected.mean(1, keepdims=True), compute_uv=False)
    assert np.square(near - expected).sum() == pytest.approx(np.square(singular[rank:]).sum(), rel=1e-3)  # Eckart–Young
    np.testing.assert_allclose(inner.mean(1), 0, atol=1e-3)
    np.testing.assert_allclose(inner @ inner.T / CELLS, np.eye(rank), atol=2e-3)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_the_share_is_left_out_and_little_more(share: float) -> None:
    x = cells()
    layers = {name: layer(seed, decay) for seed, (name, decay) in enumerate({"a": 0.9, "b": 0.97, "c": 1}.items())}
    found = factorise(layers, {name: responses(one, x) for name, one in layers.items()}, share)
    whole = len(layers) * CHANNELS * INPUTS
    left = sum(
        factors.basis.size + factors.weight.size if (factors := found.get(name)) else CHANNELS * INPUTS
        for name in layers
    )
    step = 32 * (INPUTS + CHANNELS)
    assert whole * (1 - share) - 2 * step < left <= whole * (1 - share)
    ranks = [len(found[name].basis) if name in found else CHANNELS for name in "abc"]
    assert ranks == sorted(ranks)  # what shrinks fastest is cut first


def test_maps_of_more_cells_count_for_more() -> None:
    x, same = cells(), layer(3, 0.95)
    layers = {"early": same, "late": same}
    few = responses(same, x)
    many = Responses(few.cells * 16, few.total * 16, few.products * 16)
    assert set(factorise(layers, {"early": many, "late": few}, 0.2)) == {"early"}


def test_channels_that_never_move_cost_nothing() -> None:
    weight, bias = layer(4, 1)
    weight[40:] = 0
    still, x = (weight, bias), cells()
    found = factorise({"still": still}, {"still": responses(still, x)}, 0.01)["still"]
    assert len(found.basis) == 64  # of 96, 40 move
    np.testing.assert_allclose(through(found, x)[1], answers(still, x), atol=0.02)
    dead = np.zeros_like(weight), bias
    near = through(factorise({"dead": dead}, {"dead": responses(dead, x)}, 0.2)["dead"], x)[1]
    np.testing.assert_allclose(near, answers(dead, x), atol=1e-4)


def test_more_than_the_lowest_ranks_leave_out_is_refused() -> None:
    one, x = layer(5, 0.9), cells()
    most = 1 - 32 * (INPUTS + CHANNELS) / (INPUTS * CHANNELS)
    with pytest.raises(InputError, match=f"at most {most:.3f}.*, not 0.6; ask for less"):
        factorise({"one": one}, {"one": responses(one, x)}, 0.6)
    assert len(factorise({"one": one}, {"one": responses(one, x)}, most - 1e-6)["one"].basis) == 32
