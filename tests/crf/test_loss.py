"""The dense-CRF loss against its definition over every pair of points, and its gradient against differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deeplab.crf import DenseCRF, GaussianKernel, GridKernel, bilateral_kernel, dense_crf_loss
from deeplab.crf.kernels import NORMALIZATIONS
from deeplab.errors import InputError

COSTS = np.array([[0, 1, 3], [1, 0.5, 2], [3, 2, 0]], np.float32)


def soft_labels(labels, points, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(labels), points).T


def loss_by_hand(probabilities, kernels, weights):
    """Σ over all pairs of points and of labels; what a label pays is not tied to the labels' adding up to one."""
    total = 0.0
    for kernel in kernels:
        features = kernel.features.astype(np.float64)
        k = np.exp(-((features[:, None] - features) ** 2).sum(-1) / 2)
        sums = k.sum(1)
        k = {
            "after": k / sums[:, None], "before": k / sums, "symmetric": k / np.sqrt(np.outer(sums, sums)), "none": k
        }[kernel.normalization]  # fmt: skip
        pairs = weights[:, None] * k * weights
        for own, s in enumerate(probabilities):
            if kernel.compatibility is None:
                total += kernel.weight * s @ pairs @ (1 - s)
                continue
            costs = kernel.compatibility if kernel.compatibility.ndim == 2 else np.diag(kernel.compatibility)
            total += kernel.weight * sum(costs[own, l] * s @ pairs @ t for l, t in enumerate(probabilities))  # noqa: E741
    return total / weights.sum()


def gradient_by_differences(run, at, step=1e-4):
    gradient = np.empty_like(at)
    for place in np.ndindex(at.shape):
        more, less = at.copy(), at.copy()
        more[place] += step
        less[place] -= step
        gradient[place] = (run(more) - run(less)) / (2 * step)
    return gradient


@pytest.mark.parametrize("compatibility", [None, COSTS, -np.arange(1.0, 4.0)], ids=["potts", "matrix", "vector"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_value_and_gradient_by_brute_force(compatibility, normalization):
    random = np.random.default_rng(1)
    s, r = soft_labels(3, 12), random.uniform(0, 2, 12)
    r[3] = 0
    kernels = [
        GaussianKernel(random.normal(0, 1, (12, 3)), 0.7, compatibility, normalization),
        GridKernel(3, 4, 1.5, 0.4, normalization="symmetric"),
    ]
    value, gradient = dense_crf_loss(s, kernels, weights=r, method="exact")
    assert value == pytest.approx(loss_by_hand(s, kernels, r), rel=1e-5)
    by_hand = gradient_by_differences(lambda moved: loss_by_hand(moved, kernels, r), s)
    np.testing.assert_allclose(gradient, by_hand, atol=2e-6)
    assert not gradient[:, 3].any()


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_gradient_is_that_of_the_lattice(make_scene, normalization):
    """The loss is quadratic: the change along any direction follows from the gradients at both of its ends, exactly."""
    image, s = make_scene(24, 30, 4)
    kernel = bilateral_kernel(image, xy_std_px=20, rgb_std=15, weight=1, normalization=normalization)
    r = np.random.default_rng(0).uniform(0, 1, (24, 30))
    other = make_scene(24, 30, 4, seed=5)[1]
    (start, uphill), (end, onwards) = (dense_crf_loss(each, [kernel], weights=r) for each in (s, other))
    along = ((other - s).astype(np.float64) * (uphill + onwards)).sum() / 2
    assert end - start == pytest.approx(along, rel=2e-3, abs=1e-5 * abs(start))


def test_the_lattice_is_near_the_exact_loss(make_scene):
    image, s = make_scene(24, 30, 4)
    kernel = bilateral_kernel(image, xy_std_px=20, rgb_std=15, weight=1)
    lattice, exact = (dense_crf_loss(s, [kernel], method=method)[0] for method in ("lattice", "exact"))
    assert lattice == pytest.approx(exact, rel=0.05)


def test_it_is_twice_the_pairwise_energy_for_each_point(make_scene):
    """The energy has each pair once."""
    image, s = make_scene(20, 24, 3)
    hard = s.argmax(0)
    kernel = bilateral_kernel(image, xy_std_px=10, rgb_std=20, weight=0.5, normalization="symmetric")
    energy = DenseCRF(np.zeros_like(s), [kernel]).energy(hard)
    one_hot = (hard == np.arange(3)[:, None, None]).astype(np.float32)
    assert dense_crf_loss(one_hot, [kernel])[0] == pytest.approx(2 * energy / hard.size, rel=1e-5)


def test_descent_makes_labels_follow_the_photo():
    """Undecided pixels beside decided ones take the label of those of their colour."""
    photo = np.zeros((6, 8, 3), np.uint8)
    photo[:, 4:] = 200
    logits = np.zeros((2, 6, 8))
    logits[1, :, 0], logits[1, :, 7] = -3, 3
    kernel = bilateral_kernel(photo, xy_std_px=20, rgb_std=10, weight=1)
    for _ in range(40):
        s = np.exp(logits) / np.exp(logits).sum(0)
        gradient = dense_crf_loss(s, [kernel])[1]
        logits -= 60 * s * (gradient - (s * gradient).sum(0))
    assert (logits.argmax(0) == (photo[..., 0] > 100)).all()


@settings(max_examples=40)
@given(
    st.integers(2, 4), st.integers(1, 5), st.integers(1, 5), st.sampled_from(NORMALIZATIONS[:3]),
    st.data(),
)  # fmt: skip
def test_any_soft_labels_pay_between_nothing_and_all(labels, height, width, normalization, data):
    """Potts, normalised: 0 where all agree, and never more than the weight."""
    image = data.draw(arrays.arrays(np.uint8, (height, width, 3)))
    weights = data.draw(arrays.arrays(np.float16, (height, width), elements=st.floats(0, 1, width=16)))
    kernel = bilateral_kernel(image, xy_std_px=3, rgb_std=30, weight=1, normalization=normalization)
    s = soft_labels(labels, height * width).reshape(labels, height, width)
    loss, gradient = dense_crf_loss(s, [kernel], weights=weights)
    assert -1e-5 <= loss <= (1 + 1e-4 if normalization != "before" else np.inf)
    assert gradient.shape == s.shape
    assert np.isfinite(gradient).all()
    agreed = np.zeros_like(s)
    agreed[0] = 1
    assert dense_crf_loss(agreed, [kernel], weights=weights)[0] == pytest.approx(0, abs=1e-5)


def test_no_weight_at_all_costs_nothing():
    kernel = GridKernel(3, 4, 1)
    loss, gradient = dense_crf_loss(np.full((2, 3, 4), 0.5), [kernel], weights=np.zeros((3, 4), bool))
    assert loss == 0
    assert not gradient.any()


HALF = np.full((2, 3, 4), 0.5)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((HALF[:1] * 2, [GridKernel(3, 4, 1)]), {}, "one label alone"),
        ((HALF * 3, [GridKernel(3, 4, 1)]), {}, "sum to 3-3; expected 1"),
        ((HALF, [GridKernel(4, 3, 1)]), {}, "height comes before width"),
        ((HALF, GridKernel(3, 4, 1)), {}, "expected a sequence of kernels"),
        ((HALF, [GridKernel(3, 4, 1)]), {"weights": np.ones((4, 3))}, r"shape \(4, 3\); expected \(3, 4\)"),
        ((HALF, [GridKernel(3, 4, 1)]), {"weights": -np.ones((3, 4))}, "weights go down to -1; expected at least 0"),
        ((HALF, [GridKernel(3, 4, 1)]), {"weights": np.full((3, 4), np.nan)}, "weights has 12 NaN"),
        ((HALF, [GridKernel(3, 4, 1)]), {"weights": np.full((3, 4), "a")}, "weights has dtype <U1"),
        ((HALF, [GridKernel(3, 4, 1)]), {"method": "exakt"}, "did you mean 'exact'"),
        ((HALF, [GridKernel(3, 4, 1, compatibility=COSTS)]), {}, r"expected \(2,\) or \(2, 2\) for 2 labels"),
    ],
)  # fmt: skip
def test_bad_input(arguments, options, message):
    with pytest.raises(InputError, match=message):
        dense_crf_loss(*arguments, **options)
