"""A foreground's map as the only label, the labels on the wrong axis, and kernels over something else."""

import numpy as np
import pytest

from deeplab.crf import (
    CRFParams,
    DenseCRF,
    GaussianKernel,
    GridKernel,
    bilateral_kernel,
    refine,
    refine_batch,
    spatial_kernel,
    unary_from_labels,
    unary_from_probabilities,
    unary_from_scores,
)
from deeplab.crf.pydensecrf import DenseCRF as DropIn
from deeplab.crf.pydensecrf import DenseCRF2D
from deeplab.crf.pydensecrf.utils import unary_from_softmax
from deeplab.errors import InputError

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 256, (9, 12, 3), np.uint8)
P = RANDOM.uniform(0, 1, (9, 12))
BOTH = np.stack([1 - P, P])
GRID = GridKernel(9, 12, 3.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda one: refine(IMAGE, one),
        lambda one: refine_batch([IMAGE], [one]),
        lambda one: DenseCRF(-np.log(one), [GRID]),
        lambda one: DenseCRF.from_probabilities(one, [GRID]),
        unary_from_probabilities,
    ],
)
@pytest.mark.parametrize("one", [P[None], np.ones((1, 9, 12))], ids=["foreground", "softmax of it"])
def test_one_label_alone_is_refused_with_the_way_to_two(call, one):
    with pytest.raises(InputError, match=r"one label alone, which wins everywhere.*np.stack\(\[1 - p, p\]\)"):
        call(one)


def test_scores_of_one_label_are_told_of_the_second():
    with pytest.raises(InputError, match=r"one label alone.*np.stack\(\[np.zeros_like\(x\), x\]\)"):
        unary_from_scores(P[None])
    x = np.log(P / (1 - P))
    np.testing.assert_allclose(unary_from_scores(np.stack([np.zeros_like(x), x])), -np.log(BOTH), atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_map_without_labels_is_the_foregrounds(dtype):
    p = P.astype(dtype)
    both = np.stack([1 - p.astype(np.float32), p])
    expected = refine(IMAGE, both, CRFParams(bilateral_rgb_std=40))
    np.testing.assert_array_equal(refine(IMAGE, p, CRFParams(bilateral_rgb_std=40)), expected)
    np.testing.assert_array_equal(refine_batch([IMAGE], [p], CRFParams(bilateral_rgb_std=40))[0], expected)


@pytest.mark.parametrize(
    ("foreground", "message"),
    [
        (8 * P - 4, r"go from -.* to .*; expected 0-1: for logits, apply the sigmoid"),
        (np.full((9, 12), np.nan), "108 NaN"),
        (P > 0.5, "dtype bool; expected a float type, values 0-1: convert them"),
        (
            (255 * P).astype(np.uint8),
            "dtype uint8; expected a float type, values 0-1: divide them by .*, 255",
        ),
    ],
)
def test_maps_that_are_no_probabilities(foreground, message):
    with pytest.raises(InputError, match=f"the foreground's probabilities .*{message}|{message}"):
        refine(IMAGE, foreground)


def test_independent_probabilities_are_not_sent_into_softmax():
    with pytest.raises(InputError, match=r"sum to .*divide them by their sum") as error:
        refine(IMAGE, np.stack([P, P]))
    assert "softmax" not in str(error.value)


def test_the_drop_in_refuses_a_foreground_alone_and_takes_a_label_that_is_alone_in_its_photo():
    for crf in (DropIn(9 * 12, 1), DenseCRF2D(12, 9, 1)):
        with pytest.raises(InputError, match=r"one label alone.*2 labels and unary_from_softmax\(np.stack\(\[1 - p, p"):
            crf.setUnaryEnergy(unary_from_softmax(P[None]))
        crf.setUnaryEnergy(np.full((1, 9 * 12), 0.7, np.float32))
        np.testing.assert_array_equal(crf.inference(2), 1)
    np.testing.assert_array_equal(unary_from_labels(np.zeros((9, 12), int), 1, confidence=0.7), 0)


ROWS = RANDOM.dirichlet(np.ones(5), 40)  # (points, labels), as classifiers give them
POINTS = GaussianKernel(RANDOM.normal(size=(40, 3)))


@pytest.mark.parametrize(
    ("call", "way"),
    [
        (lambda: DenseCRF.from_probabilities(ROWS, [POINTS]), r"pass probabilities\.T"),
        (lambda: unary_from_probabilities(ROWS), r"pass probabilities\.T"),
        (lambda: unary_from_probabilities(ROWS.reshape(5, 8, 5)), r"np\.moveaxis\(probabilities, -1, 0\)"),
        (lambda: DenseCRF(-np.log(ROWS), [POINTS]), r"pass unary\.T"),
        (lambda: DenseCRF(-np.log(ROWS).reshape(8, 5, 5), [POINTS]), r"np\.moveaxis\(unary, -1, 0\)"),
        (lambda: unary_from_softmax(ROWS.reshape(5, 8, 5)), r"np\.moveaxis\(sm, -1, 0\)"),
        (lambda: unary_from_softmax(ROWS), r"pass sm\.T"),
    ],
)
def test_points_before_labels_are_told_to_be_turned(call, way):
    with pytest.raises(InputError, match=way) as error:
        call()
    assert "softmax first" not in str(error.value)


def test_what_the_message_says_works():
    np.testing.assert_allclose(DenseCRF.from_probabilities(ROWS.T, [POINTS]).infer(0), ROWS.T, atol=1e-6)


@pytest.mark.parametrize("unary", [np.zeros((2, 9, 12)), np.zeros((2, 9 * 12))])
@pytest.mark.parametrize(
    "turned",
    [
        GridKernel(12, 9, 3.0),
        spatial_kernel(12, 9, xy_std_px=3, weight=1),
        bilateral_kernel(IMAGE.swapaxes(0, 1), xy_std_px=3, rgb_std=3, weight=1),
        spatial_kernel(12, 9, xy_std_px=3, weight=1).changed(weight=2),
        GridKernel(12, 9, 3.0).changed(weight=2),
        GridKernel(6, 18, 3.0),
    ],
)
def test_kernels_over_other_sides_of_as_many_pixels_are_refused(unary, turned):
    upright = bilateral_kernel(IMAGE, xy_std_px=3, rgb_std=3, weight=1)
    with pytest.raises(InputError, match=r"kernel is over \(height, width\) .*height comes before width"):
        DenseCRF(unary, [upright, turned])
    if unary.ndim == 3:
        with pytest.raises(InputError, match=r"over \(9, 12\).*height comes before width"):
            DenseCRF.from_probabilities(unary + 0.5, [turned])


def test_points_that_are_no_grid_go_with_any_kernel():
    volume = np.zeros((2, 3, 3, 12))
    places = GaussianKernel(np.indices((3, 3, 12)).reshape(3, -1).T.astype(float))
    DenseCRF(volume, [places, GridKernel(9, 12, 3.0)])
    DenseCRF(np.zeros((2, 9, 12)), [GridKernel(9, 12, 3.0), GaussianKernel(places.features)])
    some = spatial_kernel(9, 12, xy_std_px=3, weight=1).at(np.arange(9 * 12) < 8)
    DenseCRF(np.zeros((2, 2, 4)), [some, GridKernel(2, 4, 3.0)])


@pytest.mark.parametrize(
    ("kernels", "message"),
    [
        ([None], "kernels hold NoneType; expected nothing but GaussianKernel and GridKernel"),
        ([GRID, GRID.features], "kernels hold ndarray"),
        (None, r"kernels is NoneType; expected a sequence of kernels, such as \[kernel\]"),
        (GRID, r"kernels is GridKernel; expected a sequence of kernels, such as \[kernel\]"),
        (3, "kernels is int"),
        (np.array(None), "kernels is ndarray"),
        ("ab", "kernels hold str"),
    ],
)
def test_kernels_that_are_none(kernels, message):
    with pytest.raises(InputError, match=message):
        DenseCRF(np.zeros((2, 9, 12)), kernels)


RAGGED = [[0.5, 0.5], [0.5]]


@pytest.mark.parametrize(
    "call",
    [
        lambda: DenseCRF(RAGGED, []),
        lambda: DenseCRF.from_probabilities(RAGGED, []),
        lambda: GaussianKernel(RAGGED),
        lambda: GaussianKernel(np.zeros((2, 1)), compatibility=RAGGED),
        lambda: bilateral_kernel(RAGGED, xy_std_px=3, rgb_std=3, weight=1),
        lambda: bilateral_kernel(IMAGE, xy_std_px=3, rgb_std=RAGGED, weight=1),
        lambda: unary_from_probabilities(RAGGED),
        lambda: unary_from_scores(RAGGED),
        lambda: unary_from_labels(RAGGED, 2, confidence=0.7),
        lambda: DenseCRF(np.zeros((2, 2)), []).energy(RAGGED),
        lambda: DenseCRF(np.zeros((2, 2)), []).kl_divergence(RAGGED),
        lambda: refine(IMAGE, BOTH, mask=RAGGED),
        lambda: DropIn(2, 2).setUnaryEnergy(RAGGED),
        lambda: DropIn(2, 2).addPairwiseEnergy(RAGGED, 3),
        lambda: DropIn(2, 2).addPairwiseEnergy(np.zeros((2, 2)), RAGGED),
        lambda: DenseCRF2D(2, 2, 2).addPairwiseBilateral(3, 3, RAGGED, 3),
        lambda: DenseCRF2D(2, 2, 2).addPairwiseGaussian(RAGGED, 3),
        lambda: unary_from_softmax(RAGGED),
    ],
)
def test_ragged_lists(call):
    with pytest.raises(InputError, match="expected an array, or nested lists of equal lengths") as error:
        call()
    assert "\n" not in str(error.value)
