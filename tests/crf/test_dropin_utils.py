"""The drop-in's energies and features, against their definitions written as loops, and against pydensecrf's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deeplab.crf.pydensecrf import utils
from deeplab.errors import InputError

IMAGE = np.random.default_rng(0).normal(90, 40, (5, 4, 6, 3)).astype(np.float32)


class TestUnaryFromLabels:
    @settings(max_examples=50, deadline=None)
    @given(
        data=st.data(),
        count=st.integers(2, 9),
        certainty=st.floats(0.01, 0.99),
        zero_unsure=st.booleans(),
        dtype=st.sampled_from([np.uint8, np.int16, np.int64, np.uint32]),
    )
    def test_probabilities(self, data, count, certainty, zero_unsure, dtype):
        values = st.integers(0, count if zero_unsure else count - 1)
        labels = data.draw(arrays.arrays(dtype, arrays.array_shapes(max_dims=3, max_side=5), elements=values))
        energies = utils.unary_from_labels(labels, count, certainty, zero_unsure)
        assert energies.dtype == np.float32
        assert energies.shape == (count, labels.size)
        for point, label in enumerate(labels.flat):
            expected = np.full(count, (1 - certainty) / (count - 1))
            if zero_unsure and label == 0:
                expected[:] = 1 / count
            else:
                expected[int(label) - zero_unsure] = certainty
            np.testing.assert_allclose(np.exp(-energies[:, point]), expected, rtol=1e-5)

    def test_one_label(self):
        np.testing.assert_allclose(np.exp(-utils.unary_from_labels(np.array([0, 1]), 1, 0.7)), [[1, 0.7]], rtol=1e-6)

    @pytest.mark.parametrize(
        ("labels", "count", "certainty", "hint"),
        [
            ([0, 255], 21, 0.5, "0 to 21"),
            ([-1, 1], 3, 0.5, "-1 to 1"),
            ([0.0, 1.0], 3, 0.5, "integers"),
            (np.zeros(0, int), 3, 0.5, "empty"),
            ([1], 3, 0, "gt_prob"),
            ([1], 3, 1, "gt_prob"),
            ([1], 3, np.nan, "gt_prob"),
            ([1], 0, 0.5, "n_labels"),
        ],
    )
    def test_bad_inputs(self, labels, count, certainty, hint):
        with pytest.raises(InputError, match=hint):
            utils.unary_from_labels(labels, count, certainty)

    def test_the_last_label_is_out_of_range_when_zero_is_one(self):
        with pytest.raises(InputError, match="0 to 2"):
            utils.unary_from_labels([0, 3], 3, 0.5, zero_unsure=False)


class TestUnaryFromSoftmax:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
    def test_clipped_logarithm(self, dtype):
        sm = np.array([[[0, 1e-7], [0.25, 1]], [[1, 1], [0.75, 0]]]).astype(dtype)
        expected = -np.log(np.array([[1e-5, 1e-5, 0.25, 1], [1, 1, 0.75, 1e-5]]))
        energies = utils.unary_from_softmax(sm)
        assert energies.dtype == np.float32
        np.testing.assert_allclose(energies, expected, rtol=1e-6)

    def test_scale_trusts_less(self):
        energies = utils.unary_from_softmax(np.array([[1.0, 0.5], [0, 0.5]]), scale=0.6)
        np.testing.assert_allclose(np.exp(-energies), [[0.8, 0.5], [0.2, 0.5]], rtol=1e-6)

    def test_no_clip_keeps_the_impossible(self):
        np.testing.assert_array_equal(utils.unary_from_softmax([[0.0], [1.0]], clip=None), [[np.inf], [0]])

    def test_overshoot_of_resizing_is_clipped(self):
        np.testing.assert_allclose(utils.unary_from_softmax([[-0.01], [1.01]]), [[-np.log(1e-5)], [0]], rtol=1e-6)

    @pytest.mark.parametrize(
        ("sm", "options", "hint"),
        [
            (np.ones(3), {}, "shape"),
            (np.ones((3, 0)), {}, "shape"),
            (np.full((2, 2), np.nan), {}, "NaN"),
            (np.full((2, 2), "a"), {}, "dtype"),
            (np.ones((2, 2)), {"scale": 0}, "scale"),
            (np.ones((2, 2)), {"scale": 1.5}, "scale"),
            (np.ones((2, 2)), {"clip": -1}, "clip"),
            (-np.ones((2, 2)), {"clip": None}, "goes down to -1"),
        ],
    )
    def test_bad_inputs(self, sm, options, hint):
        with pytest.raises(InputError, match=hint):
            utils.unary_from_softmax(sm, **options)


class TestFeatures:
    @pytest.mark.parametrize(("shape", "sdims"), [((7,), (2,)), ((4, 5), (3, 0.5)), ((3, 4, 2), (1, 2, 3))])
    def test_positions(self, shape, sdims):
        features = utils.create_pairwise_gaussian(sdims, shape)
        assert features.dtype == np.float32
        for point, index in enumerate(np.ndindex(*shape)):
            np.testing.assert_allclose(features[:, point], np.divide(index, sdims), rtol=1e-6)

    @pytest.mark.parametrize("chdim", range(4))
    def test_positions_and_channels(self, chdim):
        image = np.moveaxis(IMAGE, -1, chdim)
        features = utils.create_pairwise_bilateral((1, 2, 3), (10, 20, 30), image, chdim=chdim)
        assert features.shape == (6, 120)
        for point, index in enumerate(np.ndindex(5, 4, 6)):
            np.testing.assert_allclose(features[:3, point], np.divide(index, (1, 2, 3)), rtol=1e-6)
            np.testing.assert_allclose(features[3:, point], IMAGE[index] / (10, 20, 30), rtol=1e-6)

    def test_no_channel_axis(self):
        grey = IMAGE[..., 0]
        np.testing.assert_array_equal(
            utils.create_pairwise_bilateral((1, 2, 3), (10,), grey),
            utils.create_pairwise_bilateral((1, 2, 3), 10, grey[..., None], chdim=3),
        )

    def test_one_deviation_for_all(self):
        np.testing.assert_array_equal(
            utils.create_pairwise_gaussian(3, (4, 5)), utils.create_pairwise_gaussian((3, 3), (4, 5))
        )

    @pytest.mark.parametrize(
        ("sdims", "shape", "hint"),
        [
            ((3,), (4, 5), "sdims"),
            ((3, 0), (4, 5), "sdims"),
            (3, (), "shape"),
            (3, (4, 0), "shape"),
            (3, (4.5,), "shape"),
        ],
    )
    def test_bad_grids(self, sdims, shape, hint):
        with pytest.raises(InputError, match=hint):
            utils.create_pairwise_gaussian(sdims, shape)

    @pytest.mark.parametrize(
        ("sdims", "schan", "image", "chdim", "hint"),
        [
            ((1, 2), (1, 2), np.ones((4, 5, 3)), 2, "schan"),
            ((1, 2, 3), 1, np.ones((4, 5, 3)), 2, "sdims"),
            ((1, 2), 0, np.ones((4, 5, 3)), 2, "schan"),
            ((1, 2), 1, np.ones((4, 5, 3)), 3, "chdim"),
            ((1, 2), 1, np.ones((4, 5, 3)), -2, "chdim"),
            ((1, 2), 1, np.ones((4, 0, 3)), 2, "img"),
            ((1, 2), 1, np.full((4, 5, 3), np.nan), 2, "img"),
            (1, 1, 5.0, -1, "img"),
        ],
    )
    def test_bad_images(self, sdims, schan, image, chdim, hint):
        with pytest.raises(InputError, match=hint):
            utils.create_pairwise_bilateral(sdims, schan, image, chdim)


def test_deprecated_names_say_so():
    labels, sm = np.array([0, 1, 2]), np.array([[0.2, 0.9], [0.8, 0.1]])
    with pytest.warns(DeprecationWarning, match="unary_from_labels"):
        np.testing.assert_array_equal(utils.compute_unary(labels, 2), utils.unary_from_labels(labels, 2, 0.5))
    with pytest.warns(DeprecationWarning, match="unary_from_softmax"):
        np.testing.assert_array_equal(utils.softmax_to_unary(sm, 0.7), utils.unary_from_softmax(sm, 0.7, clip=None))


def test_live():
    theirs = pytest.importorskip("pydensecrf.utils", reason="pydensecrf2 is not installed")
    labels = np.random.default_rng(1).integers(0, 4, (6, 7))
    sm = np.random.default_rng(2).dirichlet(np.ones(3), (6, 7)).transpose(2, 0, 1).astype(np.float32)
    for name, args in [
        ("unary_from_labels", (labels, 3, 0.7)),
        ("unary_from_labels", (labels, 4, 0.7, False)),
        ("unary_from_softmax", (sm,)),
        ("unary_from_softmax", (sm, 0.7, None)),
        ("create_pairwise_gaussian", ((3, 0.7), (6, 7))),
        ("create_pairwise_bilateral", ((1, 2, 3), (7, 8, 9), IMAGE, 3)),
        ("create_pairwise_bilateral", ((1, 2, 3), 0.3, IMAGE[..., 0])),
    ]:
        np.testing.assert_allclose(getattr(utils, name)(*args), getattr(theirs, name)(*args), rtol=1e-6)
