"""Depth as a coordinate of the bilateral kernel, known everywhere or not, against every pair of pixels."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deeplab.crf import (
    CRFParams,
    DenseCRF,
    Depth,
    GaussianKernel,
    GridKernel,
    Shortcuts,
    bilateral_kernel,
    dense_crf_loss,
    photo_kernels,
    refine,
)
from deeplab.crf.kernels import NORMALIZATIONS
from deeplab.errors import InputError

FLAT = CRFParams(bilateral_weight=6, bilateral_xy_std_px=30, bilateral_rgb_std=10)


def kernel_by_hand(features, unknown):
    """(N, N): the last feature counts between two points that both know it."""
    squares = (features[:, None] - features) ** 2
    squares[..., -1] *= ~unknown[:, None] & ~unknown
    return np.exp(-squares.sum(-1) / 2)


def infer_by_hand(unary, k, weight, normalization, iterations):
    sums = k.sum(1)
    k = {
        "after": k / sums[:, None], "before": k / sums, "symmetric": k / np.sqrt(np.outer(sums, sums)), "none": k
    }[normalization]  # fmt: skip
    belief = np.exp(-unary) / np.exp(-unary).sum(0)
    for _ in range(iterations):
        belief = np.exp(-unary + weight * belief @ k.T)
        belief /= belief.sum(0)
    return belief


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_unknown_features_by_brute_force(normalization):
    random = np.random.default_rng(0)
    features, unknown = random.normal(0, 1, (30, 3)).astype(np.float32), random.uniform(size=30) < 0.3
    features[unknown, -1] = 77  # what stands there does not matter
    unary = random.uniform(0, 2, (3, 30))
    kernel = GaussianKernel(features, 0.7, normalization=normalization, unknown=unknown)
    expected = infer_by_hand(unary, kernel_by_hand(features.astype(float), unknown), 0.7, normalization, 4)
    np.testing.assert_allclose(DenseCRF(unary, [kernel], method="exact").infer(4), expected, atol=1e-5)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("compatibility", [None, 1 - np.eye(3, dtype=np.float32)], ids=["potts", "matrix"])
def test_the_fused_loop_is_the_filter(normalization, compatibility):
    """The native terms of a kernel with unknown features, against the same lattices' filter step by step."""
    random = np.random.default_rng(0)
    features, unknown = random.normal(0, 1, (200, 4)).astype(np.float32), random.uniform(size=200) < 0.3
    unary = random.uniform(0, 2, (3, 200)).astype(np.float32)
    kernel = GaussianKernel(features, 0.02, compatibility, normalization, unknown=unknown)
    crf = DenseCRF(unary, [kernel])
    belief = crf.infer(0)
    for _ in range(3):
        scores = -unary - crf._terms[0].message(belief)
        belief = np.exp(scores) / np.exp(scores).sum(0)
    np.testing.assert_allclose(crf.infer(3), belief, atol=2e-5)
    assert np.array_equal(pickle.loads(pickle.dumps(crf)).infer(3), crf.infer(3))


def test_lattices_are_near_the_exact_sum(make_scene):
    image, probabilities = make_scene(24, 30, 3)
    random = np.random.default_rng(1)
    values = np.where(random.uniform(size=(24, 30)) < 0.2, 0, 5 + np.linspace(0, 30, 30))
    kernel = bilateral_kernel(image, xy_std_px=20, rgb_std=20, weight=3, depth=Depth(values, 3, 0))
    lattice, exact = (
        DenseCRF.from_probabilities(probabilities, [kernel], method=method).infer(5) for method in ("lattice", "exact")
    )
    assert np.abs(lattice - exact).mean() < 0.01
    assert (lattice.argmax(0) == exact.argmax(0)).mean() > 0.98


def test_the_loss_knows_of_unknown_depth():
    random = np.random.default_rng(0)
    features, unknown = random.normal(0, 1, (20, 3)).astype(np.float32), random.uniform(size=20) < 0.3
    s = random.dirichlet(np.ones(3), 20).T
    value, gradient = dense_crf_loss(s, [GaussianKernel(features, unknown=unknown)], method="exact")
    k = kernel_by_hand(features.astype(float), unknown)
    k /= k.sum(1, keepdims=True)
    assert value == pytest.approx(sum(p @ k @ (1 - p) for p in s) / 20, rel=1e-5)
    np.testing.assert_allclose(gradient, (k.sum(1) - s @ (k + k.T)) / 20, atol=1e-5)


def two_walls(height=24, width=32):
    """One grey photo, two walls at 2 m and at 4 m, and probabilities that are sure only far from where they meet."""
    image = np.full((height, width, 3), 120, np.uint8)
    metres = np.full((height, width), 2.0)
    metres[:, width // 2 :] = 4
    near = np.full((height, width), 0.5)
    near[:, : width // 8], near[:, 3 * width // 8 :] = 0.9, 0.35  # the scores' edge is 4 pixels off
    near[:, -width // 8 :] = 0.1
    return image, metres, np.stack([near, 1 - near])


def test_depth_shows_an_edge_that_colour_does_not():
    image, metres, probabilities = two_walls()
    alone = refine(image, probabilities, FLAT).argmax(0)
    deep = refine(image, probabilities, FLAT, depth=Depth(metres, std=0.2)).argmax(0)
    assert (deep == (metres > 3)).all()
    assert (alone == (metres > 3)).mean() < 0.9


def test_depth_that_is_the_same_everywhere_changes_next_to_nothing(make_scene):
    """Its column is one place along one more axis of the lattice, which then is another lattice."""
    image, probabilities = make_scene(30, 40, 3)
    alone = refine(image, probabilities)
    assert np.abs(refine(image, probabilities, depth=Depth(np.full((30, 40), 7), 2)) - alone).mean() < 0.01


@pytest.mark.parametrize("hole", ["zero", "nan", "masked"])
def test_pixels_without_depth_use_the_kernel_without_it(hole):
    image, metres, probabilities = two_walls()
    holes = np.zeros(metres.shape, bool)
    holes[4:8, 6:26] = True
    given = {
        "zero": Depth(np.where(holes, 0, metres), 0.2, unknown=0),
        "nan": Depth(np.where(holes, np.nan, metres), 0.2),
        "masked": Depth(np.ma.array(metres, mask=holes), 0.2),
    }[hole]
    assert (given.known == ~holes).all()
    refined = refine(image, probabilities, FLAT, depth=given)
    features = bilateral_kernel(image, xy_std_px=30, rgb_std=10, weight=6).features
    features = np.column_stack([features, np.where(holes, 0, metres).ravel() / 0.2])
    kernel = GaussianKernel(features, 6, unknown=holes.ravel(), grid=metres.shape)
    kernels = [kernel, GridKernel(*metres.shape, FLAT.spatial_xy_std_px, FLAT.spatial_weight)]
    expected = DenseCRF.from_probabilities(probabilities, kernels, prune_below=0.1).infer(10)
    again = refine(image, probabilities, FLAT, depth=given, shortcuts=Shortcuts(narrow_bilateral=False))
    np.testing.assert_allclose(again, expected, atol=1e-5)
    assert (refined.argmax(0) == (metres > 3))[~holes].all()


def test_tiles_have_their_part_of_the_depth(make_scene):
    image, probabilities = make_scene(90, 96, 3)
    values = np.linspace(1, 9, 96) * np.ones((90, 1))
    values[:, :30] = np.nan  # unknown throughout some tiles
    params, depth = CRFParams(bilateral_xy_std_px=4), Depth(values, 2)
    whole, tiled = (
        refine(image, probabilities, params, depth=depth, shortcuts=Shortcuts(tile_side_px=side)) for side in (0, 40)
    )
    assert np.abs(whole - tiled).mean() < 0.01
    assert (whole.argmax(0) == tiled.argmax(0)).mean() > 0.99


def test_a_mask_and_photo_kernels_take_depth(make_scene):
    image, probabilities = make_scene(20, 24, 3)
    values = np.random.default_rng(0).uniform(1, 9, (20, 24))
    values[:3] = 0
    mask = np.ones((20, 24), bool)
    mask[:, :5] = False
    depth = Depth(values, 2, unknown=0)
    assert refine(image, probabilities, depth=depth, mask=mask).shape == (3, 20, 24)
    kernels = photo_kernels(image, depth=depth)
    crf = DenseCRF.from_probabilities(probabilities, kernels, prune_below=0.1)
    np.testing.assert_allclose(crf.infer(10), refine(image, probabilities, depth=depth), atol=1e-6)
    lighter = DenseCRF.from_probabilities(probabilities, [kernels[0].changed(weight=1)])
    assert kernels[0].changed(weight=1).lattice_without_last is kernels[0].lattice_without_last
    assert not np.allclose(lighter.infer(10), crf.infer(10))


@settings(max_examples=30)
@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16, np.int32, np.float16, np.float32, np.float64]), (5, 6),
        elements={"min_value": 0, "max_value": 200},
    )
)  # fmt: skip
def test_any_depth_gives_probabilities_or_one_line(values):
    image, even = np.zeros((5, 6), np.uint8), np.full((2, 5, 6), 0.5)
    if not (values != 0).any():
        with pytest.raises(InputError, match="unknown at all 30 pixels"):
            Depth(values, 3, unknown=0)
        return
    refined = refine(image, even, CRFParams(bilateral_rgb_std=2), depth=Depth(values, 3, unknown=0), iterations=2)
    np.testing.assert_allclose(refined.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.zeros((4, 6)), {"unknown": 0}, r"depth is unknown at all 24 pixels \(NaN, infinite, masked, 0\)"),
        (np.full((4, 6), np.nan), {}, "depth is unknown at all 24 pixels"),
        (np.ones((4, 6, 3)), {}, r"depth has shape \(4, 6, 3\); expected \(height, width\)"),
        (np.ones((0, 6)), {}, r"depth has shape \(0, 6\)"),
        (np.full((4, 6), "far"), {}, "depth has dtype <U3"),
        (np.ones((4, 6)), {"std": 0}, "the depth's std is 0; expected a number above 0"),
    ],
)
def test_bad_depth(values, options, message):
    with pytest.raises(InputError, match=message):
        Depth(values, **{"std": 1, **options})


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (Depth(np.ones((6, 4)), 1), "depth is 4x6 pixels, the photo 6x4: height comes before width"),
        (Depth(np.ones((8, 12)), 1), "depth is 12x8 pixels, the photo 6x4: resize it"),
        (np.ones((4, 6)), r"depth is ndarray; expected Depth\(values, std=…\)"),
        (Depth(np.arange(24.0).reshape(4, 6) * 1e7, 1e-3), "feature 5 .* spans"),
    ],
)
def test_depth_that_does_not_fit(depth, message):
    with pytest.raises(InputError, match=message):
        refine(np.zeros((4, 6, 3), np.uint8), np.full((2, 4, 6), 0.5), depth=depth)


@pytest.mark.parametrize("unknown", [np.ones(3, bool), np.ones(4), np.ones((4, 1), bool)])
def test_bad_unknown(unknown):
    with pytest.raises(InputError, match="unknown has shape"):
        GaussianKernel(np.zeros((4, 2)), unknown=unknown)


def test_a_feature_that_nobody_knows_is_none():
    kernel = GaussianKernel(np.zeros((4, 3)), unknown=np.ones(4, bool))
    assert kernel.features.shape == (4, 2)
    assert GaussianKernel(np.zeros((4, 3)), unknown=np.zeros(4, bool)).unknown is None
    assert kernel.at(np.array([True, False, True, True])).points == 3
