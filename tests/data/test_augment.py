from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab.data.augment import Augment, paste_thing, subsample_labels, training_crop, vary_colours
from deeplab.errors import InputError
from deeplab.labels import LabelSet
from deeplab.preprocessing import CAFFE_VGG, PAPER

VOID = 99


def coded(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo whose red and green are row and column, and labels that mix the two."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, rows + columns], axis=2).astype(np.uint8)
    return image, ((3 * rows + 5 * columns) % 90).astype(np.uint8)


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


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.5, 2), st.integers(0, 2**32 - 1))
def test_scaled_crops_keep_photo_and_labels_together(height: int, width: int, scale: float, seed: int) -> None:
    """Labels are a function of the place, as red is: after any enlargement they still fit."""
    rows = np.repeat(np.linspace(0, 255, height, dtype=np.uint8)[:, None], width, axis=1)
    image, labels = np.stack([rows] * 3, axis=2), (rows >= 128).astype(np.uint8)
    augment, rng = Augment(scale, scale), np.random.default_rng(seed)
    crop, crop_labels = training_crop(image, labels, 33, rng, CAFFE_VGG, VOID, augment)
    assert (crop.shape, crop_labels.shape) == ((3, 33, 33), (33, 33))
    inside = crop_labels != VOID
    side = round(33 / scale)
    shown = [min(33, max(1, round(min(length, side) * 33 / side))) for length in (height, width)]
    assert inside.sum() == shown[0] * shown[1]
    assert not crop[:, ~inside].any()
    red = crop[2] + CAFFE_VGG.mean[2]
    step = 255 / max(height - 1, 1) + 1  # from one row to the next; bilinear mixes neighbours, labels are the nearest
    assert ((red >= 128 - step) & (red <= 128 + step) | ((red > 128) == (crop_labels == 1)))[inside].all()


def test_a_photo_enlarged_twice_shows_half_of_it() -> None:
    image, labels = coded(40, 40)
    crop, _ = training_crop(image, labels, 32, np.random.default_rng(1), CAFFE_VGG, VOID, Augment(2, 2))
    red = crop[2] + CAFFE_VGG.mean[2]
    assert red[20, 0] - red[10, 0] == pytest.approx(5, abs=1)  # ten rows of the crop are five of the photo


def test_colours_vary_within_bounds_and_places_do_not() -> None:
    image = np.full((9, 9, 3), (100, 120, 140), dtype=np.uint8)
    image[4] = (160, 40, 90)
    labels = np.arange(81, dtype=np.uint8).reshape(9, 9)
    plain, _ = training_crop(image, labels, 9, np.random.default_rng(5), PAPER, VOID)
    factors = []
    for seed in range(200):
        crop, crop_labels = training_crop(
            image, labels, 9, np.random.default_rng(seed), PAPER, VOID, Augment(colour=0.2)
        )
        assert set(crop_labels.ravel()) == set(range(81))
        mean = np.array(PAPER.mean, np.float32)[:, None, None]
        factors.append(float((crop + mean).mean() / (plain + mean).mean()))
    assert 0.79 < min(factors) < 0.85
    assert 1.15 < max(factors) < 1.21  # brightness alone moves the mean
    assert np.mean(factors) == pytest.approx(1, abs=0.02)


@settings(max_examples=30)
@given(st.lists(st.floats(0.5, 1.5), min_size=3, max_size=3), st.integers(0, 2**32 - 1))
def test_colours_are_varied_one_after_the_other(factors: list[float], seed: int) -> None:
    photo = np.random.default_rng(seed).integers(60, 120, (4, 5, 3), dtype=np.uint8)  # nothing is cut off
    pixels = photo * factors[0]
    pixels = pixels.mean() + factors[1] * (pixels - pixels.mean())
    luma = 0.299 * pixels[..., :1] + 0.587 * pixels[..., 1:2] + 0.114 * pixels[..., 2:]
    expected = (luma + factors[2] * (pixels - luma)).clip(0, 255)
    found = vary_colours(photo, np.array(factors))
    assert np.abs(found - expected).max() <= 0.501


@pytest.mark.parametrize(
    "options", [(0.01, 1), (1, 100), (2, 1), (float("nan"), 1), (1, 1, -0.1), (1, 1, 1.5), (1, 1, 0, -1), (1, 1, 0, 2)]
)
def test_augmentation_out_of_bounds(options: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="must"):
        Augment(*options)


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


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([None, 0, 2]))
def test_all_of_one_thing_is_pasted_and_all_else_stays(
    height: int, width: int, seed: int, background: int | None
) -> None:
    label_set = LabelSet("few", ("a", "b", "c", "d"), void=VOID, background=background)
    rng = np.random.default_rng(seed)
    values = np.array([0, 0, 1, 2, 2, 3, VOID], np.uint8)
    crop, other = (
        (rng.normal(size=(3, height, width)).astype(np.float32), rng.choice(values, (height, width))) for _ in range(2)
    )
    pixels, labels = paste_thing(crop, other, rng, label_set)
    candidates = []
    for thing in range(4):
        mask = other[1] == thing
        if thing != background and 0 < mask.sum() <= height * width // 2:
            candidates.append((np.where(mask, other[0], crop[0]), np.where(mask, other[1], crop[1])))
    found = [np.array_equal(pixels, p) and np.array_equal(labels, m) for p, m in candidates or [crop]]
    assert any(found)
    assert (pixels.dtype, labels.dtype) == (np.float32, np.uint8)
