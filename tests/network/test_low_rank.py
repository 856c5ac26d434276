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


def cut(layers: dict[str, Layer], share: float, x: NDArray[np.float32]) -> dict[str, Factors]:
    return factorise(layers, {name: responses(one, x) for name, one in layers.items()}, share)[0]


def through(factors: Factors, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The coordinates and the layer's answers from them."""
    inner = answers((factors.basis, factors.basis_bias), x)
    return inner, answers((factors.weight, factors.bias), inner)


def test_no_other_answers_of_that_rank_are_nearer() -> None:
    one, x = layer(0, 0.95), cells()
    found = cut({"one": one}, 0.3, x)["one"]
    rank = len(found.basis)
    inner, near = through(found, x)
    expected = answers(one, x)
    singular = np.linalg.svd(expected - expected.mean(1, keepdims=True), compute_uv=False)
    assert np.square(near - expected).sum() == pytest.approx(np.square(singular[rank:]).sum(), rel=1e-3)  # Eckart–Young
    np.testing.assert_allclose(inner.mean(1), 0, atol=1e-3)
    np.testing.assert_allclose(inner @ inner.T / CELLS, np.diag(found.std**2), atol=2e-3 * found.std[0] ** 2)
    np.testing.assert_allclose(found.std, singular[:rank] / CELLS**0.5, rtol=1e-3)
    directions = found.weight[:, :, 0, 0]
    np.testing.assert_allclose(directions.T @ directions, np.eye(rank), atol=1e-5)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_the_share_is_left_out_and_little_more(share: float) -> None:
    x = cells()
    layers = {name: layer(seed, decay) for seed, (name, decay) in enumerate({"a": 0.9, "b": 0.97, "c": 1}.items())}
    found, left_out = factorise(layers, {name: responses(one, x) for name, one in layers.items()}, share)
    whole = len(layers) * CHANNELS * INPUTS
    left = sum(
        factors.basis.size + factors.weight.size if (factors := found.get(name)) else CHANNELS * INPUTS
        for name in layers
    )
    assert left_out == pytest.approx(1 - left / whole)
    step = 32 * (INPUTS + CHANNELS)
    assert whole * (1 - share) - 2 * step < left <= whole * (1 - share)
    ranks = [len(found[name].basis) if name in found else CHANNELS for name in "abc"]
    assert ranks == sorted(ranks)  # what shrinks fastest is cut first


def test_maps_of_more_cells_count_for_more() -> None:
    x, same = cells(), layer(3, 0.95)
    layers = {"early": same, "late": same}
    few = responses(same, x)
    many = Responses(few.cells * 16, few.total * 16, few.products * 16)
    assert set(factorise(layers, {"early": many, "late": few}, 0.2)[0]) == {"early"}


def test_channels_that_never_move_are_left_out_first() -> None:
    weight, bias = layer(4, 1)
    weight[40:] = 0
    still, x = (weight, bias), cells()
    found = cut({"still": still}, 0.01, x)["still"]
    assert len(found.basis) == 64  # of 96, 40 move
    np.testing.assert_allclose(through(found, x)[1], answers(still, x), atol=0.02)
    dead = np.zeros_like(weight), bias
    found = cut({"dead": dead, "alive": layer(4, 0.9)}, 0.1, x)
    assert set(found) == {"dead"}
    np.testing.assert_allclose(through(found["dead"], x)[1], answers(dead, x), atol=1e-4)


def test_a_large_mean_does_not_drown_what_moves() -> None:
    weight, bias = layer(6, 0.95)
    x = cells()
    far, near = ((weight, (bias + offset).astype(np.float32)) for offset in (1000, 0))
    stds = [cut({"one": one}, 0.3, x)["one"].std for one in (far, near)]
    np.testing.assert_allclose(*stds, rtol=1e-3)


def test_more_than_the_lowest_ranks_leave_out_is_refused() -> None:
    layers, x = {"one": layer(5, 0.9)}, cells()
    most = 1 - 32 * (INPUTS + CHANNELS) / (INPUTS * CHANNELS)
    with pytest.raises(InputError, match=f"at most {most:.3f}.*, not 0.6; ask for less"):
        cut(layers, 0.6, x)
    assert len(cut(layers, most - 1e-6, x)["one"].basis) == 32


def test_what_cannot_be_cut_is_refused() -> None:
    weight, bias = layer(7, 0.9)
    thin = weight[:32], bias[:32]
    seen = Responses.none(32).plus(answers(thin, cells())[None, :, None])
    with pytest.raises(InputError, match="no layer of this network has more than 32 channels"):
        factorise({"thin": thin}, {"thin": seen}, 0.1)
    few = Responses.none(CHANNELS).plus(answers((weight, bias), cells())[None, :, None, :383])
    with pytest.raises(InputError, match="one answered in 383 cells, too few to know its 96 channels by; give more"):
        factorise({"one": (weight, bias)}, {"one": few}, 0.1)
