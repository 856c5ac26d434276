"""Outlines, filled again by another program's rule and by ours; parts against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon2mask

from deeplab.data.coco_masks import draw_polygons
from deeplab.errors import InputError
from deeplab.formats import components_of, polygons_of

Mask = NDArray[np.bool_]

masks = npst.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))
big_masks = st.tuples(st.integers(0, 2**32 - 1), st.floats(0.5, 6)).map(lambda pair: blobs(*pair))


def blobs(seed: int, smoothness: float) -> Mask:
    noise = np.random.default_rng(seed).normal(size=(40, 60))
    blurred: Mask = ndimage.gaussian_filter(noise, smoothness) > 0
    return blurred


@given(st.one_of(masks, big_masks))
@settings(max_examples=80)
def test_parts_are_those_of_scipy(mask: Mask) -> None:
    expected, _ = ndimage.label(mask)
    np.testing.assert_array_equal(components_of(mask), expected)


@given(st.one_of(masks, big_masks))
@settings(max_examples=80)
def test_filling_the_outlines_gives_back_the_mask(mask: Mask) -> None:
    polygons = polygons_of(mask)
    assert len(polygons) == components_of(mask).max()
    np.testing.assert_array_equal(draw_polygons(polygons, mask.shape), mask)
    drawn = np.zeros_like(mask)
    for polygon in polygons:  # scikit-image takes points at the pixels' centres as (row, column)
        drawn |= polygon2mask(mask.shape, polygon[:, ::-1] - 0.5 + 1e-6 * np.array([1.0, 1.0]))
    if not _has_holes(mask):
        np.testing.assert_array_equal(drawn, mask)


def _has_holes(mask: Mask) -> bool:
    return bool((ndimage.binary_fill_holes(mask) != mask).any())


def test_a_ring_by_hand() -> None:
    mask = np.ones((5, 6), np.bool_)
    mask[1:3, 2:4] = False
    (polygon,) = polygons_of(mask)
    corners = [(0, 0), (6, 0), (6, 5), (0, 5)]
    hole = [(2, 1), (2, 3), (4, 3), (4, 1)]
    cut = (2, 0)  # along the upper border, then down
    assert polygon.tolist() == [list(point) for point in [corners[0], cut, *hole, hole[0], cut, *corners]]


def test_pixels_that_meet_in_a_corner_are_two_parts() -> None:
    mask = np.eye(2, dtype=np.bool_)
    assert [polygon.tolist() for polygon in polygons_of(mask)] == [
        [[0, 0], [1, 0], [1, 1], [0, 1]],
        [[1, 1], [2, 1], [2, 2], [1, 2]],
    ]


@given(big_masks, st.floats(0.1, 3))
@settings(max_examples=40)
def test_a_tolerance_leaves_out_points_and_moves_the_outline_no_further(mask: Mask, tolerance_px: float) -> None:
    exact, simple = polygons_of(mask), polygons_of(mask, tolerance_px=tolerance_px)
    assert len(exact) == len(simple)
    assert sum(map(len, simple)) <= sum(map(len, exact))
    changed = draw_polygons(simple, mask.shape) != mask
    # how far each pixel's centre is from the mask's outline, at most its distance from the nearest other pixel
    inside, outside = (ndimage.distance_transform_edt(np.pad(part, 1, constant_values=False)) for part in (mask, ~mask))
    assert (np.maximum(inside, outside)[1:-1, 1:-1][changed] <= tolerance_px + 1).all()


def test_nothing_and_nonsense() -> None:
    assert polygons_of(np.zeros((3, 4), np.bool_)) == []
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="must be 0 or more pixels"):
            polygons_of(np.ones((3, 4), np.bool_), tolerance_px=wrong)
