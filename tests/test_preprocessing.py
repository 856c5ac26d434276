from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplab.errors import InputError
from deeplab.preprocessing import CAFFE_VGG, PAPER, TORCHVISION, Preprocessing, grid_size, pad_to_grid


def test_bgr_means_belong_to_blue_green_red(photo: NDArray[np.uint8]) -> None:
    pixels = CAFFE_VGG.apply(photo)
    assert pixels.shape == (1, 3, 60, 90)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[0, 0], photo[:, :, 2] - 103.939, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(pixels[0, 2], photo[:, :, 0] - 123.68, rtol=1e-6, atol=1e-4)


def test_torchvision_is_its_own_formula(photo: NDArray[np.uint8]) -> None:
    # Written as torchvision documents it: pixels in 0–1, minus mean, divided by std.
    expected = (photo / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(TORCHVISION.apply(photo)[0], expected.transpose(2, 0, 1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("preprocessing", [CAFFE_VGG, PAPER, TORCHVISION])
def test_dict_round_trip_through_json(preprocessing: Preprocessing) -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing


def test_a_large_photo_is_shown_smaller_and_a_small_one_as_it_is(photo: NDArray[np.uint8]) -> None:
    small = replace(CAFFE_VGG, max_side_px=45)
    assert small.shrink(photo).shape == (30, 45, 3)  # of 60x90
    assert CAFFE_VGG.shrink(photo) is photo


def test_a_network_of_lower_cost_is_shown_every_photo_smaller(photo: NDArray[np.uint8]) -> None:
    half = replace(CAFFE_VGG, photo_scale=0.5)
    assert half.shrink(photo).shape == (30, 45, 3)  # of 60x90
    assert replace(half, max_side_px=45).shrink(photo).shape == (15, 22, 3)
    assert replace(half, max_side_px=1).shrink(photo).shape == (1, 1, 3)


def test_what_older_files_say_means_513_pixels() -> None:
    fields = replace(CAFFE_VGG, max_side_px=900).to_dict()
    assert Preprocessing.from_dict(fields).max_side_px == 900
    del fields["max_side_px"], fields["photo_scale"]
    assert Preprocessing.from_dict(fields) == CAFFE_VGG
    assert CAFFE_VGG.max_side_px == 513


@given(st.integers(1, 6000))
def test_grid_size_is_the_next_8n_plus_1(size: int) -> None:
    grid = grid_size(size)
    assert grid % 8 == 1
    assert grid >= 9
    assert size <= grid < max(size + 8, 10)


@pytest.mark.parametrize(("size", "grid"), [(1, 9), (9, 9), (10, 17), (20, 25), (321, 321), (322, 329), (513, 513)])
def test_known_grid_sizes(size: int, grid: int) -> None:
    assert grid_size(size) == grid


def test_padding_is_below_and_right_and_zero() -> None:
    padded = pad_to_grid(np.ones((1, 3, 10, 1), dtype=np.float32))
    assert padded.shape == (1, 3, 17, 9)
    assert padded[:, :, :10, :1].all()
    assert padded.sum() == 30


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": "GRB", "mean": [0, 0, 0], "std": [1, 1, 1]}, "'BGR' or 'RGB'"),
        ({"channels": "RGB", "mean": [0, 0], "std": [1, 1, 1]}, "mean must be three"),
        ({"channels": "RGB", "mean": [0, 0, float("nan")], "std": [1, 1, 1]}, "mean must be three finite"),
        ({"channels": "RGB", "mean": [0, 0, 0], "std": [1, 0, 1]}, "std must be positive"),
        ({"channels": "RGB", "mean": [0, 0, 0], "std": [1, 1, 1], "max_side_px": 0}, "max_side_px must be 1–65535"),
        ({"channels": "RGB", "mean": [0, 0, 0], "std": [1, 1, 1], "max_side_px": 5.5}, "max_side_px must be 1–65535"),
        ({"channels": "RGB", "mean": [0, 0, 0], "std": [1, 1, 1], "max_side_px": None}, "max_side_px must be 1–65535"),
        *(
            (
                {"channels": "RGB", "mean": [0, 0, 0], "std": [1, 1, 1], "photo_scale": scale},
                "photo_scale must be 0.1–1",
            )
            for scale in (0, 1.5, float("nan"), "1", True, None)
        ),
        ({"channels": "RGB", "mean": [0, 0, 0]}, "'std' is missing"),
        ({"channels": "RGB", "mean": 0, "std": [1, 1, 1]}, "three numbers"),
        ({"channels": "RGB", "mean": ["x", 0, 0], "std": [1, 1, 1]}, "three numbers"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preprocessing.from_dict(fields)


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8)])
def test_only_rgb_photos_are_taken(image: NDArray[Any]) -> None:
    with pytest.raises(InputError, match=r"\(H, W, 3\) uint8 RGB"):
        PAPER.apply(image)
