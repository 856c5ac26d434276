"""Mean field: the native loop against plain NumPy, and what must hold for any kernels."""

import pickle
from itertools import islice

import numpy as np
import pytest

from deeplab.crf import DenseCRF, GaussianKernel, GridKernel, bilateral_kernel, spatial_kernel
from deeplab.crf.kernels import NORMALIZATIONS
from deeplab.crf.lattice import build_lattice, filter_by_lattice
from deeplab.errors import InputError


def kernels(image, normalization="after", weights=(5, 3)):
    height, width, _ = image.shape
    return [
        bilateral_kernel(image, xy_std_px=20, rgb_std=10, weight=weights[0], normalization=normalization),
        spatial_kernel(height, width, xy_std_px=3, weight=weights[1], normalization=normalization),
    ]


def potts_matrix(labels):
    return np.float32(1) - np.eye(labels, dtype=np.float32)


def updates_in_numpy(unary, kernels, iterations, fixed=None):
    """Algorithm 1 in plain NumPy, on the same lattices: belief ← softmax(-unary - Σ weight · μ · filtered).

    After every update the points `fixed` get back the beliefs that they started from.
    """
    labels, flat = len(unary), unary.reshape(len(unary), -1).astype(np.float32)
    belief = np.exp(-flat) / np.exp(-flat).sum(0)
    held = belief[:, :0] if fixed is None else belief[:, fixed.ravel()]
    for _ in range(iterations):
        energy = flat.copy()
        for kernel in kernels:
            lattice = build_lattice(kernel.features, 1)
            k = filter_by_lattice(lattice, np.ones((1, flat.shape[1]), np.float32), 1)
            root, inverse = k**-0.5, 1 / k
            normalizations = {"symmetric": (root, root), "before": (inverse, 1), "after": (1, inverse), "none": (1, 1)}
            before, after = normalizations[kernel.normalization]
            costs = kernel.compatibility
            costs = potts_matrix(labels) if costs is None else np.diag(costs) if costs.ndim == 1 else costs
            energy += kernel.weight * costs @ (after * filter_by_lattice(lattice, np.float32(before * belief), 1))
        belief = np.exp(energy.min(0) - energy)
        belief /= belief.sum(0)
        if fixed is not None:
            belief[:, fixed.ravel()] = held
    return belief.reshape(unary.shape)


@pytest.mark.parametrize("fixed_share", [0.0, 0.3])
@pytest.mark.parametrize("labels", [2, 3, 5, 21, 34, 70])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("model", ["potts", "vector", "matrix", "learnt", "mixed"])
def test_native_loop_equals_numpy(make_scene, labels, normalization, model, fixed_share):
    image, probabilities = make_scene(24, 31, labels)
    unary = -np.log(np.maximum(probabilities, 1e-6))
    fixed = np.random.default_rng(1).random((24, 31)) < fixed_share
    random = np.random.default_rng(labels)
    matrix = random.uniform(0, 1, (labels, labels)).astype(np.float32)
    first, second = {
        "potts": (None, None),
        "vector": (-random.uniform(0, 1, labels), -np.ones(labels)),
        "matrix": (matrix + matrix.T, matrix @ matrix.T / labels),
        "learnt": (matrix, matrix - matrix.T),
        "mixed": (None, matrix + matrix.T),
    }[model]
    weights = (0.05, 0.1) if normalization == "none" else (5, 3)
    bilateral, spatial = kernels(image, normalization, weights)
    terms = [bilateral.changed(compatibility=first), spatial.changed(compatibility=second)]
    ours = DenseCRF(unary, terms, fixed=fixed).infer(3)
    np.testing.assert_allclose(ours, updates_in_numpy(unary, terms, 3, fixed), atol=5e-5)


@pytest.mark.parametrize("normalization", ["symmetric", "before", "after"])
def test_lattice_inference_is_close_to_exact_inference(make_scene, normalization):
    image, probabilities = make_scene(30, 40, 4)
    unary = -np.log(np.maximum(probabilities, 1e-6))
    approximate = DenseCRF(unary, kernels(image, normalization)).infer(10)
    exact = DenseCRF(unary, kernels(image, normalization), method="exact").infer(10)
    assert (approximate.argmax(0) != exact.argmax(0)).mean() < 0.01
    assert np.abs(approximate - exact).mean() < 0.005


def test_exact_mean_field_by_hand():
    """Two points, two labels, one kernel: the update of Krähenbühl & Koltun, algorithm 1, written out."""
    unary = np.array([[0.1, 1.2], [0.9, 0.3]], np.float32)
    features = np.array([[0.0], [1.0]], np.float32)
    kernel = np.exp(-np.array([[0, 1], [1, 0]]) / 2)
    belief = np.exp(-unary) / np.exp(-unary).sum(0)
    for _ in range(3):
        logits = -unary + 2 * belief @ (kernel / kernel.sum(1))
        belief = np.exp(logits) / np.exp(logits).sum(0)
    crf = DenseCRF(unary, [GaussianKernel(features, weight=2)], method="exact")
    np.testing.assert_allclose(crf.infer(3), belief, rtol=1e-5)


def test_iterating_gives_every_step_of_inference(make_scene):
    image, probabilities = make_scene(12, 17, 3)
    for crf in (
        DenseCRF(-np.log(probabilities), kernels(image)),
        DenseCRF(-np.log(probabilities), kernels(image), method="exact"),
    ):
        for step, belief in enumerate(islice(crf.iterate(), 4)):
            np.testing.assert_allclose(belief, crf.infer(step), rtol=1e-6)


@pytest.mark.parametrize("hard", [True, False])
def test_fixed_points_are_a_condition(make_scene, hard):
    """Given their labels, the others' energy is their own and what the fixed points say: a CRF over those alone.

    The two start apart, and with kernels this weak end where there is but one end.
    """
    image, probabilities = make_scene(11, 13, 4)
    fixed = np.random.default_rng(3).random((11, 13)) < 0.4
    if hard:
        probabilities[:, fixed] = np.eye(4, dtype=np.float32)[probabilities[:, fixed].argmax(0)].T
    flat, free = probabilities.reshape(4, -1), ~fixed.ravel()
    features = np.concatenate([np.indices((11, 13)).reshape(2, -1).T / 4, image.reshape(-1, 3) / 60], 1)
    every_pair = 0.03 * np.exp(-((features[:, None] - features[None]) ** 2).sum(2) / 2)
    said = (1 - flat[:, ~free]) @ every_pair[~free][:, free]  # Potts: a label costs what others believe in others
    unary = -np.log(np.maximum(flat[:, free], np.finfo(np.float32).tiny)) + said
    alone = DenseCRF(unary, [GaussianKernel(features[free], 0.03, normalization="none")], method="exact").infer(50)
    kernel = GaussianKernel(features, 0.03, normalization="none")
    given = DenseCRF.from_probabilities(probabilities, [kernel], fixed=fixed, method="exact").infer(50)
    np.testing.assert_allclose(given[:, fixed], probabilities[:, fixed], atol=1e-6)
    np.testing.assert_allclose(given.reshape(4, -1)[:, free], alone, atol=1e-5)


def test_pruned_labels_leave_fixed_points_alone(make_scene):
    """Labels below the bar everywhere are pooled, and come apart again as the fixed points had them."""
    image, probabilities = make_scene(24, 31, 40)
    fixed = np.random.default_rng(1).random((24, 31)) < 0.3
    crf = DenseCRF.from_probabilities(probabilities, kernels(image), fixed=fixed, prune_below=0.3)
    np.testing.assert_allclose(crf.infer(5)[:, fixed], probabilities[:, fixed], atol=1e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(crf)).infer(2), crf.infer(2))
    np.testing.assert_array_equal(next(islice(crf.iterate(), 2, None)), crf.infer(2))


@pytest.mark.parametrize("fixed", [np.ones((9, 7), bool), np.ones((9, 8)), [[True] * 8] * 8, "no"])
def test_bad_fixed(make_scene, fixed):
    _, probabilities = make_scene(9, 8, 3)
    with pytest.raises(InputError, match=r"fixed has shape .*expected \(9, 8\) bool, True for the points that keep"):
        DenseCRF.from_probabilities(probabilities, [], fixed=fixed)


def test_without_kernels_nothing_moves(make_scene):
    _, probabilities = make_scene(9, 8, 5)
    np.testing.assert_allclose(DenseCRF(-np.log(probabilities), []).infer(3), probabilities, atol=1e-6)


def test_equal_kernels_add_up(make_scene):
    image, probabilities = make_scene(20, 20, 3)
    unary = -np.log(probabilities)
    kernel = kernels(image)[0]
    double = GaussianKernel(kernel.features, 2 * kernel.weight)
    np.testing.assert_allclose(DenseCRF(unary, [kernel] * 2).infer(4), DenseCRF(unary, [double]).infer(4), atol=1e-5)


def test_labels_may_be_permuted(make_scene):
    image, probabilities = make_scene(30, 21, 6)
    order = [3, 5, 0, 1, 4, 2]
    one = DenseCRF(-np.log(probabilities), kernels(image)).infer(5)
    other = DenseCRF(-np.log(probabilities[order]), kernels(image)).infer(5)
    np.testing.assert_allclose(one[order], other, atol=1e-5)


def test_constant_belief_stays(make_scene):
    """Where all labels are as likely everywhere, no message can tell them apart."""
    image, _ = make_scene(15, 18, 3)
    belief = DenseCRF(np.zeros((4, 15, 18)), kernels(image)).infer(5)
    np.testing.assert_allclose(belief, 0.25, atol=1e-5)


def test_any_number_of_dimensions(make_scene):
    random = np.random.default_rng(0)
    unary = random.uniform(0, 3, (3, 4, 5, 6))
    positions = np.stack(np.meshgrid(*map(np.arange, (4, 5, 6)), indexing="ij"), -1).reshape(-1, 3) / 2
    belief = DenseCRF(unary, [GaussianKernel(positions, 2.0)]).infer(3)
    assert belief.shape == unary.shape
    np.testing.assert_allclose(belief.sum(0), 1, atol=1e-5)


def test_compatibility_makes_some_pairs_dearer():
    """Label 2 may not stand beside label 0: its neighbours turn to label 1."""
    unary = np.array([[0.0, 1.0], [2.0, 1.0], [2.0, 0.9]])
    features = np.zeros((2, 1))
    cost = np.array([[0, 1, 9], [1, 0, 1], [9, 1, 0]], np.float32)
    assert DenseCRF(unary, [GaussianKernel(features, 0.5, cost)]).infer(5)[:, 1].argmax() != 2


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e9])
def test_extreme_energies_stay_probabilities(size):
    unary = np.random.default_rng(0).uniform(-size, size, (33, 50))
    kernel = GaussianKernel(np.random.default_rng(1).normal(size=(50, 2)), weight=size)
    belief = DenseCRF(unary, [kernel]).infer(5)
    assert np.isfinite(belief).all()
    np.testing.assert_allclose(belief.sum(0), 1, atol=1e-5)


FEATURES = np.zeros((6, 2), np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(6), []), r"unary has shape \(6,\)"),
        ((np.zeros((0, 6)), []), "at least one"),
        ((np.full((2, 6), np.nan), []), "12 NaN or infinite"),
        ((np.full((2, 6), 1e20), []), "clip"),
        ((np.full((2, 6), "a"), []), "float type"),
        ((np.zeros((2, 7)), [GaussianKernel(FEATURES)]), "6 points; expected 7"),
        ((np.zeros((2, 6)), [GaussianKernel(FEATURES, 1.0, np.eye(3))]), r"expected \(2,\) or \(2, 2\)"),
    ],
)
def test_bad_unary(arguments, message):
    with pytest.raises(InputError, match=message):
        DenseCRF(*arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.zeros(6)}, r"features have shape \(6,\)"),
        ({"features": np.zeros((0, 2))}, "at least one"),
        ({"features": np.full((6, 2), np.inf)}, "12 NaN or infinite"),
        ({"features": np.zeros((6, 2), complex)}, "float type"),
        ({"weight": -1.0}, "weight is -1.0"),
        ({"weight": np.nan}, "weight is nan"),
        ({"weight": "3"}, "weight is '3'"),
        ({"compatibility": np.zeros((2, 3))}, r"\(labels,\) or \(labels, labels\)"),
        ({"compatibility": np.full((2, 2), np.nan)}, "NaN"),
        ({"normalization": "symetric"}, "did you mean 'symmetric'"),
        ({"normalization": None}, "expected one of 'symmetric', 'before', 'after', 'none'"),
    ],
)
def test_bad_kernel(changes, message):
    with pytest.raises(InputError, match=message):
        GaussianKernel(**({"features": FEATURES} | changes))


def test_bad_method_and_iterations():
    with pytest.raises(InputError, match="did you mean 'exact'"):
        DenseCRF(np.zeros((2, 6)), [], method="exakt")
    for iterations in (-1, 2**31):
        with pytest.raises(InputError, match=f"iterations is {iterations}"):
            DenseCRF(np.zeros((2, 6)), []).infer(iterations)


@pytest.mark.parametrize("std", [0, -3, np.nan, np.inf, "3", None])
def test_bad_deviations(std):
    image = np.zeros((4, 6, 3), np.uint8)
    with pytest.raises(InputError, match=r"xy_std_px is .*expected a number above 0"):
        bilateral_kernel(image, xy_std_px=std, rgb_std=3, weight=1)
    with pytest.raises(InputError, match=r"rgb_std is .*expected a number above 0"):
        bilateral_kernel(image, xy_std_px=3, rgb_std=std, weight=1)
    with pytest.raises(InputError, match=r"xy_std_px is .*expected a number above 0"):
        spatial_kernel(4, 6, xy_std_px=std, weight=1)


def test_pickles_infer_the_same(make_scene):
    image, probabilities = make_scene(14, 17, 3)
    terms = [*kernels(image), GridKernel(14, 17, 2.0, 1.0)]
    for crf in (DenseCRF(-np.log(probabilities), terms), DenseCRF.from_probabilities(probabilities, terms)):
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(crf)).infer(3), crf.infer(3))
    kernel = pickle.loads(pickle.dumps(terms[0]))
    np.testing.assert_array_equal(kernel.features, terms[0].features)


def test_subclasses_work(make_scene):
    class Mine(DenseCRF):
        pass

    _, probabilities = make_scene(9, 8, 3)
    np.testing.assert_allclose(Mine.from_probabilities(probabilities, []).infer(2), probabilities, atol=1e-6)
    assert isinstance(Mine.from_probabilities(probabilities, []), Mine)


def test_probabilities_are_their_energies(make_scene):
    image, probabilities = make_scene(20, 24, 5)
    ours = DenseCRF.from_probabilities(probabilities, kernels(image)).infer(4)
    np.testing.assert_allclose(ours, DenseCRF(-np.log(probabilities), kernels(image)).infer(4), atol=1e-5)


def test_a_changed_kernel_keeps_its_lattice(make_scene, monkeypatch):
    """Other weights, normalisations and unaries over the same image: one lattice serves them all."""
    image, probabilities = make_scene(20, 24, 3)
    kernel = bilateral_kernel(image, xy_std_px=20, rgb_std=10, weight=5)
    first = DenseCRF.from_probabilities(probabilities, [kernel]).infer(3)
    again = kernel.changed(weight=2, normalization="symmetric")
    fresh = bilateral_kernel(image, xy_std_px=20, rgb_std=10, weight=2, normalization="symmetric")
    expected = DenseCRF.from_probabilities(probabilities, [fresh]).infer(3)

    def never(*_):
        raise AssertionError("a lattice was built")

    monkeypatch.setattr("deeplab.crf.lattice.build_lattice", never)
    np.testing.assert_array_equal(DenseCRF.from_probabilities(probabilities, [again]).infer(3), expected)
    np.testing.assert_array_equal(
        DenseCRF.from_probabilities(probabilities, [again.changed(weight=5, normalization="after")]).infer(3), first
    )
    with pytest.raises(InputError, match="cannot change features"):
        kernel.changed(features=kernel.features)


@pytest.mark.parametrize("axes", [(12,), (7, 8), (4, 5, 6), (3, 4, 3, 3)])
def test_volumes_and_video_and_depth(axes):
    """Places on any grid and a channel of their own, against every pair of points."""
    random = np.random.default_rng(0)
    unary = random.uniform(0, 3, (3, *axes))
    places = np.stack(np.meshgrid(*map(np.arange, axes), indexing="ij"), -1).reshape(-1, len(axes))
    depth = random.uniform(0, 2, (len(places), 1))
    terms = [GaussianKernel(places / 2, 1.0), GaussianKernel(np.hstack([places / 3, depth]), 1.0)]
    belief = DenseCRF(unary, terms).infer(5)
    assert belief.shape == unary.shape
    np.testing.assert_allclose(belief, DenseCRF(unary, terms, method="exact").infer(5), atol=0.15)


@pytest.mark.parametrize("prune_below", [-0.1, 2, np.nan, "0"])
def test_bad_pruning(prune_below):
    with pytest.raises(InputError, match=r"prune_below is .*expected a number at least 0 and at most 1"):
        DenseCRF(np.zeros((2, 6)), [], prune_below=prune_below)
