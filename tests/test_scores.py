from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplab import scores as module
from deeplab.crf import CRFParams, CRFSettings, refine
from deeplab.errors import InputError
from deeplab.preprocessing import grid_size
from deeplab.scores import label_probabilities, refine_in_place, softmax_in_place, upsample_scores


def interpolated(scores: NDArray[Any], size: tuple[int, int], seen: tuple[int, int]) -> NDArray[Any]:
    """The same in NumPy's own interpolation, one line at a time."""
    result = scores.astype(np.float64)
    for axis, (full, small) in enumerate(zip(size, seen, strict=True), start=1):
        pixels = np.linspace(0.5, full - 0.5, full) * small / full - 0.5  # centre to centre
        knots = 8 * np.arange(result.shape[axis])
        result = np.apply_along_axis(lambda line: np.interp(pixels, knots, line), axis, result)  # noqa: B023
    return result


sides = st.integers(1, 40)


@given(sides, sides, sides, sides, st.integers(0, 1000))
def test_upsampling_against_numpy(height: int, width: int, seen_height: int, seen_width: int, seed: int) -> None:
    size, seen = (height, width), (seen_height, seen_width)
    for network_size, aligned in ((seen, seen), (None, size)):
        cells = tuple((grid_size(side) - 1) // 8 + 1 for side in aligned)
        scores = np.random.default_rng(seed).normal(size=(3, *cells)).astype(np.float32)
        upsampled = upsample_scores(scores, size, network_size=network_size)
        assert upsampled.dtype == np.float32
        assert upsampled.flags.c_contiguous
        np.testing.assert_allclose(upsampled, interpolated(scores, size, aligned), atol=1e-5)


def test_upsampling_against_torch() -> None:
    torch = pytest.importorskip("torch")
    scores = np.random.default_rng(3).normal(size=(21, 41, 66)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(scores)[None], size=(321, 521), mode="bilinear", align_corners=True
    )[0].numpy()
    np.testing.assert_allclose(upsample_scores(scores, (321, 521)), expected, atol=1e-4)
    np.testing.assert_allclose(upsample_scores(scores, (315, 500)), expected[:, :315, :500], atol=1e-4)


def test_upsampling_leaves_its_input_alone_and_takes_any_float() -> None:
    scores = np.random.default_rng(3).normal(size=(2, 3, 3)).astype(np.float32)
    scores.setflags(write=False)
    upsampled = upsample_scores(scores, (17, 17))
    np.testing.assert_array_equal(upsampled[:, ::8, ::8], scores)
    np.testing.assert_allclose(upsample_scores(scores.astype(np.float64), (17, 17)), upsampled, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [
        ((3, 3), (9, 9), r"expected scores \(L, h, w\)"),
        ((2, 3, 3), (18, 17), "do not span"),
        ((2, 3, 3), (0, 17), "do not span"),
    ],
)
def test_upsampling_refuses_what_does_not_fit(shape: tuple[int, ...], size: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        upsample_scores(np.zeros(shape, np.float32), size)


def test_softmax_against_its_formula() -> None:
    scores = np.random.default_rng(3).normal(scale=30, size=(5, 4, 6)).astype(np.float32)
    expected = np.exp(scores.astype(np.float64)) / np.exp(scores.astype(np.float64)).sum(axis=0)
    result = softmax_in_place(scores)
    assert result is scores
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_softmax_of_huge_scores_is_finite() -> None:
    assert softmax_in_place(np.array([1e30, -1e30, 1e30], np.float32)[:, None, None]).ravel().tolist() == [0.5, 0, 0.5]


def test_label_probabilities_are_the_softmax_of_interpolated_scores() -> None:
    scores = np.random.default_rng(3).normal(size=(4, 3, 4)).astype(np.float32)
    expected = np.exp(interpolated(scores, (20, 31), (10, 20)))
    result = label_probabilities(scores, (20, 31), (10, 20), 8)
    np.testing.assert_allclose(result, expected / expected.sum(axis=0), atol=1e-6)


@pytest.fixture
def probabilities() -> NDArray[np.float32]:
    """Three labels of six matter: (6, 60, 90)."""
    scores = np.random.default_rng(4).normal(scale=2, size=(6, 60, 90)).astype(np.float32)
    scores[[1, 3, 4]] -= 15
    return softmax_in_place(scores)


def test_labels_that_cannot_win_stay_unlikely(photo: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> None:
    refine_in_place(photo, probabilities, CRFSettings(), threads=1)
    assert (probabilities[[1, 3, 4]] < 0.001).all()
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize(("network_size", "factor"), [(None, 1), ((4, 2), 1), ((2, 1), 2)])
def test_the_settings_reach_the_crf_in_pixels_of_the_photo(
    network_size: tuple[int, int] | None, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longer sides give the factor, and three channels are no side, however small the photo."""
    calls: list[Any] = []

    def record(*arguments: Any, **options: Any) -> NDArray[np.float32]:
        calls.extend([arguments[2], options])
        return refine(*arguments, **options)

    monkeypatch.setattr(module, "refine", record)
    even = np.full((2, 4, 2), 0.5, np.float32)
    crf = CRFSettings(CRFParams(4, 60, 7, 2, 5), 3, "symmetric")
    refine_in_place(np.zeros((4, 2, 3), np.uint8), even, crf, network_size=network_size, threads=1)
    assert calls == [crf.params.scaled(factor), {"iterations": 3, "normalization": "symmetric", "threads": 1}]
