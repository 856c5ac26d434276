from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplab.errors import InputError
from deeplab.preprocessing import grid_size
from deeplab.scores import upsample_scores

sides = st.integers(1, 40)


@given(height=sides, width=sides, seen_height=sides, seen_width=sides, seed=st.integers(0, 1000))
def test_upsampling_against_numpy(
    interpolated: Any, height: int, width: int, seen_height: int, seen_width: int, seed: int
) -> None:
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
