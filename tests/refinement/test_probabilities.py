"""Scores at the photo's size, against PyTorch's interpolation and the main path's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.refinement import to_probabilities, understand
from deeplab.refinement.probabilities import resize_plane
from deeplab.scores import upsample_scores

RANDOM = np.random.default_rng(8)


def interpolate(plane: NDArray[np.float32], size: tuple[int, int], *, corners: bool) -> NDArray[np.float32]:
    torch = pytest.importorskip("torch", reason="the reference is PyTorch's interpolation")
    result: NDArray[np.float32] = torch.nn.functional.interpolate(
        torch.from_numpy(plane)[None, None], size, mode="bilinear", align_corners=corners, antialias=not corners
    )[0, 0].numpy()
    return result


@pytest.mark.parametrize("size", [(375, 500), (47, 63), (48, 130), (1, 1), (1, 64), (20, 31), (13, 200)])
def test_centres_are_pytorchs_align_corners_false(size: tuple[int, int]) -> None:
    plane = RANDOM.normal(0, 3, (47, 63)).astype(np.float32)
    np.testing.assert_allclose(resize_plane(plane, size, "centres"), interpolate(plane, size, corners=False), atol=1e-4)


@pytest.mark.parametrize("size", [(375, 500), (47, 63), (48, 64), (47, 500)])
def test_corners_are_pytorchs_align_corners_true(size: tuple[int, int]) -> None:
    plane = RANDOM.normal(0, 3, (47, 63)).astype(np.float32)
    np.testing.assert_allclose(resize_plane(plane, size, "corners"), interpolate(plane, size, corners=True), atol=1e-4)


def test_corners_are_the_main_paths_grid() -> None:
    scores = RANDOM.normal(0, 3, (4, 9, 13)).astype(np.float32)
    expected = upsample_scores(scores, (65, 97))
    found = [resize_plane(plane, (65, 97), "corners") for plane in scores]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    understanding = understand(scores, (65, 97))
    probabilities = to_probabilities(scores, understanding)
    expected = np.exp(expected) / np.exp(expected).sum(axis=0)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


@pytest.mark.parametrize("align", ["centres", "corners"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (9, 7), (30, 40)])
def test_a_constant_stays_constant(align: str, size: tuple[int, int]) -> None:
    for cells in ((1, 1), (1, 5), (5, 1), (6, 5), (60, 80)):
        resized = resize_plane(np.full(cells, 2.5, np.float32), size, align)
        assert resized.shape == size
        np.testing.assert_allclose(resized, 2.5, rtol=1e-6)


def test_logarithms_of_zero_give_zero_and_never_nan() -> None:
    probabilities = np.array([[[0.0, 1.0]], [[1.0, 0.0]], [[0.0, 0.0]]])
    with np.errstate(divide="ignore"):
        scores = np.log(probabilities)
    result = to_probabilities(scores, understand(scores, (1, 2)))
    np.testing.assert_array_equal(result, probabilities)
    wide = to_probabilities(scores, understand(scores, (4, 8)))
    assert np.isfinite(wide).all()
    np.testing.assert_allclose(wide.sum(axis=0), 1, atol=1e-6)


def test_logits_are_interpolated_as_logits_and_probabilities_as_such() -> None:
    logits = np.array([[[-8.0, 2.0]], [[0.0, 0.0]]])
    between = to_probabilities(logits, understand(logits, (1, 3), axes="LHW", stretch=True, align="corners"))[0, 0, 1]
    assert between == pytest.approx(1 / (1 + np.exp(3)), rel=1e-5)
    given = np.exp(logits) / np.exp(logits).sum(axis=0)
    between = to_probabilities(given, understand(given, (1, 3), axes="LHW", stretch=True, align="corners"))[0, 0, 1]
    assert between == pytest.approx(given[0, 0].mean(), rel=1e-5)


def test_a_smaller_label_map_becomes_soft_at_its_borders_and_void_stays_open() -> None:
    labels = np.array([[3, 3, 9, 9]] * 2 + [[255, 255, 9, 9]] * 2, np.uint8)
    probabilities = to_probabilities(labels, understand(labels, (16, 16)), confidence=0.9)
    assert probabilities[:, 0, 0] == pytest.approx([0.9, 0.1])
    assert probabilities[:, 15, 0] == pytest.approx([0.5, 0.5])
    assert (np.diff(probabilities[0, 0]) <= 1e-7).all()
    assert probabilities[0, 0, 7:9].sum() == pytest.approx(1, rel=1e-5)  # the border lies between


@pytest.mark.parametrize("confidence", [0, 0.25, 1, 1.5, -1, float("nan"), "high"])
def test_a_confidence_no_better_than_chance_or_certain_is_refused(confidence: float) -> None:
    labels = np.arange(16).reshape(4, 4) % 4
    with pytest.raises(InputError, match="confidence"):
        to_probabilities(labels, understand(labels, (4, 4)), confidence=confidence)


def test_another_array_than_was_understood_is_refused() -> None:
    found = understand(np.zeros((4, 4), np.uint8), (4, 4))
    with pytest.raises(InputError, match=r"shape \(2, 8\), but shape \(4, 4\) was understood"):
        to_probabilities(np.zeros((2, 8), np.uint8), found)


def test_a_pixel_without_any_probability_is_refused() -> None:
    masks = np.zeros((2, 4, 4))
    masks[0, :2] = masks[1, 2, :3] = 1
    with pytest.raises(InputError, match=r"5 pixels .* background"):
        to_probabilities(masks, understand(masks, (4, 4), kind="probabilities"))
