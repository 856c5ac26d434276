"""Unaries from probabilities, scores and labels, against their formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deeplab.crf import unary_from_labels, unary_from_probabilities, unary_from_scores
from deeplab.crf.unary import softmax_in_place
from deeplab.errors import InputError


@given(arrays(np.float64, (4, 3, 2), elements=st.floats(-300, 300)))
def test_scores_are_logits(scores):
    unary = unary_from_scores(scores)
    chances = np.exp(scores - scores.max(0))
    np.testing.assert_allclose(np.exp(-unary.astype(np.float64)), chances / chances.sum(0), atol=1e-5)
    assert unary.dtype == np.float32


def test_probabilities_have_a_floor():
    given_ = np.array([[1.0, 0.25], [0.0, 0.75]])
    np.testing.assert_allclose(unary_from_probabilities(given_, least=1e-5), -np.log([[1, 0.25], [1e-5, 0.75]]), 1e-6)
    assert np.isfinite(unary_from_probabilities(given_)).all()


def test_labels_with_confidence():
    unary = unary_from_labels(np.array([[0, 2], [255, 1]], np.uint8), 3, confidence=0.8, unknown=255)
    expected = np.full((3, 2, 2), 0.1)
    expected[0, 0, 0] = expected[2, 0, 1] = expected[1, 1, 1] = 0.8
    expected[:, 1, 0] = 1 / 3
    np.testing.assert_allclose(np.exp(-unary), expected, rtol=1e-6)


def test_more_labels_than_a_byte_holds():
    unary = unary_from_labels(np.arange(300), 300, confidence=0.5)
    assert (unary.argmin(0) == np.arange(300)).all()


def test_one_label():
    assert (unary_from_labels(np.zeros(4, int), 1, confidence=0.9) == 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unary_from_scores(np.zeros(3)), r"shape \(3,\)"),
        (lambda: unary_from_scores(np.full((2, 3), np.inf)), "6 NaN or infinite"),
        (lambda: unary_from_scores(np.full((2, 3), "a")), "float type"),
        (lambda: unary_from_probabilities(np.ones((2, 3))), "sum to 2"),
        (lambda: unary_from_probabilities(np.ones((1, 3)), least=0), "least is 0"),
        (lambda: unary_from_labels(np.zeros(3), 2, confidence=0.5), "dtype float64"),
        (lambda: unary_from_labels(np.array([0, 255]), 2, confidence=0.5), r"hold \[255\]; .*pass unknown="),
        (lambda: unary_from_labels(np.array([0, -1]), 2, confidence=0.5, unknown=255), r"hold \[-1\]; expected 0-1"),
        (lambda: unary_from_labels(np.zeros(3, int), 0, confidence=0.5), "count is 0"),
        (lambda: unary_from_labels(np.zeros(3, int), 2, confidence=1), "confidence is 1; expected"),
        (lambda: unary_from_labels(np.zeros(3, int), 2, confidence=2), "confidence is 2; expected"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_softmax_against_its_formula():
    scores = np.random.default_rng(3).normal(scale=30, size=(5, 4, 6)).astype(np.float32)
    expected = np.exp(scores.astype(np.float64)) / np.exp(scores.astype(np.float64)).sum(axis=0)
    result = softmax_in_place(scores)
    assert result is scores
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_softmax_of_huge_scores_is_finite():
    assert softmax_in_place(np.array([1e30, -1e30, 1e30], np.float32)[:, None, None]).ravel().tolist() == [0.5, 0, 0.5]
