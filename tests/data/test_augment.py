from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab.data.augment import subsample_labels, training_crop
from deeplab.preprocessing import CAFFE_VGG, PAPER

VOID = 99


def coded(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo whose red and green are row and column, and labels that mix the two."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, rows + columns], axis=2).astype(np.uint8)
    return image, ((3 * rows + 5 * columns) % 90).astype(np.uint8)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(9, 25), st.integers(0, 2**32 - 1))
def test_every_pixel_of_a_crop_comes_from_its_place_or_is_padding(
    height: int, width: int, crop_px: int, seed: int
) -> None:
    image, labels = coded(height, width)
    rng = np.random.default_rng(seed)
    crop, crop_labels = training_crop(image, labels, crop_px, rng, CAFFE_VGG, VOID)
    assert (crop.shape, crop.dtype) == ((3, crop_px, crop_px), np.float32)
    assert (crop_labels.shape, crop_labels.dtype) == ((crop_px, crop_px), np.uint8)
    blue_green_red = np.rint(crop + np.array(CAFFE_VGG.mean, np.float32)[:, None, None]).astype(int)
    matches = []
    for mirrored in (False, True):
        view, view_labels = blue_green_red, crop_labels
        if mirrored:
            view, view_labels = view[:, :, ::-1], view_labels[:, ::-1]
        inside = view_labels != VOID
        top, left = view[2, 0, 0], view[1, 0, 0]
        expected = np.full((crop_px, crop_px), VOID)
        for row in range(crop_px):  # the brute force: one pixel at a time
            for column in range(crop_px):
                if top + row < height and left + column < width:
                    expected[row, column] = labels[top + row, left + column]
        padding_is_mean = np.abs(crop[:, :, ::-1] if mirrored else crop)[:, ~inside].max(initial=0) == 0
        within = top <= max(height - crop_px, 0) and left <= max(width - crop_px, 0)
        matches.append(within and padding_is_mean and np.array_equal(view_labels, expected))
    assert any(matches)


def test_places_and_mirroring_are_spread_evenly() -> None:
    image, labels = coded(12, 11)
    corners = {}
    for seed in range(600):
        crop, _ = training_crop(image, labels, 9, np.random.default_rng(seed), PAPER, VOID)
        red, green = (np.rint(crop[c] + PAPER.mean[c]).astype(int) for c in (2, 1))
        mirrored = bool(green[0, 0] > green[0, -1])
        key = (int(red[0, 0]), int(green[0].min()), mirrored)
        corners[key] = corners.get(key, 0) + 1
    assert len(corners) == 4 * 3 * 2
    assert min(corners.values()) > 8  # 25 expected
    assert sum(count for (_, _, mirrored), count in corners.items() if mirrored) == pytest.approx(300, abs=50)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9))
def test_labels_are_taken_at_the_cells_of_the_score_map(height: int, width: int, stride: int) -> None:
    _, labels = coded(height, width)
    cells = subsample_labels(labels, stride)
    assert cells.shape == (-(-height // stride), -(-width // stride))
    for row in range(cells.shape[0]):
        for column in range(cells.shape[1]):
            assert cells[row, column] == labels[row * stride, column * stride]


def test_321_pixels_give_41_cells_and_306_give_39() -> None:
    assert subsample_labels(np.zeros((321, 321), np.uint8)).shape == (41, 41)
    assert subsample_labels(np.zeros((2, 306, 306), np.uint8)).shape == (2, 39, 39)
