"""Energy and KL divergence against their definitions, over every labelling of a few points."""

from itertools import product

import numpy as np
import pytest

from deeplab.crf import DenseCRF, GaussianKernel
from deeplab.errors import InputError

COSTS = np.array([[0, 1, 3], [1, 0.5, 2], [3, 2, 0]], np.float32)


def tiny(compatibility, normalization="symmetric"):
    """Five points, three labels, exact sums: small enough to visit all 243 labellings."""
    random = np.random.default_rng(0)
    features = random.normal(size=(5, 2)).astype(np.float32)
    unary = random.uniform(0, 2, (3, 5)).astype(np.float32)
    kernels = [GaussianKernel(features, 0.7, compatibility, normalization), GaussianKernel(features / 2, 0.4)]
    return unary, kernels, DenseCRF(unary, kernels, method="exact")


def energy_by_hand(unary, kernels, labels):
    energy = sum(unary[label, i] for i, label in enumerate(labels))
    for kernel in kernels:
        k = np.exp(-((kernel.features[:, None] - kernel.features[None]) ** 2).sum(-1) / 2)
        sums = k.sum(1)
        k = k / np.sqrt(np.outer(sums, sums)) if kernel.normalization == "symmetric" else k / sums[:, None]
        costs = 1 - np.eye(3) if kernel.compatibility is None else kernel.compatibility
        costs = np.diag(costs) if costs.ndim == 1 else costs
        pairs = product(range(len(labels)), repeat=2)
        energy += sum(kernel.weight * costs[labels[i], labels[j]] * k[i, j] for i, j in pairs) / 2
    return energy


@pytest.mark.parametrize("compatibility", [None, COSTS, -np.arange(1.0, 4.0)], ids=["potts", "matrix", "vector"])
def test_energy_and_divergence_by_enumeration(compatibility):
    unary, kernels, crf = tiny(compatibility)
    labellings = list(product(range(3), repeat=5))
    energies = np.array([energy_by_hand(unary, kernels, labels) for labels in labellings])
    # Terms of a few units in float32 cancel where costs are negative: what is left is off by a step of theirs, 5e-7.
    np.testing.assert_allclose([crf.energy(labels) for labels in labellings], energies, rtol=1e-5, atol=1e-6)
    partition = np.exp(-energies).sum()
    belief = crf.infer(10)
    chance = np.array([np.prod(belief[list(labels), range(5)]) for labels in labellings], np.float64)
    divergence = (chance * (np.log(chance) + energies)).sum() + np.log(partition)
    # Where i = j, the product of beliefs stands for the belief itself: the mean field's own approximation.
    own = 0.0
    for kernel in kernels:
        k = np.exp(-((kernel.features[:, None] - kernel.features[None]) ** 2).sum(-1) / 2)
        costs = 1 - np.eye(3) if kernel.compatibility is None else kernel.compatibility
        costs = np.diag(costs) if costs.ndim == 1 else costs
        squared = np.einsum("li,ki,lk->i", belief, belief, costs) - np.einsum("li,l->i", belief, np.diag(costs))
        own += (kernel.weight / k.sum(1) * squared).sum() / 2
    assert crf.kl_divergence(belief) + np.log(partition) == pytest.approx(divergence + own, abs=1e-4)


def test_divergence_falls_with_every_update(make_scene):
    image, probabilities = make_scene(20, 24, 3)
    from deeplab.crf import bilateral_kernel

    kernel = bilateral_kernel(image, xy_std_px=10, rgb_std=20, weight=0.5, normalization="symmetric")
    crf = DenseCRF.from_probabilities(probabilities, [kernel])
    beliefs = crf.iterate()
    divergences = [crf.kl_divergence(next(beliefs)) for _ in range(5)]
    assert (np.diff(divergences) < 1e-3).all()
    assert divergences[4] < divergences[0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(4, int), r"shape \(4,\); expected \(5,\)"),
        (np.zeros(5), "dtype float64; expected an integer"),
        (np.full(5, 3), "labels are 3-3; expected 0-2"),
        (np.full(5, -1), "labels are -1--1"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(InputError, match=message):
        tiny(None)[2].energy(labels)


@pytest.mark.parametrize(
    ("belief", "message"),
    [(np.ones((2, 5)) / 2, r"shape \(2, 5\)"), (np.ones((3, 5)), "sum to 3"), (np.full((3, 5), np.nan), "NaN")],
)
def test_bad_beliefs(belief, message):
    with pytest.raises(InputError, match=message):
        tiny(None)[2].kl_divergence(belief)
