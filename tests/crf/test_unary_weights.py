"""How much each pixel's own probabilities count: its energy times a weight."""

import numpy as np
import pytest

from deeplab.crf import CRFParams, DenseCRF, photo_kernels, refine, unary_from_probabilities
from deeplab.errors import InputError


def test_the_energies_are_weighted(make_scene):
    image, probabilities = make_scene(20, 24, 3)
    probabilities[0, 0], probabilities[1:, 0] = 1, 0  # zeros count as 1.2e-38 before they are weighted
    weights = np.random.default_rng(0).uniform(0, 1, (20, 24))
    expected = DenseCRF(unary_from_probabilities(probabilities) * weights, photo_kernels(image), prune_below=0.1)
    np.testing.assert_allclose(refine(image, probabilities, unary_weights=weights), expected.infer(10), atol=1e-5)


def test_ones_change_nothing_and_fixed_pixels_keep_theirs(make_scene):
    image, probabilities = make_scene(20, 24, 3)
    alone = refine(image, probabilities)
    np.testing.assert_allclose(refine(image, probabilities, unary_weights=np.ones((20, 24))), alone, atol=1e-5)
    fixed = np.zeros((20, 24), bool)
    fixed[5] = True
    kept = refine(image, probabilities, unary_weights=np.zeros((20, 24), np.uint8), fixed=fixed)
    np.testing.assert_allclose(kept[:, 5], probabilities[:, 5], atol=1e-5)


def test_pixels_without_an_opinion_take_their_colours():
    photo = np.zeros((6, 8), np.uint8)
    photo[:, 4:] = 200
    p = np.tile(np.linspace(0.9, 0.2, 8), (6, 1))  # the first label, too far to the right
    weights = np.zeros((6, 8))
    weights[:, [0, 7]] = 1
    refined = refine(photo, 1 - p, CRFParams(bilateral_rgb_std=20), unary_weights=weights)
    assert (refined.argmax(0) == (photo > 100)).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((6, 4)), r"unary_weights have shape \(6, 4\); expected \(4, 6\)"),
        (np.full((4, 6), 2), "unary_weights go from 2 to 2; expected 0-1"),
        (np.full((4, 6), -0.5), "unary_weights go from -0.5 to -0.5"),
        (np.full((4, 6), np.nan), "unary_weights go from nan to nan"),
        (np.full((4, 6), "1"), "unary_weights has dtype <U1"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(InputError, match=message):
        refine(np.zeros((4, 6, 3), np.uint8), np.full((2, 4, 6), 0.5), unary_weights=weights)
