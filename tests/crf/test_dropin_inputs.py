"""What the drop-in takes beyond pydensecrf, what it refuses, and the conventions of compatibilities and steps."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deeplab.crf.pydensecrf as dcrf
from deeplab.errors import InputError

H, W, L = 6, 10, 3
RANDOM = np.random.default_rng(0)
UNARY = RANDOM.normal(0, 1, (L, H, W)).astype(np.float32)
IMAGE = RANDOM.integers(0, 256, (H, W, 3)).astype(np.uint8)


def build(unary=UNARY, image=IMAGE, compat=3.0, kind=dcrf.DenseCRF2D, **options):
    crf = kind(W, H, L)
    crf.setUnaryEnergy(unary)
    crf.addPairwiseGaussian(2, 1)
    crf.addPairwiseBilateral(5, 30, image, compat, **options)
    return crf


def marginals(*args, **options):
    return build(*args, **options).inference(4)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


class TestWhatPydensecrfRefuses:
    @pytest.mark.parametrize(
        "change",
        [
            read_only,
            np.asfortranarray,
            lambda u: u.reshape(L, -1),
            lambda u: u.astype(np.float64),
            lambda u: u.astype(">f4"),
            lambda u: u.repeat(2, axis=2)[:, :, ::2],
            lambda u: u.tolist(),
        ],
    )
    def test_unaries(self, change):
        np.testing.assert_array_equal(marginals(change(UNARY)), marginals())

    @pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint16])
    def test_unaries_of_coarser_types(self, dtype):
        unary = (UNARY * 4).astype(dtype)
        np.testing.assert_array_equal(marginals(unary), marginals(unary.astype(np.float32)))

    @pytest.mark.parametrize(
        "change",
        [read_only, np.asfortranarray, lambda i: i.astype(np.float64), lambda i: i.astype(">i2"), lambda i: i.tolist()],
    )
    def test_images(self, change):
        np.testing.assert_array_equal(marginals(image=change(IMAGE)), marginals())

    def test_images_of_one_channel(self):
        grey = IMAGE[:, :, 0]
        np.testing.assert_array_equal(marginals(image=grey), marginals(image=grey[:, :, None]))

    def test_images_of_many_channels(self):
        image, deviations = RANDOM.normal(0, 9, (H, W, 5)), (30, 20, 10, 5, 2)
        y, x = np.mgrid[:H, :W]
        features = [x / 5, y / 7, *np.moveaxis(image / deviations, -1, 0)]

        def infer(add):
            crf = dcrf.DenseCRF2D(W, H, L)
            crf.setUnaryEnergy(UNARY)
            add(crf)
            return crf.inference(3)

        np.testing.assert_allclose(
            infer(lambda crf: crf.addPairwiseBilateral((5, 7), deviations, image, 3)),
            infer(lambda crf: crf.addPairwiseEnergy(features, 3)),
            atol=1e-5,
        )

    @pytest.mark.parametrize("change", [read_only, np.asfortranarray, np.float64, lambda f: f.reshape(-1, H, W)])
    def test_features(self, change):
        def infer(features):
            crf = dcrf.DenseCRF2D(W, H, L)
            crf.setUnaryEnergy(UNARY)
            crf.addPairwiseEnergy(features, 3)
            return crf.inference(3)

        features = RANDOM.normal(0, 1, (4, H * W)).astype(np.float32)
        np.testing.assert_array_equal(infer(change(features)), infer(features))

    def test_compatibilities(self):
        vector, matrix = [-1.0, -2.0, -3.0], [[-1, 0.5, 0], [0, -2, 0], [0, 0, -3]]
        for given_compat in (vector, matrix):
            array = np.array(given_compat, np.float32)
            expected = marginals(compat=array)
            for change in (read_only, np.float64, np.asfortranarray, list):
                np.testing.assert_array_equal(marginals(compat=change(array)), expected)

    def test_counts_as_numpy_integers_and_whole_floats(self):
        crf = dcrf.DenseCRF2D(np.int64(W), float(H), np.prod([L]))
        crf.setUnaryEnergy(UNARY)
        np.testing.assert_array_equal(crf.inference(4.0), crf.inference(np.int16(4)))


class TestConventions:
    def test_vectors_and_matrices_are_energies(self):
        scalar = marginals(compat=3)
        np.testing.assert_allclose(marginals(compat=np.full(L, -3.0)), scalar, atol=1e-6)
        np.testing.assert_allclose(marginals(compat=-3 * np.eye(L)), scalar, atol=1e-6)
        # The same for all labels changes no probability.
        np.testing.assert_allclose(marginals(compat=7 - 3 * np.eye(L)), scalar, atol=1e-5)

    def test_a_negative_number_drives_neighbours_apart(self):
        np.testing.assert_allclose(marginals(compat=-2), marginals(compat=np.full(L, 2.0)), atol=1e-6)

    def test_of_a_matrix_the_symmetric_part_counts(self):
        matrix = RANDOM.normal(0, 1, (L, L))
        np.testing.assert_allclose(marginals(compat=matrix), marginals(compat=matrix.T), atol=1e-6)

    def test_kernel_types_change_nothing(self):
        for kernel in (dcrf.CONST_KERNEL, dcrf.FULL_KERNEL, 2):
            np.testing.assert_array_equal(marginals(kernel=kernel), marginals(kernel=dcrf.DIAG_KERNEL))

    def test_constants_have_pydensecrfs_numbers(self):
        assert [*dcrf.KernelType] == [dcrf.CONST_KERNEL, dcrf.DIAG_KERNEL, dcrf.FULL_KERNEL]
        assert [int(kind) for kind in dcrf.KernelType] == [0, 1, 2]
        assert [dcrf.NO_NORMALIZATION + 0, dcrf.NORMALIZE_BEFORE + 0] == [0, 1]
        assert [dcrf.NORMALIZE_AFTER + 0, dcrf.NORMALIZE_SYMMETRIC + 0] == [2, 3]
        np.testing.assert_array_equal(marginals(normalization=3), marginals())

    @pytest.mark.parametrize("normalization", range(4))
    @pytest.mark.parametrize("compat", [0.5, -0.1, np.array([-0.3, -0.2, 0]), np.diag([-0.3, 0.2, 0]) + 0.1])
    def test_steps_are_inference(self, compat, normalization):
        """Two implementations of the same update: the native loop from the unary, and one from any belief."""
        crf = build(compat=compat, normalization=normalization)
        Q, tmp1, tmp2 = crf.startInference()
        for count in range(4):
            np.testing.assert_allclose(Q, crf.inference(count), atol=2e-5)
            crf.stepInference(Q, tmp1, tmp2)

    def test_steps_take_any_belief_in_place(self):
        crf, belief = build(), RANDOM.dirichlet(np.ones(L), H * W).T
        single = np.asfortranarray(belief, dtype=np.float32)
        double, before = belief.copy(), belief.copy()
        crf.stepInference(single)
        crf.stepInference(double)
        np.testing.assert_allclose(single, double, atol=1e-6)
        assert np.abs(double - before).max() > 0.01

    def test_divergence_of_independent_pixels_is_minus_log_z(self):
        crf = dcrf.DenseCRF2D(W, H, L)
        crf.setUnaryEnergy(UNARY)
        Q, _, _ = crf.startInference()
        assert crf.klDivergence(Q) == pytest.approx(-np.log(np.exp(-UNARY.astype(float)).sum(0)).sum(), rel=1e-6)

    def test_without_a_unary_all_labels_are_alike(self):
        crf = dcrf.DenseCRF2D(W, H, 4)
        crf.addPairwiseGaussian(3, 3)
        np.testing.assert_allclose(crf.inference(3), 0.25, atol=1e-6)
        np.testing.assert_allclose(crf.startInference()[0], 0.25)

    def test_a_unary_object_may_be_set_twice(self):
        unary, crf = dcrf.ConstUnary(UNARY), build(unary=-UNARY)
        dcrf.DenseCRF2D(W, H, L).setUnary(unary)
        crf.setUnary(unary)
        np.testing.assert_array_equal(crf.inference(4), marginals())

    def test_changes_after_use_count(self):
        crf = build(unary=-UNARY)
        crf.klDivergence(crf.inference(4))
        crf.setUnaryEnergy(UNARY)
        np.testing.assert_array_equal(crf.inference(4), marginals())
        belief = crf.inference(4)
        crf.addPairwiseGaussian(4, 2)
        fresh = build()
        fresh.addPairwiseGaussian(4, 2)
        np.testing.assert_array_equal(crf.inference(4), fresh.inference(4))
        assert crf.klDivergence(belief) == fresh.klDivergence(belief)

    def test_the_unary_is_copied(self):
        unary = UNARY.copy()
        crf = build(unary)
        unary[:] = 0
        np.testing.assert_array_equal(crf.inference(4), marginals())


class TestWhatCrashesPydensecrf:
    @pytest.mark.parametrize("sigma", [0, -1, np.nan, np.inf, (3, 0), (3,), (1, 2, 3), "3", None, [[3, 3]]])
    def test_deviations(self, sigma):
        crf = dcrf.DenseCRF2D(W, H, L)
        with pytest.raises(InputError, match="sxy"):
            crf.addPairwiseGaussian(sigma, 3)
        with pytest.raises(InputError, match="sxy"):
            crf.addPairwiseBilateral(sigma, 3, IMAGE, 3)
        if sigma != (1, 2, 3):
            with pytest.raises(InputError, match="srgb"):
                crf.addPairwiseBilateral(3, sigma, IMAGE, 3)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
    def test_features_that_are_not_finite(self, bad):
        features = np.ones((2, H * W))
        features[1, 5] = bad
        with pytest.raises(InputError, match="features"):
            dcrf.DenseCRF2D(W, H, L).addPairwiseEnergy(features, 3)

    @pytest.mark.parametrize(
        "compat", [np.ones(L - 1), np.ones((L, L + 1)), np.ones((L, L, L)), [], np.nan, np.full(L, np.inf), "3", None]
    )
    def test_compatibilities(self, compat):
        with pytest.raises(InputError, match="compat"):
            dcrf.DenseCRF2D(W, H, L).addPairwiseGaussian(3, compat)

    def test_unaries(self):
        crf = dcrf.DenseCRF2D(W, H, L)
        for bad, hint in [
            (UNARY[:, :, 1:], "expected"),
            (UNARY[1:], "expected"),
            (UNARY.transpose(1, 2, 0), "moveaxis"),
            (UNARY.reshape(L, -1).T, "moveaxis"),
            (UNARY.transpose(0, 2, 1), "width before height"),
            (np.where(UNARY > 2, np.nan, UNARY), "NaN"),
            (np.where(UNARY > 2, -np.inf, UNARY), "infinite"),
            (UNARY * 1j, "complex"),
        ]:
            with pytest.raises(InputError, match=hint):
                crf.setUnaryEnergy(bad)
        with pytest.raises(InputError, match="setUnaryEnergy"):
            crf.setUnary(UNARY)
        with pytest.raises(InputError, match="infinite"):
            crf.setUnaryEnergy(np.full((L, 4), 1e300), np.full((4, H * W), -1.0))
        with pytest.raises(InputError, match="F"):
            crf.setUnaryEnergy(np.ones((L, 4)), np.ones((3, H * W)))

    @pytest.mark.parametrize(
        ("image", "hint"),
        [
            (IMAGE.transpose(1, 0, 2), "width before height"),
            (IMAGE.transpose(2, 0, 1), "transpose"),
            (IMAGE[:, :, :0], "channels"),
            (IMAGE[None], "channels"),
            (np.full((H, W), np.nan), "NaN"),
            (IMAGE.astype("U3"), "dtype"),
        ],
    )
    def test_photos(self, image, hint):
        with pytest.raises(InputError, match=hint):
            dcrf.DenseCRF2D(W, H, L).addPairwiseBilateral(3, 3, image, 3)

    def test_subclasses(self):
        class Named(dcrf.DenseCRF2D):
            def __init__(self, image):
                super().__init__(image.shape[1], image.shape[0], L)
                self.name = "image"

        crf = Named(IMAGE)
        crf.setUnaryEnergy(UNARY)
        crf.addPairwiseGaussian(2, 1)
        crf.addPairwiseBilateral(5, 30, IMAGE, 3.0)
        np.testing.assert_array_equal(crf.inference(4), marginals())

    @pytest.mark.parametrize("kind", [dcrf.DenseCRF, dcrf.DenseCRF2D])
    def test_subclasses_that_forget_to_initialise(self, kind):
        class Forgetful(kind):
            def __init__(self):
                pass

        calls = [
            lambda crf: crf.setUnaryEnergy(UNARY),
            lambda crf: crf.setUnary(dcrf.ConstUnary(UNARY)),
            lambda crf: crf.addPairwiseEnergy(UNARY, 3),
            lambda crf: crf.inference(1),
            lambda crf: crf.startInference(),
            lambda crf: crf.stepInference(UNARY.copy(), 0, 0),
            lambda crf: crf.klDivergence(UNARY),
        ]
        if kind is dcrf.DenseCRF2D:
            calls += [lambda crf: crf.addPairwiseGaussian(3, 3), lambda crf: crf.addPairwiseBilateral(3, 3, IMAGE, 3)]
        for call in calls:
            with pytest.raises(InputError, match=r"super\(\)\.__init__"):
                call(Forgetful())

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda crf: pickle.loads(pickle.dumps(crf))])
    @pytest.mark.parametrize("used", [False, True])
    def test_copies_and_pickles(self, copied, used):
        crf = build(compat=np.arange(9.0).reshape(3, 3))
        expected = build(compat=np.arange(9.0).reshape(3, 3)).inference(3)
        if used:
            crf.klDivergence(crf.inference(1))
        np.testing.assert_array_equal(copied(crf).inference(3), expected)

    @pytest.mark.parametrize("size", [(1, 1, 1), (1, 1, 5), (7, 1, 2), (1, 7, 2), (5, 4, 300)])
    def test_small_sizes_and_many_labels(self, size):
        width, height, labels = size
        crf = dcrf.DenseCRF2D(width, height, labels)
        crf.setUnaryEnergy(RANDOM.normal(0, 1, (labels, height, width)))
        crf.addPairwiseGaussian(3, 3)
        crf.addPairwiseBilateral(80, 13, np.zeros((height, width, 3), np.uint8), 10)
        belief = crf.inference(3)
        assert belief.shape == (labels, width * height)
        np.testing.assert_allclose(belief.sum(0), 1, atol=1e-5)

    @pytest.mark.parametrize("count", [0, -3, 2.5, np.nan, True, "4", None, 2**31])
    def test_sizes(self, count):
        for sizes in [(count, 2, 2), (2, count, 2), (2, 2, count)]:
            with pytest.raises(InputError, match="expected an integer"):
                dcrf.DenseCRF2D(*sizes)
        with pytest.raises(InputError, match="expected an integer"):
            dcrf.DenseCRF(count, 2)

    @pytest.mark.parametrize("niter", [-1, 2.5, None, "5"])
    def test_iterations(self, niter):
        with pytest.raises(InputError, match="niter"):
            build().inference(niter)

    @pytest.mark.parametrize(
        "option", [{"kernel": 3}, {"kernel": "diag"}, {"normalization": 4}, {"normalization": None}]
    )
    def test_options(self, option):
        with pytest.raises(InputError, match=r"expected (CONST_KERNEL|NO_NORMALIZATION)"):
            build(**option)

    @pytest.mark.parametrize(
        "belief",
        [
            np.ones((L, H * W - 1), np.float32),
            np.ones((H * W, L), np.float32),
            np.full((L, H * W), np.nan),
            np.ones((L, H * W), int),
            read_only(np.ones((L, H * W))),
            [[1.0] * (H * W)] * L,
            None,
        ],
    )
    def test_beliefs(self, belief):
        with pytest.raises(InputError, match="Q"):
            build().stepInference(belief, None, None)

    def test_deviations_too_far_apart_for_the_lattice(self):
        crf = dcrf.DenseCRF2D(W, H, L)
        crf.addPairwiseGaussian((1e-9, 1e9), 3)
        with pytest.raises(InputError, match="larger standard deviations"):
            crf.inference(1)
        with pytest.raises(InputError, match="larger standard deviations"):
            crf.klDivergence(np.ones((L, H * W)))


@settings(max_examples=60, deadline=None)
@given(
    sxy=st.floats(0.01, 1e3) | st.tuples(st.floats(0.01, 1e3), st.floats(0.01, 1e3)),
    srgb=st.floats(0.01, 1e3),
    compat=st.floats(-10, 100) | st.lists(st.floats(-100, 100), min_size=L, max_size=L),
    kernel=st.integers(0, 2),
    normalization=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_beliefs_are_distributions(sxy, srgb, compat, kernel, normalization, seed):
    random = np.random.default_rng(seed)
    crf = dcrf.DenseCRF2D(W, H, L)
    crf.setUnaryEnergy(random.normal(0, 3, (L, H, W)))
    crf.addPairwiseBilateral(sxy, srgb, random.integers(0, 256, (H, W, 3)), compat, kernel, normalization)
    belief = crf.inference(3)
    assert ((belief >= 0) & (belief <= 1 + 1e-6)).all()
    np.testing.assert_allclose(belief.sum(0), 1, atol=1e-5)


def test_one_object_serves_several_threads():
    crf = build()
    expected = marginals()
    with ThreadPoolExecutor(4) as pool:
        for belief in pool.map(lambda _: crf.inference(4), range(16)):
            np.testing.assert_array_equal(belief, expected)


def test_every_way_to_import():
    script = """
import sys
import deeplab.crf.pydensecrf as package
import deeplab.crf.pydensecrf.densecrf as dcrf
from deeplab.crf.pydensecrf import densecrf, utils
from deeplab.crf.pydensecrf.densecrf import DenseCRF2D
from deeplab.crf.pydensecrf.utils import unary_from_softmax
assert dcrf is densecrf is package.densecrf and package.utils is utils
assert package.DenseCRF2D is DenseCRF2D is dcrf.DenseCRF2D
sys.modules.update({"pydensecrf": package, "pydensecrf.densecrf": package.densecrf, "pydensecrf.utils": package.utils})
import pydensecrf.densecrf as renamed
from pydensecrf.utils import unary_from_labels
assert renamed is densecrf and unary_from_labels is utils.unary_from_labels
print([name for name in ("torch", "scipy", "onnxruntime") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
