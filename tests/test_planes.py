from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab import planes as planes_module
from deeplab.crf.unary import softmax_in_place
from deeplab.planes import Planes
from deeplab.scores import likeliest, upsample_scores

RANDOM = np.random.default_rng(8)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_likeliest_is_the_argmax(labels: int, height: int, width: int, seed: int) -> None:
    probabilities = np.random.default_rng(seed).integers(0, 4, (labels, height, width)).astype(np.float32)
    found, confidence = likeliest(probabilities)
    assert (found.dtype, confidence.dtype) == (np.uint8, np.float32)
    np.testing.assert_array_equal(found, probabilities.argmax(axis=0))  # the first of equals
    np.testing.assert_array_equal(confidence, probabilities.max(axis=0))


def test_likeliest_of_more_labels_than_a_byte_holds() -> None:
    values = RANDOM.permuted(np.arange(300 * 6, dtype=np.float32).reshape(300, 2, 3), axis=0)
    found, _ = likeliest(values)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, values.argmax(axis=0))


@pytest.mark.parametrize("seen", [(33, 41), (20, 20), (33, 9)])
@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 50), slice(96, 97), slice(40, 40), slice(None)])
def test_a_band_is_a_part_of_the_whole(seen: tuple[int, int], rows: slice) -> None:
    scores = RANDOM.normal(size=(4, 5, 6)).astype(np.float32)
    whole = upsample_scores(scores, (97, 61), network_size=seen)
    np.testing.assert_array_equal(upsample_scores(scores, (97, 61), network_size=seen, rows=rows), whole[:, rows])
    planes = Planes(scores, (97, 61), seen, 8, are_scores=True)
    np.testing.assert_array_equal(planes.probabilities(rows), softmax_in_place(whole)[:, rows])


@pytest.mark.parametrize("values_in_a_band", [1, 700, 10**6])
def test_labels_do_not_depend_on_bands(values_in_a_band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planes_module, "_BAND_VALUES", values_in_a_band)
    planes = Planes(RANDOM.normal(size=(4, 5, 6)).astype(np.float32), (70, 31), (33, 41), 8, are_scores=True)
    labels, confidence = planes.likeliest()
    np.testing.assert_array_equal(labels, planes.probabilities().argmax(axis=0))
    np.testing.assert_array_equal(confidence, planes.probabilities().max(axis=0))


def test_probabilities_of_the_photos_size_are_themselves() -> None:
    values = RANDOM.random((3, 8, 9)).astype(np.float32)
    planes = Planes(values, (8, 9), (8, 9))
    assert np.shares_memory(planes.probabilities(), values)
    np.testing.assert_array_equal(planes.probabilities(slice(2, 4)), values[:, 2:4])


def test_a_copys_probabilities_are_interpolated_between_its_pixels_centres() -> None:
    """A ramp over 4 pixels, read at 8: every new centre lies a quarter of an old pixel off an old one."""
    ramp = np.arange(4, dtype=np.float32)[None, None].repeat(2, axis=1)
    found = Planes(ramp, (4, 8), (2, 4)).probabilities()
    np.testing.assert_allclose(found[0, 1], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
