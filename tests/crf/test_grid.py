"""The exact spatial kernel: against its definition, and against every pair of points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab.crf import DenseCRF, GridKernel
from deeplab.crf.exact import filter_exactly
from deeplab.crf.kernels import NORMALIZATIONS
from deeplab.crf.terms import make_term
from deeplab.errors import InputError

sides = st.integers(1, 23)


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.floats(1e-3, 40), st.integers(1, 5))
def test_filter_is_the_sum_over_all_pairs(height, width, std, channels):
    kernel = GridKernel(height, width, std)
    term = make_term(kernel, (channels, height * width), "lattice", 1)
    values = np.random.default_rng(height).uniform(0, 1, (channels, height * width)).astype(np.float32)
    np.testing.assert_allclose(term.filter(values), filter_exactly(kernel.features, values), rtol=2e-5, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.floats(0.3, 12), st.sampled_from([2, 3, 21, 34, 70]), st.sampled_from(NORMALIZATIONS))
def test_inference_is_the_exact_one(height, width, std, labels, normalization):
    unary = np.random.default_rng(width).uniform(0, 3, (labels, height, width))
    kernels = [
        GridKernel(height, width, std, 0.5, normalization=normalization),
        GridKernel(height, width, std / 2, 0.3, -np.ones(labels) if std > 3 else None, normalization),
    ]
    exact = DenseCRF(unary, kernels, method="exact").infer(3)
    np.testing.assert_allclose(DenseCRF(unary, kernels, threads=2).infer(3), exact, atol=2e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, 3), "height is 0; expected an integer, at least 1"),
        ((4, 2.5, 3), "width is 2.5"),
        ((4, 4, 0), "xy_std_px is 0; expected a number above 0"),
        ((4, 4, float("nan")), "xy_std_px is nan"),
        ((4, 4, 3, -1), "weight is -1"),
        ((4, 4, 3, 1, None, "both"), "normalization is 'both'"),
    ],
)
def test_bad_grids(arguments, message):
    with pytest.raises(InputError, match=message):
        GridKernel(*arguments)


def test_a_grid_has_the_unarys_points():
    with pytest.raises(InputError, match="12 points; expected 10"):
        DenseCRF(np.zeros((2, 10)), [GridKernel(3, 4, 3)])
